package main

import (
	"slices"
	"strings"
)

// searchParam is the part of a SearchParameter that the tables hold. R4 states
// the same comparators for every date, number and quantity parameter and no
// modifiers at all, so those follow from the type.
type searchParam struct {
	Code, URL, Name, Type, Expression string
	Base, Target                      []string
	Component                         []struct{ Definition, Expression string }
	MultipleOr                        *bool
}

// compartment is the part of a CompartmentDefinition that the tables hold.
type compartment struct {
	Code, URL string
	Resource  []struct {
		Code  string
		Param []string
	}
}

func writeParams(t *table, fixes corrector, params []*searchParam) {
	slices.SortFunc(params, func(a, b *searchParam) int { return strings.Compare(a.URL, b.URL) })
	for _, p := range params {
		flags := ""
		if p.MultipleOr != nil && !*p.MultipleOr {
			flags = "1" // one value only
		}
		t.line("P", p.URL, p.Code, p.Name, p.Type, strings.Join(p.Base, " "), flags,
			strings.Join(p.Target, " "), fixes.fix(p.URL, p.Expression))
		for _, c := range p.Component {
			t.line("D", c.Definition, c.Expression)
		}
	}
}

func writeCompartments(t *table, all []*compartment) {
	slices.SortFunc(all, func(a, b *compartment) int { return strings.Compare(a.Code, b.Code) })
	for _, c := range all {
		t.line("C", c.Code, c.URL)
		for _, r := range c.Resource {
			if len(r.Param) > 0 {
				t.line("M", r.Code, strings.Join(r.Param, " "))
			}
		}
	}
}
