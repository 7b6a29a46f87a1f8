package sqlite

import (
	"context"
	"encoding/json"
	"math"

	"galen/fhir"
	"galen/store"
	"galen/store/sqlite/conn"
	"galen/store/sqlite/index"
)

// The statements of history: current and superseded versions, newest first or
// oldest first.
const (
	historyColumns = "id, version, updated, method, deleted, body, type, rid"

	sqlCurrentOf  = "SELECT " + historyColumns + " FROM resource WHERE type = ?1 AND updated >= ?2 AND updated < ?3 AND (updated, rid) <= (?4, ?5) ORDER BY updated DESC, rid DESC"
	sqlHistoryOf  = "SELECT " + historyColumns + " FROM history WHERE type = ?1 AND updated >= ?2 AND updated < ?3 AND (updated, rid, version) < (?4, ?5, ?6) ORDER BY updated DESC, rid DESC, version DESC"
	sqlCurrentOne = "SELECT " + historyColumns + " FROM resource WHERE key = ?1 AND updated >= ?2 AND updated < ?3"
	sqlHistoryOne = "SELECT " + historyColumns + " FROM history WHERE rid = (SELECT rid FROM resource WHERE key = ?1) AND updated >= ?2 AND updated < ?3 AND version < ?6 ORDER BY version DESC"

	sqlOldestCurrentOf  = "SELECT " + historyColumns + " FROM resource WHERE type = ?1 AND updated >= ?2 AND updated < ?3 AND (updated, rid) >= (?4, ?5) ORDER BY updated, rid"
	sqlOldestHistoryOf  = "SELECT " + historyColumns + " FROM history WHERE type = ?1 AND updated >= ?2 AND updated < ?3 AND (updated, rid, version) > (?4, ?5, ?6) ORDER BY updated, rid, version"
	sqlOldestHistoryOne = "SELECT " + historyColumns + " FROM history WHERE rid = (SELECT rid FROM resource WHERE key = ?1) AND updated >= ?2 AND updated < ?3 AND version > ?6 ORDER BY version"

	sqlCountCurrent = "SELECT count(*) FROM resource WHERE type = ? AND updated >= ? AND updated < ?"
	sqlCountHistory = "SELECT count(*) FROM history WHERE type = ? AND updated >= ? AND updated < ?"
	sqlCountOne     = "SELECT count(*) FROM history WHERE rid = (SELECT rid FROM resource WHERE key = ?) AND updated >= ? AND updated < ?"
	sqlCountThis    = "SELECT count(*) FROM resource WHERE key = ? AND updated >= ? AND updated < ?"
)

// place is where a version stands in a history: greater is newer.
type place struct{ Updated, RID, Version int64 }

func (p place) before(o place) bool {
	switch {
	case p.Updated != o.Updated:
		return p.Updated < o.Updated
	case p.RID != o.RID:
		return p.RID < o.RID
	}
	return p.Version < o.Version
}

// History merges the current versions with the superseded ones, of each type.
func (db *DB) History(ctx context.Context, s store.HistorySelect) (page store.Page, err error) {
	after := place{math.MaxInt64, math.MaxInt64, math.MaxInt64}
	if s.Oldest {
		after = place{math.MinInt64, math.MinInt64, math.MinInt64}
	}
	if s.After != nil {
		if json.Unmarshal(s.After, &after) != nil {
			return store.Page{}, fhir.E("sqlite.History", fhir.Value, "cursor", "not a cursor of this history")
		}
	}
	err = db.read(ctx, "sqlite.History", func(c *conn.Conn) error {
		if err := c.Run(sqlPin); err != nil {
			return err
		}
		h := historian{c: c, view: db.dict.View(), since: s.Since.UnixMilli(), until: math.MaxInt64, oldest: s.Oldest}
		if !s.Until.IsZero() {
			h.until = s.Until.UnixMilli()
		}
		if s.Total {
			if page.Total, err = h.total(s); err != nil {
				return err
			}
		}
		return h.page(&page, s, after)
	})
	return page, err
}

