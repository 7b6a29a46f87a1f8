package store_test

import (
	"crypto/rand"
	"testing"
	"time"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/search"
	"galen/store"
	"galen/store/mem"
)

// unindexed finds nothing by anything.
type unindexed struct{}

func (unindexed) Index(fhir.Resource) ([]search.Entry, error) { return nil, nil }

// RFC 9110, sections 13.1.1 and 13.1.2, on a resource that never was, is, or was
// deleted: the condition is evaluated where the write is made.
func TestConditionsOnTheCurrentVersion(t *testing.T) {
	const gone, live, never = "gone", "live", "never"
	cases := []struct {
		name    string
		ifMatch int64
		id      string
		method  store.Method
		holds   bool
	}{
		{"no condition creates", 0, never, store.Put, true},
		{"a version never creates", 1, never, store.Put, false},
		{"the current version", 1, live, store.Put, true},
		{"another version", 2, live, store.Put, false},
		{"the version of a tombstone", 2, gone, store.Put, false},
		{"any version", store.Exists, live, store.Put, true},
		{"any version of none", store.Exists, never, store.Put, false},
		{"any version of a tombstone", store.Exists, gone, store.Put, false},
		{"any version, delete", store.Exists, live, store.Delete, true},
		{"any version of none, delete", store.Exists, never, store.Delete, false},
		{"absent", store.Absent, never, store.Put, true},
		{"absent, a tombstone", store.Absent, gone, store.Put, true},
		{"absent, but it is there", store.Absent, live, store.Put, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, err := store.New(store.Options{
				Driver: mem.New(), Indexer: unindexed{}, Now: time.Now, NewID: func() string { return "new" }, Random: rand.Reader,
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range []string{gone, live} {
				if _, err := s.Update(t.Context(), patient(t, id, "a"), store.UpdateOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := s.Delete(t.Context(), fhir.Key{Type: "Patient", ID: gone}, store.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			change := store.Change{Method: c.method, Key: fhir.Key{Type: "Patient", ID: c.id}, IfMatch: c.ifMatch}
			if c.method != store.Delete {
				change.Resource = patient(t, c.id, "b")
			}
			_, err = s.Commit(t.Context(), []store.Change{change})
			switch {
			case c.holds && err != nil:
				t.Errorf("refused: %v", err)
			case !c.holds && fhir.KindOf(err) != fhir.Precondition:
				t.Errorf("error %v, want Precondition", err)
			}
		})
	}
}

func patient(t *testing.T, id, name string) fhir.Resource {
	t.Helper()
	r, err := fhir.Parse([]byte(`{"resourceType":"Patient","id":"`+id+`","name":[{"text":"`+name+`"}]}`), jsontree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
