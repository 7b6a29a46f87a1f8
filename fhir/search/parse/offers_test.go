package parse_test

import (
	"slices"
	"testing"

	"galen/fhir/search/parse"
	"galen/fhir/spec"
)

// Everything that is declared is honoured, and what is honoured is declared.
func TestOffers(t *testing.T) {
	p := parser
	defs, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, typ := range defs.ResourceTypes() {
		offered := p.Offers(typ)
		for _, param := range defs.Params(typ) {
			is := slices.ContainsFunc(offered, func(o *spec.SearchParam) bool { return o.Code == param.Code })
			if !is && param.Type != spec.Special && param.Expression != "" {
				t.Errorf("%s: %s is not offered", typ, param.Code)
			}
		}
	}
	reverse := p.RevIncludes()
	for _, typ := range defs.ResourceTypes() {
		for _, name := range p.Includes(typ) {
			if _, err := p.Parse(typ, "_include="+name, parse.Strict); err != nil {
				t.Errorf("%s: _include=%s: %v", typ, name, err)
			}
		}
		for i, name := range reverse[typ] {
			if i%7 != 0 { // all of them take a second
				continue
			}
			if _, err := p.Parse(typ, "_revinclude="+name, parse.Strict); err != nil {
				t.Errorf("%s: _revinclude=%s: %v", typ, name, err)
			}
		}
	}
	if got := p.Controls(); !slices.Contains(got, "_has") || !slices.Contains(got, "_sort") || !slices.IsSorted(got) {
		t.Errorf("controls %v", got)
	}
}
