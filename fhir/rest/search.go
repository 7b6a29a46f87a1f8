package rest

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strings"

	"galen/fhir"
	"galen/fhir/search"
	"galen/fhir/search/parse"
	"galen/fhir/searchset"
	"galen/fhir/view"
	"galen/policies"
	"galen/policies/audit"
	"galen/store"
)

// PageParam is the parameter of a next link that holds the cursor.
const PageParam = "_page"

// SearchIn is a search of one type, or of all if Type is "".
type SearchIn struct {
	Type string
	// Compartment limits it to what lies in the compartment of this resource
	// (https://hl7.org/fhir/R4/compartmentdefinition.html); the zero Key to none.
	Compartment fhir.Key
	Query       string // raw, a form body joined to it
	Strict      bool   // Prefer: handling=strict
}

// Search returns a searchset Bundle (https://hl7.org/fhir/R4/http.html#search).
// What the caller may not see is neither matched, nor included, nor reached by
// a chain, nor counted. Errors: those of the parser, Forbidden, NotFound for an
// unknown type or compartment, Deleted for a cursor of another search.
func (s *Service) Search(ctx context.Context, c Caller, in SearchIn) ([]byte, error) {
	kind := audit.Search
	if in.Type == "" {
		kind = audit.SearchSystem
	} else if err := s.known(in.Type); err != nil {
		return nil, err
	}
	if _, ok := s.Defs.Compartment(in.Compartment.Type); !ok && in.Compartment.Type != "" {
		return nil, fhir.E("rest.Search", fhir.NotFound, "", "resources of this type have no compartment")
	}
	c.query = in.Query
	a, err := s.begin(ctx, c, kind, policies.Search, fhir.Key{Type: in.Type})
	if err != nil {
		return nil, err
	}
	bundle, err := s.search(ctx, a, in)
	if err := s.end(ctx, a, err); err != nil {
		return nil, err
	}
	return bundle, nil
}

func (s *Service) search(ctx context.Context, a *act, in SearchIn) ([]byte, error) {
	query, cursor := takePage(in.Query)
	handling := parse.Lenient
	if in.Strict {
		handling = parse.Strict
	}
	req, err := s.Parser.Parse(in.Type, query, handling)
	if err != nil {
		return nil, err
	}
	if err := view.Of(req).Check(); err != nil {
		return nil, err
	}
	visible := s.visibility(ctx, a)
	q := req.Query
	q.Where = search.And(restrict(q.Where, visible), s.compartment(in), a.decision.Filter)
	if q.Where, err = s.acrossTypes(&q, a, visible); err != nil {
		return nil, err
	}
	count := s.pageSize(req)
	result, err := s.storeOf(in.Type).Search(ctx, store.SearchInput{
		Query: &q, Count: count, After: cursor, Include: req.Include, RevInclude: req.RevInclude,
		Total: total(req), Visible: visible,
	})
	if err != nil {
		return nil, err
	}
	if err := s.reveal(ctx, a, &result); err != nil {
		return nil, err
	}
	return searchset.Write(s.Defs, searchset.Page{
		Base: a.caller.Base, Path: in.path(), PageParam: PageParam, Cursor: cursor, Request: req, Result: result,
	})
}

// path is where the search is below the base.
func (in SearchIn) path() string {
	if in.Compartment.ID == "" {
		return in.Type
	}
	return in.Compartment.String() + "/" + cmp.Or(in.Type, "*")
}

// compartment is the condition of a compartment search, nil for another one: one
// type's, or each type's own.
func (s *Service) compartment(in SearchIn) search.Expr {
	if in.Compartment.ID == "" {
		return nil
	}
	if in.Type != "" {
		if where, ok := search.Compartment(s.Defs, in.Compartment, in.Type); ok {
			return where
		}
		return search.Any{} // nothing of the type is ever in it
	}
	ways := search.Any{}
	c, _ := s.Defs.Compartment(in.Compartment.Type)
	for _, t := range c.ResourceTypes() {
		if where, ok := search.Compartment(s.Defs, in.Compartment, t); ok {
			ways = append(ways, search.All{search.HasType{Types: []string{t}}, where})
		}
	}
	return ways
}

