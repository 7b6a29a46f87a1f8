// Package conn is a connection to SQLite with its prepared statements, which it
// keeps: most statements are run over and over. It knows no tables. Arguments are
// int64, int, string, []byte (nil is NULL), bool and index.Cell.
package conn

import (
	"bytes"
	"crypto/aes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"os"
	"slices"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/ext/fts5"
	"github.com/ncruces/go-sqlite3/vfs"
	sealing "github.com/ncruces/go-sqlite3/vfs/xts"
	"golang.org/x/crypto/xts"

	"galen/store/sqlite/index"
)

// Conn is a connection with its prepared statements. It belongs to one goroutine
// at a time.
type Conn struct {
	*sqlite3.Conn
	idle map[string][]*sqlite3.Stmt // by SQL; several, since searches nest
}

// Open opens a database file, and makes it if it is not there: with a key of 64
// bytes encrypted by AES-256-XTS, with none as it is. The key goes in by a PRAGMA:
// in the name of the file it would be found in errors.
func Open(path string, key []byte) (*Conn, error) {
	flags := sqlite3.OPEN_READWRITE | sqlite3.OPEN_CREATE
	if len(key) > 0 {
		vfs.Register(sealed, sealing.Wrap(vfs.Find(""), nil)) // again and again is the same
		path, flags = "file:"+(&url.URL{Path: path}).EscapedPath()+"?vfs="+sealed, flags|sqlite3.OPEN_URI
	}
	c, err := sqlite3.OpenFlags(path, flags)
	if err != nil {
		return nil, err
	}
	if len(key) > 0 {
		if err := c.Exec("PRAGMA hexkey = '" + hex.EncodeToString(key) + "'"); err != nil {
			return nil, errors.Join(errBadKey, c.Close()) // err could hold the statement
		}
	}
	if err := fts5.Register(c); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &Conn{c, map[string][]*sqlite3.Stmt{}}, nil
}

// sealed is the name of the encrypting file system.
const sealed = "galen-xts"

// sectorSize is what the encrypting file system encrypts at once.
const sectorSize = 512

// Fits reports whether a file is a database made with that key, nil for none, or
// is empty. It must be asked before Open: SQLite takes a WAL that it cannot read
// for the remains of another database and deletes it.
func Fits(path string, key []byte) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	head := make([]byte, sectorSize)
	n, err := io.ReadFull(f, head)
	if err = errors.Join(ignore(err, io.EOF, io.ErrUnexpectedEOF), f.Close()); err != nil || n == 0 {
		return err == nil, err
	}
	if len(key) > 0 {
		cipher, err := xts.NewCipher(aes.NewCipher, key)
		if err != nil || n < sectorSize {
			return false, nil
		}
		cipher.Decrypt(head, head, 0)
	}
	return bytes.HasPrefix(head, []byte("SQLite format 3\x00")), nil
}

func ignore(err error, some ...error) error {
	if slices.Contains(some, err) {
		return nil
	}
	return err
}

var errBadKey = errors.New("the key is not of 64 bytes")

// Close finalizes the statements and closes the connection.
func (c *Conn) Close() error {
	for _, list := range c.idle {
		for _, s := range list {
			s.Close()
		}
	}
	return c.Conn.Close()
}

// Cursor is a running statement; Stop puts it back.
type Cursor struct {
	*sqlite3.Stmt
	c   *Conn
	sql string
}

// Query starts a statement.
func (c *Conn) Query(sql string, args ...any) (Cursor, error) {
	var s *sqlite3.Stmt
	if list := c.idle[sql]; len(list) > 0 {
		s = list[len(list)-1]
		c.idle[sql] = list[:len(list)-1]
	} else {
		var err error
		if s, _, err = c.PrepareFlags(sql, sqlite3.PREPARE_PERSISTENT); err != nil {
			return Cursor{}, err
		}
	}
	cur := Cursor{s, c, sql}
	if err := cur.bind(args); err != nil {
		cur.Stop()
		return Cursor{}, err
	}
	return cur, nil
}

func (cur Cursor) bind(args []any) (err error) {
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

// Stop ends the statement and returns the error that ended it early.
func (cur Cursor) Stop() error {
	err := cur.Err()
	if e := cur.Reset(); err == nil {
		err = e
	}
	cur.c.idle[cur.sql] = append(cur.c.idle[cur.sql], cur.Stmt)
	return err
}

// Run executes a statement without arguments or rows.
func (c *Conn) Run(sql string) error { return c.Each(sql, nil, nil) }

// Each executes a statement and calls f for each row until it returns false.
func (c *Conn) Each(sql string, args []any, f func(*sqlite3.Stmt) bool) error {
	cur, err := c.Query(sql, args...)
	if err != nil {
		return err
	}
	for cur.Step() && (f == nil || f(cur.Stmt)) {
	}
	return cur.Stop()
}

// Int is the first column of the first row, 0 without one.
func (c *Conn) Int(sql string, args ...any) (n int64, err error) {
	err = c.Each(sql, args, func(s *sqlite3.Stmt) bool {
		n = s.ColumnInt64(0)
		return false
	})
	return n, err
}

// Cell is a column of the current row.
func Cell(s *sqlite3.Stmt, at int) index.Cell {
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
