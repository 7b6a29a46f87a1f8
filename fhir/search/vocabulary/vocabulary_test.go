package vocabulary

import (
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/search"
	"galen/fhir/search/parse"
	"galen/fhir/terminology"
	"galen/fhir/ucum"
	"galen/store"
	"galen/store/mem"
)

type unindexed struct{}

func (unindexed) Index(fhir.Resource) ([]search.Entry, error) { return nil, nil }

// spec/fhir.md item 30: canonical and stored value sets, hierarchies, and what is
// not known.
func TestVocabulary(t *testing.T) {
	units, err := ucum.Load()
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.New(store.Options{
		Driver: mem.New(), Indexer: unindexed{}, Now: time.Now, NewID: func() string { return "new" }, Random: rand.Reader,
	})
	if err != nil {
		t.Fatal(err)
	}
	const gender = "http://hl7.org/fhir/ValueSet/administrative-gender"
	r, err := fhir.Parse([]byte(`{"resourceType":"ValueSet","id":"mine","url":"`+gender+`"}`), jsontree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Update(t.Context(), r, store.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	v := &Vocabulary{Service: terminology.New(terminology.Options{Source: terminology.Builtin(), Units: units, Now: time.Now}), Store: s}
	text := func(list []parse.Coding) string {
		codes := make([]string, len(list))
		for i, c := range list {
			codes[i] = c.Code
		}
		slices.Sort(codes)
		return strings.Join(codes, " ")
	}
	for _, valueSet := range []string{gender, "ValueSet/mine"} {
		list, err := v.Codes(valueSet, 100)
		if got := text(list); err != nil || got != "female male other unknown" {
			t.Errorf("%s: %s, %v", valueSet, got, err)
		}
	}
	for valueSet, want := range map[string]fhir.Kind{gender: fhir.TooCostly, "ValueSet/none": fhir.NotFound, "http://x.org/none": fhir.NotFound} {
		if _, err := v.Codes(valueSet, 3); fhir.KindOf(err) != want || err == nil {
			t.Errorf("%s: %v, want %v", valueSet, err, want)
		}
	}
	list, err := v.Hierarchy(parse.Coding{System: "http://hl7.org/fhir/issue-type", Code: "security"}, false)
	if got := text(list); err != nil || !strings.Contains(got, "login") || !strings.Contains(got, "security") {
		t.Errorf("below security: %s, %v", got, err)
	}
	list, err = v.Hierarchy(parse.Coding{System: "http://hl7.org/fhir/issue-type", Code: "login"}, true)
	if got := text(list); err != nil || got != "login security" {
		t.Errorf("above login: %s, %v", got, err)
	}
}
