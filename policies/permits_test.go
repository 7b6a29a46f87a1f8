package policies_test

import (
	"testing"

	"galen/fhir"
	"galen/fhir/search"
	"galen/policies"
)

func TestDecisionPermits(t *testing.T) {
	h := fhir.Header{Key: fhir.Key{Type: "Patient", ID: "1"}}
	entries := []search.Entry{{Param: "gender", Value: search.Token{Code: "male"}}}
	male := search.Where{Param: "gender", Any: []search.Test{search.TokenTest{Code: "male", AnySystem: true}}}
	cases := []struct {
		name string
		d    policies.Decision
		want bool
	}{
		{"allowed without a filter", policies.Decision{Allow: true}, true},
		{"refused", policies.Decision{}, false},
		{"refused, whatever passes", policies.Decision{Filter: search.HasID{IDs: []string{"1"}}}, false},
		{"the filter names it", policies.Decision{Allow: true, Filter: search.HasID{IDs: []string{"1"}}}, true},
		{"the filter names another", policies.Decision{Allow: true, Filter: search.HasID{IDs: []string{"2"}}}, false},
		{"the filter tests its entries", policies.Decision{Allow: true, Filter: male}, true},
		{"the filter excludes them", policies.Decision{Allow: true, Filter: search.Not{Of: male}}, false},
		{"another type", policies.Decision{Allow: true, Filter: search.HasType{Types: []string{"Observation"}}}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := c.d.Permits(h, entries); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
