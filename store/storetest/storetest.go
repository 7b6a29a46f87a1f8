// Package storetest is the contract of a store.Driver as tests: every promise of
// the interface, what concurrent writers and walkers may see, the rules of Store
// over the driver, and 1,000 seeded random queries over random resources that
// must give exactly what search.Find gives (through store/mem).
//
// The scripts of testdata/search are run too.
// What a driver declares in Caps that it cannot do is skipped, and said so. A
// driver's bug first becomes a case here.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/search"
	"galen/store"
)

// Harness makes the drivers under test.
type Harness struct {
	// Open opens an empty driver; the suite closes it.
	Open func(t *testing.T) store.Driver
	// Reopen closes a driver and opens what it left; nil for one that keeps
	// nothing.
	Reopen func(t *testing.T, d store.Driver) store.Driver
	// Queries is how many random queries are compared; 0 means 1000.
	Queries int
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	cases := []struct {
		name string
		test func(*testing.T, Harness)
	}{
		{"read", testRead},
		{"expect", testExpect},
		{"unless", testUnless},
		{"atomic", testAtomic},
		{"tombstone", testTombstone},
		{"bodies", testBodies},
		{"history", testHistory},
		{"history paging", testHistoryPaging},
		{"order", testOrder},
		{"bad cursor", testBadCursor},
		{"paging while writing", testPagingWhileWriting},
		{"many values", testManyValues},
		{"cancel", testCancel},
		{"reindex", testReindex},
		{"expunge", testExpunge},
		{"reopen", testReopen},
		{"parallel conditional creates", testParallelCreates},
		{"parallel expects", testParallelExpects},
		{"overlapping commits", testOverlappingCommits},
		{"scripts", testScripts},
		{"random queries", testRandom},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.test(t, h) })
	}
}

func (h Harness) open(t *testing.T) store.Driver {
	t.Helper()
	d := h.Open(t)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return d
}

// needTransactions skips what a driver without them cannot do.
func needTransactions(t *testing.T, d store.Driver) {
	t.Helper()
	if !d.Caps().Transactions {
		t.Skip("skipped: the driver has no transactions over several resources (Caps.Transactions)")
	}
}

// epoch is when the suite's versions begin.
var epoch = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)

// write makes a Write of a version, its time that many ms after epoch.
func write(key fhir.Key, version int64, entries ...search.Entry) store.Write {
	method := store.Put
	if version == 1 {
		method = store.Post
	}
	return store.Write{
		Record: store.Record{
			Header: fhir.Header{Key: key, Version: version, LastUpdated: epoch.Add(time.Duration(version) * time.Millisecond)},
			Body:   fmt.Appendf(nil, `{"resourceType":%q,"id":%q,"meta":{"versionId":"%d"}}`, key.Type, key.ID, version),
			Method: method,
		},
		Entries: entries,
		Expect:  version - 1,
	}
}

// tombstone makes a Write that deletes.
func tombstone(key fhir.Key, version int64) store.Write {
	w := write(key, version)
	w.Body, w.Deleted, w.Method = nil, true, store.Delete
	return w
}

func patient(n int) fhir.Key { return fhir.Key{Type: "Patient", ID: fmt.Sprintf("p%d", n)} }

func commit(t *testing.T, d store.Driver, writes ...store.Write) {
	t.Helper()
	if err := d.Commit(t.Context(), writes); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

func current(t *testing.T, d store.Driver, key fhir.Key) store.Record {
	t.Helper()
	r, err := d.Read(t.Context(), key)
	if err != nil || len(r) != 1 {
		t.Fatalf("Read = %d records, %v", len(r), err)
	}
	return r[0]
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func code(param, system, code string) search.Entry {
	return search.Entry{Param: param, Value: search.Token{System: system, Code: code}}
}

func byCode(param, value string) search.Expr {
	return search.Where{Param: param, Any: []search.Test{search.TokenTest{AnySystem: true, Code: value}}}
}

func patients(where search.Expr, sorts ...search.Sort) *search.Query {
	return &search.Query{Types: []string{"Patient"}, Where: where, Sort: sorts}
}

// walkPages reads all pages of a query and checks each page's size.
func walkPages(ctx context.Context, d store.Driver, q *search.Query, limit int) ([]fhir.Key, error) {
	keys := []fhir.Key{}
	for after := []byte(nil); ; {
		page, err := d.Search(ctx, store.Select{Query: q, Limit: limit, After: after})
		if err != nil {
			return nil, err
		}
		for _, r := range page.Records {
			keys = append(keys, r.Key)
		}
		switch {
		case page.Next == nil && len(page.Records) <= limit:
			return keys, nil
		case len(page.Records) != limit:
			return nil, fmt.Errorf("a page of %d records with a next page, the limit is %d", len(page.Records), limit)
		case len(keys) > 1_000_000:
			return nil, errors.New("the pages do not end")
		}
		after = page.Next
	}
}

func find(t *testing.T, d store.Driver, q *search.Query) []fhir.Key {
	t.Helper()
	keys, err := walkPages(t.Context(), d, q, 50)
	if err != nil {
		t.Fatalf("Search: %v", err)
	}
	n, err := d.Count(t.Context(), q)
	if err != nil || n != len(keys) {
		t.Errorf("Count = %d, %v; Search finds %d", n, err, len(keys))
	}
	return keys
}
