package store

import (
	"context"
	"time"

	"galen/fhir"
	"galen/fhir/search"
)

// Record is one version of a resource as it is kept.
type Record struct {
	fhir.Header
	Body    []byte // exact JSON, stamped; nil for a tombstone. Not to be changed
	Deleted bool   // a tombstone
	Method  Method // the interaction that made the version
}

// Exists reports whether there is a record at all: a tombstone is one.
func (r Record) Exists() bool { return r.Version != 0 }

// Method is the HTTP verb of the interaction that made a version, for history.
type Method uint8

// The verbs that make versions.
const (
	Post Method = iota + 1
	Put
	Patch
	Delete
)

// String is the verb.
func (m Method) String() string { return [...]string{"", "POST", "PUT", "PATCH", "DELETE"}[m] }

// Task is what a Write does.
type Task uint8

// The tasks.
const (
	// Append adds Record as a new version.
	Append Task = iota
	// Reindex puts Entries in the place of those of the current version, which
	// stays as it is.
	Reindex
	// Expunge removes versions for ever: the superseded ones from From to Through,
	// both included, or, if Through reaches the current one, the resource as a
	// whole, as if its key was never used.
	Expunge
)

// Write is one new version to commit, or upkeep of what is stored.
type Write struct {
	Record  // for Reindex and Expunge the current one, as Read returned it
	Task    Task
	Entries []search.Entry // what the version is found by; none for a tombstone

	From, Through int64 // of Expunge

	// Expect is the version that must be current, tombstones included; 0 means
	// that the key was never used.
	Expect int64
	// Unless must match no resource at the moment of the commit, else the whole
	// commit fails: conditional create.
	Unless *search.Query
}

// ConflictError is why a Commit was refused; nothing of it was written.
type ConflictError struct {
	Index  int         // of the Write that failed
	Unless bool        // its Unless matched; else its Expect was wrong
	Found  []fhir.Key  // what Unless matched, at most two keys
	Actual fhir.Header // what Expect met
}

// Error says which write failed and why, without content.
func (e *ConflictError) Error() string {
	if e.Unless {
		return "store: a resource matches the criteria"
	}
	return "store: another version is current"
}

// Select asks a driver for one page of matches.
type Select struct {
	Query *search.Query
	Limit int    // at least 1
	After []byte // Page.Next of the page before, nil for the first
}

// Page is a run of records in the asked order.
type Page struct {
	Records []Record
	Next    []byte // where the next page starts; nil after the last one
	Total   int    // all versions, if a HistorySelect asked for it
}

// HistorySelect asks for versions, newest first: by LastUpdated, then by the
// creation of the resource, then by version, each descending; or the other way
// round.
type HistorySelect struct {
	Type   string    // "" for all types
	ID     string    // "" for all resources of the type
	Since  time.Time // only versions at or after it; zero for all
	Until  time.Time // only versions before it; zero for all
	Oldest bool      // the oldest first
	Limit  int       // at least 1
	After  []byte    // Page.Next of the page before
	Total  bool      // count all versions between Since and Until
}

// Caps declares what a driver cannot do. The storetest suite skips by it and
// says so.
type Caps struct {
	Transactions bool // Commit of several writes is all or nothing
	Snapshot     bool // a page is read from one moment
	// Sequences means, of a driver without Transactions: a Commit of several first
	// versions (Expect 0, no Unless) is completed even if the process ends, though a
	// reader may meet some of them before the others.
	Sequences bool
}

// Driver keeps versions of resources and finds them by their entries. It never
// looks inside FHIR JSON and makes no version numbers, ids or times. It is safe
// for concurrent use. Errors other than *ConflictError are *fhir.Error of Kind
// Internal, Unavailable, Timeout, TooCostly or (a cursor it did not make) Value.
type Driver interface {
	// Caps tells what the driver can do; it does not change after opening.
	Caps() Caps

	// Commit makes every write durable and visible, or none of them, and
	// returns once they are on disk. A failed condition is a *ConflictError.
	// The keys of one commit are distinct. A driver around another may refuse a
	// write for what it says, with a *ChangeError.
	Commit(ctx context.Context, writes []Write) error

	// Read returns the current record of each key in their order, tombstones
	// included, a zero Record for a key never used.
	Read(ctx context.Context, keys ...fhir.Key) ([]Record, error)

	// ReadVersion returns one version, a zero Record if there is none.
	ReadVersion(ctx context.Context, key fhir.Key, version int64) (Record, error)

	// Search returns one page of the current, not deleted resources that match,
	// in the order of search.Find: the sort keys, then creation. A resource that
	// comes back after a deletion keeps its place. Walking the pages while others
	// write gives every resource that did not change exactly once.
	Search(ctx context.Context, s Select) (Page, error)

	// Count counts what Search would find.
	Count(ctx context.Context, q *search.Query) (int, error)

	// History returns one page of versions.
	History(ctx context.Context, s HistorySelect) (Page, error)

	// Close waits for what is running and releases everything.
	Close() error
}
