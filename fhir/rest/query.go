package rest

import (
	"context"

	"galen/fhir"
	"galen/fhir/search"
	"galen/policies"
	"galen/policies/audit"
	"galen/store"
)

// QueryIn is a search that the server makes on a caller's behalf, as a part of
// an operation: a query instead of a URL. It must name its types.
type QueryIn struct {
	search.Query
	Count int    // matches at most; 0 for none, only the total
	After string // store.SearchResult.Next of the page before
	Total search.Total
}

// Query searches under the same rules as Search: types that the caller may not
// search are left out, and of the others it finds what the caller may see.
// Errors: Forbidden if the caller may search none of the types, Value for a
// cursor of another query, and those of the store.
func (s *Service) Query(ctx context.Context, c Caller, in QueryIn) (store.SearchResult, error) {
	a := &act{caller: c}
	visible := s.visibility(ctx, a)
	q := in.Query
	q.Types, q.Where = narrow(q.Types, restrict(q.Where, visible), visible)
	decisive := in.Types[0]
	if len(q.Types) > 0 {
		decisive = q.Types[0]
	}
	d := s.Policies.Decide(ctx, c.Principal, policies.Request{Action: policies.Search, Type: decisive})
	a.decision, a.entry = d, newEntry(c, d, audit.Operation)
	a.entry.Object = decisive
	if len(q.Types) == 0 {
		return store.SearchResult{}, s.end(ctx, a, fhir.E("rest.Query", fhir.Forbidden, "", "the policies do not permit this"))
	}
	result, err := s.storeOf(decisive).Search(ctx, store.SearchInput{Query: &q, Count: in.Count, After: in.After, Total: in.Total})
	if err == nil {
		err = s.reveal(ctx, a, &result)
	}
	return result, s.end(ctx, a, err)
}

// narrow limits a search to the types that may be searched, each by its filter.
// AuditEvents, which live apart, are found only where nothing else is asked for.
func narrow(types []string, where search.Expr, visible func(string) (search.Expr, bool)) ([]string, search.Expr) {
	var allowed []string
	var ways search.Any
	free := true
	for _, t := range types {
		filter, ok := visible(t)
		if !ok || t == auditType && len(types) > 1 {
			continue
		}
		allowed = append(allowed, t)
		way := search.All{search.HasType{Types: []string{t}}}
		if filter != nil {
			way, free = append(way, filter), false
		}
		ways = append(ways, way)
	}
	if free {
		return allowed, where
	}
	return allowed, search.And(where, ways)
}
