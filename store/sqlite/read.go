package sqlite

import (
	"context"
	"math"
	"time"

	"github.com/ncruces/go-sqlite3"

	"galen/fhir"
	"galen/fhir/search"
	"galen/store"
)

const (
	sqlRead        = "SELECT id, version, updated, method, deleted, body, type FROM resource WHERE key = ?"
	sqlReadVersion = "SELECT id, version, updated, method, deleted, body, type FROM history WHERE rid = (SELECT rid FROM resource WHERE key = ?) AND version = ?"
)

// scan reads the columns of sqlRead.
func scan(s *sqlite3.Stmt, v view) store.Record {
	r := store.Record{
		Header: fhir.Header{
			Key:         fhir.Key{Type: v.names[s.ColumnInt64(6)], ID: s.ColumnText(0)},
			Version:     s.ColumnInt64(1),
			LastUpdated: time.UnixMilli(s.ColumnInt64(2)).UTC(),
		},
		Method:  store.Method(s.ColumnInt(3)),
		Deleted: s.ColumnBool(4),
	}
	if !r.Deleted {
		r.Body = s.ColumnBlob(5, nil)
	}
	return r
}

// Read looks each key up.
func (db *DB) Read(ctx context.Context, keys ...fhir.Key) ([]store.Record, error) {
	records := make([]store.Record, len(keys))
	err := db.read(ctx, "sqlite.Read", func(c *conn) error {
		for i, key := range keys {
			err := c.each(sqlRead, []any{db.dict.exact(key.String())}, func(s *sqlite3.Stmt) bool {
				if r := scan(s, db.dict.view()); r.Key == key {
					records[i] = r
				}
				return false
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return records, err
}

// ReadVersion looks in the current versions, then in the history.
func (db *DB) ReadVersion(ctx context.Context, key fhir.Key, version int64) (found store.Record, err error) {
	err = db.read(ctx, "sqlite.ReadVersion", func(c *conn) error {
		take := func(s *sqlite3.Stmt) bool {
			if r := scan(s, db.dict.view()); r.Key == key && r.Version == version {
				found = r
			}
			return false
		}
		cell := db.dict.exact(key.String())
		if err := c.each(sqlRead, []any{cell}, take); err != nil || found.Exists() {
			return err
		}
		return c.each(sqlReadVersion, []any{cell, version}, take)
	})
	return found, err
}

// Search finds one page.
func (db *DB) Search(ctx context.Context, s store.Select) (page store.Page, err error) {
	after, err := parsePosition(s.After, len(s.Query.Sort))
	if err != nil {
		return store.Page{}, err
	}
	err = db.read(ctx, "sqlite.Search", func(c *conn) error {
		if err := c.run(sqlPin); err != nil {
			return err
		}
		f := newFinder(db, c, s.Query)
		hits, more := f.page(s.Limit, after)
		page.Records = make([]store.Record, len(hits))
		for i := range hits {
			page.Records[i] = hits[i].record
		}
		if more {
			page.Next = hits[len(hits)-1].position().bytes()
		}
		return f.err
	})
	return page, err
}

// sqlPin starts the snapshot of a transaction. The dictionary is looked at after
// it, so that it knows at least what the snapshot uses.
const sqlPin = "SELECT value FROM setting WHERE name = 'secret'"

// Count counts matches.
func (db *DB) Count(ctx context.Context, q *search.Query) (n int, err error) {
	err = db.read(ctx, "sqlite.Count", func(c *conn) error {
		if err := c.run(sqlPin); err != nil {
			return err
		}
		f := newFinder(db, c, q)
		n = f.count()
		return f.err
	})
	return n, err
}

// The statements of history: current and superseded versions, newest first.
const (
	historyColumns  = "id, version, updated, method, deleted, body, type, rid"
	sqlCurrentOf    = "SELECT " + historyColumns + " FROM resource WHERE type = ?1 AND updated >= ?2 AND updated < ?3 AND (updated, rid) <= (?4, ?5) ORDER BY updated DESC, rid DESC"
	sqlHistoryOf    = "SELECT " + historyColumns + " FROM history WHERE type = ?1 AND updated >= ?2 AND updated < ?3 AND (updated, rid, version) < (?4, ?5, ?6) ORDER BY updated DESC, rid DESC, version DESC"
	sqlCurrentOne   = "SELECT " + historyColumns + " FROM resource WHERE key = ?1 AND updated >= ?2 AND updated < ?3"
	sqlHistoryOne   = "SELECT " + historyColumns + " FROM history WHERE rid = (SELECT rid FROM resource WHERE key = ?1) AND updated >= ?2 AND updated < ?3 AND version < ?6 ORDER BY version DESC"
	sqlCountCurrent = "SELECT count(*) FROM resource WHERE type = ? AND updated >= ? AND updated < ?"
	sqlCountHistory = "SELECT count(*) FROM history WHERE type = ? AND updated >= ? AND updated < ?"
	sqlCountOne     = "SELECT count(*) FROM history WHERE rid = (SELECT rid FROM resource WHERE key = ?) AND updated >= ? AND updated < ?"
	sqlCountThis    = "SELECT count(*) FROM resource WHERE key = ? AND updated >= ? AND updated < ?"
)

// place is where a version stands in a history: greater is newer.
type place struct{ updated, rid, version int64 }

func (p place) before(o place) bool {
	switch {
	case p.updated != o.updated:
		return p.updated < o.updated
	case p.rid != o.rid:
		return p.rid < o.rid
	}
	return p.version < o.version
}

// History merges the current versions with the superseded ones, of each type.
func (db *DB) History(ctx context.Context, s store.HistorySelect) (page store.Page, err error) {
	after := place{math.MaxInt64, math.MaxInt64, math.MaxInt64}
	if s.After != nil {
		d := decoder{text: string(s.After)}
		after = place{d.int(), d.int(), d.int()}
		if d.bad || d.text != "" {
			return store.Page{}, fhir.E("sqlite.History", fhir.Value, "cursor", "not a cursor of this history")
		}
	}
	err = db.read(ctx, "sqlite.History", func(c *conn) error {
		if err := c.run(sqlPin); err != nil {
			return err
		}
		h := historian{c: c, view: db.dict.view(), since: s.Since.UnixMilli(), until: math.MaxInt64}
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
