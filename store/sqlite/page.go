package sqlite

import (
	"slices"

	"galen/fhir/search"
	"galen/store/sqlite/conn"
	"galen/store/sqlite/index"
	"galen/store/sqlite/plan"
)

// How a page is found. Every condition of the top level that an index knows is
// asked for a few row ids: first a handful, to see at once if it is selective,
// then more. Those that end early are intersected, and what is left is read and
// checked. If none ends early, many resources match, and a walk in the order
// asked for meets a page of them soon.

// settle makes leaves of the chains.
func (f *finder) settle(p *plan.Strategy) {
	if !p.Pending {
		return
	}
	p.Pending = false
	for i, part := range p.Parts {
		if plan.Chained(part) {
			p.Parts[i] = f.resolve(part)
			if l, ok := f.Leaf(p.Parts[i]); ok {
				p.Add(l)
			}
		}
	}
	p.Where = search.All(p.Parts)
}

// few returns the row ids above a bound that can match, in order; false if they
// are many.
func (f *finder) few(p *plan.Strategy, above int64) ([]int64, bool) {
	var best []int64
	found := false
	for l := range p.Leaves {
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
	f.settle(p)
	for l := range p.Leaves {
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
	cur, err := f.c.Query(s.SQL, append(s.Args[:len(s.Args):len(s.Args)], above)...)
	if err != nil {
		return f.fail(err)
	}
	whole, rows := true, 0
	for whole && cur.Step() {
		if rows++; s.Else != nil && rows > s.Most {
			break
		}
		if s.Among == nil || s.Among[conn.Cell(cur.Stmt, 1)] {
			whole = yield(cur.ColumnInt64(0))
		}
	}
	if err := cur.Stop(); err != nil {
		return f.fail(err)
	}
	if s.Else != nil && rows > s.Most {
		return f.run(*s.Else, above, yield)
	}
	return whole
}

// all visits every match, in the order of creation or none, until visit returns
// false.
func (f *finder) all(visit func(*hit) bool) {
	p := f.Strategy(f.q.Where)
	ids, ok := f.few(p, -1)
	if !ok {
		f.settle(p)
		f.merge(f.ByCreation(p.Leaves, -1), func(s *stream) bool { return f.visit(p, s.rid, visit) })
		return
	}
	for _, rid := range ids {
		if !f.visit(p, rid, visit) {
			return
		}
	}
}

func (f *finder) visit(p *plan.Strategy, rid int64, visit func(*hit) bool) bool {
	more := true
	f.fetch(sqlFetch, rid, func(h *hit) bool {
		if f.matches(p.Where, h) {
			more = visit(h)
		}
		return false
	})
	return more && f.err == nil
}

// page returns up to limit matches after a position and whether there are more.
func (f *finder) page(limit int, after *plan.Position) (hits []hit, more bool) {
	p := f.Strategy(f.q.Where)
	if w, ok := f.Sorted(p.Parts, f.q.Sort, after); ok && w.Covers {
		return f.take(p, w, limit, after)
	}
	above := int64(-1)
	if after != nil && len(f.q.Sort) == 0 {
		above = after.RID
	}
	if len(f.q.Sort) == 0 && p.Simple() {
		return f.take(p, f.ByCreation(p.Leaves, above), limit, after)
	}
	ids, few := f.few(p, above)
	if few {
		w := plan.Walk{IDs: ids}
		if len(f.q.Sort) == 0 {
			return f.take(p, w, limit, after)
		}
		return f.top(p, w, limit, after)
	}
	f.settle(p)
	if len(f.q.Sort) == 0 {
		return f.take(p, f.ByCreation(p.Leaves, above), limit, after)
	}
	if w, ok := f.Sorted(p.Parts, f.q.Sort, after); ok {
		return f.take(p, w, limit, after)
	}
	return f.top(p, f.ByCreation(p.Leaves, -1), limit, after)
}

// take takes the first matches of a walk that goes in the order asked for.
func (f *finder) take(p *plan.Strategy, w plan.Walk, limit int, after *plan.Position) (hits []hit, more bool) {
	t := taker{f: f, limit: limit, after: after}
	f.merge(w, func(s *stream) bool {
		h, ok := f.fetch(sqlFetch, s.rid, func(h *hit) bool {
			f.addKeys(h)
			return (!w.Values || w.Own(s.key, s.text, h.keys[0])) && f.matches(p.Where, h)
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
func (t *taker) rest(p *plan.Strategy) {
	f, above := t.f, int64(-1)
	if t.after != nil && !t.after.Keys[0].Found {
		above = t.after.RID
	}
	f.merge(f.ByCreation(p.Leaves, above), func(s *stream) bool {
		h, ok := f.fetch(sqlFetch, s.rid, func(h *hit) bool {
			f.addKeys(h)
			return !h.keys[0].Found && f.matches(p.Where, h)
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
func (f *finder) top(p *plan.Strategy, w plan.Walk, limit int, after *plan.Position) (hits []hit, more bool) {
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
