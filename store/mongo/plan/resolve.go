package plan

import (
	"galen/fhir"
	"galen/fhir/search"
)

// Expr is a condition in which what asks other resources has been answered: nil,
// And, Or, Not, Refers, Among, or one of search's conditions on the resource
// alone.
type Expr any

// And holds if every part does.
type And []Expr

// Or holds if a part does.
type Or []Expr

// Not holds if Of does not.
type Not struct{ Of Expr }

// Set is a set of resources.
type Set map[fhir.Key]bool

// Refers holds if a Reference entry of the parameter leads into the set.
type Refers struct {
	Param string
	To    Set
}

// Among holds for the resources of the set.
type Among struct{ Of Set }

// Resolver answers what a condition asks of other resources.
type Resolver interface {
	// Chain are the resources that a Chain may lead to.
	Chain(search.Chain) (Set, error)
	// Reverse are the resources that a Reverse holds for.
	Reverse(search.Reverse) (Set, error)
	// Tree are the resources that a Tree may lead to.
	Tree(search.Tree) (Set, error)
}

// Resolve answers the parts of a condition that ask other resources.
func Resolve(e search.Expr, by Resolver) (Expr, error) {
	switch e := e.(type) {
	case nil:
		return nil, nil
	case search.All:
		parts, err := resolveAll(e, by)
		return And(parts), err
	case search.Any:
		parts, err := resolveAll(e, by)
		return Or(parts), err
	case search.Not:
		of, err := Resolve(e.Of, by)
		return Not{of}, err
	case search.Chain:
		to, err := by.Chain(e)
		return Refers{e.Param, to}, err
	case search.Tree:
		to, err := by.Tree(e)
		return Refers{e.Param, to}, err
	case search.Reverse:
		of, err := by.Reverse(e)
		return Among{of}, err
	}
	return e, nil
}

func resolveAll(list []search.Expr, by Resolver) ([]Expr, error) {
	parts := make([]Expr, len(list))
	for i, e := range list {
		var err error
		if parts[i], err = Resolve(e, by); err != nil {
			return nil, err
		}
	}
	return parts, nil
}
