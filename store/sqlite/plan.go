package sqlite

import (
	"slices"

	"galen/fhir/search"
)

// How a page is found. Every condition of the top level that an index knows is
// asked for a few row ids: first a handful, to see at once if it is selective,
// then more. Those that end early are intersected, and what is left is read and
// checked. If none ends early, many resources match, and a walk in the order
// asked for meets a page of them soon.
const (
	firstLook  = 128   // row ids asked of each condition at first
	secondLook = 4_096 // and if none of them ended
	wideMerge  = 32    // walks merged at most
)

// conditions are the parts of a query that all must hold.
func conditions(e search.Expr) []search.Expr {
	switch e := e.(type) {
	case nil:
		return nil
	case search.All:
		var list []search.Expr
		for _, part := range e {
			list = append(list, conditions(part)...)
		}
		return list
	}
	return []search.Expr{e}
}

// plan is what is known of the conditions while a query is answered.
type plan struct {
	where   search.Expr // the query's, chains perhaps resolved
	parts   []search.Expr
	leaves  []leaf // of the parts that an index knows, and of their combinations
	pending bool   // there are chains not resolved
}

func (f *finder) plan() *plan {
	p := &plan{where: f.q.Where}
	p.parts = conditions(p.where)
	if l, ok := f.lineLeaf(p.parts); ok {
		p.leaves = append(p.leaves, l)
	}
	for _, part := range p.parts {
		if chained(part) {
			p.pending = true
		} else if l, ok := f.leaf(part); ok {
			p.leaves = append(p.leaves, l)
		}
	}
	return p
}

// resolve makes leaves of the chains.
func (p *plan) resolve(f *finder) {
	if !p.pending {
		return
	}
	p.pending = false
	for i, part := range p.parts {
		if chained(part) {
			p.parts[i] = f.resolve(part)
			if l, ok := f.leaf(p.parts[i]); ok {
				p.leaves = append(p.leaves, l)
			}
		}
	}
	p.where = search.All(p.parts)
}

// few returns the row ids above a bound that can match, in order; false if they
// are many.
func (p *plan) few(f *finder, above int64) ([]int64, bool) {
	var best []int64
	found := false
	for _, l := range p.leaves {
		ids, ok := f.gather(l, above, firstLook)
		if ok && (!found || len(ids) < len(best)) {
			best, found = ids, true
		}
		if found && len(best) <= firstLook/4 {
			return best, true
		}
	}
	if found {
		return best, true
	}
	p.resolve(f)
	for _, l := range p.leaves {
		ids, ok := f.gather(l, above, secondLook)
		switch {
		case ok && !found:
			best, found = ids, true
		case ok:
			best = intersect(best, ids)
		}
	}
	return best, found
}

// gather runs the sources of a leaf; false if they yield more than limit.
func (f *finder) gather(l leaf, above int64, limit int) ([]int64, bool) {
	var ids []int64
	for _, s := range l.sources {
		if !f.run(s, above, func(rid int64) bool {
			ids = append(ids, rid)
			return len(ids) <= limit
		}) {
			return nil, false
		}
	}
	if len(l.sources) > 1 || len(l.sources) == 1 && !l.sources[0].ordered {
		slices.Sort(ids)
		ids = slices.Compact(ids)
	}
	return ids, true
}

// run yields a source's row ids; false if it was stopped or failed.
func (f *finder) run(s source, above int64, yield func(int64) bool) bool {
	if f.err != nil {
		return false
	}
	cur, err := f.c.query(s.sql, append(s.args[:len(s.args):len(s.args)], above)...)
	if err != nil {
		return f.fail(err)
	}
	whole := true
	for whole && cur.Step() {
		whole = yield(cur.ColumnInt64(0))
	}
	if err := cur.stop(); err != nil {
		return f.fail(err)
	}
	return whole
}

