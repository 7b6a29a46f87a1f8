package parse

import (
	"slices"
	"strings"

	"galen/fhir"
	"galen/fhir/search"
	"galen/fhir/search/filter"
	"galen/fhir/spec"
)

// filters reads _filter for one resource type
// (https://hl7.org/fhir/R4/search_filter.html).
func (s *state) filters(typ, modifier, value string) (search.Expr, error) {
	if modifier != "" {
		return nil, s.badModifier()
	}
	if s.compare != "" {
		return nil, s.fail(fhir.NotSupported, "a filter cannot be within a filter")
	}
	e, err := filter.Parse(value)
	if err != nil {
		return nil, s.fail(fhir.Value, err.Error())
	}
	return s.filter(typ, e, 0)
}

func (s *state) filter(typ string, e filter.Expr, depth int) (search.Expr, error) {
	switch e := e.(type) {
	case filter.And:
		parts, err := s.filterAll(typ, e, depth)
		return search.And(parts...), err
	case filter.Or:
		parts, err := s.filterAll(typ, e, depth)
		return search.Any(parts), err
	case filter.Not:
		of, err := s.filter(typ, e.Of, depth)
		return search.Not{Of: of}, err
	case filter.Comparison:
		return s.comparison(typ, e.Path, e, depth)
	}
	return nil, s.fail(fhir.Invalid, "no such filter")
}

