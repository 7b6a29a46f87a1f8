package storetest

import (
	"errors"
	"testing"

	"galen/fhir"
	"galen/store"
)

// testReindex: entries change and nothing else does.
func testReindex(t *testing.T, h Harness) {
	d := h.open(t)
	commit(t, d, write(patient(1), 1, code("identifier", "", "a"), code("old", "", "x")))
	commit(t, d, write(patient(2), 1, code("identifier", "", "a")))
	w := store.Write{
		Record: current(t, d, patient(1)), Task: store.Reindex, Expect: 1,
		Entries: append(write(patient(1), 1, code("identifier", "", "a"), code("new", "", "y")).Entries, code("new", "", "z")),
	}
	commit(t, d, w)
	same(t, "an entry that is gone", find(t, d, patients(byCode("old", "x"))), []fhir.Key{})
	same(t, "an entry that came", find(t, d, patients(byCode("new", "z"))), []fhir.Key{patient(1)})
	same(t, "an entry that stayed, and the order", find(t, d, patients(byCode("identifier", "a"))), []fhir.Key{patient(1), patient(2)})
	same(t, "the version", current(t, d, patient(1)), write(patient(1), 1).Record)
	versions, total := historyPages(t, d, store.HistorySelect{Type: "Patient", ID: "p1", Limit: 5, Total: true})
	if len(versions) != 1 || total != 1 {
		t.Errorf("history has %d versions, total %d; want 1", len(versions), total)
	}
	commit(t, d, write(patient(1), 2, code("identifier", "", "a")))
	var conflict *store.ConflictError
	if err := d.Commit(t.Context(), []store.Write{w}); !errors.As(err, &conflict) || conflict.Actual.Version != 2 {
		t.Errorf("reindexing a version that is not current: %v, want a ConflictError", err)
	}
	same(t, "after the conflict", find(t, d, patients(byCode("new", "y"))), []fhir.Key{})
}

// testExpunge: superseded versions go alone, or the whole resource does.
func testExpunge(t *testing.T, h Harness) {
	d := h.open(t)
	for n := 1; n <= 2; n++ {
		for v := int64(1); v <= 3; v++ {
			commit(t, d, write(patient(n), v, code("identifier", "", "a")))
		}
	}
	expunge := func(n int, from, through int64) store.Write {
		r := current(t, d, patient(n))
		return store.Write{Record: r, Task: store.Expunge, Expect: r.Version, From: from, Through: through}
	}
	commit(t, d, expunge(2, 2, 2))
	for v, want := range map[int64]bool{1: true, 2: false, 3: true} {
		if r, err := d.ReadVersion(t.Context(), patient(2), v); err != nil || r.Exists() != want {
			t.Errorf("version %d after expunging 2 alone: %v, %v; want it there: %v", v, r.Header, err, want)
		}
	}
	commit(t, d, expunge(1, 0, 2))
	for v, want := range map[int64]bool{1: false, 2: false, 3: true} {
		if r, err := d.ReadVersion(t.Context(), patient(1), v); err != nil || r.Exists() != want {
			t.Errorf("version %d after expunging through 2: %v, %v; want it there: %v", v, r.Header, err, want)
		}
	}
	same(t, "the current version is still found", find(t, d, patients(byCode("identifier", "a"))), []fhir.Key{patient(1), patient(2)})
	if versions, total := historyPages(t, d, store.HistorySelect{Type: "Patient", Limit: 2, Total: true}); len(versions) != 3 || total != 3 {
		t.Errorf("history has %d versions, total %d; want 3", len(versions), total)
	}

	commit(t, d, tombstone(patient(1), 4))
	stale := expunge(1, 0, 4)
	stale.Expect = 3
	var conflict *store.ConflictError
	if err := d.Commit(t.Context(), []store.Write{stale}); !errors.As(err, &conflict) {
		t.Errorf("expunging with a stale version: %v, want a ConflictError", err)
	}
	commit(t, d, expunge(1, 0, 4))
	same(t, "as if never used", current(t, d, patient(1)), store.Record{})
	if r, err := d.ReadVersion(t.Context(), patient(1), 3); err != nil || r.Exists() {
		t.Errorf("a version of an expunged resource = %v, %v", r.Header, err)
	}
	if versions, total := historyPages(t, d, store.HistorySelect{Limit: 2, Total: true}); len(versions) != 2 || total != 2 {
		t.Errorf("the system's history has %d versions, total %d; want 2", len(versions), total)
	}
	commit(t, d, write(patient(1), 1, code("identifier", "", "a")))
	same(t, "used anew, it comes last", find(t, d, patients(byCode("identifier", "a"))), []fhir.Key{patient(2), patient(1)})
}
