package operation

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/rest"
	"galen/fhir/search"
	"galen/fhir/spec"
	"galen/store"
)

// scope is what $everything was asked for.
type scope struct {
	all    search.Query // the compartment at the time asked for
	query  search.Query // what of it was asked for
	types  []string     // _type; none for all
	since  search.Expr  // _since, nil for none
	count  int
	cursor string
}

// A page's cursor begins with the phase: the compartment, then what it refers
// to.
const (
	inCompartment = "c"
	referredTo    = "r"
)

// everything answers $everything of a Patient or an Encounter
// (https://hl7.org/fhir/R4/patient-operation-everything.html): all of its
// compartment, then each resource that this refers to and that is not in it,
// once.
func (s *Set) everything(ctx context.Context, c *call) (Result, error) {
	if _, err := s.rest.Read(ctx, c.Caller, c.key()); err != nil {
		return Result{}, err
	}
	w, err := s.scope(c)
	if err != nil {
		return Result{}, err
	}
	phase, after := inCompartment, ""
	if w.cursor != "" {
		phase, after = w.cursor[:1], w.cursor[1:]
	}
	var matches store.SearchResult
	next := ""
	switch phase {
	case inCompartment:
		matches, err = s.rest.Query(ctx, c.Caller, rest.QueryIn{Query: w.query, Count: w.count, After: after, Total: search.TotalAccurate})
		if err != nil {
			return Result{}, err
		}
		if next = inCompartment + matches.Next; matches.Next == "" {
			phase, after, next = referredTo, "", ""
		}
	case referredTo:
	default:
		return Result{}, fhir.E("operation.everything", fhir.Value, rest.PageParam, "not a page of this request")
	}
	var others []store.Record
	if room := w.count - len(matches.Matches); phase == referredTo && w.count > 0 {
		if others, next, err = s.referred(ctx, c, w, after, room); err != nil {
			return Result{}, err
		}
	}
	b := newBundle("searchset", c.Base)
	if matches.HasTotal {
		b.total(matches.Total)
	}
	if next != "" {
		next = c.page(next)
	}
	b.links(c.self(), next)
	for _, r := range matches.Matches {
		b.entry(r, "match")
	}
	for _, r := range others {
		b.entry(r, "include")
	}
	return Result{Body: b.bytes()}, nil
}

// scope reads the parameters.
func (s *Set) scope(c *call) (*scope, error) {
	const op = "operation.everything"
	w := &scope{types: c.list("_type"), cursor: c.text(rest.PageParam)}
	for _, t := range w.types {
		if !s.rest.Defs.IsResource(t) {
			return nil, fhir.E(op, fhir.Value, "_type", "no such resource type in R4")
		}
	}
	var err error
	if w.count, err = c.whole("_count", 0, s.rest.Limits.MaxPage); err != nil {
		return nil, err
	}
	w.count = min(w.count, s.rest.Limits.MaxPage)
	if text := c.text("_since"); text != "" {
		// A client that does not escape the + of an offset means it.
		p, _, err := fhir.ParseDateTime(strings.Replace(text, " ", "+", 1), time.UTC)
		if err != nil {
			return nil, fhir.E(op, fhir.Value, "_since", "an instant is needed")
		}
		w.since = search.Updated{DateTest: search.DateTest{Op: search.Ge, Period: p}}
	}
	window, err := careWindow(c)
	if err != nil {
		return nil, err
	}
	w.all = s.compartment(c, nil, window)
	w.query = s.compartment(c, w.types, window)
	w.query.Where = search.And(w.query.Where, w.since)
	return w, nil
}

// careWindow reads start and end as tests of a date.
func careWindow(c *call) ([]search.DateTest, error) {
	var tests []search.DateTest
	for _, side := range []struct {
		name string
		op   search.Op
	}{{"start", search.Ge}, {"end", search.Le}} {
		text := c.text(side.name)
		if text == "" {
			continue
		}
		p, _, err := fhir.ParseDateTime(text, time.UTC)
		if err != nil {
			return nil, fhir.E("operation.everything", fhir.Value, side.name, "a date is needed")
		}
		tests = append(tests, search.DateTest{Op: side.op, Period: p})
	}
	return tests, nil
}

// compartment is the query for the resources of the compartment
// (https://hl7.org/fhir/R4/compartmentdefinition.html), of some types or of all.
func (s *Set) compartment(c *call, types []string, window []search.DateTest) search.Query {
	definition, _ := s.rest.Defs.Compartment(c.Type)
	link := []search.Test{search.ReferenceTest{Key: c.key()}}
	var q search.Query
	var ways search.Any
	for _, t := range definition.ResourceTypes() {
		if len(types) > 0 && !slices.Contains(types, t) {
			continue
		}
		var links search.Any
		if t == c.Type && definition.Self(t) {
			links = append(links, search.HasID{IDs: []string{c.ID}})
		}
		for _, p := range definition.Params(t) {
			links = append(links, search.Where{Param: p, Any: link})
		}
		way := search.All{search.HasType{Types: []string{t}}, links}
		if p := s.careDate(t); p != "" && len(window) > 0 {
			way = append(way, during(p, window))
		}
		q.Types = append(q.Types, t)
		ways = append(ways, way)
	}
	q.Where = ways
	if len(q.Types) == 0 { // _type names nothing of the compartment
		q.Types, q.Where = []string{c.Type}, search.Any{}
	}
	return q
}

