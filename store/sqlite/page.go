package sqlite

import (
	"slices"

	"galen/fhir/search"
	"galen/store/sqlite/index"
	"galen/store/sqlite/plan"
)

// How a page is found. Every condition of the top level that an index knows is
// asked for a few row ids: first a handful, to see at once if it is selective,
// then more. Those that end early are intersected, and what is left is read and
// checked. If none ends early, many resources match, and a walk in the order
// asked for meets a page of them soon.

// strategy is what is known of the conditions while a query is answered.
type strategy struct {
	where   search.Expr // the query's, chains perhaps resolved
	parts   []search.Expr
	leaves  []plan.Leaf // of the parts that an index knows, and of their combinations
	pending bool        // there are chains not resolved
}

func (f *finder) strategy() *strategy {
	p := &strategy{where: f.q.Where}
	p.parts = plan.Conditions(p.where)
	if l, ok := f.Line(p.parts); ok {
		p.leaves = append(p.leaves, l)
	}
	for _, part := range p.parts {
		if plan.Chained(part) {
			p.pending = true
		} else if l, ok := f.Leaf(part); ok {
			p.leaves = append(p.leaves, l)
		}
	}
	return p
}

// resolve makes leaves of the chains.
func (p *strategy) resolve(f *finder) {
	if !p.pending {
		return
	}
	p.pending = false
	for i, part := range p.parts {
		if plan.Chained(part) {
			p.parts[i] = f.resolve(part)
			if l, ok := f.Leaf(p.parts[i]); ok {
				p.leaves = append(p.leaves, l)
			}
		}
	}
	p.where = search.All(p.parts)
}

// few returns the row ids above a bound that can match, in order; false if they
// are many.
func (p *strategy) few(f *finder, above int64) ([]int64, bool) {
	var best []int64
	found := false
	for _, l := range p.leaves {
		ids, ok := f.gather(l, above, f.db.opts.FirstLook)
		if ok && (!found || len(ids) < len(best)) {
			best, found = ids, true
		}
		if found && len(best) <= f.db.opts.FirstLook/4 {
			return best, true
		}
	}
	if found {
		return best, true
	}
	p.resolve(f)
	for _, l := range p.leaves {
		ids, ok := f.gather(l, above, f.db.opts.SecondLook)
		switch {
		case ok && !found:
			best, found = ids, true
		case ok:
			best = plan.Intersect(best, ids)
		}
	}
	return best, found
}

// gather runs the sources of a leaf; false if they yield more than limit.
func (f *finder) gather(l plan.Leaf, above int64, limit int) ([]int64, bool) {
	var ids []int64
	for _, s := range l.Sources {
		if !f.run(s, above, func(rid int64) bool {
			ids = append(ids, rid)
			return len(ids) <= limit
		}) {
			return nil, false
		}
	}
	if len(l.Sources) > 1 || len(l.Sources) == 1 && !l.Sources[0].Ordered {
		slices.Sort(ids)
		ids = slices.Compact(ids)
	}
	return ids, true
}

