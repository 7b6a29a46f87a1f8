package sqlite

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ncruces/go-sqlite3"

	"galen/fhir"
	"galen/store"
	"galen/store/sqlite/conn"
	"galen/store/sqlite/index"
)

// writer is the one goroutine that writes. It takes what waits into one
// transaction, so that a sync is shared, each commit in a savepoint, so that it
// fails alone; nobody is answered before the sync.
type writer struct {
	db      *DB
	c       *conn.Conn
	queue   chan *request
	done    chan error                 // the result of closing
	saved   struct{ names, slots int } // how much of the dictionary is on disk
	pages   int                        // in the WAL
	check   chan struct{}
	checked sync.WaitGroup
}

// request is one Commit on its way.
type request struct {
	ctx    context.Context
	writes []store.Write
	rows   [][]index.Row
	blobs  [][]byte
	result chan error
}

func newWriter(db *DB, c *conn.Conn) *writer {
	w := &writer{db: db, c: c, queue: make(chan *request, db.opts.GroupCommit), done: make(chan error, 1), check: make(chan struct{}, 1)}
	v := db.dict.View()
	w.saved.names, w.saved.slots = len(v.Names()), len(v.Slots())
	c.WALHook(func(_ *sqlite3.Conn, _ string, pages int) error {
		w.pages = pages
		return nil
	})
	w.checked.Add(1)
	go w.checkpoint()
	go w.run()
	return w
}

// Commit encodes here, in parallel, and waits for the writer.
func (db *DB) Commit(ctx context.Context, writes []store.Write) error {
	const op = "sqlite.Commit"
	leave, err := db.enter()
	if err != nil {
		return err
	}
	defer leave()
	r := &request{ctx: ctx, writes: writes, result: make(chan error, 1)}
	for _, w := range writes {
		db.dict.TypeID(w.Type)
		blob, rows := db.dict.Encode(w.Type, w.Entries)
		r.blobs, r.rows = append(r.blobs, blob), append(r.rows, rows)
	}
	select {
	case db.writer.queue <- r:
	case <-ctx.Done():
		return contextFailure(op, ctx)
	}
	return failure(op, <-r.result) // not cut short: the caller must learn whether it was written
}

func (w *writer) close() error {
	close(w.queue)
	return <-w.done
}

func (w *writer) run() {
	for r := range w.queue {
		group := append(make([]*request, 0, w.db.opts.GroupCommit), r)
		for len(group) < cap(group) {
			select {
			case next, ok := <-w.queue:
				if ok {
					group = append(group, next)
					continue
				}
			default:
			}
			break
		}
		w.commit(group)
		w.tend()
	}
	close(w.check)
	w.checked.Wait()
	_, _, err := w.c.WALCheckpoint("main", sqlite3.CHECKPOINT_TRUNCATE)
	w.done <- errors.Join(err, w.c.Close())
}

// tend starts a checkpoint in the background when the WAL is long, and makes one
// here, where it can start the WAL anew, when readers let it grow far beyond.
func (w *writer) tend() {
	limit := w.db.opts.Checkpoint
	switch {
	case w.pages > 4*limit:
		w.c.BusyTimeout(100 * time.Millisecond) // it waits for readers; if in vain it is tried again
		w.c.WALCheckpoint("main", sqlite3.CHECKPOINT_RESTART)
		w.c.BusyTimeout(busyTimeout)
	case w.pages > limit:
		select {
		case w.check <- struct{}{}:
		default:
		}
	}
}

// checkpoint copies the WAL into the file on a connection of its own, so that no
// commit waits for it.
func (w *writer) checkpoint() {
	defer w.checked.Done()
	c, err := w.db.connect(1 << 20)
	if err != nil {
		c = nil // the writer does it all then
	}
	for range w.check {
		if c != nil {
			c.WALCheckpoint("main", sqlite3.CHECKPOINT_PASSIVE)
		}
	}
	if c != nil {
		c.Close()
	}
}

// commit writes a group and answers each.
func (w *writer) commit(group []*request) {
	results := make([]error, len(group))
	err := w.transaction(group, results)
	for i, r := range group {
		if err != nil {
			results[i] = err
		}
		r.result <- results[i]
	}
}