// historian reads one page of a history.
type historian struct {
	c            *conn.Conn
	view         index.View
	since, until int64 // ms; until is exclusive
	oldest       bool
}

// ahead reports whether a comes before b in the answer.
func (h historian) ahead(a, b place) bool {
	if h.oldest {
		return a.before(b)
	}
	return b.before(a)
}

// feed is one ordered stream of versions.
type feed struct {
	cur   conn.Cursor
	place place
}

func (f *feed) next() bool {
	if !f.cur.Step() {
		return false
	}
	f.place = place{f.cur.ColumnInt64(2), f.cur.ColumnInt64(7), f.cur.ColumnInt64(1)}
	return true
}

// scope is what the feeds of a selection are bound to: pairs of statements
// (current, superseded) with the value of their first argument.
func (h historian) scope(s store.HistorySelect) (current, superseded string, by []any) {
	if s.ID != "" {
		by = []any{h.view.Exact(fhir.Key{Type: s.Type, ID: s.ID}.String())}
		if h.oldest {
			return sqlCurrentOne, sqlOldestHistoryOne, by
		}
		return sqlCurrentOne, sqlHistoryOne, by
	}
	var types []string
	if s.Type != "" {
		types = []string{s.Type}
	}
	for _, t := range h.view.KnownTypes(types) {
		by = append(by, h.view.TypeID(t))
	}
	if h.oldest {
		return sqlOldestCurrentOf, sqlOldestHistoryOf, by
	}
	return sqlCurrentOf, sqlHistoryOf, by
}

func (h historian) total(s store.HistorySelect) (int, error) {
	_, _, by := h.scope(s)
	statements := []string{sqlCountCurrent, sqlCountHistory}
	if s.ID != "" {
		statements = []string{sqlCountThis, sqlCountOne}
	}
	total := 0
	for _, sql := range statements {
		for _, arg := range by {
			n, err := h.c.Int(sql, arg, h.since, h.until)
			if err != nil {
				return 0, err
			}
			total += int(n)
		}
	}
	return total, nil
}

func (h historian) page(page *store.Page, s store.HistorySelect, after place) (err error) {
	var feeds []*feed
	defer func() {
		for _, f := range feeds {
			if e := f.cur.Stop(); err == nil {
				err = e
			}
		}
	}()
	current, superseded, by := h.scope(s)
	for _, arg := range by {
		for _, sql := range []string{current, superseded} {
			args := []any{arg, h.since, h.until, after.Updated, after.RID, after.Version}
			switch sql {
			case sqlCurrentOf, sqlOldestCurrentOf:
				args = args[:5]
			case sqlCurrentOne:
				args = args[:3]
			}
			cur, err := h.c.Query(sql, args...)
			if err != nil {
				return err
			}
			feeds = append(feeds, &feed{cur: cur})
		}
	}
	h.merge(page, feeds, s.Limit, after)
	for _, f := range feeds {
		if err := f.cur.Err(); err != nil {
			return err
		}
	}
	return nil
}

// merge takes the first version of all feeds until the page is full.
func (h historian) merge(page *store.Page, feeds []*feed, limit int, after place) {
	live := make([]*feed, 0, len(feeds))
	for _, f := range feeds {
		if f.next() {
			live = append(live, f)
		}
	}
	var last place
	for len(live) > 0 {
		first := 0
		for i, f := range live {
			if h.ahead(f.place, live[first].place) {
				first = i
			}
		}
		f := live[first]
		if h.ahead(after, f.place) {
			if len(page.Records) == limit {
				page.Next, _ = json.Marshal(last) // integers cannot fail
				return
			}
			page.Records = append(page.Records, scan(f.cur.Stmt, h.view))
			last = f.place
		}
		if !f.next() {
			live = append(live[:first], live[first+1:]...)
		}
	}
}