// visibility tells, once for each type, which of its resources the caller sees.
func (s *Service) visibility(ctx context.Context, a *act) func(string) (search.Expr, bool) {
	known := map[string]policies.Decision{}
	return func(resourceType string) (search.Expr, bool) {
		d, ok := known[resourceType]
		if !ok {
			d = s.Policies.Decide(ctx, a.caller.Principal, policies.Request{Action: policies.Search, Type: resourceType})
			known[resourceType] = d
		}
		return d.Filter, d.Allow
	}
}

// acrossTypes limits a search over several types to those the caller may search,
// each by its own filter.
func (s *Service) acrossTypes(q *search.Query, a *act, visible func(string) (search.Expr, bool)) (search.Expr, error) {
	if len(q.Types) == 1 {
		return q.Where, nil
	}
	types := q.Types
	if len(types) == 0 {
		types = s.Defs.ResourceTypes()
	}
	var ways search.Any
	var free []string
	for _, t := range types {
		filter, ok := visible(t)
		switch {
		case !ok || t == auditType:
		case filter == nil:
			free = append(free, t)
		default:
			ways = append(ways, search.All{search.HasType{Types: []string{t}}, filter})
		}
	}
	if len(free) > 0 {
		ways = append(ways, search.HasType{Types: free})
	}
	return search.And(q.Where, ways), nil
}

// restrict adds to every Chain and Reverse what the caller may see of the type
// it leads to.
func restrict(e search.Expr, visible func(string) (search.Expr, bool)) search.Expr {
	of := func(resourceType string, inner search.Expr) search.Expr {
		filter, ok := visible(resourceType)
		if !ok {
			return search.Any{} // never
		}
		inner = search.And(restrict(inner, visible), filter)
		if inner == nil {
			return search.All{}
		}
		return inner
	}
	switch e := e.(type) {
	case search.All:
		return search.All(each(e, visible))
	case search.Any:
		return search.Any(each(e, visible))
	case search.Not:
		return search.Not{Of: restrict(e.Of, visible)}
	case search.Chain:
		e.Of = of(e.Type, e.Of)
		return e
	case search.Reverse:
		e.Of = of(e.Type, e.Of)
		return e
	case search.Tree:
		// What hides a part of a hierarchy hides what is below: only the root counts.
		switch filter, ok := visible(e.Root.Type); {
		case !ok:
			return search.Any{}
		case filter != nil:
			return search.Where{Param: e.Param, Any: []search.Test{search.ReferenceTest{Key: e.Root}}}
		}
	}
	return e
}

func each(list []search.Expr, visible func(string) (search.Expr, bool)) []search.Expr {
	out := make([]search.Expr, len(list))
	for i, e := range list {
		out[i] = restrict(e, visible)
	}
	return out
}

// takePage takes the cursor out of a raw query.
func takePage(raw string) (query, cursor string) {
	parts := strings.Split(raw, "&")
	parts = slices.DeleteFunc(parts, func(p string) bool {
		value, ok := strings.CutPrefix(p, PageParam+"=")
		if ok {
			cursor, _ = url.QueryUnescape(value) // a broken one is refused as a cursor
		}
		return ok
	})
	return strings.Join(parts, "&"), cursor
}

// pageSize is how many matches a page gets. A _count above the limit is brought
// down to it, and self says so.
func (s *Service) pageSize(req *search.Request) int {
	if req.HasCount {
		req.Count = min(req.Count, s.Limits.MaxPage)
	}
	switch {
	case req.Summary == search.SummaryCount:
		return 0
	case req.HasCount:
		return req.Count
	}
	return s.Limits.Page
}

// total counts unless the client does not want it.
func total(req *search.Request) search.Total {
	if req.Total == search.TotalUnset {
		return search.TotalAccurate
	}
	return req.Total
}
