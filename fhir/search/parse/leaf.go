package parse

import (
	"slices"
	"strings"

	"galen/fhir"
	"galen/fhir/search"
	"galen/fhir/spec"
)

// leaf reads one parameter without a chain on one resource type.
func (s *state) leaf(typ, name, modifier, value string) (search.Expr, error) {
	if s.compare != "" {
		return s.compared(typ, name, modifier, value)
	}
	switch name {
	case "_id":
		return s.id(modifier, value)
	case "_lastUpdated":
		return s.updated(modifier, value)
	case "_list":
		return s.list(modifier, value)
	case "_filter":
		return s.filters(typ, modifier, value)
	case search.TextParam, search.ContentParam:
		return s.fullText(name, modifier, value)
	case "_query":
		return nil, s.fail(fhir.NotSupported, "there are no named queries here")
	}
	param, ok := s.defs.Param(typ, name)
	if !ok {
		return nil, s.unknown(typ)
	}
	if err := s.ready(param); err != nil {
		return nil, err
	}
	if modifier == "missing" {
		missing, err := s.flag(value)
		if missing {
			return search.Not{Of: search.Present{Param: name}}, err
		}
		return search.Present{Param: name}, err
	}
	switch {
	case param.Type == spec.Token && slices.Contains(terminologic, modifier):
		return s.coded(name, modifier, value)
	case param.Type == spec.Reference && (modifier == "above" || modifier == "below"):
		return s.hierarchy(param, typ, modifier, value)
	}
	read, err := s.reader(param, typ, modifier)
	if err != nil {
		return nil, err
	}
	tests, err := each(s, value, read)
	if err != nil {
		return nil, err
	}
	if modifier == "not" {
		return search.Not{Of: search.Where{Param: name, Any: tests}}, nil
	}
	return search.Where{Param: name, Any: tests}, nil
}

// each reads the alternatives of a value.
func each[T any](s *state, value string, read func(piece string) (T, error)) ([]T, error) {
	pieces := split(value, ',')
	if s.tests += len(pieces); s.tests > s.opts.MaxTests {
		return nil, s.fail(fhir.TooCostly, "too many alternatives, chains multiplied out")
	}
	list := make([]T, len(pieces))
	for i, piece := range pieces {
		var err error
		if list[i], err = read(piece); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// flag reads the value of :missing.
func (s *state) flag(value string) (bool, error) {
	if value != "true" && value != "false" {
		return false, s.fail(fhir.Value, "true or false is needed")
	}
	return value == "true", nil
}

// constant is the condition that holds for every resource or for none.
func constant(holds bool) search.Expr {
	if holds {
		return search.All{}
	}
	return search.Any{}
}

func (s *state) id(modifier, value string) (search.Expr, error) {
	if modifier == "missing" {
		missing, err := s.flag(value)
		return constant(!missing), err
	}
	if modifier != "" && modifier != "not" {
		return nil, s.badModifier()
	}
	ids, err := each(s, value, func(piece string) (string, error) { return unescape(piece), nil })
	if modifier == "not" {
		return search.Not{Of: search.HasID{IDs: ids}}, err
	}
	return search.HasID{IDs: ids}, err
}

func (s *state) updated(modifier, value string) (search.Expr, error) {
	if modifier == "missing" {
		missing, err := s.flag(value)
		return constant(!missing), err
	}
	if modifier != "" {
		return nil, s.badModifier()
	}
	tests, err := each(s, value, func(piece string) (search.Expr, error) {
		t, err := s.date(piece)
		return search.Updated{DateTest: t}, err
	})
	if len(tests) == 1 {
		return tests[0], err
	}
	return search.Any(tests), err
}

// list reads _list: the resources that a List names
// (https://hl7.org/fhir/R4/search.html#list).
func (s *state) list(modifier, value string) (search.Expr, error) {
	if modifier != "" {
		return nil, s.badModifier()
	}
	ids, err := each(s, value, func(piece string) (string, error) {
		if strings.HasPrefix(piece, "$") {
			return "", s.fail(fhir.NotSupported, "functional lists are not kept here; the id of a List is needed")
		}
		if !fhir.ValidID(piece) {
			return "", s.fail(fhir.Value, "the id of a List is needed")
		}
		return piece, nil
	})
	return search.Reverse{Type: "List", Param: "item", Of: search.HasID{IDs: ids}}, err
}

func (s *state) badModifier() error {
	return s.fail(fhir.Invalid, "the modifier does not fit the parameter")
}

// terminologic are the token modifiers that need code systems at hand.
var terminologic = []string{"in", "not-in", "above", "below"}

// reader returns what turns one alternative into a test. The modifiers are those
// of https://hl7.org/fhir/R4/search.html#modifiers; :text is allowed on
// references as well, for their display.
func (s *state) reader(p *spec.SearchParam, typ, modifier string) (func(string) (search.Test, error), error) {
	switch p.Type {
	case spec.Token:
		switch modifier {
		case "not":
			return s.token, nil
		case "text":
			return s.words, nil
		case "of-type":
			return s.typed, nil
		}
	case spec.String:
		switch modifier {
		case "exact":
			return stringReader(search.Exact), nil
		case "contains":
			return stringReader(search.Contains), nil
		}
	case spec.URI:
		switch modifier {
		case "above":
			return uriReader(search.URIAbove), nil
		case "below":
			return uriReader(search.URIBelow), nil
		}
	case spec.Reference:
		switch {
		case modifier == "identifier":
			return s.token, nil
		case modifier == "text":
			return s.words, nil
		case s.defs.IsResource(modifier):
			return s.referenceReader([]string{modifier}, true), nil
		}
	}
	if modifier != "" {
		return nil, s.badModifier()
	}
	return s.plain(p, typ)
}

// plain is the reader of a parameter without a modifier, and of a component.
func (s *state) plain(p *spec.SearchParam, typ string) (func(string) (search.Test, error), error) {
	switch p.Type {
	case spec.Token:
		return s.token, nil
	case spec.String:
		return stringReader(search.StartsWith), nil
	case spec.URI:
		return uriReader(search.URIEqual), nil
	case spec.Reference:
		return s.referenceReader(s.targets[typeParam{typ, p.Code}], false), nil
	case spec.Date:
		return func(piece string) (search.Test, error) { return s.date(piece) }, nil
	case spec.Number:
		return func(piece string) (search.Test, error) { return s.number(piece) }, nil
	case spec.Quantity:
		return s.quantity, nil
	case spec.Composite:
		return s.composite(p, typ)
	case spec.Special:
		if p.Code == "near" {
			return s.near, nil
		}
	}
	return nil, s.fail(fhir.NotSupported, "parameters of this type are not supported")
}
