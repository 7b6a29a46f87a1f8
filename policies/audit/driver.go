package audit

import (
	"context"
	"errors"

	"galen/fhir"
	"galen/fhir/search"
	"galen/store"
)

// Caps are those of the store below.
func (x *Index) Caps() store.Caps { return x.driver.Caps() }

// Commit refuses with Kind Internal: AuditEvents come from the log alone.
func (x *Index) Commit(context.Context, []store.Write) error { return errReadOnly() }

func errReadOnly() error {
	return fhir.E("audit.Commit", fhir.Internal, "", "AuditEvents come from the audit log alone")
}

// Read reads as store.Driver says, what is durable in the log included.
func (x *Index) Read(ctx context.Context, keys ...fhir.Key) ([]store.Record, error) {
	if err := x.CatchUp(ctx); err != nil {
		return nil, err
	}
	return x.driver.Read(ctx, keys...)
}

// ReadVersion reads as store.Driver says, what is durable in the log included.
func (x *Index) ReadVersion(ctx context.Context, key fhir.Key, version int64) (store.Record, error) {
	if err := x.CatchUp(ctx); err != nil {
		return store.Record{}, err
	}
	return x.driver.ReadVersion(ctx, key, version)
}

// Search searches as store.Driver says, what is durable in the log included. A
// later page does not look for news: it goes on from where the one before ended.
func (x *Index) Search(ctx context.Context, s store.Select) (store.Page, error) {
	if s.After == nil {
		if err := x.CatchUp(ctx); err != nil {
			return store.Page{}, err
		}
	}
	return x.driver.Search(ctx, s)
}

// Count counts as store.Driver says, what is durable in the log included.
func (x *Index) Count(ctx context.Context, q *search.Query) (int, error) {
	if err := x.CatchUp(ctx); err != nil {
		return 0, err
	}
	return x.driver.Count(ctx, q)
}

// History lists as store.Driver says, what is durable in the log included.
func (x *Index) History(ctx context.Context, h store.HistorySelect) (store.Page, error) {
	if h.After == nil {
		if err := x.CatchUp(ctx); err != nil {
			return store.Page{}, err
		}
	}
	return x.driver.History(ctx, h)
}

// Close closes the store below, not the log.
func (x *Index) Close() error { return x.driver.Close() }

// Mounted is a store in which AuditEvents come from an Index and everything else
// from a driver of its own. What names no type, or AuditEvent among others, sees
// only that other driver: AuditEvents answer to those who ask for them. A chain
// from an AuditEvent into another resource finds nothing.
type Mounted struct {
	store.Driver // everything else
	events       *Index
}

var _ store.Driver = (*Mounted)(nil)

// Mount joins a driver and an index.
func Mount(data store.Driver, events *Index) *Mounted { return &Mounted{data, events} }

// of chooses by the types that are asked for.
func (m *Mounted) of(types ...string) store.Driver {
	if len(types) == 1 && types[0] == auditType {
		return m.events
	}
	return m.Driver
}

// Commit refuses AuditEvents with Kind Internal.
func (m *Mounted) Commit(ctx context.Context, writes []store.Write) error {
	for _, w := range writes {
		if w.Type == auditType {
			return errReadOnly()
		}
	}
	return m.Driver.Commit(ctx, writes)
}

// Read reads keys of both sides in their order.
func (m *Mounted) Read(ctx context.Context, keys ...fhir.Key) ([]store.Record, error) {
	var sides [2][]fhir.Key
	for _, k := range keys {
		sides[side(k)] = append(sides[side(k)], k)
	}
	var found [2][]store.Record
	for i, d := range []store.Driver{m.Driver, m.events} {
		if len(sides[i]) == 0 {
			continue
		}
		records, err := d.Read(ctx, sides[i]...)
		if err != nil {
			return nil, err
		}
		found[i] = records
	}
	all := make([]store.Record, len(keys))
	for i, k := range keys {
		at := side(k)
		all[i], found[at] = found[at][0], found[at][1:]
	}
	return all, nil
}

func side(k fhir.Key) int {
	if k.Type == auditType {
		return 1
	}
	return 0
}

// ReadVersion reads from the side of the key.
func (m *Mounted) ReadVersion(ctx context.Context, key fhir.Key, version int64) (store.Record, error) {
	return m.of(key.Type).ReadVersion(ctx, key, version)
}

// Search searches the side of the query's type.
func (m *Mounted) Search(ctx context.Context, s store.Select) (store.Page, error) {
	return m.of(s.Query.Types...).Search(ctx, s)
}

// Count counts on the side of the query's type.
func (m *Mounted) Count(ctx context.Context, q *search.Query) (int, error) {
	return m.of(q.Types...).Count(ctx, q)
}

// History lists versions of the side of the type.
func (m *Mounted) History(ctx context.Context, h store.HistorySelect) (store.Page, error) {
	return m.of(h.Type).History(ctx, h)
}

// Close closes both.
func (m *Mounted) Close() error { return errors.Join(m.Driver.Close(), m.events.Close()) }
