package rest

import (
	"context"
	"net/url"

	"galen/fhir"
	"galen/fhir/binary"
	"galen/fhir/history"
	"galen/policies"
	"galen/policies/audit"
	"galen/store"
)

// HistoryIn asks for versions of one resource, a type or the whole system.
type HistoryIn struct {
	Type, ID string
	Query    url.Values
}

// History returns a history Bundle (https://hl7.org/fhir/R4/http.html#history),
// newest first unless _sort says otherwise. Of what a policy's filter hides, no version is shown: each is
// held against the filter as it was, a deletion as the version before it. The
// total is left out where only a walk over all pages could tell it. Errors:
// NotFound, Forbidden, Value and NotSupported for a bad parameter.
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
	r, err := history.Read(in.Query)
	if err != nil {
		return nil, err
	}
	r.Limit(s.Limits.Page, s.Limits.MaxPage)
	ask := store.HistoryInput{Type: in.Type, ID: in.ID, Since: r.Since, Oldest: r.Oldest, Count: max(r.Count, 1), After: in.Query.Get(PageParam)}
	shown := s.shown(ctx, a, in)
	conditions := shown
	if r.HasAt {
		ask.Until = r.At.High.Time()
		conditions = append(conditions, r.CurrentIn(ctx, s.Store))
	}
	result, total, err := history.Walk(ctx, s.Store, ask, conditions...)
	if fhir.KindOf(err) == fhir.NotFound {
		err = notFound() // the same words for what is hidden and what never was
	}
	if err != nil {
		return nil, err
	}
	if in.ID != "" && len(shown) > 0 && len(result.Versions) == 0 {
		any, _, err := history.Walk(ctx, s.Store, store.HistoryInput{Type: in.Type, ID: in.ID, Count: 1}, shown...)
		if err != nil || len(any.Versions) == 0 {
			return nil, orNotFound(err)
		}
	}
	if r.Count == 0 {
		result.Versions, result.Next = nil, ""
	}
	for _, v := range result.Versions {
		a.touch(v)
	}
	return historyBundle(a.caller.Base, in, r, result, total), nil
}

// shown is the condition that the caller may see a version; none if it may see
// all.
func (s *Service) shown(ctx context.Context, a *act, in HistoryIn) []history.Keep {
	visible := s.visibility(ctx, a)
	if in.Type != "" {
		if a.decision.Filter == nil && in.Type != binary.Type {
			return nil
		}
		return []history.Keep{func(v store.Record) (bool, error) { return s.permits(ctx, a, v) }}
	}
	all := true
	for _, t := range s.Defs.ResourceTypes() {
		filter, ok := visible(t)
		all = all && (ok && filter == nil || t == auditType)
	}
	if all {
		return nil
	}
	return []history.Keep{func(v store.Record) (bool, error) {
		filter, ok := visible(v.Type)
		if !ok {
			return false, nil
		}
		as := *a
		as.decision.Filter = filter
		return s.permits(ctx, &as, v)
	}}
}

func historyBundle(base string, in HistoryIn, r history.Request, result store.HistoryResult, total bool) []byte {
	w := newBundle("history", base, sizeOf(result.Versions))
	if total {
		w.total(result.Total)
	}
	path := base
	for _, part := range []string{in.Type, in.ID, "_history"} {
		if part != "" {
			path += "/" + part
		}
	}
	self, next := r.Links(path, PageParam, result.Next)
	w.links(link{"self", self}, link{"next", next})
	for _, v := range result.Versions {
		w.version(v)
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
