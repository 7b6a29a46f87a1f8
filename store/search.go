package store

import (
	"context"
	"sync"

	"galen/fhir"
	"galen/fhir/search"
)

// SearchInput asks for a page of matches and what goes with it.
type SearchInput struct {
	Query      *search.Query
	Count      int    // matches per page; 0 for none, only the total
	After      string // SearchResult.Next of the page before, "" for the first
	Include    []search.Include
	RevInclude []search.Include
	Total      search.Total // TotalNone and TotalUnset count nothing; an estimate is accurate here
	// Visible says which resources of a type may be included: ok is false for
	// none of them, where nil for all. A nil Visible shows all. Query is not
	// touched by it: that holds its own restrictions.
	Visible func(resourceType string) (where search.Expr, ok bool)
}

// SearchResult is one page (https://hl7.org/fhir/R4/search.html#3.1.1.4.1).
type SearchResult struct {
	Matches  []Record
	Included []Record // each once, none that is a match of this page
	Total    int      // of the whole search, the same on all pages; valid if HasTotal
	HasTotal bool
	Next     string // the cursor of the next page, "" on the last
	Previous string // that of the page before, "" if that is the first; valid if HasPrevious
	// HasPrevious is false on the first page, and where the way back was longer
	// than a cursor holds.
	HasPrevious bool
	Truncated   bool // there was more to include than Options.MaxIncludes
}

// noTotal stands in a cursor for a search without total.
const noTotal = -1

// Search returns a page. An error is of Kind Deleted (a cursor that is not of
// this query or of another time), NotSupported (a wildcard that cannot be resolved), TooCostly,
// Timeout, Unavailable or Internal.
func (s *Store) Search(ctx context.Context, in SearchInput) (SearchResult, error) {
	print := sync.OnceValue(func() []byte { return fingerprint(in.Query) })
	at, err := s.open(in.After, print)
	if err != nil {
		return SearchResult{}, err
	}
	if at.position == nil {
		if at.total, err = s.total(ctx, in); err != nil {
			return SearchResult{}, err
		}
	}
	result := SearchResult{Total: max(at.total, 0), HasTotal: at.total != noTotal}
	if in.Count <= 0 {
		return result, nil
	}
	page, err := s.driver.Search(ctx, Select{Query: in.Query, Limit: in.Count, After: at.position})
	if err != nil {
		return SearchResult{}, err
	}
	result.Matches = page.Records
	if result.Next, err = s.seal(at.next(page.Next), print); err != nil {
		return SearchResult{}, err
	}
	before, ok := at.previous()
	result.HasPrevious = ok
	if result.Previous, err = s.seal(before, print); err != nil {
		return SearchResult{}, err
	}
	if len(in.Include)+len(in.RevInclude) > 0 {
		w := newWalk(s, in, page.Records)
		err = w.run(ctx)
		result.Included, result.Truncated = w.records[w.matches:], w.truncated
	}
	return result, err
}

// total counts when asked to; _total=none wins even over a page of no matches.
func (s *Store) total(ctx context.Context, in SearchInput) (int, error) {
	if in.Total == search.TotalAccurate || in.Total == search.TotalEstimate || in.Count <= 0 {
		return s.driver.Count(ctx, in.Query)
	}
	return noTotal, nil
}

// Match returns the keys that match, at most limit of them, for conditional
// interactions (https://hl7.org/fhir/R4/http.html#cond-update). Error kinds as
// Search.
func (s *Store) Match(ctx context.Context, q *search.Query, limit int) ([]fhir.Key, error) {
	page, err := s.driver.Search(ctx, Select{Query: q, Limit: max(limit, 1)})
	if err != nil {
		return nil, err
	}
	keys := make([]fhir.Key, len(page.Records))
	for i, r := range page.Records {
		keys[i] = r.Key
	}
	return keys, nil
}
