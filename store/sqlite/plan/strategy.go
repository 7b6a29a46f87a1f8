package plan

import (
	"cmp"
	"slices"
	"strings"

	"galen/fhir/search"
)

// Strategy is what is known of a query's conditions while it is answered.
type Strategy struct {
	Where   search.Expr   // the query's; chains in it are resolved on the way
	Parts   []search.Expr // all must hold
	Leaves  []Leaf        // of the parts that an index knows, and of their combinations
	Pending bool          // there are chains not resolved
}

// Strategy looks at the conditions of a query.
func (p Planner) Strategy(where search.Expr) *Strategy {
	s := &Strategy{Where: where, Parts: Conditions(where)}
	if l, ok := p.Line(s.Parts); ok {
		s.Leaves = append(s.Leaves, l)
	}
	for _, part := range s.Parts {
		if Chained(part) {
			s.Pending = true
		} else if l, ok := p.Leaf(part); ok {
			s.Leaves = append(s.Leaves, l)
		}
	}
	return s
}

// Simple reports that nearly all that a walk by creation meets are matches.
func (s *Strategy) Simple() bool {
	return len(s.Parts) == 1 && len(s.Leaves) == 1 && len(s.Leaves[0].Sources) <= MaxStreams &&
		!slices.ContainsFunc(s.Leaves[0].Sources, func(s Source) bool { return !s.Ordered })
}

// Compare orders places as search.Find does: by the sort keys, missing ones last,
// then by creation.
func Compare(sorts []search.Sort, a, b Position) int {
	for i, s := range sorts {
		x, y := a.Keys[i], b.Keys[i]
		switch {
		case x.Found != y.Found:
			if x.Found {
				return -1
			}
			return 1
		case s.Descending:
			x, y = y, x
		}
		if c := strings.Compare(x.Text, y.Text); c != 0 {
			return c
		}
	}
	return cmp.Compare(a.RID, b.RID)
}
