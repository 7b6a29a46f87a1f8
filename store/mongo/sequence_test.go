package mongo_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"galen/fhir"
	"galen/fhir/search"
	"galen/store"
	"galen/store/mongo"
)

func create(key fhir.Key, entries ...search.Entry) store.Write {
	return store.Write{
		Record: store.Record{
			Header: fhir.Header{Key: key, Version: 1, LastUpdated: time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)},
			Body:   fmt.Appendf(nil, `{"resourceType":%q,"id":%q}`, key.Type, key.ID), Method: store.Post,
		},
		Entries: entries,
	}
}

// TestSequence: without transactions several new resources are committed by the
// journal, and what a node that died left of that is completed at the next
// start; any other commit of several is refused and leaves nothing.
func TestSequence(t *testing.T) {
	uri := fresh(t, server(t))
	db := open(t, uri)
	defer db.Close()
	if db.Caps().Transactions {
		t.Skip("skipped: the server has transactions, and needs no sequence")
	}
	risk, provenance := fhir.Key{Type: "RiskAssessment", ID: "r"}, fhir.Key{Type: "Provenance", ID: "p"}
	writes := []store.Write{create(risk), create(provenance)}
	if err := db.Record(t.Context(), writes); err != nil { // and dies
		t.Fatal(err)
	}
	next := open(t, uri)
	defer next.Close()
	records, err := next.Read(t.Context(), risk, provenance)
	if err != nil || !records[0].Exists() || !records[1].Exists() {
		t.Errorf("after the start: %v, %v; want both resources", records, err)
	}
	page, err := next.History(t.Context(), store.HistorySelect{Limit: 10, Total: true})
	if err != nil || page.Total != 2 {
		t.Errorf("the history has %d versions, %v; want 2", page.Total, err)
	}
	again := []store.Write{create(fhir.Key{Type: "Patient", ID: "new"}), create(risk)}
	again[1].Version, again[1].Expect = 2, 1
	if err := next.Commit(t.Context(), again); fhir.KindOf(err) != fhir.NotSupported {
		t.Errorf("an update among several writes: %v, want NotSupported", err)
	}
	if r, err := next.Read(t.Context(), again[0].Key); err != nil || r[0].Exists() {
		t.Errorf("the refused commit left %v, %v", r, err)
	}
}

// TestPending: a version that a node inserted before it died is put in place by
// the next writer, who meets it as a conflict.
func TestPending(t *testing.T) {
	uri := fresh(t, server(t))
	db, err := mongo.Open(t.Context(), mongo.Options{URI: uri, Lease: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if db.Caps().Transactions {
		t.Skip("skipped: the server has transactions, which leave nothing pending")
	}
	w := create(fhir.Key{Type: "Patient", ID: "p"})
	if err := db.Claim(t.Context(), &w); err != nil { // and dies
		t.Fatal(err)
	}
	var conflict *store.ConflictError
	if err := db.Commit(t.Context(), []store.Write{w}); !errors.As(err, &conflict) || conflict.Actual.Version != 1 {
		t.Errorf("the next writer: %v, want a conflict with version 1", err)
	}
	if page, err := db.History(t.Context(), store.HistorySelect{Type: "Patient", Limit: 10}); err != nil || len(page.Records) != 1 {
		t.Errorf("history: %v, %v; want the version once", page.Records, err)
	}
}

// TestIndexesAtStart: an index that somebody dropped is named and made again.
func TestIndexesAtStart(t *testing.T) {
	uri := fresh(t, server(t))
	db := open(t, uri)
	if err := db.Commit(t.Context(), []store.Write{create(fhir.Key{Type: "Patient", ID: "p"})}); err != nil {
		t.Fatal(err)
	}
	if err := db.DropIndex(t.Context(), "Patient", "created"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	next := open(t, uri)
	defer next.Close()
	if got := next.MissingIndexes(); len(got) != 1 || got[0] != "Patient.created" {
		t.Errorf("missing indexes %v, want Patient.created", got)
	}
}
