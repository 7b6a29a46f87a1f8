// Package sqlite is the embedded store.Driver: one SQLite file in a directory,
// by github.com/ncruces/go-sqlite3 (pure Go).
//
// Promises: a Commit that returned is on disk (WAL, synchronous=FULL) and whole;
// one goroutine writes and puts waiting commits into one transaction, each still
// failing alone; readers run in parallel, each page from one snapshot; answers
// are exactly those of search.Find, because every hit is held against the
// query's meaning, whatever the index said.
//
// The index has a row per distinct value, however many parameters share it, in
// the clustered tables that package index describes; a resource's entries are kept
// beside it in a compact form for that check, for sorting and for
// taking its rows out again. Plans are made in Go (package plan): SQL statements are
// few, fixed and walk one index each.
package sqlite

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ncruces/go-sqlite3"

	"galen/fhir"
	"galen/store"
	"galen/store/sqlite/conn"
	"galen/store/sqlite/index"
)

// Options are where and how a DB works. Dir is required.
type Options struct {
	Dir    string    // the data directory; made if absent, readable by its owner only
	Random io.Reader // for the secret of a new store's hashes; crypto/rand if nil

	// Key encrypts the database and its WAL (AES-256-XTS, 64 bytes); nil does not.
	// It keeps them from being read, not from being changed or put back. A store
	// opens only with the key that it was made with.
	Key []byte

	Readers     int           // parallel readers; 0 means 8, which is also the most
	CacheBytes  int           // page cache of one reader; 0 means 12 MiB; the writer has twice it
	QueryTime   time.Duration // the longest a search may run; 0 means 30 s
	Unsynced    bool          // synchronous=NORMAL: a power cut may lose the last commits, a crash not
	Checkpoint  int           // WAL pages that start a checkpoint; 0 means 16,000
	MaxSetSize  int           // resources a chain may go through; 0 means 1,000,000
	GroupCommit int           // commits per transaction at most; 0 means 64
	FirstLook   int           // row ids asked of each condition to see if it is selective; 0 means 128
	SecondLook  int           // and if none is; 0 means 4096
	Qualifiers  int           // systems, units and the like of one parameter that get an index region of their own; 0 means what suits each
}

func (o *Options) defaults() {
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Readers <= 0 || o.Readers > 8 {
		o.Readers = 8 // more gain nothing (spec/performance.md)
	}
	if o.CacheBytes <= 0 {
		o.CacheBytes = 12 << 20
	}
	o.CacheBytes = min(o.CacheBytes, 32<<20) // 64 MB for the writer; 256 MB made the engine panic
	if o.QueryTime <= 0 {
		o.QueryTime = 30 * time.Second
	}
	if o.Checkpoint <= 0 {
		o.Checkpoint = 16_000
	}
	if o.MaxSetSize <= 0 {
		o.MaxSetSize = 1_000_000
	}
	if o.FirstLook <= 0 {
		o.FirstLook = 128
	}
	if o.SecondLook <= 0 {
		o.SecondLook = 4096
	}
	if o.GroupCommit <= 0 {
		o.GroupCommit = 64
	}
}

// File is the name of the database in Options.Dir.
const File = "galen.sqlite"

const lockFile = "galen.lock"

// DB is the driver. Make it with Open; it is safe for concurrent use.
type DB struct {
	opts    Options
	path    string
	lock    *conn.Conn // keeps other processes out
	dict    *index.Dict
	readers chan *conn.Conn // idle ones; nil stands for one not opened yet
	writer  *writer
	running sync.WaitGroup
	mu      sync.RWMutex
	closed  bool
}

var _ store.Driver = (*DB)(nil)

