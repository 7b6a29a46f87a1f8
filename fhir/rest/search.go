package rest

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/r4"
	"galen/fhir/search"
	"galen/fhir/search/parse"
	"galen/policies"
	"galen/policies/audit"
	"galen/store"
)

// PageParam is the parameter of a next link that holds the cursor.
const PageParam = "_page"

// SearchIn is a search of one type, or of all if Type is "".
type SearchIn struct {
	Type   string
	Query  string // raw, a form body joined to it
	Strict bool   // Prefer: handling=strict
}

// Search returns a searchset Bundle (https://hl7.org/fhir/R4/http.html#search).
// What the caller may not see is neither matched, nor included, nor reached by
// a chain, nor counted. Errors: those of the parser, Forbidden, NotFound for an
// unknown type, Value for a cursor of another search.
func (s *Service) Search(ctx context.Context, c Caller, in SearchIn) ([]byte, error) {
	kind := audit.Search
	if in.Type == "" {
		kind = audit.SearchSystem
	} else if err := s.known(in.Type); err != nil {
		return nil, err
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
	visible := s.visibility(ctx, a)
	q := req.Query
	q.Where = search.And(restrict(q.Where, visible), a.decision.Filter)
	if q.Where, err = s.acrossTypes(&q, a, visible); err != nil {
		return nil, err
	}
	result, err := s.storeOf(in.Type).Search(ctx, store.SearchInput{
		Query: &q, Count: s.pageSize(req), After: cursor, Include: req.Include, RevInclude: req.RevInclude,
		Total: total(req), Visible: visible,
	})
	if err != nil {
		return nil, err
	}
	for _, r := range slices.Concat(result.Matches, result.Included) {
		a.touch(r)
	}
	return searchset(a.caller.Base, in.Type, req, result), nil
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

func (s *Service) pageSize(req *search.Request) int {
	switch {
	case req.Summary == search.SummaryCount:
		return 0
	case req.HasCount:
		return min(req.Count, s.Limits.MaxPage)
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

func searchset(base, resourceType string, req *search.Request, result store.SearchResult) []byte {
	w := newBundle("searchset", base, sizeOf(result.Matches, result.Included))
	if result.HasTotal {
		w.total(result.Total)
	}
	self := strings.TrimSuffix(base+"/"+resourceType, "/")
	if q := req.String(); q != "" {
		self += "?" + q
	}
	next := ""
	if result.Next != "" {
		separator := "?"
		if strings.Contains(self, "?") {
			separator = "&"
		}
		next = self + separator + PageParam + "=" + url.QueryEscape(result.Next)
	}
	w.links(link{"self", self}, link{"next", next})
	for _, r := range result.Matches {
		w.found(r, "match")
	}
	for _, r := range result.Included {
		w.found(r, "include")
	}
	if issues := warnings(req, result); len(issues) > 0 {
		w.entry()
		w.resource(r4.OperationOutcome(issues))
		w.search("outcome")
		w.close()
	}
	return w.bytes()
}

func (w *bundleWriter) found(r store.Record, mode string) {
	w.entry()
	w.fullURL(r.Key)
	w.resource(r.Body)
	w.search(mode)
	w.close()
}

// warnings tell what was passed over or cut short.
func warnings(req *search.Request, result store.SearchResult) fhir.Issues {
	var issues fhir.Issues
	for _, i := range req.Ignored {
		issues = append(issues, fhir.Issue{Severity: fhir.Warning, Kind: fhir.NotSupported, At: i.Name, Diagnostics: i.Reason})
	}
	if result.Truncated {
		issues = append(issues, fhir.Issue{Severity: fhir.Warning, Kind: fhir.TooCostly, Diagnostics: "more resources were to be included than a page may hold"})
	}
	return issues
}

// HistoryIn asks for versions of one resource, a type or the whole system.
type HistoryIn struct {
	Type, ID string
	Query    url.Values
}

// History returns a history Bundle (https://hl7.org/fhir/R4/http.html#history),
// newest first. Errors: NotFound, Forbidden, Value for a bad parameter.
func (s *Service) History(ctx context.Context, c Caller, in HistoryIn) ([]byte, error) {
	kind, action := audit.HistoryInstance, policies.Read
	switch {
	case in.Type == "":
		kind, action = audit.HistorySystem, policies.Search
	case in.ID == "":
		kind, action = audit.HistoryType, policies.Search
	}
	if in.Type != "" {
		if err := s.writable(in.Type); err != nil {
			return nil, err
		}
	}
	a, err := s.begin(ctx, c, kind, action, fhir.Key{Type: in.Type, ID: in.ID})
	if err != nil {
		return nil, err
	}
	bundle, err := s.history(ctx, a, in)
	if err := s.end(ctx, a, err); err != nil {
		return nil, err
	}
	return bundle, nil
}

func (s *Service) history(ctx context.Context, a *act, in HistoryIn) ([]byte, error) {
	if a.decision.Filter != nil && in.ID != "" {
		key := fhir.Key{Type: in.Type, ID: in.ID}
		if _, err := s.visible(ctx, a, key, func(st *store.Store) (store.Record, error) { return st.Read(ctx, key) }); err != nil {
			return nil, err
		}
	}
	ask, err := s.historyInput(in)
	if err != nil {
		return nil, err
	}
	result, err := s.Store.History(ctx, ask)
	if err != nil {
		return nil, err
	}
	if result, err = s.visibleVersions(ctx, a, in, result); err != nil {
		return nil, err
	}
	for _, r := range result.Versions {
		a.touch(r)
	}
	return historyBundle(a.caller.Base, in, result), nil
}

// visibleVersions drops the versions that the caller may not see, each by its
// own content: a resource may have been another patient's before. The total of
// a limited history is not told, since it would count them.
func (s *Service) visibleVersions(ctx context.Context, a *act, in HistoryIn, h store.HistoryResult) (store.HistoryResult, error) {
	of := s.visibility(ctx, a)
	if in.ID != "" {
		of = func(string) (search.Expr, bool) { return a.decision.Filter, true }
	}
	shown := h.Versions[:0:0]
	for _, r := range h.Versions {
		filter, ok := of(r.Type)
		if ok && filter != nil {
			h.Total = 0
			var err error
			if ok, err = s.showsVersion(ctx, filter, r); err != nil {
				return h, err
			}
		}
		if ok {
			shown = append(shown, r)
		} else {
			h.Total = 0
		}
	}
	h.Versions = shown
	return h, nil
}

// showsVersion holds one version against a filter; a tombstone is seen by who
// sees the version that was deleted.
func (s *Service) showsVersion(ctx context.Context, filter search.Expr, r store.Record) (bool, error) {
	if r.Deleted {
		var err error
		if r, err = s.Store.ReadVersion(ctx, r.Key, r.Version-1); err != nil || r.Deleted {
			return false, err
		}
	}
	resource, err := fhir.Parse(r.Body, jsontree.Limits{})
	if err != nil {
		return false, err
	}
	return s.satisfies(ctx, filter, resource, r.Header)
}

// historyInput reads _count, _since and the cursor.
func (s *Service) historyInput(in HistoryIn) (store.HistoryInput, error) {
	const op = "rest.historyInput"
	out := store.HistoryInput{Type: in.Type, ID: in.ID, Count: s.Limits.Page, After: in.Query.Get(PageParam)}
	if text := in.Query.Get("_count"); text != "" {
		n, ok := atoi(text)
		if !ok {
			return out, fhir.E(op, fhir.Value, "_count", "must be a whole number that is not negative")
		}
		out.Count = min(n, s.Limits.MaxPage)
	}
	if text := in.Query.Get("_since"); text != "" {
		p, _, err := fhir.ParseDateTime(strings.Replace(text, " ", "+", 1), time.UTC)
		if err != nil {
			return out, fhir.E(op, fhir.Value, "_since", "must be an instant")
		}
		out.Since = p.Low.Time()
	}
	return out, nil
}

func historyBundle(base string, in HistoryIn, result store.HistoryResult) []byte {
	w := newBundle("history", base, sizeOf(result.Versions))
	if result.Total > 0 || len(result.Versions) == 0 {
		w.total(result.Total)
	}
	path := base
	for _, part := range []string{in.Type, in.ID, "_history"} {
		if part != "" {
			path += "/" + part
		}
	}
	query := url.Values{}
	for name, values := range in.Query {
		if name == "_count" || name == "_since" {
			query[name] = values
		}
	}
	self, next := path, ""
	if len(query) > 0 {
		self += "?" + query.Encode()
	}
	if result.Next != "" {
		query.Set(PageParam, result.Next)
		next = path + "?" + query.Encode()
	}
	w.links(link{"self", self}, link{"next", next})
	for _, r := range result.Versions {
		w.version(r)
	}
	return w.bytes()
}

// version is an entry of a history: a delete has no resource.
func (w *bundleWriter) version(r store.Record) {
	w.entry()
	w.fullURL(r.Key)
	if !r.Deleted {
		w.resource(r.Body)
	}
	request := r.Key.String()
	status := "200 OK"
	switch {
	case r.Method == store.Post:
		request, status = r.Type, "201 Created"
	case r.Deleted:
		status = "204 No Content"
	case r.Version == 1:
		status = "201 Created"
	}
	w.request(r.Method.String(), request)
	w.response(response{status: status, header: r.Header})
	w.close()
}
