package validate

import (
	"context"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/spec"
)

// rule is an invariant ready to be evaluated.
type rule struct {
	expr     *path.Expr
	severity fhir.Severity
	text     string // "pat-1: SHALL at least contain ..."
}

// typeRules are the invariants of a type and those that its elements add.
type typeRules struct {
	own      []rule
	elements map[string][]rule // by Element.Name
}

// structural are the invariants that the structure already keeps: no empty
// element, an extension with a value or extensions; and the two of narratives,
// which are checked apart.
var structural = map[string]bool{"ele-1": true, "ext-1": true, "txt-1": true, "txt-2": true}

// compile makes the rules of every type that a level asks for.
func compile(defs *spec.Definitions, engine *path.Engine, level Level) (map[string]typeRules, error) {
	c := compiler{engine: engine, level: level, known: map[string]*path.Expr{}}
	all := map[string]typeRules{}
	for _, name := range defs.TypeNames() {
		t, _ := defs.Type(name)
		r := typeRules{own: c.rules(t.Invariants)}
		for i := range t.Elements {
			e := &t.Elements[i]
			if list := c.rules(e.Invariants); list != nil {
				if r.elements == nil {
					r.elements = map[string][]rule{}
				}
				r.elements[e.Name] = list
			}
		}
		if r.own != nil || r.elements != nil {
			all[name] = r
		}
	}
	return all, c.err
}

type compiler struct {
	engine *path.Engine
	level  Level
	known  map[string]*path.Expr // by text: many types share them
	err    error
}

func (c *compiler) rules(invariants []spec.Invariant) []rule {
	var list []rule
	for _, inv := range invariants {
		severity := fhir.SeverityError
		if inv.Severity == "warning" {
			severity = fhir.Warning
		}
		if structural[inv.Key] || severity == fhir.Warning && c.level != Strict || c.level == None {
			continue
		}
		expr, ok := c.known[inv.Expression]
		if !ok {
			var err error
			if expr, err = c.engine.Compile(inv.Expression); err != nil {
				c.err = &fhir.Error{Op: "validate.New", Kind: fhir.Internal, At: inv.Key, Err: err}
				continue
			}
			c.known[inv.Expression] = expr
		}
		list = append(list, rule{expr, severity, inv.Key + ": " + inv.Human})
	}
	return list
}

// hold evaluates rules on a value (https://hl7.org/fhir/R4/conformance-rules.html#constraints).
// An empty result is no verdict. One that cannot be decided within its limits is
// a finding too: what is not known to hold is not valid.
func (c *checker) hold(n jsontree.Node, typeName string, rules []rule, at string) {
	if len(rules) == 0 {
		return
	}
	ctx := context.Background() // the steps of an evaluation bound its time
	env := path.Env{Resource: c.whole, Focus: path.TypedItem(typeName, n)}
	for i := range rules {
		r := &rules[i]
		result, err := r.expr.Eval(ctx, env)
		if err != nil {
			c.add(r.severity, fhir.Invariant, at, r.text+" (cannot be decided within the limits)")
			continue
		}
		if ok, known := path.Truth(result); known && !ok {
			c.add(r.severity, fhir.Invariant, at, r.text)
		}
	}
}
