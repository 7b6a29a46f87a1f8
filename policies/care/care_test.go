package care_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/search/index"
	"galen/fhir/spec"
	"galen/fhir/ucum"
	"galen/policies/care"
	"galen/policies/watch"
	"galen/store"
	"galen/store/mem"
)

var load = sync.OnceValues(func() (*index.Indexer, error) {
	defs, err := spec.Load()
	if err != nil {
		return nil, err
	}
	units, err := ucum.Load()
	if err != nil {
		return nil, err
	}
	return index.New(defs, path.New(defs, units), units, index.Options{})
})

// Who cares for whom, and that a write counts at once.
func TestPatients(t *testing.T) {
	indexer, err := load()
	if err != nil {
		t.Fatal(err)
	}
	data := mem.New()
	relations := care.New(data)
	db := &watch.Driver{Driver: data, Seen: relations.Seen}
	versions := map[fhir.Key]int64{}
	put := func(text string) {
		t.Helper()
		r, err := fhir.Parse([]byte(text), jsontree.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		entries, err := indexer.Index(r)
		if err != nil {
			t.Fatal(err)
		}
		h := r.Header
		h.Version = versions[h.Key] + 1
		w := store.Write{Record: store.Record{Header: h, Body: r.Bytes(), Method: store.Put}, Entries: entries, Expect: h.Version - 1}
		if err := db.Commit(t.Context(), []store.Write{w}); err != nil {
			t.Fatal(err)
		}
		versions[h.Key]++
	}
	doctor := fhir.Key{Type: "Practitioner", ID: "1"}
	want := func(step string, ids ...string) {
		t.Helper()
		got, err := relations.Patients(t.Context(), doctor)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(ids, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step, diff)
		}
	}
	want("nobody")
	team := `{"resourceType":"CareTeam","id":"t","status":"active","subject":{"reference":"Patient/a"},"participant":[{"member":{"reference":"Practitioner/1"}}]}`
	put(team)
	want("care team", "a")
	put(`{"resourceType":"Encounter","id":"e","status":"in-progress","class":{"code":"IMP"},"subject":{"reference":"Patient/b"},"participant":[{"individual":{"reference":"Practitioner/1"}}]}`)
	put(`{"resourceType":"Encounter","id":"f","status":"finished","class":{"code":"IMP"},"subject":{"reference":"Patient/x"},"participant":[{"individual":{"reference":"Practitioner/1"}}]}`)
	put(`{"resourceType":"EpisodeOfCare","id":"g","status":"active","patient":{"reference":"Patient/c"},"careManager":{"reference":"Practitioner/1"}}`)
	put(`{"resourceType":"Patient","id":"d","generalPractitioner":[{"reference":"Practitioner/1"}]}`)
	put(`{"resourceType":"Patient","id":"y","generalPractitioner":[{"reference":"Practitioner/2"}]}`)
	want("all ways", "a", "b", "c", "d")
	put(strings.Replace(team, "active", "inactive", 1))
	want("the team is dissolved", "b", "c", "d")
	if got, err := relations.Patients(t.Context(), fhir.Key{}); err != nil || got != nil {
		t.Errorf("nobody in particular: %v %v", got, err)
	}
}