// transaction returns an error if nothing of the group was written.
func (w *writer) transaction(group []*request, results []error) error {
	if err := w.c.Run("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	saved, err := w.save()
	for i := 0; i < len(group) && err == nil; i++ {
		results[i], err = w.savepoint(group[i], len(group) > 1)
	}
	if err == nil {
		err = w.c.Run("COMMIT")
	}
	if err != nil {
		w.c.Run("ROLLBACK")
		return err
	}
	saved()
	return nil
}

// savepoint applies one commit. The result is its own failure, err one that
// ends the transaction.
func (w *writer) savepoint(r *request, shared bool) (result, err error) {
	if r.ctx.Err() != nil {
		return contextFailure("sqlite.Commit", r.ctx), nil
	}
	if !shared {
		return nil, w.apply(r) // alone, its failure is the transaction's
	}
	if err := w.c.Run("SAVEPOINT one"); err != nil {
		return nil, err
	}
	if result = w.apply(r); result != nil {
		if err := w.c.Run("ROLLBACK TO one"); err != nil {
			return nil, err
		}
	}
	return result, w.c.Run("RELEASE one")
}

// stored is the current version of a key.
type stored struct {
	rid    int64 // 0 if there is none
	header fhir.Header
	blob   []byte
}

// apply checks every condition and then writes.
func (w *writer) apply(r *request) error {
	old := make([]stored, len(r.writes))
	for i := range r.writes {
		var err error
		if old[i], err = w.stored(r.writes[i].Key); err != nil {
			return err
		}
		if err := w.conditions(r, i, old[i]); err != nil {
			return err
		}
	}
	for i := range r.writes {
		var err error
		switch r.writes[i].Task {
		case store.Append:
			err = w.write(r, i, old[i])
		case store.Reindex:
			err = w.reindex(r, i, old[i])
		case store.Expunge:
			err = w.expunge(&r.writes[i], old[i])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) stored(key fhir.Key) (s stored, err error) {
	const sql = "SELECT rid, id, version, updated, entries, type FROM resource WHERE key = ?"
	err = w.c.Each(sql, []any{w.db.dict.Exact(key.String())}, func(row *sqlite3.Stmt) bool {
		s.rid = row.ColumnInt64(0)
		s.header = fhir.Header{
			Key:         fhir.Key{Type: w.db.dict.View().Names()[row.ColumnInt64(5)], ID: row.ColumnText(1)},
			Version:     row.ColumnInt64(2),
			LastUpdated: time.UnixMilli(row.ColumnInt64(3)).UTC(),
		}
		s.blob = row.ColumnBlob(4, nil)
		return false
	})
	if err == nil && s.rid != 0 && s.header.Key != key {
		err = errors.New("sqlite: two keys have one hash") // see dict.exact
	}
	return s, err
}

func (w *writer) conditions(r *request, i int, old stored) error {
	x := &r.writes[i]
	if old.header.Version != x.Expect {
		return &store.ConflictError{Index: i, Actual: old.header}
	}
	if x.Unless == nil {
		return nil
	}
	limited, cancel := context.WithTimeoutCause(r.ctx, w.db.opts.QueryTime, errTooCostly)
	defer cancel()
	w.c.SetInterrupt(limited)
	f := newFinder(w.db, w.c, x.Unless)
	hits, _ := f.page(2, nil)
	w.c.SetInterrupt(context.Background())
	if f.err != nil && limited.Err() != nil {
		return contextFailure("sqlite.Commit", limited)
	}
	if f.err != nil || len(hits) == 0 {
		return f.err
	}
	c := &store.ConflictError{Index: i, Unless: true}
	for _, h := range hits {
		c.Found = append(c.Found, h.record.Key)
	}
	return c
}

const (
	sqlInsert  = "INSERT INTO resource (key, type, id, version, updated, method, deleted, entries, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
	sqlArchive = "INSERT INTO history (rid, version, type, id, updated, method, deleted, body) SELECT rid, version, type, id, updated, method, deleted, body FROM resource WHERE rid = ?"
	sqlUpdate  = "UPDATE resource SET version = ?, updated = ?, method = ?, deleted = ?, entries = ?, body = ? WHERE rid = ?"
)

// write puts one version in the place of the old one and its rows in the place
// of the old rows.
func (w *writer) write(r *request, i int, old stored) error {
	x := &r.writes[i]
	blob := r.blobs[i]
	if blob == nil {
		blob = []byte{}
	}
	body := x.Body
	if x.Deleted {
		body = nil
	}
	if old.rid == 0 {
		args := []any{w.db.dict.Exact(x.Key.String()), w.db.dict.TypeID(x.Type), x.ID, x.Version, x.LastUpdated.UnixMilli(), int(x.Method), x.Deleted, blob, body}
		if err := w.c.Each(sqlInsert, args, nil); err != nil {
			return err
		}
		rid := w.c.LastInsertRowID()
		return errors.Join(w.rows(insertRow, r.rows[i], rid), w.words(nil, r.rows[i], rid))
	}
	if err := w.c.Each(sqlArchive, []any{old.rid}, nil); err != nil {
		return err
	}
	args := []any{x.Version, x.LastUpdated.UnixMilli(), int(x.Method), x.Deleted, blob, body, old.rid}
	if err := w.c.Each(sqlUpdate, args, nil); err != nil {
		return err
	}
	return w.exchange(x.Type, old, r.rows[i])
}

// exchange puts index rows in the place of the old ones.
func (w *writer) exchange(typ string, old stored, rows []index.Row) error {
	before, err := w.db.dict.DecodeRows(typ, old.blob)
	if err != nil {
		return err
	}
	gone, added := index.Except(before, rows), index.Except(rows, before)
	if err := w.rows(deleteRow, gone, old.rid); err != nil {
		return err
	}
	if err := w.rows(insertRow, added, old.rid); err != nil {
		return err
	}
	if len(wordsOf(gone)) == 0 && len(wordsOf(added)) == 0 {
		return nil
	}
	return w.words(before, rows, old.rid)
}

// The statements for the rows of each table.
var (
	insertRow = [...]string{
		index.ValueTable:    "INSERT INTO value VALUES (?, ?, ?)",
		index.SpanTable:     "INSERT INTO span VALUES (?, ?, ?, ?)",
		index.CodedTable:    "INSERT INTO coded VALUES (?, ?, ?, ?)",
		index.TimelineTable: "INSERT INTO timeline VALUES (?, ?, ?, ?, ?)",
	}
	deleteRow = [...]string{
		index.ValueTable:    "DELETE FROM value WHERE slot = ? AND a = ? AND rid = ?",
		index.SpanTable:     "DELETE FROM span WHERE slot = ? AND a = ? AND b = ? AND rid = ?",
		index.CodedTable:    "DELETE FROM coded WHERE slot = ? AND a = ? AND b = ? AND rid = ?",
		index.TimelineTable: "DELETE FROM timeline WHERE slot = ? AND a = ? AND b = ? AND c = ? AND rid = ?",
	}
)

func (w *writer) rows(statements [4]string, rows []index.Row, rid int64) error {
	for _, r := range rows {
		var args []any
		switch r.Table {
		case index.ValueTable:
			args = []any{r.Slot, r.A, rid}
		case index.SpanTable, index.CodedTable:
			args = []any{r.Slot, r.A, r.B, rid}
		case index.TimelineTable:
			args = []any{r.Slot, r.A, r.B, r.C, rid}
		case index.WordTable:
			continue // all of a resource are written together
		}
		if err := w.c.Each(statements[r.Table], args, nil); err != nil {
			return err
		}
	}
	return nil
}

// words puts the words of a version in the place of those before.
func (w *writer) words(before, after []index.Row, rid int64) error {
	if len(wordsOf(before)) > 0 {
		if err := w.c.Each("DELETE FROM words WHERE rowid = ?", []any{rid}, nil); err != nil {
			return err
		}
	}
	if text := wordsOf(after); len(text) > 0 {
		return w.c.Each("INSERT INTO words (rowid, w) VALUES (?, ?)", []any{rid, string(text)}, nil)
	}
	return nil
}

// wordsOf writes the words among rows as words has them.
func wordsOf(rows []index.Row) []byte {
	var text []byte
	for _, r := range rows {
		if r.Table == index.WordTable {
			text = append(append(text, index.Word(r.Slot, r.A.Text)...), ' ')
		}
	}
	return text
}