// Open opens or makes the store in a directory. The error is of Kind Unavailable
// if another process has it open or a newer Galen wrote it.
func Open(o Options) (*DB, error) {
	const op = "sqlite.Open"
	o.defaults()
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, &fhir.Error{Op: op, Kind: fhir.Unavailable, Err: err}
	}
	db := &DB{opts: o, path: filepath.Join(o.Dir, File), readers: make(chan *conn.Conn, o.Readers)}
	f, err := os.OpenFile(db.path, os.O_RDWR|os.O_CREATE, 0o600) // SQLite's own files take the mode of this one
	if err != nil {
		return nil, &fhir.Error{Op: op, Kind: fhir.Unavailable, Err: err}
	}
	f.Close()
	if db.lock, err = lock(filepath.Join(o.Dir, lockFile)); err != nil {
		return nil, &fhir.Error{Op: op, Kind: fhir.Unavailable, Err: err}
	}
	if fits, err := conn.Fits(db.path, o.Key); err != nil || !fits {
		db.lock.Close()
		return nil, failure(op, cmp.Or(err, error(errOtherKey)))
	}
	c, err := db.connect(2 * o.CacheBytes)
	if err == nil {
		if db.dict, err = prepare(c, o.Random, o.Qualifiers); err != nil {
			c.Close()
		}
	}
	if err != nil {
		db.lock.Close()
		return nil, failure(op, err)
	}
	for range o.Readers {
		db.readers <- nil
	}
	db.writer = newWriter(db, c)
	return db, nil
}

// lock takes the directory for this process: the dictionary in memory must be
// the only one. An open transaction of SQLite is a lock that every system has
// and that ends with the process.
func lock(path string) (*conn.Conn, error) {
	c, err := conn.Open(path, nil) // it stays empty
	if err != nil {
		return nil, err
	}
	if err := c.Exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE"); err != nil {
		c.Close()
		return nil, fmt.Errorf("another process has the store open: %w", err)
	}
	return c, nil
}

// Caps tells that it can do everything.
func (db *DB) Caps() store.Caps { return store.Caps{Transactions: true, Snapshot: true} }

// Close waits for running calls, moves the WAL into the file and closes it.
// Later calls fail with Kind Unavailable.
func (db *DB) Close() error {
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return nil
	}
	db.closed = true
	db.mu.Unlock()
	db.running.Wait()
	for range db.opts.Readers {
		if c := <-db.readers; c != nil {
			c.Close()
		}
	}
	return failure("sqlite.Close", errors.Join(db.writer.close(), db.lock.Close()))
}

// enter keeps the DB open until the returned function is called.
func (db *DB) enter() (leave func(), err error) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.closed {
		return nil, fhir.E("sqlite", fhir.Unavailable, "", "the store is closed")
	}
	db.running.Add(1)
	return db.running.Done, nil
}

// read runs f on a reader connection inside one snapshot.
func (db *DB) read(ctx context.Context, op string, f func(*conn.Conn) error) error {
	leave, err := db.enter()
	if err != nil {
		return err
	}
	defer leave()
	limited, cancel := context.WithTimeoutCause(ctx, db.opts.QueryTime, errTooCostly)
	defer cancel()
	var c *conn.Conn
	select {
	case c = <-db.readers:
	case <-limited.Done():
		return contextFailure(op, limited)
	}
	defer func() { db.readers <- c }()
	if c == nil {
		if c, err = db.connect(db.opts.CacheBytes); err != nil {
			c = nil
			return failure(op, err)
		}
	}
	c.SetInterrupt(limited)
	defer c.SetInterrupt(context.Background())
	if err = c.Run("BEGIN"); err == nil {
		err = f(c)
		c.SetInterrupt(context.Background())
		err = errors.Join(err, c.Run("COMMIT"))
	}
	if err != nil && limited.Err() != nil {
		return contextFailure(op, limited)
	}
	return failure(op, err)
}

var errTooCostly = errors.New("the search takes longer than the limit")

func contextFailure(op string, ctx context.Context) error {
	err := context.Cause(ctx)
	if errors.Is(err, errTooCostly) {
		return &fhir.Error{Op: op, Kind: fhir.TooCostly, Err: err}
	}
	return &fhir.Error{Op: op, Kind: fhir.Timeout, Err: err}
}

var errOtherKey = fhir.E("sqlite.Open", fhir.Unavailable, "", "the store cannot be read: it was made with another key, with none, or is no store")

// failure turns an error into what a Driver may return.
func failure(op string, err error) error {
	var known *fhir.Error
	var conflict *store.ConflictError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &conflict):
		return conflict
	case errors.As(err, &known):
		return known
	case errors.Is(err, sqlite3.NOTADB):
		return errOtherKey
	case errors.Is(err, sqlite3.BUSY), errors.Is(err, sqlite3.FULL), errors.Is(err, sqlite3.CANTOPEN), errors.Is(err, sqlite3.READONLY):
		return &fhir.Error{Op: op, Kind: fhir.Unavailable, Err: err}
	}
	return &fhir.Error{Op: op, Kind: fhir.Internal, Err: err}
}
