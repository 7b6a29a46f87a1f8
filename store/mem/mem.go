// Package mem is the search oracle as a store.Driver: maps, search.Find and one
// lock. It is slow and obviously right; every other driver must return exactly
// what it returns. It keeps nothing on disk.
package mem

import (
	"cmp"
	"context"
	"encoding/json"
	"iter"
	"slices"
	"strings"
	"sync"

	"galen/fhir"
	"galen/fhir/search"
	"galen/store"
)

// DB is the driver. Make it with New; it is safe for concurrent use.
type DB struct {
	mu      sync.RWMutex
	order   []*entry // by creation
	created int      // how many there ever were
	byKey   map[fhir.Key]*entry
}

// entry is all versions of one resource, oldest first, and what the newest is
// found by.
type entry struct {
	created  int // ascending in DB.order
	versions []store.Record
	found    []search.Entry
}

func (e *entry) current() store.Record { return e.versions[len(e.versions)-1] }

var _ store.Driver = (*DB)(nil)

// New makes an empty DB.
func New() *DB { return &DB{byKey: map[fhir.Key]*entry{}} }

// Caps tells that it can do everything.
func (db *DB) Caps() store.Caps { return store.Caps{Transactions: true, Snapshot: true} }

// Close does nothing.
func (db *DB) Close() error { return nil }

// Commit checks every write and then applies them all.
func (db *DB) Commit(ctx context.Context, writes []store.Write) error {
	if err := ctx.Err(); err != nil {
		return &fhir.Error{Op: "mem.Commit", Kind: fhir.Timeout, Err: err}
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	for i, w := range writes {
		var actual fhir.Header
		if e := db.byKey[w.Key]; e != nil {
			actual = e.current().Header
		}
		if actual.Version != w.Expect {
			return &store.ConflictError{Index: i, Actual: actual}
		}
		if w.Unless == nil {
			continue
		}
		if found := search.Find(w.Unless, corpus{db}); len(found) > 0 {
			return &store.ConflictError{Index: i, Unless: true, Found: found[:min(len(found), 2)]}
		}
	}
	for i := range writes {
		db.write(&writes[i])
	}
	return nil
}

func (db *DB) write(w *store.Write) {
	e := db.byKey[w.Key]
	switch {
	case w.Task == store.Reindex:
		e.found = w.Entries
	case w.Task == store.Expunge && w.Through >= w.Expect:
		delete(db.byKey, w.Key)
		db.order = slices.DeleteFunc(db.order, func(o *entry) bool { return o == e })
	case w.Task == store.Expunge:
		e.versions = slices.DeleteFunc(e.versions, func(r store.Record) bool { return w.From <= r.Version && r.Version <= w.Through })
	default:
		if e == nil {
			e = &entry{created: db.created}
			db.created++
			db.byKey[w.Key] = e
			db.order = append(db.order, e)
		}
		e.versions = append(e.versions, w.Record)
		e.found = w.Entries
	}
}

// Read looks the keys up.
func (db *DB) Read(_ context.Context, keys ...fhir.Key) ([]store.Record, error) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	records := make([]store.Record, len(keys))
	for i, k := range keys {
		if e := db.byKey[k]; e != nil {
			records[i] = e.current()
		}
	}
	return records, nil
}

// ReadVersion looks one version up.
func (db *DB) ReadVersion(_ context.Context, key fhir.Key, version int64) (store.Record, error) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if e := db.byKey[key]; e != nil {
		for _, r := range e.versions {
			if r.Version == version {
				return r, nil
			}
		}
	}
	return store.Record{}, nil
}

// Count finds them all.
func (db *DB) Count(_ context.Context, q *search.Query) (int, error) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	return len(search.Find(q, corpus{db})), nil
}

// place is where a resource stands in an order: a cursor is the place of the
// last one returned.
type place struct {
	Keys    []*string `json:",omitempty"` // sort keys, nil where there is none
	Created int
	Version int64 `json:",omitempty"` // of a history
	Time    int64 `json:",omitempty"` // of a history, in ms
}

