package audit

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"galen/fhir"
	"galen/store"
)

// Renderer shows an entry as AuditEvents, stamped as version 1, whose ids are
// EventID or begin with it and a hyphen, but for one that was Received under an
// id of its own. Equal entries give equal ones. balp.Renderer is one.
type Renderer interface {
	Render(Entry) ([]fhir.Resource, error)
}

// Index answers for AuditEvents out of a store that follows the log. It is a
// store.Driver that nobody can write to: before it answers, it takes over every
// entry that was durable when it was asked. The store holds nothing that the log
// does not; delete it, and the next question fills it again. It is safe for
// concurrent use.
type Index struct {
	log    *Log
	driver store.Driver
	index  store.Indexer
	render Renderer

	turn chan struct{} // held by the one who catches up
	next atomic.Uint64 // the first entry that the store does not have; 0 while unknown
}

var _ store.Driver = (*Index)(nil)

// batchEvents is how many AuditEvents are committed at once.
const batchEvents = 500

// NewIndex joins a log and a store that is used for nothing else. It reads
// neither until it is asked.
func NewIndex(log *Log, driver store.Driver, index store.Indexer, render Renderer) *Index {
	return &Index{log: log, driver: driver, index: index, render: render, turn: make(chan struct{}, 1)}
}

// CatchUp takes over every entry that is durable now. Work that is stopped by
// ctx or an error is kept and goes on at the next call.
func (x *Index) CatchUp(ctx context.Context) error {
	end := x.log.Head().Seq
	if n := x.next.Load(); n != 0 && n > end {
		return nil
	}
	select {
	case x.turn <- struct{}{}:
		defer func() { <-x.turn }()
	case <-ctx.Done():
		return &fhir.Error{Op: "audit.CatchUp", Kind: fhir.Timeout, Err: ctx.Err()}
	}
	if x.next.Load() == 0 {
		if err := x.resume(ctx); err != nil {
			return err
		}
	}
	for x.next.Load() <= end {
		if err := x.step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// resume finds where the store stands. The newest version by time has the
// greatest number, or one near it among those of the same millisecond; what is
// tried twice is found by its conflict.
func (x *Index) resume(ctx context.Context) error {
	page, err := x.driver.History(ctx, store.HistorySelect{Type: auditType, Limit: 64})
	if err != nil {
		return err
	}
	last := uint64(0)
	for _, r := range page.Records {
		last = max(last, seqOf(r.ID))
	}
	if last > x.log.Head().Seq {
		return fhir.E("audit.CatchUp", fhir.Internal, "", "the index is of another log: delete it, it is made anew")
	}
	// The events of one entry are committed together where the driver can; where
	// it cannot, the last entry may lack some and is taken again.
	x.next.Store(max(last, 1))
	return nil
}

const auditType = "AuditEvent"

// EventID is the id of the AuditEvent that shows an entry: "a12".
func EventID(seq uint64) string { return "a" + strconv.FormatUint(seq, 10) }

// seqOf is the number of the entry that an AuditEvent's id names, 0 if none.
func seqOf(id string) uint64 {
	digits, ok := strings.CutPrefix(id, "a")
	if !ok {
		return 0
	}
	digits, _, _ = strings.Cut(digits, "-")
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// step takes over one batch of whole entries.
func (x *Index) step(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return &fhir.Error{Op: "audit.CatchUp", Kind: fhir.Timeout, Err: err}
	}
	var writes []store.Write
	next := x.next.Load()
	for e, err := range x.log.Read(next) {
		if err != nil {
			return err
		}
		of, err := x.writes(e)
		if err != nil {
			return err
		}
		writes = append(writes, of...)
		next = e.Seq + 1
		if len(writes) >= batchEvents {
			break
		}
	}
	if len(writes) == 0 {
		return fhir.E("audit.CatchUp", fhir.Internal, "", "the log ends before its head")
	}
	if err := x.commit(ctx, writes); err != nil {
		return err
	}
	x.next.Store(next)
	return nil
}

// writes are the AuditEvents of an entry as the store keeps them.
func (x *Index) writes(e Entry) ([]store.Write, error) {
	events, err := x.render.Render(e)
	if err != nil {
		return nil, err
	}
	list := make([]store.Write, len(events))
	for i, r := range events {
		entries, err := x.index.Index(r)
		if err != nil {
			return nil, err
		}
		r.LastUpdated = e.Time.Truncate(time.Millisecond)
		list[i] = store.Write{Record: store.Record{Header: r.Header, Body: r.Bytes(), Method: store.Post}, Entries: entries}
	}
	return list, nil
}

// commit writes what is not there yet.
func (x *Index) commit(ctx context.Context, writes []store.Write) error {
	parts := [][]store.Write{writes}
	if !x.driver.Caps().Transactions {
		parts = parts[:0]
		for i := range writes {
			parts = append(parts, writes[i:i+1])
		}
	}
	for _, part := range parts {
		err := x.driver.Commit(ctx, part)
		var conflict *store.ConflictError
		if errors.As(err, &conflict) {
			err = x.commitMissing(ctx, part)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (x *Index) commitMissing(ctx context.Context, writes []store.Write) error {
	keys := make([]fhir.Key, len(writes))
	for i, w := range writes {
		keys[i] = w.Key
	}
	there, err := x.driver.Read(ctx, keys...)
	if err != nil {
		return err
	}
	var missing []store.Write
	for i, r := range there {
		if !r.Exists() {
			missing = append(missing, writes[i])
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return x.driver.Commit(ctx, missing)
}

// Run catches up in the background until ctx ends: at a tick after which nothing
// was appended since the one before, or when more than maxLag entries wait. An
// error is handed to report and the next tick tries again.
func (x *Index) Run(ctx context.Context, ticks <-chan time.Time, report func(error)) {
	const maxLag = 20_000
	seen := uint64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks:
		}
		end := x.log.Head().Seq
		idle, lag := end == seen, int64(end)-int64(x.next.Load())
		seen = end
		if !idle && lag < maxLag {
			continue
		}
		if err := x.CatchUp(ctx); err != nil && ctx.Err() == nil {
			report(err)
		}
	}
}