func intersect(a, b []int64) []int64 {
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

// byCreation is a walk over candidates in the order of creation: along the first
// leaf that has that order, else over the types.
func (f *finder) byCreation(p *plan, above int64) walk {
	for _, l := range p.leaves {
		if len(l.sources) <= wideMerge && !slices.ContainsFunc(l.sources, func(s source) bool { return !s.ordered }) {
			return plainWalk(l.sources, above)
		}
	}
	types := f.knownTypes(f.types)
	if len(f.types) == 0 || len(types) > wideMerge {
		return plainWalk([]source{{sql: sqlAll}}, above)
	}
	var l leaf
	for _, t := range types {
		l.add(sqlType, f.typeID(t))
	}
	return plainWalk(l.sources, above)
}

// all visits every match, in the order of creation or none, until visit returns
// false.
func (f *finder) all(visit func(*hit) bool) {
	p := f.plan()
	ids, ok := p.few(f, -1)
	if !ok {
		p.resolve(f)
		f.merge(f.byCreation(p, -1), func(rid int64) bool { return f.visit(p, rid, visit) })
		return
	}
	for _, rid := range ids {
		if !f.visit(p, rid, visit) {
			return
		}
	}
}

func (f *finder) visit(p *plan, rid int64, visit func(*hit) bool) bool {
	more := true
	f.fetch(sqlFetch, rid, func(h *hit) bool {
		if f.matches(p.where, h) {
			more = visit(h)
		}
		return false
	})
	return more && f.err == nil
}

// page returns up to limit matches after a position and whether there are more.
func (f *finder) page(limit int, after *position) (hits []hit, more bool) {
	p := f.plan()
	if w, ok := f.sorted(p, after); ok && w.covers {
		return f.take(p, w, limit, after)
	}
	above := int64(-1)
	if after != nil && len(f.q.Sort) == 0 {
		above = after.rid
	}
	ids, ok := p.few(f, above)
	if !ok {
		p.resolve(f)
	}
	if len(f.q.Sort) == 0 {
		w := walk{ids: ids}
		if !ok {
			w = f.byCreation(p, above)
		}
		return f.take(p, w, limit, after)
	}
	if !ok {
		if w, ok := f.sorted(p, after); ok {
			return f.take(p, w, limit, after)
		}
		w := f.byCreation(p, -1)
		return f.top(p, w, limit, after)
	}
	return f.top(p, walk{ids: ids}, limit, after)
}

// take takes the first matches of a walk that goes in the order asked for.
func (f *finder) take(p *plan, w walk, limit int, after *position) (hits []hit, more bool) {
	f.merge(w, func(rid int64) bool {
		h, ok := f.fetch(sqlFetch, rid, func(h *hit) bool { return f.matches(p.where, h) })
		if !ok {
			return f.err == nil
		}
		if f.addKeys(&h); after != nil && f.compare(h.position(), *after) <= 0 {
			return true
		}
		if len(hits) == limit {
			more = true
			return false
		}
		hits = append(hits, h)
		return true
	})
	return hits, more
}

func (f *finder) addKeys(h *hit) {
	h.keys = make([]sortKey, len(f.q.Sort))
	for i, s := range f.q.Sort {
		h.keys[i].text, h.keys[i].found = search.SortKey(h.entries, h.record.Header, s)
	}
}

// top keeps the first limit matches, in the order asked for, of a walk that goes
// in another.
func (f *finder) top(p *plan, w walk, limit int, after *position) (hits []hit, more bool) {
	f.merge(w, func(rid int64) bool {
		return f.visit(p, rid, func(h *hit) bool {
			if f.addKeys(h); after != nil && f.compare(h.position(), *after) <= 0 {
				return true
			}
			at, _ := slices.BinarySearchFunc(hits, h.position(), func(a hit, b position) int { return f.compare(a.position(), b) })
			if at == limit {
				more = true
				return true
			}
			h.entries = nil
			hits = slices.Insert(hits, at, *h)
			if len(hits) > limit {
				hits, more = hits[:limit], true
			}
			return true
		})
	})
	for i := range hits { // bodies only now
		h, _ := f.fetch(sqlFetch, hits[i].rid, func(*hit) bool { return true })
		hits[i].record.Body = h.record.Body
	}
	return hits, more
}
