package store

import (
	"context"
	"errors"

	"galen/fhir"
	"galen/fhir/search"
)

// Keys returns the keys of up to limit matches after a place, the zero place for
// the first, and the next place, nil after the last: a walk over a large store.
// Error kinds as Search.
func (s *Store) Keys(ctx context.Context, q *search.Query, limit int, after []byte) (keys []fhir.Key, next []byte, err error) {
	page, err := s.driver.Search(ctx, Select{Query: q, Limit: limit, After: after})
	if err != nil {
		return nil, nil, err
	}
	for _, r := range page.Records {
		keys = append(keys, r.Key)
	}
	return keys, page.Next, nil
}

// Count counts what matches. Error kinds as Search.
func (s *Store) Count(ctx context.Context, q *search.Query) (int, error) {
	return s.driver.Count(ctx, q)
}

// Reindexed is what became of one resource that was to be indexed again.
type Reindexed struct {
	fhir.Key
	Err error // why it keeps the entries that it had: what the Indexer said of it; nil if it was indexed or is gone
}

// Reindex indexes the current version of each resource again, without making a
// version; the keys are distinct. Writers of the same resources wait. An error
// means that the fate of all of them is open; kinds as Commit.
func (s *Store) Reindex(ctx context.Context, keys ...fhir.Key) ([]Reindexed, error) {
	unlock, err := s.locks.lock(ctx, keys)
	if err != nil {
		return nil, err
	}
	defer unlock()
	for range attempts {
		var done []Reindexed
		done, err = s.reindex(ctx, keys)
		var conflict *ConflictError
		if !errors.As(err, &conflict) {
			return done, err
		}
	}
	return nil, &fhir.Error{Op: "store.Reindex", Kind: fhir.Conflict, Err: err}
}

func (s *Store) reindex(ctx context.Context, keys []fhir.Key) ([]Reindexed, error) {
	records, err := s.ReadMany(ctx, keys...)
	if err != nil {
		return nil, err
	}
	done := make([]Reindexed, len(keys))
	writes := make([]Write, 0, len(keys))
	for i, r := range records {
		done[i].Key = keys[i]
		if !r.Exists() || r.Deleted {
			continue
		}
		w := Write{Record: r, Task: Reindex, Expect: r.Version}
		resource, err := fhir.Parse(r.Body, s.opts.Limits)
		if err == nil {
			w.Entries, err = s.opts.Indexer.Index(resource)
		}
		if done[i].Err = err; err == nil {
			writes = append(writes, w)
		}
	}
	return done, s.upkeep(ctx, writes)
}

// upkeep commits writes in one go where the driver can, else one by one.
func (s *Store) upkeep(ctx context.Context, writes []Write) error {
	if len(writes) == 0 {
		return nil
	}
	if s.driver.Caps().Transactions {
		return s.driver.Commit(ctx, writes)
	}
	for i := range writes {
		if err := s.driver.Commit(ctx, writes[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

// ExpungeInput says what to remove of one resource, for ever.
type ExpungeInput struct {
	fhir.Key
	Version  int64 // this superseded version alone; 0 for what the others say
	Previous bool  // every superseded version
	Deleted  bool  // the whole resource, if it is deleted
	Most     int   // versions at most, at least 1; a deleted resource counts all of its own
}

// Expunge removes versions as if they had never been and tells how many: no
// history shows them again. Of a whole resource only a deleted one can go; its id
// may be used anew, from version 1. With more versions than Most it removes the
// oldest, and a deleted resource not as a whole yet. An error is of Kind NotFound
// (no such resource or version), Conflict (Version is the current one), or as
// Commit.
func (s *Store) Expunge(ctx context.Context, in ExpungeInput) (removed int, err error) {
	unlock, err := s.locks.lock(ctx, []fhir.Key{in.Key})
	if err != nil {
		return 0, err
	}
	defer unlock()
	for range attempts {
		removed, err = s.expunge(ctx, in)
		var conflict *ConflictError
		if !errors.As(err, &conflict) {
			return removed, err
		}
	}
	return 0, &fhir.Error{Op: "store.Expunge", Kind: fhir.Conflict, Err: err}
}

func (s *Store) expunge(ctx context.Context, in ExpungeInput) (int, error) {
	const op = "store.Expunge"
	records, err := s.driver.Read(ctx, in.Key)
	if err != nil {
		return 0, err
	}
	current := records[0]
	if !current.Exists() {
		return 0, fhir.E(op, fhir.NotFound, in.Type, "no such resource")
	}
	w := Write{Record: current, Task: Expunge, Expect: current.Version}
	if in.Version != 0 {
		if in.Version == current.Version {
			return 0, fhir.E(op, fhir.Conflict, in.Type, "the current version cannot be expunged alone; delete the resource first")
		}
		r, err := s.driver.ReadVersion(ctx, in.Key, in.Version)
		if err != nil {
			return 0, err
		}
		if !r.Exists() {
			return 0, fhir.E(op, fhir.NotFound, in.Type, "no such version")
		}
		w.From, w.Through = in.Version, in.Version
		return 1, s.driver.Commit(ctx, []Write{w})
	}
	page, err := s.driver.History(ctx, HistorySelect{Type: in.Type, ID: in.ID, Oldest: true, Limit: max(in.Most, 1), Total: true})
	if err != nil {
		return 0, err
	}
	old := page.Records // the current one is the newest, so last if it is there
	if page.Next == nil && !(in.Deleted && current.Deleted) {
		old = old[:len(old)-1]
	}
	if len(old) == 0 || !in.Previous && !(in.Deleted && current.Deleted) {
		return 0, nil
	}
	w.Through = old[len(old)-1].Version
	return len(old), s.driver.Commit(ctx, []Write{w})
}
