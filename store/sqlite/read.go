package sqlite

import (
	"context"
	"time"

	"github.com/ncruces/go-sqlite3"

	"galen/fhir"
	"galen/fhir/search"
	"galen/store"
	"galen/store/sqlite/conn"
	"galen/store/sqlite/index"
	"galen/store/sqlite/plan"
)

const (
	sqlRead        = "SELECT id, version, updated, method, deleted, body, type FROM resource WHERE key = ?"
	sqlReadVersion = "SELECT id, version, updated, method, deleted, body, type FROM history WHERE rid = (SELECT rid FROM resource WHERE key = ?) AND version = ?"
)

// scan reads the columns of sqlRead.
func scan(s *sqlite3.Stmt, v index.View) store.Record {
	r := store.Record{
		Header: fhir.Header{
			Key:         fhir.Key{Type: v.Names()[s.ColumnInt64(6)], ID: s.ColumnText(0)},
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
	err := db.read(ctx, "sqlite.Read", func(c *conn.Conn) error {
		for i, key := range keys {
			err := c.Each(sqlRead, []any{db.dict.Exact(key.String())}, func(s *sqlite3.Stmt) bool {
				if r := scan(s, db.dict.View()); r.Key == key {
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
	err = db.read(ctx, "sqlite.ReadVersion", func(c *conn.Conn) error {
		take := func(s *sqlite3.Stmt) bool {
			if r := scan(s, db.dict.View()); r.Key == key && r.Version == version {
				found = r
			}
			return false
		}
		cell := db.dict.Exact(key.String())
		if err := c.Each(sqlRead, []any{cell}, take); err != nil || found.Exists() {
			return err
		}
		return c.Each(sqlReadVersion, []any{cell, version}, take)
	})
	return found, err
}

// Search finds one page.
func (db *DB) Search(ctx context.Context, s store.Select) (page store.Page, err error) {
	after, err := plan.ParsePosition(s.After, len(s.Query.Sort))
	if err != nil {
		return store.Page{}, err
	}
	err = db.read(ctx, "sqlite.Search", func(c *conn.Conn) error {
		if err := c.Run(sqlPin); err != nil {
			return err
		}
		f := newFinder(db, c, s.Query)
		hits, more := f.page(s.Limit, after)
		page.Records = make([]store.Record, len(hits))
		for i := range hits {
			page.Records[i] = hits[i].record
		}
		if more {
			page.Next = hits[len(hits)-1].position().Bytes()
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
	err = db.read(ctx, "sqlite.Count", func(c *conn.Conn) error {
		if err := c.Run(sqlPin); err != nil {
			return err
		}
		f := newFinder(db, c, q)
		n = f.count()
		return f.err
	})
	return n, err
}
