package store

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/search"
)

// Change is one write asked for.
type Change struct {
	Method Method   // Post creates; Put and Patch create or update; Delete deletes
	Key    fhir.Key // what is written; a Post without ID gets a new one
	// Resource is the new content, of Key's type; none for Delete. Its id and
	// meta.versionId and meta.lastUpdated are replaced.
	Resource fhir.Resource
	// IfMatch is the version that must be current, 0 for no condition, or Exists
	// or Absent. A version and Exists never create.
	IfMatch int64
	// IfNoneExist must match nothing, else a Post does nothing.
	IfNoneExist *search.Query
}

// Conditions of Change.IfMatch that are no version number.
const (
	Exists int64 = -1 // in any version (If-Match: *)
	Absent int64 = -2 // never created, or deleted (If-None-Match: *)
)

// Outcome is what a Change did.
type Outcome uint8

// The outcomes.
const (
	Created   Outcome = iota + 1 // a new resource, or one back after deletion
	Updated                      // a new version
	Unchanged                    // the content was the same, or there was nothing to delete
	Removed                      // a tombstone
	Matched                      // IfNoneExist found the one resource in Record
)

// Result is what became of a Change.
type Result struct {
	// Record is current now: the new version, the unchanged or matched one, the
	// tombstone; zero for the deletion of what never existed.
	Record
	Outcome Outcome
	// Before was current until then, tombstones included; zero for a key never
	// used and for Matched.
	Before Record
}

// CreateOptions refine Create.
type CreateOptions struct {
	ID          string        // "" for a new one
	IfNoneExist *search.Query // nil for none
}

// Create stores a new resource (https://hl7.org/fhir/R4/http.html#create and
// #ccreate). Error kinds as Commit.
func (s *Store) Create(ctx context.Context, r fhir.Resource, o CreateOptions) (Result, error) {
	return s.one(ctx, Change{Method: Post, Key: fhir.Key{Type: r.Type, ID: o.ID}, Resource: r, IfNoneExist: o.IfNoneExist})
}

// UpdateOptions refine Update.
type UpdateOptions struct {
	IfMatch int64  // the version that must be current, 0 for any
	Method  Method // Put unless it is Patch
}

// Update stores the content of r under r's own key
// (https://hl7.org/fhir/R4/http.html#update), creating it if it is not there.
// Error kinds as Commit.
func (s *Store) Update(ctx context.Context, r fhir.Resource, o UpdateOptions) (Result, error) {
	if o.Method != Patch {
		o.Method = Put
	}
	return s.one(ctx, Change{Method: o.Method, Key: r.Key, Resource: r, IfMatch: o.IfMatch})
}

// DeleteOptions refine Delete.
type DeleteOptions struct {
	IfMatch int64 // the version that must be current, 0 for any
}

// Delete makes a tombstone unless there is one, or nothing to delete
// (https://hl7.org/fhir/R4/http.html#delete). Error kinds as Commit.
func (s *Store) Delete(ctx context.Context, key fhir.Key, o DeleteOptions) (Result, error) {
	return s.one(ctx, Change{Method: Delete, Key: key, IfMatch: o.IfMatch})
}

func (s *Store) one(ctx context.Context, c Change) (Result, error) {
	results, err := s.Commit(ctx, []Change{c})
	if err != nil {
		return Result{}, err
	}
	return results[0], nil
}

// attempts bounds the retries after conflicts. Writers of one process queue by
// key, so only other processes can bring a conflict.
const attempts = 20

// Commit applies all changes or none and answers in their order, when they are
// durable (https://hl7.org/fhir/R4/http.html#transaction). The error names the
// change ("entry[3]", counted from 0) and is of Kind Precondition (IfMatch),
// MultipleMatch (IfNoneExist matched more than one), Conflict (a Post to an id in
// use; writers elsewhere won every time; or, among several changes, IfNoneExist
// matched one resource: *ConflictError in the chain tells which), Invalid (the
// same key twice), NotSupported (several changes without Caps.Transactions), or
// the Indexer's.
func (s *Store) Commit(ctx context.Context, changes []Change) ([]Result, error) {
	if len(changes) > 1 && !s.driver.Caps().Transactions {
		return nil, fhir.E("store.Commit", fhir.NotSupported, "", "the database offers no transactions over several resources")
	}
	return s.commit(ctx, changes)
}

