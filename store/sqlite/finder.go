package sqlite

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"

	"galen/fhir"
	"galen/fhir/search"
	"galen/store"
)

// finder answers one query on one connection inside one transaction.
type finder struct {
	planner
	c    *conn
	q    *search.Query
	want map[string]bool // parameters whose entries are needed
	max  int             // MaxSetSize
	err  error           // the first; everything stops
}

func newFinder(db *DB, c *conn, q *search.Query) *finder {
	return newFinderIn(db.dict.view(), c, q, db.opts.MaxSetSize)
}

func newFinderIn(v view, c *conn, q *search.Query, limit int) *finder {
	f := &finder{planner: planner{v, q.Types}, c: c, q: q, want: map[string]bool{}, max: limit}
	addParams(f.want, q.Where)
	for _, s := range q.Sort {
		f.want[s.Param] = true
	}
	return f
}

// addParams collects the parameters that an expression looks at.
func addParams(want map[string]bool, e search.Expr) {
	switch e := e.(type) {
	case search.All:
		for _, part := range e {
			addParams(want, part)
		}
	case search.Any:
		for _, part := range e {
			addParams(want, part)
		}
	case search.Not:
		addParams(want, e.Of)
	case search.Where:
		want[e.Param] = true
	case search.Present:
		want[e.Param] = true
	case search.Chain:
		want[e.Param] = true
		addParams(want, e.Of)
	case search.Reverse:
		want[e.Param] = true
		addParams(want, e.Of)
	case refSet:
		want[e.param] = true
	}
}

// hit is a resource under consideration.
type hit struct {
	rid     int64
	record  store.Record // without Body until it is wanted
	entries []search.Entry
	keys    []sortKey
}

type sortKey struct {
	text  string
	found bool
}

// position is where a page ended.
type position struct {
	keys []sortKey
	rid  int64
}

func (p position) bytes() []byte {
	b := binary.AppendVarint(nil, p.rid)
	for _, k := range p.keys {
		if k.found {
			b = text(append(b, 1), k.text)
		} else {
			b = append(b, 0)
		}
	}
	return b
}

// parsePosition undoes bytes; nil is the place before the first.
func parsePosition(b []byte, keys int) (*position, error) {
	if b == nil {
		return nil, nil
	}
	d := decoder{text: string(b)}
	p := &position{rid: d.int()}
	for range keys {
		k := sortKey{found: d.byte() != 0}
		if k.found {
			k.text = d.string()
		}
		p.keys = append(p.keys, k)
	}
	if d.bad || d.text != "" {
		return nil, fhir.E("sqlite.Search", fhir.Value, "cursor", "not a cursor of this search")
	}
	return p, nil
}

// compare orders resources as search.Find does.
func (f *finder) compare(a, b position) int {
	for i, s := range f.q.Sort {
		x, y := a.keys[i], b.keys[i]
		switch {
		case x.found != y.found:
			if x.found {
				return -1
			}
			return 1
		case s.Descending:
			x, y = y, x
		}
		if c := strings.Compare(x.text, y.text); c != 0 {
			return c
		}
	}
	return cmp.Compare(a.rid, b.rid)
}

func (h *hit) position() position { return position{h.keys, h.rid} }

func (f *finder) fail(err error) bool {
	if f.err == nil {
		f.err = err
	}
	return false
}

const (
	sqlFetch    = "SELECT rid, type, id, version, updated, method, entries, body FROM resource WHERE rid = ? AND deleted = 0"
	sqlFetchKey = "SELECT rid, type, id, version, updated, method, entries, body FROM resource WHERE key = ? AND deleted = 0"
)

// fetch reads a resource and its entries; false if it is not there. With keep
// set, its body too if keep says so.
func (f *finder) fetch(sql string, by any, keep func(*hit) bool) (h hit, ok bool) {
	if f.err != nil {
		return h, false
	}
	err := f.c.each(sql, []any{by}, func(s *sqlite3.Stmt) bool {
		h.rid = s.ColumnInt64(0)
		h.record.Header = fhir.Header{
			Key:         fhir.Key{Type: f.names[s.ColumnInt64(1)], ID: s.ColumnText(2)},
			Version:     s.ColumnInt64(3),
			LastUpdated: time.UnixMilli(s.ColumnInt64(4)).UTC(),
		}
		h.record.Method = store.Method(s.ColumnInt(5))
		var err error
		if h.entries, err = f.decodeEntries(s.ColumnRawBlob(6), f.want); err != nil {
			return f.fail(err)
		}
		if ok = keep(&h); ok {
			h.record.Body = s.ColumnBlob(7, nil)
		}
		return false
	})
	if err != nil {
		f.fail(err)
	}
	return h, ok && f.err == nil
}

// matches decides whether a resource is of the right type and meets the whole
// condition: no index is trusted.
func (f *finder) matches(where search.Expr, h *hit) bool {
	if len(f.types) > 0 && !slices.Contains(f.types, h.record.Type) {
		return false
	}
	return where == nil || f.holds(where, h)
}

