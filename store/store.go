// Package store keeps versioned FHIR resources: a concrete Store with the rules
// of versioning over a small Driver with the mechanics of one database.
//
// Promises: a version is never lost, overwritten or renumbered; a Commit is all
// or nothing; parallel writers of one resource get distinct versions; content
// that did not change makes no version; what is returned is what was sent but
// for id, meta.versionId and meta.lastUpdated; cursors can be neither read nor
// forged nor used for another query.
//
// It decides no access, resolves no references inside bodies, knows no HTTP.
// The suite in storetest holds every Driver to the same behaviour.
package store

import (
	"context"
	"crypto/cipher"
	"io"
	"time"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/search"
)

// Indexer tells by which entries a resource is found.
type Indexer interface {
	Index(fhir.Resource) ([]search.Entry, error)
}

// Options are what a Store needs. Driver, Indexer, Now, NewID and Random are
// required.
type Options struct {
	Driver  Driver
	Indexer Indexer
	Now     func() time.Time // the clock; milliseconds are kept
	NewID   func() string    // makes logical ids for creates; never the same twice
	Random  io.Reader        // cryptographic, for cursors
	// CursorKey is the secret of the cursors, 32 bytes; nodes that serve one
	// database share it. nil makes one from Random, which ends all cursors of
	// earlier processes.
	CursorKey []byte
	// ReferenceParams lists the reference parameters of a type, for a
	// _revinclude with a wildcard; without it that is refused.
	ReferenceParams func(resourceType string) []string
	// Types are all resource types, for _revinclude=*; without them it is refused.
	Types       []string
	Limits      jsontree.Limits // of stored resources
	MaxIncludes int             // resources one page may include; 0 means 1000
}

// Store keeps resources by the rules of FHIR. It is safe for concurrent use.
type Store struct {
	opts    Options
	driver  Driver
	locks   locks
	cursors cipher.AEAD
}

// New makes a Store over an open Driver, which it closes in Close.
func New(o Options) (*Store, error) {
	if o.MaxIncludes == 0 {
		o.MaxIncludes = 1000
	}
	if o.CursorKey == nil {
		o.CursorKey = make([]byte, cursorKeySize)
		if _, err := io.ReadFull(o.Random, o.CursorKey); err != nil {
			return nil, &fhir.Error{Op: "store.New", Err: err}
		}
	}
	cursors, err := newCursors(o.CursorKey)
	if err != nil {
		return nil, &fhir.Error{Op: "store.New", Err: err}
	}
	return &Store{opts: o, driver: o.Driver, locks: newLocks(), cursors: cursors}, nil
}

// Close closes the driver.
func (s *Store) Close() error { return s.driver.Close() }

// Caps tells what the driver can do.
func (s *Store) Caps() Caps { return s.driver.Caps() }

// NewID makes a logical id that no resource has, for callers that must know it
// before the Commit (references between the entries of a transaction).
func (s *Store) NewID() string { return s.opts.NewID() }

// Read returns the current version (https://hl7.org/fhir/R4/http.html#read). An
// error is of Kind NotFound, or Deleted, and then the Record is the tombstone.
func (s *Store) Read(ctx context.Context, key fhir.Key) (Record, error) {
	records, err := s.driver.Read(ctx, key)
	if err != nil {
		return Record{}, err
	}
	return found("store.Read", records[0], key.Type)
}

// ReadVersion returns one version (https://hl7.org/fhir/R4/http.html#vread);
// errors as Read.
func (s *Store) ReadVersion(ctx context.Context, key fhir.Key, version int64) (Record, error) {
	record, err := s.driver.ReadVersion(ctx, key, version)
	if err != nil {
		return Record{}, err
	}
	return found("store.ReadVersion", record, key.Type)
}

func found(op string, r Record, at string) (Record, error) {
	switch {
	case !r.Exists():
		return r, fhir.E(op, fhir.NotFound, at, "no such resource or version")
	case r.Deleted:
		return r, fhir.E(op, fhir.Deleted, at, "the resource was deleted")
	}
	return r, nil
}

// ReadMany returns the current record of each key in their order, tombstones
// included, a zero Record for a key never used.
func (s *Store) ReadMany(ctx context.Context, keys ...fhir.Key) ([]Record, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	return s.driver.Read(ctx, keys...)
}

// HistoryInput asks for a page of versions
// (https://hl7.org/fhir/R4/http.html#history).
type HistoryInput struct {
	Type   string    // "" for the whole system
	ID     string    // "" for all resources of the type
	Since  time.Time // only versions at or after it; zero for all
	Until  time.Time // only versions before it; zero for all
	Oldest bool      // the oldest first, not the newest
	Count  int       // versions per page, at least 1
	After  string    // HistoryResult.Next of the page before
}

// HistoryResult is a page of versions.
type HistoryResult struct {
	Versions []Record
	Total    int    // of all pages
	Next     string // the cursor of the next page, "" on the last
}

// History returns a page of versions, tombstones included. An instance that
// never existed is NotFound; a cursor that is not of this request is Deleted.
func (s *Store) History(ctx context.Context, in HistoryInput) (HistoryResult, error) {
	print := in.fingerprint
	at, err := s.open(in.After, print)
	if err != nil {
		return HistoryResult{}, err
	}
	page, err := s.driver.History(ctx, HistorySelect{
		Type: in.Type, ID: in.ID, Since: in.Since, Until: in.Until, Oldest: in.Oldest,
		Limit: max(in.Count, 1), After: at.position, Total: at.position == nil,
	})
	if err != nil {
		return HistoryResult{}, err
	}
	if at.position == nil {
		at.total = page.Total
	}
	if in.ID != "" && at.total == 0 {
		if r, err := s.driver.Read(ctx, fhir.Key{Type: in.Type, ID: in.ID}); err != nil {
			return HistoryResult{}, err
		} else if !r[0].Exists() {
			return HistoryResult{}, fhir.E("store.History", fhir.NotFound, in.Type, "no such resource")
		}
	}
	next, err := s.seal(at.next(page.Next), print)
	return HistoryResult{page.Records, at.total, next}, err
}