// run yields a source's row ids; false if it was stopped or failed.
func (f *finder) run(s plan.Source, above int64, yield func(int64) bool) bool {
	if f.err != nil {
		return false
	}
	cur, err := f.c.query(s.SQL, append(s.Args[:len(s.Args):len(s.Args)], above)...)
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

// all visits every match, in the order of creation or none, until visit returns
// false.
func (f *finder) all(visit func(*hit) bool) {
	p := f.strategy()
	ids, ok := p.few(f, -1)
	if !ok {
		p.resolve(f)
		f.merge(f.ByCreation(p.leaves, -1), func(s *stream) bool { return f.visit(p, s.rid, visit) })
		return
	}
	for _, rid := range ids {
		if !f.visit(p, rid, visit) {
			return
		}
	}
}

func (f *finder) visit(p *strategy, rid int64, visit func(*hit) bool) bool {
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
func (f *finder) page(limit int, after *plan.Position) (hits []hit, more bool) {
	p := f.strategy()
	if w, ok := f.Sorted(p.parts, f.q.Sort, after); ok && w.Covers {
		return f.take(p, w, limit, after)
	}
	above := int64(-1)
	if after != nil && len(f.q.Sort) == 0 {
		above = after.RID
	}
	if len(f.q.Sort) == 0 && p.simple() {
		return f.take(p, f.ByCreation(p.leaves, above), limit, after)
	}
	ids, few := p.few(f, above)
	if few {
		w := plan.Walk{IDs: ids}
		if len(f.q.Sort) == 0 {
			return f.take(p, w, limit, after)
		}
		return f.top(p, w, limit, after)
	}
	p.resolve(f)
	if len(f.q.Sort) == 0 {
		return f.take(p, f.ByCreation(p.leaves, above), limit, after)
	}
	if w, ok := f.Sorted(p.parts, f.q.Sort, after); ok {
		return f.take(p, w, limit, after)
	}
	return f.top(p, f.ByCreation(p.leaves, -1), limit, after)
}

// simple reports that nearly all that a walk by creation meets are matches.
func (p *strategy) simple() bool {
	return len(p.parts) == 1 && len(p.leaves) == 1 && len(p.leaves[0].Sources) <= plan.MaxStreams &&
		!slices.ContainsFunc(p.leaves[0].Sources, func(s plan.Source) bool { return !s.Ordered })
}

// take takes the first matches of a walk that goes in the order asked for.
func (f *finder) take(p *strategy, w plan.Walk, limit int, after *plan.Position) (hits []hit, more bool) {
	t := taker{f: f, limit: limit, after: after}
	f.merge(w, func(s *stream) bool {
		h, ok := f.fetch(sqlFetch, s.rid, func(h *hit) bool {
			f.addKeys(h)
			return (!w.Values || w.Own(s.key, s.text, h.keys[0])) && f.matches(p.where, h)
		})
		if !ok {
			return f.err == nil
		}
		return t.add(h, s.text)
	})
	if w.Values && t.flush() {
		t.rest(p)
	}
	return t.hits, t.more
}

// taker fills a page in order. Texts that may be cut short do not tell the order
// of their resources, so those of one such text wait and are sorted.
type taker struct {
	f     *finder
	limit int
	after *plan.Position
	hits  []hit
	more  bool
	group []hit
	text  string // of the group
}

// add reports whether there is room for another.
func (t *taker) add(h hit, text string) bool {
	if text != t.text && !t.flush() {
		return false
	}
	if len(text) == index.MaxString {
		t.text, t.group = text, append(t.group, h)
		return true
	}
	return t.put(h)
}

func (t *taker) put(h hit) bool {
	if t.after != nil && t.f.compare(h.position(), *t.after) <= 0 {
		return true
	}
	if len(t.hits) == t.limit {
		t.more = true
		return false
	}
	t.hits = append(t.hits, h)
	return true
}

// flush puts the group in its order.
func (t *taker) flush() bool {
	group := t.group
	t.group, t.text = nil, ""
	slices.SortFunc(group, func(a, b hit) int { return t.f.compare(a.position(), b.position()) })
	for i, h := range group {
		if (i == 0 || h.rid != group[i-1].rid) && !t.put(h) { // two of its values may be cut to one text
			return false
		}
	}
	return !t.more
}

// rest adds the resources without sort key, by creation.
func (t *taker) rest(p *strategy) {
	f, above := t.f, int64(-1)
	if t.after != nil && !t.after.Keys[0].Found {
		above = t.after.RID
	}
	f.merge(f.ByCreation(p.leaves, above), func(s *stream) bool {
		h, ok := f.fetch(sqlFetch, s.rid, func(h *hit) bool {
			f.addKeys(h)
			return !h.keys[0].Found && f.matches(p.where, h)
		})
		if !ok {
			return f.err == nil
		}
		return t.put(h)
	})
}

func (f *finder) addKeys(h *hit) {
	h.keys = make([]plan.Key, len(f.q.Sort))
	for i, s := range f.q.Sort {
		h.keys[i].Text, h.keys[i].Found = search.SortKey(h.entries, h.record.Header, s)
	}
}

// top keeps the first limit matches, in the order asked for, of a walk that goes
// in another.
func (f *finder) top(p *strategy, w plan.Walk, limit int, after *plan.Position) (hits []hit, more bool) {
	f.merge(w, func(s *stream) bool {
		return f.visit(p, s.rid, func(h *hit) bool {
			if f.addKeys(h); after != nil && f.compare(h.position(), *after) <= 0 {
				return true
			}
			at, _ := slices.BinarySearchFunc(hits, h.position(), func(a hit, b plan.Position) int { return f.compare(a.position(), b) })
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
