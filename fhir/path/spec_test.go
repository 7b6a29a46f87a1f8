package path_test

import (
	"testing"

	"galen/fhir/spec"
)

// TestR4Compiles: every expression of R4's own definitions compiles and suits
// the type that it is for.
func TestR4Compiles(t *testing.T) {
	engine, defs := newEngine(t)
	seen := 0
	check := func(where, text string) {
		if seen++; text == "" { // _text, _content and _query have none
			return
		}
		if _, err := engine.Compile(text); err != nil {
			t.Errorf("%s: %v\n\t%s", where, err, text)
		}
	}
	done := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		typ, ok := defs.Type(name)
		if !ok || done[name] {
			return
		}
		done[name] = true
		visitInvariants(typ, check)
		for i := range typ.Elements {
			el := &typ.Elements[i]
			visit(el.Path)
			for _, ref := range el.Types {
				visit(ref.Code)
			}
		}
	}
	for _, name := range defs.ResourceTypes() {
		visit(name)
		for _, p := range defs.Params(name) {
			check("parameter "+p.Code, p.Expression)
			for _, c := range p.Components {
				check("component of "+p.Code, c.Expression)
			}
		}
	}
	if seen < 3000 {
		t.Errorf("only %d expressions met", seen)
	}
}

func visitInvariants(typ *spec.Type, check func(where, text string)) {
	for _, v := range typ.Invariants {
		check(typ.Name+" "+v.Key, v.Expression)
	}
	for i := range typ.Elements {
		for _, v := range typ.Elements[i].Invariants {
			check(typ.Elements[i].Path+" "+v.Key, v.Expression)
		}
	}
}