// during holds for what has no date, as that may belong to the time, and for
// dates that touch it.
func during(param string, window []search.DateTest) search.Expr {
	inside := search.All{}
	for _, test := range window {
		inside = append(inside, search.Where{Param: param, Any: []search.Test{test}})
	}
	return search.Any{search.Not{Of: search.Present{Param: param}}, inside}
}

// careDates are the search parameters that say when care took place, the better
// first; R4 names it differently from type to type.
var careDates = []string{
	"date", "occurrence", "event-date", "started", "onset-date", "effective", "effective-time", "whenhandedover",
	"collected", "period", "start-date", "sent", "identified", "authoredon", "authored", "datetime", "datewritten", "created",
}

// careDate is the date parameter of a type that start and end apply to; "" for a
// type that is not tied to a time.
func (s *Set) careDate(resourceType string) string {
	for _, name := range careDates {
		if p, ok := s.rest.Defs.Param(resourceType, name); ok && p.Type == spec.Date {
			return name
		}
	}
	return ""
}

// referred reads a page of the resources that the compartment refers to: those
// behind the key after, in the order of keys.
func (s *Set) referred(ctx context.Context, c *call, w *scope, after string, room int) (page []store.Record, next string, err error) {
	keys, err := s.references(ctx, c, w)
	if err != nil {
		return nil, "", err
	}
	start := 0
	if after != "" {
		typ, id, _ := strings.Cut(after, "/")
		last := fhir.Key{Type: typ, ID: id}
		start, _ = slices.BinarySearchFunc(keys, last, fhir.Key.Compare)
		if start < len(keys) && keys[start] == last {
			start++
		}
	}
	keys = keys[start:]
	if len(keys) > room {
		if keys = keys[:room]; room == 0 {
			return nil, referredTo + after, nil
		}
		next = referredTo + keys[room-1].String()
	}
	found, err := s.readAll(ctx, c, keys, w.since)
	if err != nil {
		return nil, "", err
	}
	return found, next, nil
}

// references lists what the compartment refers to outside of it, sorted.
func (s *Set) references(ctx context.Context, c *call, w *scope) ([]fhir.Key, error) {
	definition, _ := s.rest.Defs.Compartment(c.Type)
	outside := func(t string) bool { return c.Type != "Patient" || !slices.Contains(definition.ResourceTypes(), t) }
	if len(w.types) > 0 && !slices.ContainsFunc(w.types, outside) {
		return nil, nil
	}
	inside, found := map[fhir.Key]bool{}, map[fhir.Key]bool{}
	in := rest.QueryIn{Query: w.all, Count: s.rest.Limits.MaxPage}
	for {
		result, err := s.rest.Query(ctx, c.Caller, in)
		if err != nil {
			return nil, err
		}
		for _, r := range result.Matches {
			inside[r.Key] = true
			refs, err := literals(r.Body, c.Base+"/")
			if err != nil {
				return nil, err
			}
			for _, key := range refs {
				// A reference to another patient's resource is not followed.
				if s.rest.Defs.IsResource(key.Type) && outside(key.Type) {
					found[key] = true
				}
			}
		}
		if in.After = result.Next; in.After == "" {
			break
		}
	}
	maps.DeleteFunc(found, func(k fhir.Key, _ bool) bool {
		return inside[k] || len(w.types) > 0 && !slices.Contains(w.types, k.Type)
	})
	return slices.SortedFunc(maps.Keys(found), fhir.Key.Compare), nil
}

// literals are the local resources that a resource names: in references, and as
// the addresses of attachments.
func literals(body []byte, base string) ([]fhir.Key, error) {
	doc, err := jsontree.Parse(body, jsontree.Limits{})
	if err != nil {
		return nil, &fhir.Error{Op: "operation.literals", Err: err}
	}
	var keys []fhir.Key
	var walk func(jsontree.Node)
	walk = func(n jsontree.Node) {
		if n.Kind() == jsontree.Array {
			for item := range n.Items() {
				walk(item)
			}
		}
		for name, member := range n.Members() {
			if (name == "reference" || name == "url") && member.Kind() == jsontree.String {
				if ref := fhir.ParseReference(member.Text()); ref.Key.ID != "" && ref.Local(base) {
					keys = append(keys, ref.Key)
				}
				continue
			}
			walk(member)
		}
	}
	walk(doc.Root())
	return keys, nil
}

// readAll reads those of the resources that are there and that the caller may
// see, in the order of their keys.
func (s *Set) readAll(ctx context.Context, c *call, keys []fhir.Key, also search.Expr) ([]store.Record, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	byType := map[string][]string{}
	for _, k := range keys {
		byType[k.Type] = append(byType[k.Type], k.ID)
	}
	q := search.Query{Types: slices.Sorted(maps.Keys(byType))}
	var ways search.Any
	for _, t := range q.Types {
		ways = append(ways, search.All{search.HasType{Types: []string{t}}, search.HasID{IDs: byType[t]}})
	}
	q.Where = search.And(ways, also)
	result, err := s.rest.Query(ctx, c.Caller, rest.QueryIn{Query: q, Count: len(keys)})
	if fhir.KindOf(err) == fhir.Forbidden && err != nil {
		return nil, nil // none of these types is the caller's to see
	}
	slices.SortFunc(result.Matches, func(a, b store.Record) int { return a.Key.Compare(b.Key) })
	return result.Matches, err
}
