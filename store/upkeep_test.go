package store_test

import (
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"galen/fhir"
	"galen/fhir/search"
	"galen/store"
	"galen/store/mem"
)

// What $expunge asks: superseded versions, one version, a deleted resource, each
// up to a limit, and never what is current.
func TestExpunge(t *testing.T) {
	cases := []struct {
		name    string
		in      store.ExpungeInput
		deleted bool // the resource, of three versions, the last then a tombstone
		removed int
		left    int // versions in the history; 0 for no resource
		kind    fhir.Kind
	}{
		{"nothing asked", store.ExpungeInput{Most: 9}, true, 0, 3, 0},
		{"previous", store.ExpungeInput{Previous: true, Most: 9}, false, 2, 1, 0},
		{"previous of a deleted one", store.ExpungeInput{Previous: true, Most: 9}, true, 2, 1, 0},
		{"deleted, of a live one", store.ExpungeInput{Deleted: true, Most: 9}, false, 0, 3, 0},
		{"deleted", store.ExpungeInput{Deleted: true, Most: 9}, true, 3, 0, 0},
		{"deleted, with a limit", store.ExpungeInput{Deleted: true, Most: 2}, true, 2, 1, 0},
		{"previous, with a limit", store.ExpungeInput{Previous: true, Most: 1}, false, 1, 2, 0},
		{"one version", store.ExpungeInput{Version: 2}, false, 1, 2, 0},
		{"the current version", store.ExpungeInput{Version: 3}, false, 0, 3, fhir.Conflict},
		{"no such version", store.ExpungeInput{Version: 4}, false, 0, 3, fhir.NotFound},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := openStore(t, unindexed{})
			key := fhir.Key{Type: "Patient", ID: "a"}
			for n := range 3 {
				if n == 2 && c.deleted {
					if _, err := s.Delete(t.Context(), key, store.DeleteOptions{}); err != nil {
						t.Fatal(err)
					}
				} else if _, err := s.Update(t.Context(), patient(t, "a", fmt.Sprint(n)), store.UpdateOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			c.in.Key = key
			removed, err := s.Expunge(t.Context(), c.in)
			if fhir.KindOf(err) != c.kind || (err == nil) != (c.kind == 0) || removed != c.removed {
				t.Fatalf("Expunge = %d, %v; want %d", removed, err, c.removed)
			}
			h, err := s.History(t.Context(), store.HistoryInput{Type: key.Type, ID: key.ID, Count: 9})
			if (fhir.KindOf(err) == fhir.NotFound) != (c.left == 0) || len(h.Versions) != c.left {
				t.Errorf("the history has %d versions (%v), want %d", len(h.Versions), err, c.left)
			}
		})
	}
}

// renamed indexes by a parameter whose name changes.
type renamed struct{ param *string }

func (r renamed) Index(fhir.Resource) ([]search.Entry, error) {
	return []search.Entry{{Param: *r.param, Value: search.Token{Code: "x"}}}, nil
}

// What was indexed by other rules is found by the new ones after Reindex, and
// stays as it was.
func TestReindex(t *testing.T) {
	param := "old"
	s := openStore(t, renamed{&param})
	for _, id := range []string{"a", "gone"} {
		if _, err := s.Update(t.Context(), patient(t, id, "x"), store.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	gone, key := fhir.Key{Type: "Patient", ID: "gone"}, fhir.Key{Type: "Patient", ID: "a"}
	if _, err := s.Delete(t.Context(), gone, store.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	before, err := s.Read(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	param = "new"
	done, err := s.Reindex(t.Context(), key, gone, fhir.Key{Type: "Patient", ID: "never"})
	if err != nil || len(done) != 3 || done[0].Err != nil {
		t.Fatalf("Reindex = %v, %v", done, err)
	}
	for name, want := range map[string]int{"old": 0, "new": 1} {
		q := &search.Query{Where: search.Where{Param: name, Any: []search.Test{search.TokenTest{AnySystem: true, Code: "x"}}}}
		if keys, err := s.Match(t.Context(), q, 5); err != nil || len(keys) != want {
			t.Errorf("%s finds %v, %v; want %d", name, keys, err, want)
		}
	}
	if after, err := s.Read(t.Context(), key); err != nil || after.Version != before.Version || string(after.Body) != string(before.Body) {
		t.Errorf("the resource changed: version %d, %v", after.Version, err)
	}
}

func openStore(t *testing.T, indexer store.Indexer) *store.Store {
	t.Helper()
	s, err := store.New(store.Options{
		Driver: mem.New(), Indexer: indexer, Now: time.Now, NewID: func() string { return "new" }, Random: rand.Reader,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
