package parse

import (
	"galen/fhir"
	"galen/fhir/search"
)

// Terminology answers what :in, :not-in, :above and :below on tokens ask
// (https://hl7.org/fhir/R4/search.html#modifiers). An error of Kind NotFound
// means that the value set, code system or code is not known, TooCostly that
// there are more than limit codes.
type Terminology interface {
	// Codes lists the codes of a value set, named by its canonical URL or as
	// ValueSet/id.
	Codes(valueSet string, limit int) ([]Coding, error)
	// Hierarchy lists a code and all below it, or all above it, in its system.
	Hierarchy(c Coding, above bool) ([]Coding, error)
}

// Coding is a code of a code system.
type Coding struct{ System, Code string }

// coded reads a token parameter with a modifier that needs terminology.
func (s *state) coded(name, modifier, value string) (search.Expr, error) {
	if s.opts.Terminology == nil {
		return nil, s.fail(fhir.NotSupported, "the modifier needs terminology, which is not at hand here")
	}
	var tests []search.Test
	for _, piece := range split(value, ',') {
		codes, err := s.codes(modifier, piece)
		if err != nil {
			return nil, err
		}
		if s.tests += len(codes) + 1; s.tests > s.opts.MaxTests {
			return nil, s.fail(fhir.TooCostly, "the value sets and hierarchies hold too many codes")
		}
		for _, c := range codes {
			tests = append(tests, search.TokenTest{System: c.System, Code: c.Code})
		}
	}
	where := search.Where{Param: name, Any: tests}
	if modifier == "not-in" {
		return search.Not{Of: where}, nil
	}
	return where, nil
}

func (s *state) codes(modifier, piece string) ([]Coding, error) {
	var codes []Coding
	var err error
	switch modifier {
	case "in", "not-in":
		codes, err = s.opts.Terminology.Codes(unescape(piece), s.opts.MaxTests)
	default:
		parts := split(piece, '|')
		if len(parts) != 2 || parts[0] == "" || parts[1] == "" {
			return nil, s.fail(fhir.Value, "the modifier needs system|code")
		}
		codes, err = s.opts.Terminology.Hierarchy(Coding{unescape(parts[0]), unescape(parts[1])}, modifier == "above")
	}
	switch kind := fhir.KindOf(err); {
	case err == nil:
		return codes, nil
	case kind == fhir.NotFound:
		return nil, s.fail(fhir.Value, "the value set, code system or code is not known here")
	case kind == fhir.TooCostly:
		return nil, s.fail(fhir.TooCostly, "the value set holds too many codes")
	case kind == fhir.NotSupported:
		return nil, s.fail(fhir.NotSupported, "the value set or code system cannot be resolved here")
	default:
		return nil, err
	}
}
