package parse

import (
	"slices"
	"strconv"
	"strings"

	"galen/fhir"
	"galen/fhir/search"
	"galen/fhir/spec"
)

// results are the parameters that say what to return
// (https://hl7.org/fhir/R4/search.html#return).
var results = map[string]func(s *state, modifier, value string) error{
	"_type":     (*state).resourceTypes,
	"_sort":     (*state).sort,
	"_count":    (*state).count,
	"_include":  func(s *state, m, v string) error { return s.include(&s.req.Include, m, v, false) },
	"_elements": (*state).elements,
	"_revinclude": func(s *state, m, v string) error {
		return s.include(&s.req.RevInclude, m, v, true)
	},
	"_summary":       func(s *state, m, v string) error { return choose(s, &s.req.Summary, m, v) },
	"_total":         func(s *state, m, v string) error { return choose(s, &s.req.Total, m, v) },
	"_contained":     (*state).contained,
	"_containedType": func(s *state, m, v string) error { return choose(s, &s.req.ContainedType, m, v) },
}

// enum is one of the enumerations of a Request: 1, 2, … until String is "".
type enum interface {
	~uint8
	String() string
}

// choose reads one code of an enumeration.
func choose[T enum](s *state, to *T, modifier, value string) error {
	if err := s.once(modifier); err != nil {
		return err
	}
	var codes []string
	for v := T(1); v.String() != ""; v++ {
		if v.String() == value {
			*to = v
			return nil
		}
		codes = append(codes, v.String())
	}
	return s.fail(fhir.Value, "one of "+strings.Join(codes, ", ")+" is needed")
}

// contained reads _contained; resources inside others are not found on their own
// (https://hl7.org/fhir/R4/search.html#contained).
func (s *state) contained(modifier, value string) error {
	err := choose(s, &s.req.Contained, modifier, value)
	if err == nil && s.req.Contained != search.ContainedFalse {
		return s.fail(fhir.NotSupported, "contained resources are not searched; only false is supported")
	}
	return err
}

// once refuses a modifier and a second occurrence.
func (s *state) once(modifier string) error {
	if modifier != "" || strings.HasSuffix(s.name, ":") {
		return s.badModifier()
	}
	if slices.Contains(s.seen, s.name) {
		return s.fail(fhir.Invalid, "given more than once")
	}
	s.seen = append(s.seen, s.name)
	return nil
}

// resourceTypes reads _type, which a search of one type does not have.
func (s *state) resourceTypes(modifier, value string) error {
	if s.req.Type != "" {
		return s.unknown(s.req.Type)
	}
	if err := s.once(modifier); err != nil {
		return err
	}
	for _, name := range split(value, ',') {
		if !s.defs.IsResource(name) {
			return s.fail(fhir.Value, "no such resource type in R4")
		}
		if !slices.Contains(s.req.Types, name) {
			s.req.Types = append(s.req.Types, name)
		}
	}
	return nil
}

// count reads _count; a limit on it is the caller's affair.
func (s *state) count(modifier, value string) error {
	if err := s.once(modifier); err != nil {
		return err
	}
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return s.fail(fhir.Value, "a number of at least 0 is needed")
	}
	s.req.Count, s.req.HasCount = int(n), true
	return nil
}

// sort reads _sort, "a,-b" (https://hl7.org/fhir/R4/search.html#sort).
func (s *state) sort(modifier, value string) error {
	if modifier != "" {
		return s.badModifier()
	}
	for _, item := range split(value, ',') {
		name, descending := strings.CutPrefix(item, "-")
		types := s.req.Types
		if len(types) == 0 {
			types = []string{anyType}
		}
		for _, typ := range types {
			if err := s.sortable(typ, name); err != nil {
				return err
			}
		}
		if !slices.ContainsFunc(s.req.Sort, func(o search.Sort) bool { return o.Param == name }) {
			s.req.Sort = append(s.req.Sort, search.Sort{Param: name, Descending: descending})
		}
	}
	return nil
}

func (s *state) sortable(typ, name string) error {
	p, ok := s.defs.Param(typ, name)
	if !ok {
		return s.fail(fhir.NotSupported, "no such search parameter to sort by on "+typ)
	}
	if p.Type == spec.Composite || p.Type == spec.Special || p.Expression == "" {
		return s.fail(fhir.NotSupported, "this parameter has no order to sort by")
	}
	return s.ready(p)
}

// elements reads _elements (https://hl7.org/fhir/R4/search.html#elements).
func (s *state) elements(modifier, value string) error {
	if modifier != "" {
		return s.badModifier()
	}
	for _, name := range split(value, ',') {
		if name = strings.TrimSpace(name); !elementName(name) {
			return s.fail(fhir.Value, "the names of elements are needed")
		}
		if !slices.Contains(s.req.Elements, name) {
			s.req.Elements = append(s.req.Elements, name)
		}
	}
	return nil
}

func elementName(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return (r|0x20 < 'a' || r|0x20 > 'z') && (r < '0' || r > '9') && r != '.'
	}) < 0
}

// include reads _include or _revinclude: type:param, type:param:target, type:*
// or * (https://hl7.org/fhir/R4/search.html#include).
func (s *state) include(list *[]search.Include, modifier, value string, reverse bool) error {
	if modifier != "" && modifier != "iterate" {
		return s.badModifier()
	}
	for _, item := range split(value, ',') {
		i := search.Include{Param: "*", Iterate: modifier == "iterate"}
		parts := strings.Split(item, ":")
		switch {
		case item == "*":
		case len(parts) > 3 || len(parts) < 2:
			return s.fail(fhir.Value, "type:parameter or type:parameter:target is needed")
		default:
			i.Source, i.Param = parts[0], parts[1]
			if len(parts) == 3 {
				i.Target = parts[2]
			}
			if err := s.includable(i, reverse); err != nil {
				return err
			}
		}
		if !slices.Contains(*list, i) {
			*list = append(*list, i)
		}
	}
	return nil
}

func (s *state) includable(i search.Include, reverse bool) error {
	if !s.defs.IsResource(i.Source) || (i.Target != "" && !s.defs.IsResource(i.Target)) {
		return s.fail(fhir.Value, "no such resource type in R4")
	}
	if i.Param == "*" {
		return nil
	}
	p, ok := s.defs.Param(i.Source, i.Param)
	if !ok || p.Type != spec.Reference {
		return s.fail(fhir.Value, "no such reference parameter on "+i.Source)
	}
	targets := s.targets[typeParam{i.Source, i.Param}]
	if i.Target != "" && !slices.Contains(targets, i.Target) {
		return s.fail(fhir.Value, "the parameter does not refer to the target type")
	}
	if reverse && !i.Iterate && s.req.Type != "" && !slices.Contains(targets, s.req.Type) {
		return s.fail(fhir.Value, "the parameter does not refer to "+s.req.Type)
	}
	return s.ready(p)
}
