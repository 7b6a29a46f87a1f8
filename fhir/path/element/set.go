package element

import (
	"hash/maphash"

	"galen/fhir/decimal"
	"galen/fhir/path/system"
)

// Set holds items for membership by equality. Small sets are searched; in great
// ones a hash, which equal items share, finds the few to compare.
type Set struct {
	stack   *Stack
	Items   []Item
	seed    maphash.Seed
	buckets map[uint64][]int
}

const smallSet = 12

// Has reports whether an item of the set is equal.
func (s *Set) Has(it Item) bool {
	if s.buckets == nil {
		for _, o := range s.Items {
			if s.stack.Equal(it, o) == system.True {
				return true
			}
		}
		return false
	}
	for _, i := range s.buckets[s.hash(it)] {
		if s.stack.Left < 0 { // the evaluator reports it
			return false
		}
		if s.stack.Equal(it, s.Items[i]) == system.True {
			return true
		}
	}
	return false
}

// Add adds an item, whether or not it is there.
func (s *Set) Add(it Item) {
	s.Items = append(s.Items, it)
	if s.buckets != nil {
		h := s.hash(it)
		s.buckets[h] = append(s.buckets[h], len(s.Items)-1)
		return
	}
	if len(s.Items) <= smallSet {
		return
	}
	s.seed, s.buckets = maphash.MakeSeed(), make(map[uint64][]int, 2*len(s.Items))
	for i, o := range s.Items {
		h := s.hash(o)
		s.buckets[h] = append(s.buckets[h], i)
	}
}

// hash is the same for equal items: for elements a sum over their texts, which
// does not depend on the order of members.
func (s *Set) hash(it Item) uint64 {
	if t, ok := it.Str(); ok {
		return maphash.String(s.seed, t)
	}
	switch v := it.Value().(type) {
	case nil:
		var sum uint64
		for n := range it.node.Walk() {
			s.stack.Left--
			sum += maphash.String(s.seed, n.Text())
		}
		return sum
	case int64:
		return maphash.String(s.seed, decimal.FromInt(v).SortKey())
	case decimal.Decimal:
		return maphash.String(s.seed, v.SortKey())
	}
	return 0 // a few Booleans, dates in zones, quantities in units
}

// Distinct drops what equals an earlier item, from base up.
func (c *Stack) Distinct(base int) {
	if len(c.Items)-base < 2 {
		return
	}
	s := Set{stack: c}
	if len(c.Items)-base <= smallSet {
		s.Items = c.Items[base:base] // grows in place, behind the item looked at
	}
	keep := base
	for i := base; i < len(c.Items); i++ {
		it := c.Items[i]
		if s.Has(it) {
			continue
		}
		s.Add(it)
		c.Items[keep] = it
		keep++
		if c.Left < 0 {
			break
		}
	}
	c.Cut(keep)
}

// NewSet makes a set of the items.
func (c *Stack) NewSet(of []Item) *Set {
	s := &Set{stack: c}
	for _, it := range of {
		s.Add(it)
	}
	return s
}
