package sqlite

import (
	"errors"
	"fmt"
	"math"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/ext/fts5"

	"galen/store/sqlite/index"
)

// conn is a connection with its prepared statements. It belongs to one goroutine
// at a time.
type conn struct {
	*sqlite3.Conn
	idle map[string][]*sqlite3.Stmt // by SQL; several, since searches nest
}

func openConn(path string) (*conn, error) {
	c, err := sqlite3.OpenFlags(path, sqlite3.OPEN_READWRITE|sqlite3.OPEN_CREATE)
	if err != nil {
		return nil, err
	}
	if err := fts5.Register(c); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &conn{c, map[string][]*sqlite3.Stmt{}}, nil
}

// Close finalizes the statements and closes the connection.
func (c *conn) Close() error {
	for _, list := range c.idle {
		for _, s := range list {
			s.Close()
		}
	}
	return c.Conn.Close()
}

// cursor is a running statement; stop puts it back.
type cursor struct {
	*sqlite3.Stmt
	c   *conn
	sql string
}

// query starts a statement.
func (c *conn) query(sql string, args ...any) (cursor, error) {
	var s *sqlite3.Stmt
	if list := c.idle[sql]; len(list) > 0 {
		s = list[len(list)-1]
		c.idle[sql] = list[:len(list)-1]
	} else {
		var err error
		if s, _, err = c.PrepareFlags(sql, sqlite3.PREPARE_PERSISTENT); err != nil {
			return cursor{}, err
		}
	}
	cur := cursor{s, c, sql}
	if err := cur.bind(args); err != nil {
		cur.stop()
		return cursor{}, err
	}
	return cur, nil
}

func (cur cursor) bind(args []any) (err error) {
	for i, arg := range args {
		switch arg := arg.(type) {
		case int64:
			err = cur.BindInt64(i+1, arg)
		case int:
			err = cur.BindInt64(i+1, int64(arg))
		case string:
			err = cur.BindText(i+1, arg)
		case []byte:
			if arg == nil {
				err = cur.BindNull(i + 1)
			} else {
				err = cur.BindBlob(i+1, arg)
			}
		case bool:
			err = cur.BindBool(i+1, arg)
		case index.Cell:
			err = bindCell(cur.Stmt, i+1, arg)
		default:
			err = fmt.Errorf("sqlite: cannot bind %T", arg)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stop ends the statement and returns the error that ended it early.
func (cur cursor) stop() error {
	err := cur.Err()
	if e := cur.Reset(); err == nil {
		err = e
	}
	cur.c.idle[cur.sql] = append(cur.c.idle[cur.sql], cur.Stmt)
	return err
}

// run executes a statement without arguments or rows.
func (c *conn) run(sql string) error { return c.each(sql, nil, nil) }

// each executes a statement and calls f for each row until it returns false.
func (c *conn) each(sql string, args []any, f func(*sqlite3.Stmt) bool) error {
	cur, err := c.query(sql, args...)
	if err != nil {
		return err
	}
	for cur.Step() && (f == nil || f(cur.Stmt)) {
	}
	return cur.stop()
}

// int is the first column of the first row, 0 without one.
func (c *conn) int(sql string, args ...any) (n int64, err error) {
	err = c.each(sql, args, func(s *sqlite3.Stmt) bool {
		n = s.ColumnInt64(0)
		return false
	})
	return n, err
}

// cellOf is a column of the current row.
func cellOf(s *sqlite3.Stmt, at int) index.Cell {
	switch s.ColumnType(at) {
	case sqlite3.INTEGER:
		return index.IntCell(s.ColumnInt64(at))
	case sqlite3.FLOAT:
		return index.RealCell(s.ColumnFloat(at))
	case sqlite3.BLOB:
		return index.Cell{Kind: index.Blob, Text: string(s.ColumnRawBlob(at))}
	}
	return index.TextCell(s.ColumnText(at))
}

func bindCell(s *sqlite3.Stmt, at int, c index.Cell) error {
	switch c.Kind {
	case index.Blob:
		return s.BindBlob(at, []byte(c.Text))
	case index.Int:
		return s.BindInt64(at, c.Num)
	case index.Real:
		return s.BindFloat(at, math.Float64frombits(uint64(c.Num)))
	}
	return s.BindText(at, c.Text)
}
