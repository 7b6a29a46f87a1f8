package parse

import (
	"slices"

	"galen/fhir"
	"galen/fhir/search"
	"galen/fhir/spec"
)

// parents are the codes of the parameters by which R4's types refer to what is
// above them in a hierarchy.
var parents = []string{"partof", "part-of", "parent"}

// hierarchy reads :above or :below of a reference, whose values must be in a
// hierarchy of their own type (https://hl7.org/fhir/R4/search.html#reference).
func (s *state) hierarchy(p *spec.SearchParam, typ, modifier, value string) (search.Expr, error) {
	targets := s.targets[typeParam{typ, p.Code}]
	read := s.referenceReader(targets, false)
	trees, err := each(s, value, func(piece string) (search.Expr, error) {
		t, err := read(piece)
		if err != nil {
			return nil, err
		}
		root := t.(search.ReferenceTest).Key
		if root.Type == "" {
			return nil, s.fail(fhir.Value, "the modifier needs type/id")
		}
		up, ok := s.parent(root.Type)
		if !ok {
			return nil, s.fail(fhir.NotSupported, "resources of type "+root.Type+" are in no hierarchy")
		}
		return search.Tree{Param: p.Code, Root: root, Up: up, Above: modifier == "above"}, nil
	})
	if len(trees) == 1 {
		return trees[0], err
	}
	return search.Any(trees), err
}

// parent is the parameter that leads up in the hierarchy of a type.
func (s *state) parent(typ string) (string, bool) {
	i := slices.IndexFunc(parents, func(code string) bool {
		return slices.Contains(s.targets[typeParam{typ, code}], typ)
	})
	if i < 0 {
		return "", false
	}
	return parents[i], true
}