// commit is Commit where the driver can.
func (s *Store) commit(ctx context.Context, changes []Change) ([]Result, error) {
	drafts, err := s.draft(changes)
	if err != nil || len(drafts) == 0 {
		return nil, err
	}
	keys := make([]fhir.Key, len(drafts))
	for i := range drafts {
		keys[i] = drafts[i].Key
	}
	unlock, err := s.locks.lock(ctx, keys)
	if err != nil {
		return nil, err
	}
	defer unlock()
	for range attempts {
		var results []Result
		results, err = s.try(ctx, drafts, keys)
		var conflict *ConflictError
		if !errors.As(err, &conflict) {
			return results, err
		}
		if conflict.Unless {
			return s.matched(ctx, conflict, len(changes))
		}
	}
	return nil, &fhir.Error{Op: "store.Commit", Kind: fhir.Conflict, Err: err}
}

// draft is a Change with all that does not depend on what is stored.
type draft struct {
	Change
	entries []search.Entry
}

// draft indexes before any lock is taken: it is the costly part.
func (s *Store) draft(changes []Change) ([]draft, error) {
	const op = "store.Commit"
	drafts := make([]draft, len(changes))
	seen := make(map[fhir.Key]bool, len(changes))
	for i, c := range changes {
		if c.Key.ID == "" && c.Method == Post {
			c.Key.ID = s.opts.NewID()
		}
		drafts[i].Change = c
		if !fhir.ValidID(c.Key.ID) {
			return nil, at(i, fhir.E(op, fhir.Value, c.Key.Type+".id", "not a valid id"))
		}
		if seen[c.Key] {
			return nil, at(i, fhir.E(op, fhir.Invalid, "", "another change has the same identity"))
		}
		seen[c.Key] = true
		if c.Method == Delete {
			continue
		}
		if c.Resource.Type != c.Key.Type {
			return nil, at(i, fhir.E(op, fhir.Invalid, "resourceType", "the type is not that of the key"))
		}
		entries, err := s.opts.Indexer.Index(c.Resource)
		if err != nil {
			return nil, at(i, err)
		}
		drafts[i].entries = entries
	}
	return drafts, nil
}

// Each commits what belongs together and needs not appear at one moment: all in
// one where the driver has transactions; without them new resources (Post without
// conditions) by a sequence that is completed whatever happens
// (Caps.Sequences), and others one after the other until one fails, so they must
// be such that may be made again. Error kinds as Commit.
func (s *Store) Each(ctx context.Context, changes []Change) ([]Result, error) {
	caps := s.driver.Caps()
	old := func(c Change) bool { return c.Method != Post || c.IfNoneExist != nil }
	if caps.Transactions || caps.Sequences && !slices.ContainsFunc(changes, old) {
		return s.commit(ctx, changes)
	}
	results := make([]Result, len(changes))
	for i := range changes {
		one, err := s.Commit(ctx, changes[i:i+1])
		if err != nil {
			return nil, err
		}
		results[i] = one[0]
	}
	return results, nil
}

// at adds the change's place to an error.
func at(i int, err error) error {
	return &ChangeError{Index: i, Err: err}
}

// ChangeError tells which Change of a Commit failed; Err is what a single write
// would return.
type ChangeError struct {
	Index int
	Err   error
}

// Error is that of the cause.
func (e *ChangeError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *ChangeError) Unwrap() error { return e.Err }

