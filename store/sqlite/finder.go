package sqlite

import (
	"slices"
	"time"

	"github.com/ncruces/go-sqlite3"

	"galen/fhir"
	"galen/fhir/search"
	"galen/store"
	"galen/store/sqlite/conn"
	"galen/store/sqlite/plan"
)

// finder answers one query on one connection inside one transaction.
type finder struct {
	plan.Planner
	db   *DB
	c    *conn.Conn
	q    *search.Query
	want map[string]bool // parameters whose entries are needed
	err  error           // the first; everything stops
}

// newFinder must be called when the snapshot is taken: its view of the
// dictionary has to be the newer one.
func newFinder(db *DB, c *conn.Conn, q *search.Query) *finder {
	f := &finder{Planner: plan.Planner{View: db.dict.View(), Types: q.Types}, db: db, c: c, q: q}
	f.wants()
	return f
}

// sub is a finder for a query that this one depends on.
func (f *finder) sub(q *search.Query) *finder {
	s := &finder{Planner: plan.Planner{View: f.View, Types: q.Types}, db: f.db, c: f.c, q: q}
	s.wants()
	return s
}

func (f *finder) wants() {
	f.want = map[string]bool{}
	plan.AddParams(f.want, f.q.Where)
	for _, s := range f.q.Sort {
		f.want[s.Param] = true
	}
}

// hit is a resource under consideration.
type hit struct {
	rid     int64
	record  store.Record // without Body until it is wanted
	entries []search.Entry
	keys    []plan.Key
}

// compare orders resources as search.Find does.
func (f *finder) compare(a, b plan.Position) int { return plan.Compare(f.q.Sort, a, b) }

func (h *hit) position() plan.Position { return plan.Position{Keys: h.keys, RID: h.rid} }

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
	err := f.c.Each(sql, []any{by}, func(s *sqlite3.Stmt) bool {
		h.rid = s.ColumnInt64(0)
		h.record.Header = fhir.Header{
			Key:         fhir.Key{Type: f.Names()[s.ColumnInt64(1)], ID: s.ColumnText(2)},
			Version:     s.ColumnInt64(3),
			LastUpdated: time.UnixMilli(s.ColumnInt64(4)).UTC(),
		}
		h.record.Method = store.Method(s.ColumnInt(5))
		var err error
		if h.entries, err = f.DecodeEntries(s.ColumnRawBlob(6), f.want); err != nil {
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
	if len(f.Types) > 0 && !slices.Contains(f.Types, h.record.Type) {
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
	case search.Tree:
		return f.refers(e.Param, h, func(k fhir.Key) bool { return e.Reaches(k, f.ups(e.Up)) })
	case plan.RefSet:
		return f.refers(e.Param, h, func(k fhir.Key) bool { return e.Keys[k] })
	case plan.KeySet:
		return e.Keys[h.record.Key]
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
	_, ok := f.fetch(sqlFetchKey, f.Exact(k.String()), func(h *hit) bool {
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
	sub := f.sub(&search.Query{Types: []string{e.Type}, Where: refers})
	hits, _ := sub.page(1, nil)
	if sub.err != nil {
		return f.fail(sub.err)
	}
	return len(hits) > 0
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
		f.each(e.Type, e.Of, "", func(h *hit) { keys[h.record.Key] = true })
		return f.limited(plan.RefSet{Param: e.Param, Keys: keys}, len(keys))
	case search.Reverse:
		keys := map[fhir.Key]bool{}
		f.each(e.Type, e.Of, e.Param, func(h *hit) {
			f.refers(e.Param, h, func(k fhir.Key) bool {
				keys[k] = true
				return false
			})
		})
		return f.limited(plan.KeySet{Keys: keys}, len(keys))
	case search.Tree:
		keys := f.tree(e)
		return f.limited(plan.RefSet{Param: e.Param, Keys: keys}, len(keys))
	}
	return e
}

// ups reads where a parameter's references of a resource lead.
func (f *finder) ups(param string) func(fhir.Key) []fhir.Key {
	return func(k fhir.Key) (up []fhir.Key) {
		f.fetch(sqlFetchKey, f.Exact(k.String()), func(h *hit) bool {
			if h.record.Key == k {
				up = search.References(h.entries, param)
			}
			return false
		})
		return up
	}
}

// tree is the set of keys that a Tree lets references lead to: above its root by
// reading upwards, below it by asking, level by level, for what is next below.
func (f *finder) tree(e search.Tree) map[fhir.Key]bool {
	keys := map[fhir.Key]bool{e.Root: true}
	if e.Above {
		for _, k := range search.Climb(e.Root, f.ups(e.Up)) {
			keys[k] = true
		}
		return keys
	}
	for level := []fhir.Key{e.Root}; len(level) > 0 && len(keys) <= f.db.opts.MaxSetSize; {
		tests := make([]search.Test, len(level))
		for i, k := range level {
			tests[i] = search.ReferenceTest{Key: k}
		}
		level = nil
		f.each(e.Root.Type, search.Where{Param: e.Up, Any: tests}, "", func(h *hit) {
			if !keys[h.record.Key] {
				keys[h.record.Key] = true
				level = append(level, h.record.Key)
			}
		})
	}
	return keys
}

func (f *finder) limited(e search.Expr, n int) search.Expr {
	if n > f.db.opts.MaxSetSize {
		f.fail(fhir.E("sqlite.Search", fhir.TooCostly, "", "a chain or _has goes through too many resources"))
	}
	return e
}

// each visits every resource of a type that a condition holds for.
func (f *finder) each(typ string, of search.Expr, param string, visit func(*hit)) {
	sub := f.sub(&search.Query{Types: []string{typ}, Where: of})
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
