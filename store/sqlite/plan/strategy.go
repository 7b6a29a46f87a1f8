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
	Pending bool          // there are chains not resolved

	planner Planner
	leaves  []Leaf // of the parts looked at so far, and of their combinations
	looked  int    // how many parts that is, the combination of a patient and codes first
}

// Strategy looks at the conditions of a query.
func (p Planner) Strategy(where search.Expr) *Strategy {
	s := &Strategy{Where: where, Parts: Conditions(where), planner: p}
	s.Pending = slices.ContainsFunc(s.Parts, Chained)
	return s
}

// Leaves yields what an index knows, the best first, and looks at a part only
// when it is asked for.
func (s *Strategy) Leaves(yield func(Leaf) bool) {
	for i := 0; i < len(s.leaves) || s.look(); {
		if i == len(s.leaves) {
			continue
		}
		if !yield(s.leaves[i]) {
			return
		}
		i++
	}
}

// look looks at the next part; false if there is none.
func (s *Strategy) look() bool {
	at := s.looked - 1
	if at == len(s.Parts) {
		return false
	}
	s.looked++
	switch {
	case at < 0:
		if l, ok := s.planner.Line(s.Parts); ok {
			s.Add(l)
		}
	case !Chained(s.Parts[at]):
		if l, ok := s.planner.Leaf(s.Parts[at]); ok {
			s.Add(l)
		}
	}
	return true
}

// Add adds a leaf, such as that of a chain once it is resolved.
func (s *Strategy) Add(l Leaf) {
	l.Sources = bundle(l.Sources)
	s.leaves = append(s.leaves, l)
}

// Only is the leaf of a query with one condition.
func (s *Strategy) Only() (Leaf, bool) {
	if len(s.Parts) == 1 {
		if all := slices.Collect(s.Leaves); len(all) == 1 {
			return all[0], true
		}
	}
	return Leaf{}, false
}

// Simple reports that nearly all that a walk by creation meets are matches.
func (s *Strategy) Simple() bool {
	l, ok := s.Only()
	return ok && len(l.Sources) <= MaxStreams && !slices.ContainsFunc(l.Sources, func(s Source) bool { return !s.Ordered })
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
