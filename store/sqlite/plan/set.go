package plan

import "slices"

// Set is a set of row IDs in order, or (Without) all resources but these.
type Set struct {
	IDs     []int64
	Without bool
}

// And is what both hold.
func And(a, b Set) Set {
	switch {
	case a.Without && b.Without:
		return Set{unite(a.IDs, b.IDs), true}
	case a.Without:
		return Set{subtract(b.IDs, a.IDs), false}
	case b.Without:
		return Set{subtract(a.IDs, b.IDs), false}
	}
	return Set{Intersect(a.IDs, b.IDs), false}
}

// Or is what either holds.
func Or(a, b Set) Set {
	a.Without, b.Without = !a.Without, !b.Without
	s := And(a, b)
	s.Without = !s.Without
	return s
}

func unite(a, b []int64) []int64 {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

func subtract(a, b []int64) []int64 {
	rest := make([]int64, 0, len(a))
	for _, n := range a {
		for len(b) > 0 && b[0] < n {
			b = b[1:]
		}
		if len(b) == 0 || b[0] != n {
			rest = append(rest, n)
		}
	}
	return rest
}

// Intersect is what two ordered lists share.
func Intersect(a, b []int64) []int64 {
	var both []int64
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			a = a[1:]
		case a[0] > b[0]:
			b = b[1:]
		default:
			both = append(both, a[0])
			a, b = a[1:], b[1:]
		}
	}
	return both
}
