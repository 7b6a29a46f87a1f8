package integrity_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/rest/integrity"
	"galen/fhir/search/index"
	"galen/fhir/spec"
	"galen/fhir/ucum"
	"galen/store"
	"galen/store/sqlite"
)

// guarded is a Guard over a store on SQLite.
func guarded(t testing.TB) (*integrity.Guard, *store.Store) {
	t.Helper()
	defs, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	units, err := ucum.Load()
	if err != nil {
		t.Fatal(err)
	}
	indexer, err := index.New(defs, path.New(defs, units), units, index.Options{Zone: time.UTC})
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.Open(sqlite.Options{Dir: t.TempDir(), Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.New(store.Options{Driver: db, Indexer: indexer, Now: time.Now, NewID: uuid.NewString, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return integrity.New(defs, s), s
}

func put(t testing.TB, text string) store.Change {
	t.Helper()
	r, err := fhir.Parse([]byte(text), jsontree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return store.Change{Method: store.Put, Key: r.Key, Resource: r}
}

func patient(t testing.TB, i int) store.Change {
	return put(t, fmt.Sprintf(`{"resourceType":"Patient","id":"p%d"}`, i))
}

func remove(i int) store.Change {
	return store.Change{Method: store.Delete, Key: fhir.Key{Type: "Patient", ID: fmt.Sprint("p", i)}}
}

// Of many deletes the one that something refers to is named.
func TestManyDeletes(t *testing.T) {
	g, s := guarded(t)
	const n, referred = 1200, 777
	var made, gone []store.Change
	for i := range n {
		made, gone = append(made, patient(t, i)), append(gone, remove(i))
	}
	// Refer to each other: what goes together may.
	made[5] = put(t, `{"resourceType":"Patient","id":"p5","link":[{"other":{"reference":"Patient/p6"},"type":"seealso"}]}`)
	observation := put(t, fmt.Sprintf(`{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p%d"}}`, referred))
	if _, err := s.Commit(t.Context(), append(made, observation)); err != nil {
		t.Fatal(err)
	}
	_, err := g.Hold(t.Context(), "http://x/fhir/", gone)
	var failed *store.ChangeError
	if !errors.As(err, &failed) || failed.Index != referred || fhir.KindOf(err) != fhir.Conflict {
		t.Fatalf("%v", err)
	}
	moved := put(t, `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"}}`)
	release, err := g.Hold(t.Context(), "http://x/fhir/", append(gone, moved))
	if err != nil {
		t.Fatal(err)
	}
	release()
	if release, err = g.Hold(t.Context(), "http://x/fhir/", []store.Change{remove(6)}); err == nil {
		release()
		t.Error("p5 refers to p6")
	}
}

// Whose reference it is and where it stands is told; what is not of this server
// is not looked at.
func TestMissingReference(t *testing.T) {
	g, s := guarded(t)
	if _, err := s.Commit(t.Context(), []store.Change{patient(t, 1), patient(t, 2)}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), []store.Change{remove(2)}); err != nil {
		t.Fatal(err)
	}
	for reference, want := range map[string]string{
		"Patient/p1": "", "http://x/fhir/Patient/p1": "", "http://y/fhir/Patient/p9": "", "urn:uuid:1": "", "#a": "", "AuditEvent/1": "", "Patient?identifier=1": "",
		"Patient/p2": "deleted", "Patient/p9": "never", "http://x/fhir/Patient/p9": "never", "Patient/p9/_history/1": "never",
	} {
		change := put(t, `{"resourceType":"Group","id":"g","type":"person","actual":true,"member":[{"entity":{"reference":"`+reference+`"}}]}`)
		release, err := g.Hold(t.Context(), "http://x/fhir/", []store.Change{patient(t, 1), change})
		if (err != nil) != (want != "") {
			t.Errorf("%s: %v", reference, err)
		}
		var failed *store.ChangeError
		if errors.As(err, &failed) && (failed.Index != 1 || fhir.KindOf(err) != fhir.Unprocessable || fhir.IssuesOf(err)[0].At != "Group.member[0].entity.reference") {
			t.Errorf("%s: %v", reference, err)
		}
		if err == nil {
			release()
		}
	}
}

// Without a Guard everything passes.
func TestNoGuard(t *testing.T) {
	var g *integrity.Guard
	release, err := g.Hold(t.Context(), "", []store.Change{remove(1)})
	if err != nil {
		t.Fatal(err)
	}
	release()
}

func BenchmarkDelete(b *testing.B) {
	g, s := guarded(b)
	var made []store.Change
	for i := range 1000 {
		made = append(made, patient(b, i))
	}
	if _, err := s.Commit(b.Context(), made); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		release, err := g.Hold(b.Context(), "http://x/fhir/", []store.Change{remove(1)})
		if err != nil {
			b.Fatal(err)
		}
		release()
	}
}