func (s *state) filterAll(typ string, list []filter.Expr, depth int) ([]search.Expr, error) {
	parts := make([]search.Expr, len(list))
	for i, e := range list {
		var err error
		if parts[i], err = s.filter(typ, e, depth); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// comparison reads the rest of a comparison's path: as a chain where it has no
// brackets, else hop by hop.
func (s *state) comparison(typ string, path []filter.Step, c filter.Comparison, depth int) (search.Expr, error) {
	if !slices.ContainsFunc(path, func(step filter.Step) bool { return step.Where != nil }) {
		names := make([]string, len(path))
		for i, step := range path {
			names[i] = step.Name
		}
		s.compare = c.Op
		defer func() { s.compare = "" }()
		return s.expr(typ, strings.Join(names, "."), c.Value, depth)
	}
	if depth > s.opts.MaxChain {
		return nil, s.fail(fhir.TooCostly, "too many hops")
	}
	name, only, _ := strings.Cut(path[0].Name, ":")
	targets, err := s.hop(typ, name)
	if err != nil {
		return nil, err
	}
	if only != "" {
		if !slices.Contains(targets, only) {
			return nil, s.fail(fhir.Invalid, name+" of "+typ+" does not refer to the type after the colon")
		}
		targets = []string{only}
	}
	return s.union(name, targets, func(target string) (search.Expr, error) {
		rest, err := s.comparison(target, path[1:], c, depth+1)
		if err != nil || path[0].Where == nil {
			return rest, err
		}
		where, err := s.filter(target, path[0].Where, depth+1)
		return search.And(where, rest), err
	})
}

// compared reads the end of a comparison's path. What the operators mean to each
// type of parameter is the table of
// https://hl7.org/fhir/R4/search_filter.html in terms of ordinary searches.
func (s *state) compared(typ, name, modifier, value string) (search.Expr, error) {
	if modifier != "" {
		return nil, s.badModifier()
	}
	c := s.compare
	s.compare = ""
	defer func() { s.compare = c }()
	if _, ok := s.defs.Param(typ, name); name == "id" && !ok {
		name = "_id"
	}
	switch c {
	case filter.Present:
		present, err := s.flag(value)
		if err != nil {
			return nil, err
		}
		return s.leaf(typ, name, "missing", map[bool]string{true: "false", false: "true"}[present])
	case filter.In:
		return s.leaf(typ, name, "in", Escape(value))
	case filter.Subsumes:
		return s.leaf(typ, name, "below", value)
	case filter.SubsumedBy:
		return s.leaf(typ, name, "above", value)
	}
	p, ok := s.defs.Param(typ, name)
	if !ok {
		return nil, s.unknown(typ)
	}
	if err := s.ready(p); err != nil {
		return nil, err
	}
	if name == "_lastUpdated" {
		return s.comparedUpdate(c, value)
	}
	if name == "_id" || p.Expression == "" || p.Type == spec.Special {
		return s.comparedSpecial(typ, name, c, value)
	}
	if s.tests++; s.tests > s.opts.MaxTests {
		return nil, s.fail(fhir.TooCostly, "too many comparisons")
	}
	test, err := s.comparedTest(p, typ, c, value)
	if err != nil {
		return nil, err
	}
	return search.Where{Param: name, Any: []search.Test{test}}, nil
}

// comparedSpecial reads parameters that are not made of entries: only equality.
func (s *state) comparedSpecial(typ, name string, c filter.Op, value string) (search.Expr, error) {
	if c != filter.Equal && (c != filter.NotEqual || name != "_id") {
		return nil, s.badOperator(c)
	}
	e, err := s.leaf(typ, name, "", Escape(value))
	if c == filter.NotEqual {
		return search.Not{Of: e}, err
	}
	return e, err
}

func (s *state) comparedUpdate(c filter.Op, value string) (search.Expr, error) {
	t, err := s.comparedDate(c, value)
	if err != nil {
		return nil, err
	}
	return search.Updated{DateTest: t.(search.DateTest)}, nil
}

func (s *state) badOperator(c filter.Op) error {
	return s.fail(fhir.Invalid, "the operator "+string(c)+" does not fit the parameter")
}

// comparedTest makes the test of a comparison.
func (s *state) comparedTest(p *spec.SearchParam, typ string, c filter.Op, value string) (search.Test, error) {
	switch p.Type {
	case spec.Date:
		return s.comparedDate(c, value)
	case spec.Number, spec.Quantity:
		prefix, ok := prefixOf(c)
		if !ok {
			return nil, s.badOperator(c)
		}
		if p.Type == spec.Quantity {
			return s.quantity(prefix + value)
		}
		return s.number(prefix + value)
	case spec.String:
		return s.comparedString(c, value)
	}
	if c != filter.Equal && c != filter.NotEqual && (c != filter.RefersTo || p.Type != spec.Reference) {
		return nil, s.badOperator(c)
	}
	read, err := s.plain(p, typ)
	if err != nil {
		return nil, err
	}
	if p.Type == spec.URI || p.Type == spec.Reference {
		value = Escape(value)
	}
	test, err := read(value)
	if c == filter.NotEqual {
		test = search.Other{Of: test}
	}
	return test, err
}

// comparedDate: po is the overlap of periods, which is ap without its margin.
func (s *state) comparedDate(c filter.Op, value string) (search.Test, error) {
	prefix, ok := prefixOf(c)
	if !ok && c != filter.Overlaps {
		return nil, s.badOperator(c)
	}
	t, err := s.date(prefix + value)
	if c == filter.Overlaps {
		t.Op = search.Ap
	}
	return t, err
}

func (s *state) comparedString(c filter.Op, value string) (search.Test, error) {
	modes := map[filter.Op]search.StringMode{
		filter.Equal: search.Whole, filter.NotEqual: search.Whole, filter.Contains: search.Contains,
		filter.StartsWith: search.StartsWith, filter.EndsWith: search.EndsWith,
	}
	mode, ok := modes[c]
	if !ok {
		return nil, s.badOperator(c)
	}
	test, err := stringReader(mode)(Escape(value))
	if c == filter.NotEqual {
		test = search.Other{Of: test}
	}
	return test, err
}

// prefixOf is the comparison prefix of a search value that means the operator.
func prefixOf(c filter.Op) (string, bool) {
	for o := search.Eq; o <= search.Ap; o++ {
		if o.String() == string(c) {
			return string(c), true
		}
	}
	return "", false
}
