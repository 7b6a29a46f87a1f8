package parse

import (
	"errors"
	"slices"
	"strings"

	"galen/fhir"
	"galen/fhir/search"
	"galen/fhir/spec"
)

// expr reads name, name:modifier, a chain or a _has on one resource type.
func (s *state) expr(typ, key, value string, depth int) (search.Expr, error) {
	if depth > s.opts.MaxChain {
		return nil, s.fail(fhir.TooCostly, "too many hops")
	}
	if rest, ok := strings.CutPrefix(key, "_has:"); ok {
		return s.reverse(typ, rest, value, depth)
	}
	name, modifier, rest := cutKey(key)
	if rest == "" {
		return s.leaf(typ, name, modifier, value)
	}
	targets, err := s.hop(typ, name)
	if err != nil {
		return nil, err
	}
	if modifier != "" {
		if !slices.Contains(targets, modifier) {
			return nil, s.fail(fhir.Invalid, name+" of "+typ+" does not refer to the type after the colon")
		}
		targets = []string{modifier}
	}
	return s.chain(name, targets, rest, value, depth)
}

// cutKey splits "subject:Patient.name:exact" into subject, Patient, name:exact.
func cutKey(key string) (name, modifier, rest string) {
	i := strings.IndexAny(key, ".:")
	if i < 0 {
		return key, "", ""
	}
	name = key[:i]
	if key[i] == '.' {
		return name, "", key[i+1:]
	}
	modifier, rest, _ = strings.Cut(key[i+1:], ".")
	return name, modifier, rest
}

// chain reads the rest of a chain on each type that a hop may lead to.
func (s *state) chain(name string, targets []string, rest, value string, depth int) (search.Expr, error) {
	return s.union(name, targets, func(target string) (search.Expr, error) {
		return s.expr(target, rest, value, depth+1)
	})
}

// union is the union over the types that a hop may lead to. A type that does not
// know the rest, or to which the value means nothing, contributes nothing; if
// all are so, that is the error
// (https://hl7.org/fhir/R4/search.html#chaining).
func (s *state) union(name string, targets []string, of func(target string) (search.Expr, error)) (search.Expr, error) {
	var ways search.Any
	var worst error
	for _, target := range targets {
		e, err := of(target)
		if err != nil && (fhir.KindOf(err) == fhir.TooCostly || errors.As(err, new(pendingError))) {
			return nil, err
		}
		if err != nil {
			if worst == nil || !errors.As(err, new(unknownError)) {
				worst = err
			}
			continue
		}
		ways = append(ways, search.Chain{Param: name, Type: target, Of: e})
	}
	switch len(ways) {
	case 0:
		return nil, worst
	case 1:
		return ways[0], nil
	}
	return ways, nil
}

// reverse reads what follows "_has:", "Observation:patient:code"
// (https://hl7.org/fhir/R4/search.html#has).
func (s *state) reverse(typ, key, value string, depth int) (search.Expr, error) {
	source, rest, ok1 := strings.Cut(key, ":")
	name, rest, ok2 := strings.Cut(rest, ":")
	if !ok1 || !ok2 || rest == "" {
		return nil, s.fail(fhir.Invalid, "_has needs a type, a reference parameter and a parameter of that type")
	}
	if !s.defs.IsResource(source) {
		return nil, s.fail(fhir.Invalid, "no such resource type after _has")
	}
	targets, err := s.hop(source, name)
	if err != nil {
		return nil, err
	}
	if typ != anyType && !slices.Contains(targets, typ) {
		return nil, s.fail(fhir.Invalid, source+"."+name+" does not refer to "+typ)
	}
	of, err := s.expr(source, rest, value, depth+1)
	if err != nil {
		return nil, err
	}
	return search.Reverse{Type: source, Param: name, Of: of}, nil
}

// hop returns the types that a reference parameter leads to.
func (s *state) hop(typ, name string) ([]string, error) {
	param, ok := s.defs.Param(typ, name)
	if !ok {
		return nil, s.unknown(typ)
	}
	if param.Type != spec.Reference {
		return nil, s.fail(fhir.Invalid, name+" of "+typ+" is not a reference")
	}
	return s.targets[typeParam{typ, name}], s.ready(param)
}

type typeParam struct{ typ, param string }

// allTargets finds what each reference parameter can lead to: R4 lists targets
// per parameter for all bases together ("Patient Group" for every patient), the
// elements say it for each type.
func allTargets(defs *spec.Definitions) map[typeParam][]string {
	all := make(map[typeParam][]string, 1024)
	for _, typ := range defs.ResourceTypes() {
		for _, p := range defs.Params(typ) {
			if p.Type == spec.Reference {
				all[typeParam{typ, p.Code}] = targets(defs, typ, p)
			}
		}
	}
	return all
}

func targets(defs *spec.Definitions, typ string, p *spec.SearchParam) []string {
	listed := p.Targets
	if len(listed) == 0 || slices.Contains(listed, anyType) {
		listed = defs.ResourceTypes()
	}
	var found []string
	for term := range strings.SplitSeq(p.ExpressionFor(typ), " | ") {
		some := termTargets(defs, term)
		if len(some) == 0 || slices.Contains(some, anyType) {
			return listed
		}
		found = append(found, some...)
	}
	narrow := slices.DeleteFunc(slices.Clone(listed), func(t string) bool { return !slices.Contains(found, t) })
	if len(narrow) == 0 {
		return listed
	}
	return narrow
}

// termTargets are the targets of one path; none if it is more than a path.
func termTargets(defs *spec.Definitions, term string) []string {
	if _, rest, ok := strings.Cut(term, ".where(resolve() is "); ok {
		only, _, _ := strings.Cut(rest, ")")
		return []string{only}
	}
	steps := strings.Split(strings.Trim(strings.TrimSuffix(term, " as Reference)"), "("), ".")
	code := steps[0]
	var found []string
	for _, step := range steps[1:] {
		t, ok := defs.Type(code)
		if !ok {
			return nil
		}
		e, ok := t.Child(step)
		if !ok {
			return nil
		}
		found = nil
		for _, ref := range e.Types {
			if (ref.Code == "Reference" || ref.Code == "canonical") && len(ref.Targets) == 0 {
				return nil
			}
			found = append(found, ref.Targets...)
		}
		if _, code, ok = t.Element(step); !ok {
			code = ""
		}
	}
	return found
}
