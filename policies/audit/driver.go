package audit

import (
	"context"

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