func (db *DB) place(key fhir.Key, sorts []search.Sort) place {
	e := db.byKey[key]
	p := place{Created: e.created}
	for _, s := range sorts {
		var k *string
		if text, ok := search.SortKey(e.found, e.current().Header, s); ok {
			k = &text
		}
		p.Keys = append(p.Keys, k)
	}
	return p
}

// compare orders places as search.Find orders resources.
func compare(sorts []search.Sort, a, b place) int {
	for i, s := range sorts {
		x, y := a.Keys[i], b.Keys[i]
		switch {
		case x == nil && y == nil:
			continue
		case x == nil:
			return 1
		case y == nil:
			return -1
		}
		c := strings.Compare(*x, *y)
		if s.Descending {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(a.Created, b.Created)
}

// Search finds them all and returns those after the cursor's place.
func (db *DB) Search(_ context.Context, s store.Select) (store.Page, error) {
	var after place
	if s.After != nil {
		if err := json.Unmarshal(s.After, &after); err != nil || len(after.Keys) != len(s.Query.Sort) {
			return store.Page{}, errCursor("mem.Search")
		}
	}
	db.mu.RLock()
	defer db.mu.RUnlock()
	var page store.Page
	var last place
	for _, key := range search.Find(s.Query, corpus{db}) {
		p := db.place(key, s.Query.Sort)
		if s.After != nil && compare(s.Query.Sort, p, after) <= 0 {
			continue
		}
		if len(page.Records) == s.Limit {
			page.Next, _ = json.Marshal(last)
			break
		}
		page.Records = append(page.Records, db.byKey[key].current())
		last = p
	}
	return page, nil
}

// History sorts all versions and returns those after the cursor's place.
func (db *DB) History(_ context.Context, s store.HistorySelect) (store.Page, error) {
	var after place
	if s.After != nil {
		if err := json.Unmarshal(s.After, &after); err != nil {
			return store.Page{}, errCursor("mem.History")
		}
	}
	type version struct {
		store.Record
		place
	}
	db.mu.RLock()
	var all []version
	for _, e := range db.order {
		for _, r := range e.versions {
			if s.Type != "" && r.Type != s.Type || s.ID != "" && r.ID != s.ID ||
				r.LastUpdated.Before(s.Since) || !s.Until.IsZero() && !r.LastUpdated.Before(s.Until) {
				continue
			}
			all = append(all, version{r, place{nil, e.created, r.Version, r.LastUpdated.UnixMilli()}})
		}
	}
	db.mu.RUnlock()
	order := func(a, b place) int {
		if s.Oldest {
			a, b = b, a
		}
		return cmp.Or(cmp.Compare(b.Time, a.Time), cmp.Compare(b.Created, a.Created), cmp.Compare(b.Version, a.Version))
	}
	slices.SortFunc(all, func(a, b version) int { return order(a.place, b.place) })
	var page store.Page
	if s.Total {
		page.Total = len(all)
	}
	for i, v := range all {
		if s.After != nil && order(v.place, after) <= 0 {
			continue
		}
		if len(page.Records) == s.Limit {
			page.Next, _ = json.Marshal(all[i-1].place)
			break
		}
		page.Records = append(page.Records, v.Record)
	}
	return page, nil
}

func errCursor(op string) error {
	return fhir.E(op, fhir.Value, "cursor", "not a cursor of this search")
}

// corpus shows what is current and not deleted to search.Find; its caller holds
// the lock.
type corpus struct{ db *DB }

func (c corpus) live(key fhir.Key) *entry {
	if e := c.db.byKey[key]; e != nil && !e.current().Deleted {
		return e
	}
	return nil
}

func (c corpus) Keys(resourceType string) iter.Seq[fhir.Key] {
	return func(yield func(fhir.Key) bool) {
		for _, e := range c.db.order {
			r := e.current()
			if !r.Deleted && (resourceType == "" || r.Type == resourceType) && !yield(r.Key) {
				return
			}
		}
	}
}

func (c corpus) Header(key fhir.Key) (fhir.Header, bool) {
	if e := c.live(key); e != nil {
		return e.current().Header, true
	}
	return fhir.Header{}, false
}

func (c corpus) Entries(key fhir.Key) []search.Entry {
	if e := c.live(key); e != nil {
		return e.found
	}
	return nil
}
