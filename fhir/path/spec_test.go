package path_test

import "testing"

// wrongInR4 are expressions of R4 that Check is right to refuse.
var wrongInR4 = map[string]string{
	"ChargeItemDefinition cid-0": "the type has no element name",
}

// TestR4: every expression of R4's own definitions compiles, and suits the types
// that it is for.
func TestR4(t *testing.T) {
	engine, defs := newEngine(t)
	seen, refused := 0, map[string]bool{}
	check := func(where, on, text string) {
		if text == "" { // _text, _content and _query have none
			return
		}
		seen++
		x, err := engine.Compile(text)
		if err == nil {
			err = x.Check(on)
		}
		if err != nil {
			refused[where] = true
			if wrongInR4[where] == "" {
				t.Errorf("%s: %v\n\t%s", where, err, text)
			}
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
		for _, v := range typ.Invariants {
			check(name+" "+v.Key, name, v.Expression)
		}
		for i := range typ.Elements {
			el := &typ.Elements[i]
			visit(el.Path)
			for _, ref := range el.Types {
				visit(ref.Code)
				for _, v := range el.Invariants {
					on := ref.Code
					if len(el.Types) > 1 { // ras-1 is meant for one type of its choice
						on = ""
					}
					check(el.Path+" "+v.Key, on, v.Expression)
				}
			}
		}
	}
	for _, name := range defs.ResourceTypes() {
		visit(name)
		for _, p := range defs.Params(name) {
			check(name+" parameter "+p.Code, "", p.Expression)
			check(name+" parameter "+p.Code, name, p.ExpressionFor(name))
			for _, c := range p.Components {
				check(name+" component of "+p.Code, "", c.Expression)
			}
		}
	}
	if seen < 3000 || len(refused) != len(wrongInR4) {
		t.Errorf("%d expressions met; refused %v, want %v", seen, refused, wrongInR4)
	}
}
