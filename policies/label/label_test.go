package label_test

import (
	"path/filepath"
	"slices"
	"testing"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/search"
	"galen/policies/label"
	"galen/store"
	"galen/store/mem"
)

func labelled(t *testing.T, id, code string) []store.Write {
	t.Helper()
	r, err := fhir.Parse([]byte(`{"resourceType":"Patient","id":"`+id+`","meta":{"security":[{"code":"`+code+`"}]}}`), jsontree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	h := r.Header
	h.Version = 1
	return []store.Write{{
		Record:  store.Record{Header: h, Body: r.Bytes(), Method: store.Put},
		Entries: []search.Entry{{Param: "_security", Value: search.Token{Code: code}}},
	}}
}

// Labels are found in a store that has them, known from the commit on that brings
// them, and not forgotten over a restart.
func TestLabelsInUse(t *testing.T) {
	path, db := filepath.Join(t.TempDir(), "labels"), mem.New()
	if err := db.Commit(t.Context(), labelled(t, "a", "R")); err != nil {
		t.Fatal(err)
	}
	asked := []string{"HIV", "R", "V"}
	open := func() *label.Registry {
		t.Helper()
		r, err := label.Open(t.Context(), path, db)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := open()
	if got := r.InUse(asked); !slices.Equal(got, []string{"R"}) {
		t.Errorf("in the store: %v", got)
	}
	r.Seen(labelled(t, "b", "V"))
	if got := r.InUse(asked); !slices.Equal(got, []string{"R", "V"}) {
		t.Errorf("after a commit: %v", got)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = open()
	if got := r.InUse(asked); !slices.Equal(got, []string{"R", "V"}) {
		t.Errorf("after a restart: %v", got)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r.Seen(labelled(t, "c", "HIV"))
	if got := r.InUse([]string{"HIV", "X"}); !slices.Equal(got, []string{"HIV", "X"}) {
		t.Errorf("when the journal fails every label counts as used: %v", got)
	}
	empty, err := label.Open(t.Context(), filepath.Join(t.TempDir(), "labels"), mem.New())
	if err != nil || empty.InUse(asked) != nil {
		t.Errorf("an empty store: %v", err)
	}
	if err := empty.Close(); err != nil {
		t.Fatal(err)
	}
}