// try reads what is current, decides and commits.
func (s *Store) try(ctx context.Context, drafts []draft, keys []fhir.Key) ([]Result, error) {
	current, err := s.driver.Read(ctx, keys...)
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(drafts))
	writes := make([]Write, 0, len(drafts))
	origin := make([]int, 0, len(drafts)) // the change of each write
	now := s.opts.Now().UTC().Truncate(time.Millisecond)
	for i := range drafts {
		w, result, err := s.decide(&drafts[i], current[i], now)
		if err != nil {
			return nil, at(i, err)
		}
		results[i] = result
		if w.Exists() {
			writes = append(writes, w)
			origin = append(origin, i)
		}
	}
	if len(writes) == 0 {
		return results, nil
	}
	err = s.driver.Commit(ctx, writes)
	var conflict *ConflictError
	if errors.As(err, &conflict) {
		moved := *conflict
		moved.Index = origin[conflict.Index]
		return nil, &moved
	}
	var refused *ChangeError
	if errors.As(err, &refused) {
		return nil, at(origin[refused.Index], refused.Err)
	}
	return results, err
}

// decide makes the new version of one resource, or none.
func (s *Store) decide(d *draft, current Record, now time.Time) (Write, Result, error) {
	const op = "store.Commit"
	live := current.Exists() && !current.Deleted
	switch {
	case !holds(d.IfMatch, live, current.Version):
		return Write{}, Result{}, fhir.E(op, fhir.Precondition, "If-Match", "the current version is not the one that was asked for")
	case d.Method == Post && current.Exists():
		return Write{}, Result{}, fhir.E(op, fhir.Conflict, d.Key.Type+".id", "the id is in use")
	case d.Method == Delete && !live:
		return Write{}, Result{current, Unchanged, current}, nil
	}
	header := fhir.Header{Key: d.Key, Version: current.Version + 1, LastUpdated: now}
	if now.Before(current.LastUpdated) {
		header.LastUpdated = current.LastUpdated // a clock that went back must not reorder versions
	}
	w := Write{Record: Record{Header: header, Method: d.Method}, Expect: current.Version}
	if d.Method == Delete {
		w.Deleted = true
		return w, Result{w.Record, Removed, current}, nil
	}
	outcome := Created
	if live {
		outcome = Updated
		if s.same(d.Resource, current) {
			return Write{}, Result{current, Unchanged, current}, nil
		}
	}
	w.Body = d.Resource.Stamp(header)
	w.Entries, w.Unless = d.entries, d.IfNoneExist
	return w, Result{w.Record, outcome, current}, nil
}

// holds evaluates Change.IfMatch.
func holds(ifMatch int64, live bool, version int64) bool {
	switch ifMatch {
	case 0:
		return true
	case Exists:
		return live
	case Absent:
		return !live
	}
	return live && version == ifMatch
}

// same reports whether content is what is stored already, but for what the
// server stamps. The order of members does not count.
func (s *Store) same(content fhir.Resource, current Record) bool {
	stamped := content.Stamp(current.Header)
	if bytes.Equal(stamped, current.Body) {
		return true
	}
	a, errA := jsontree.Parse(stamped, s.opts.Limits)
	b, errB := jsontree.Parse(current.Body, s.opts.Limits)
	return errA == nil && errB == nil && jsontree.Equal(a.Root(), b.Root())
}

// matched answers a conditional create that found something.
func (s *Store) matched(ctx context.Context, c *ConflictError, changes int) ([]Result, error) {
	const op = "store.Commit"
	if len(c.Found) > 1 {
		return nil, at(c.Index, fhir.E(op, fhir.MultipleMatch, "If-None-Exist", "the criteria match more than one resource"))
	}
	if changes > 1 {
		return nil, at(c.Index, &fhir.Error{Op: op, Kind: fhir.Conflict, At: "ifNoneExist", Err: c})
	}
	records, err := s.driver.Read(ctx, slices.Clone(c.Found)...)
	if err != nil {
		return nil, err
	}
	return []Result{{Record: records[0], Outcome: Matched}}, nil
}
