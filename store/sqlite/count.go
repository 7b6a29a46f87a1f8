package sqlite

import (
	"slices"
	"strings"

	"galen/fhir/search"
)

// Counting reads resources only where the index cannot decide. Otherwise it is
// arithmetic on sets of row ids, taken from the index alone.

// count counts the matches.
func (f *finder) count() int {
	p := f.plan()
	if len(p.parts) == 0 {
		return f.universe()
	}
	if len(p.parts) == 1 && len(p.leaves) == 1 {
		if n, ok := f.countRange(p.leaves[0]); ok {
			return n
		}
	}
	if ids, ok := p.few(f, -1); ok {
		n := 0
		for _, rid := range ids {
			f.visit(p, rid, func(*hit) bool {
				n++
				return true
			})
		}
		return n
	}
	p.resolve(f)
	if set, ok := f.set(p.where); ok && f.err == nil {
		if set.without {
			return f.universe() - len(set.ids)
		}
		return len(set.ids)
	}
	n := 0
	f.merge(f.byCreation(p, -1), func(rid int64) bool {
		return f.visit(p, rid, func(*hit) bool {
			n++
			return true
		})
	})
	return n
}

// countRange counts a leaf that is one exact index range without repetition.
func (f *finder) countRange(l leaf) (int, bool) {
	if !l.exact || len(l.sources) != 1 || !l.sources[0].ordered {
		return 0, false
	}
	s := l.sources[0]
	sql := "SELECT count(*)" + strings.TrimSuffix(strings.TrimPrefix(s.sql, "SELECT rid"), " ORDER BY rid")
	n, err := f.c.int(sql, append(slices.Clone(s.args), int64(-1))...)
	if err != nil {
		f.fail(err)
	}
	return int(n), true
}

// universe counts the live resources of the query's types.
func (f *finder) universe() (n int) {
	if len(f.types) == 0 {
		all, err := f.c.int("SELECT count(*) FROM resource WHERE deleted = 0")
		if err != nil {
			f.fail(err)
		}
		return int(all)
	}
	for _, t := range f.knownTypes(f.types) {
		some, err := f.c.int("SELECT count(*) FROM resource WHERE type = ? AND deleted = 0", f.typeID(t))
		if err != nil {
			f.fail(err)
		}
		n += int(some)
	}
	return n
}

// rowSet is a set of row ids in order, or all resources but these.
type rowSet struct {
	ids     []int64
	without bool
}

// set is the exact set of an expression; false if the index does not know it.
func (f *finder) set(e search.Expr) (rowSet, bool) {
	switch e := e.(type) {
	case search.Not:
		s, ok := f.set(e.Of)
		s.without = !s.without
		return s, ok
	case search.All:
		return f.sets(e, rowSet{without: true}, and)
	case search.Any:
		return f.sets(e, rowSet{}, or)
	}
	l, ok := f.leaf(e)
	if !ok || !l.exact {
		return rowSet{}, false
	}
	ids, ok := f.gather(l, -1, int(^uint(0)>>1))
	return rowSet{ids: ids}, ok
}

func (f *finder) sets(parts []search.Expr, s rowSet, join func(a, b rowSet) rowSet) (rowSet, bool) {
	for _, part := range parts {
		other, ok := f.set(part)
		if !ok {
			return rowSet{}, false
		}
		s = join(s, other)
	}
	return s, true
}

func and(a, b rowSet) rowSet {
	switch {
	case a.without && b.without:
		return rowSet{unite(a.ids, b.ids), true}
	case a.without:
		return rowSet{subtract(b.ids, a.ids), false}
	case b.without:
		return rowSet{subtract(a.ids, b.ids), false}
	}
	return rowSet{intersect(a.ids, b.ids), false}
}

func or(a, b rowSet) rowSet {
	a.without, b.without = !a.without, !b.without
	s := and(a, b)
	s.without = !s.without
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