// holds is search.Match for one resource, chains followed by key.
func (f *finder) holds(e search.Expr, h *hit) bool {
	switch e := e.(type) {
	case search.All:
		return !slices.ContainsFunc(e, func(part search.Expr) bool { return !f.holds(part, h) })
	case search.Any:
		return slices.ContainsFunc(e, func(part search.Expr) bool { return f.holds(part, h) })
	case search.Not:
		return !f.holds(e.Of, h)
	case search.Where:
		return slices.ContainsFunc(h.entries, func(entry search.Entry) bool {
			return entry.Param == e.Param && slices.ContainsFunc(e.Any, func(t search.Test) bool { return search.Passes(t, entry.Value) })
		})
	case search.Present:
		return slices.ContainsFunc(h.entries, func(entry search.Entry) bool { return entry.Param == e.Param })
	case search.HasID:
		return slices.Contains(e.IDs, h.record.ID)
	case search.HasType:
		return slices.Contains(e.Types, h.record.Type)
	case search.Updated:
		return search.Passes(e.DateTest, search.LastUpdated(h.record.Header))
	case search.Chain:
		return f.refers(e.Param, h, func(k fhir.Key) bool { return k.Type == e.Type && f.leads(k, e.Of) })
	case search.Reverse:
		return f.referredTo(e, h.record.Key)
	case refSet:
		return f.refers(e.param, h, func(k fhir.Key) bool { return e.keys[k] })
	case keySet:
		return e.keys[h.record.Key]
	}
	return false
}

// refers reports whether some reference of a parameter leads to a wanted key.
func (f *finder) refers(param string, h *hit, want func(fhir.Key) bool) bool {
	return slices.ContainsFunc(h.entries, func(entry search.Entry) bool {
		ref, ok := entry.Value.(search.Reference)
		return ok && entry.Param == param && ref.Key != fhir.Key{} && want(ref.Key)
	})
}

// leads reports whether a condition holds for a resource by its key.
func (f *finder) leads(k fhir.Key, of search.Expr) bool {
	_, ok := f.fetch(sqlFetchKey, f.exact(k.String()), func(h *hit) bool {
		return h.record.Key == k && (of == nil || f.holds(of, h))
	})
	return ok
}

// referredTo looks for one resource that meets a Reverse.
func (f *finder) referredTo(e search.Reverse, k fhir.Key) bool {
	refers := search.All{search.Where{Param: e.Param, Any: []search.Test{search.ReferenceTest{Key: k}}}}
	if e.Of != nil {
		refers = append(refers, e.Of)
	}
	sub := newFinderIn(f.view, f.c, &search.Query{Types: []string{e.Type}, Where: refers}, f.max)
	hits, _ := sub.page(1, nil)
	if sub.err != nil {
		return f.fail(sub.err)
	}
	return len(hits) > 0
}

// refSet is a Chain whose targets are known, keySet a Reverse so known.
type refSet struct {
	search.Expr
	param string
	keys  map[fhir.Key]bool
}

type keySet struct {
	search.Expr
	keys map[fhir.Key]bool
}

// resolve replaces every Chain and Reverse by the set of keys it goes through.
func (f *finder) resolve(e search.Expr) search.Expr {
	switch e := e.(type) {
	case search.All:
		parts := make(search.All, len(e))
		for i := range e {
			parts[i] = f.resolve(e[i])
		}
		return parts
	case search.Any:
		parts := make(search.Any, len(e))
		for i := range e {
			parts[i] = f.resolve(e[i])
		}
		return parts
	case search.Not:
		return search.Not{Of: f.resolve(e.Of)}
	case search.Chain:
		keys := map[fhir.Key]bool{}
		f.sub(e.Type, e.Of, "", func(h *hit) { keys[h.record.Key] = true })
		return f.limited(refSet{param: e.Param, keys: keys}, len(keys))
	case search.Reverse:
		keys := map[fhir.Key]bool{}
		f.sub(e.Type, e.Of, e.Param, func(h *hit) {
			f.refers(e.Param, h, func(k fhir.Key) bool {
				keys[k] = true
				return false
			})
		})
		return f.limited(keySet{keys: keys}, len(keys))
	}
	return e
}

func (f *finder) limited(e search.Expr, n int) search.Expr {
	if n > f.max {
		f.fail(fhir.E("sqlite.Search", fhir.TooCostly, "", "a chain or _has goes through too many resources"))
	}
	return e
}

// sub visits every resource of a type that a condition holds for.
func (f *finder) sub(typ string, of search.Expr, param string, visit func(*hit)) {
	sub := newFinderIn(f.view, f.c, &search.Query{Types: []string{typ}, Where: of}, f.max)
	if param != "" {
		sub.want[param] = true
	}
	sub.all(func(h *hit) bool {
		visit(h)
		return true
	})
	if sub.err != nil {
		f.fail(sub.err)
	}
}

func chained(e search.Expr) bool {
	switch e := e.(type) {
	case search.All:
		return slices.ContainsFunc(e, chained)
	case search.Any:
		return slices.ContainsFunc(e, chained)
	case search.Not:
		return chained(e.Of)
	case search.Chain, search.Reverse:
		return true
	}
	return false
}
