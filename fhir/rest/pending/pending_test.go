package pending_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/rest/pending"
	"galen/fhir/search/index"
	"galen/fhir/search/parse"
	"galen/fhir/spec"
	"galen/fhir/ucum"
)

func tables(t testing.TB) (*index.Indexer, *parse.Parser) {
	t.Helper()
	defs, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	units, err := ucum.Load()
	if err != nil {
		t.Fatal(err)
	}
	ix, err := index.New(defs, path.New(defs, units), units, index.Options{Zone: time.UTC})
	if err != nil {
		t.Fatal(err)
	}
	return ix, parse.New(defs, units, parse.Options{Zone: time.UTC, Now: time.Now})
}

func add(t testing.TB, s *pending.Set, id int, text string) {
	t.Helper()
	r, err := fhir.Parse([]byte(text), jsontree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	s.Add(id, r)
}

func TestMatch(t *testing.T) {
	ix, parser := tables(t)
	s := pending.New(ix)
	add(t, s, 4, `{"resourceType":"Patient","identifier":[{"system":"s","value":"A"}],"gender":"male","birthDate":"1980-01-01"}`)
	add(t, s, 7, `{"resourceType":"Patient","identifier":[{"system":"s","value":"a"},{"system":"s","value":"B"}],"name":[{"family":"Ö"}]}`)
	add(t, s, 9, `{"resourceType":"Group","type":"person","actual":true}`)
	for criteria, want := range map[string][]int{
		"identifier=s|A":                  {4},
		"identifier=s|A,s|B":              {4, 7},
		"identifier=s|":                   {4, 7},
		"identifier=t|A":                  nil,
		"identifier=s|A&gender=female":    nil,
		"identifier=s|A&gender=male":      {4},
		"birthdate=lt2000":                {4},
		"family=o":                        {7},
		"gender:missing=true":             {7},
		"identifier:not=s|A":              {7},
		"organization.identifier=s|A":     nil,
		"_has:Observation:patient:code=x": nil,
		"":                                {4, 7},
	} {
		q, err := parser.ParseCriteria("Patient", criteria)
		if criteria == "" {
			if err == nil {
				t.Error("empty criteria pass")
			}
			continue
		}
		if err != nil {
			t.Fatal(criteria, err)
		}
		got, err := s.Match(t.Context(), q, 10, func(int) bool { return false })
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", criteria, err, diff)
		}
		got, err = s.Match(t.Context(), q, 1, func(id int) bool { return id == 4 })
		if err != nil || len(got) > 1 || len(got) == 1 && got[0] != 7 {
			t.Errorf("%s but 4: %v %v", criteria, got, err)
		}
	}
}

// 10,000 criteria over 10,000 resources by identifier take no 10^8 steps.
func TestManyIdentifiers(t *testing.T) {
	ix, parser := tables(t)
	s := pending.New(ix)
	const n = 10_000
	for i := range n {
		add(t, s, i, fmt.Sprintf(`{"resourceType":"Patient","identifier":[{"system":"s","value":"%d"}]}`, i))
	}
	start := time.Now()
	for i := range n {
		q, err := parser.ParseCriteria("Patient", fmt.Sprintf("identifier=s|%d", i))
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Match(t.Context(), q, 2, func(int) bool { return false })
		if err != nil || len(got) != 1 || got[0] != i {
			t.Fatal(i, got, err)
		}
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestEndedContext(t *testing.T) {
	ix, parser := tables(t)
	s := pending.New(ix)
	for i := range 2000 {
		add(t, s, i, `{"resourceType":"Patient","birthDate":"1980-01-01"}`)
	}
	q, err := parser.ParseCriteria("Patient", "birthdate=gt2000")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Match(ctx, q, 2, func(int) bool { return false }); fhir.KindOf(err) != fhir.Timeout {
		t.Error(err)
	}
}
