package sqlite

import (
	"math"
	"slices"
	"strings"

	"galen/fhir/search"
	"galen/store/sqlite/plan"
)

// Counting reads resources only where the index cannot decide. Otherwise it is
// arithmetic on sets of row ids, taken from the index alone.

// count counts the matches.
func (f *finder) count() int {
	p := f.Strategy(f.q.Where)
	if len(p.Parts) == 0 {
		return f.universe()
	}
	if l, ok := p.Only(); ok {
		if n, ok := f.countRange(l); ok {
			return n
		}
	}
	if ids, ok := f.few(p, -1); ok {
		n := 0
		for _, rid := range ids {
			f.visit(p, rid, func(*hit) bool {
				n++
				return true
			})
		}
		return n
	}
	f.settle(p)
	if set, ok := f.set(p.Where); ok && f.err == nil {
		if set.Without {
			return f.universe() - len(set.IDs)
		}
		return len(set.IDs)
	}
	n := 0
	f.merge(f.ByCreation(p.Leaves, -1), func(s *stream) bool {
		return f.visit(p, s.rid, func(*hit) bool {
			n++
			return true
		})
	})
	return n
}

// countRange counts a leaf that is one exact index range without repetition.
func (f *finder) countRange(l plan.Leaf) (int, bool) {
	if !l.Exact || len(l.Sources) != 1 || !l.Sources[0].Ordered {
		return 0, false
	}
	s := l.Sources[0]
	sql := "SELECT count(*)" + strings.TrimSuffix(strings.TrimPrefix(s.SQL, "SELECT rid"), " ORDER BY rid")
	n, err := f.c.Int(sql, append(slices.Clone(s.Args), int64(-1))...)
	if err != nil {
		f.fail(err)
	}
	return int(n), true
}

// universe counts the live resources of the query's types.
func (f *finder) universe() (n int) {
	if len(f.Types) == 0 {
		all, err := f.c.Int("SELECT count(*) FROM resource WHERE deleted = 0")
		if err != nil {
			f.fail(err)
		}
		return int(all)
	}
	for _, t := range f.KnownTypes(f.Types) {
		some, err := f.c.Int("SELECT count(*) FROM resource WHERE type = ? AND deleted = 0", f.TypeID(t))
		if err != nil {
			f.fail(err)
		}
		n += int(some)
	}
	return n
}

// set is the exact set of an expression; false if the index does not know it.
func (f *finder) set(e search.Expr) (plan.Set, bool) {
	switch e := e.(type) {
	case search.Not:
		s, ok := f.set(e.Of)
		s.Without = !s.Without
		return s, ok
	case search.All:
		return f.sets(e, plan.Set{Without: true}, plan.And)
	case search.Any:
		return f.sets(e, plan.Set{}, plan.Or)
	}
	l, ok := f.Leaf(e)
	if !ok || !l.Exact {
		return plan.Set{}, false
	}
	ids, ok := f.gather(l, -1, math.MaxInt)
	return plan.Set{IDs: ids}, ok
}

func (f *finder) sets(parts []search.Expr, s plan.Set, join func(a, b plan.Set) plan.Set) (plan.Set, bool) {
	for _, part := range parts {
		other, ok := f.set(part)
		if !ok {
			return plan.Set{}, false
		}
		s = join(s, other)
	}
	return s, true
}
