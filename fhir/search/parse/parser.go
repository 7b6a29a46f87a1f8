// Package parse turns the query part of a FHIR R4 search URL into a
// search.Request (https://hl7.org/fhir/R4/search.html).
//
// Promises: every parameter, modifier, prefix and value is checked against the
// definitions, chains are typed at every hop, and what cannot be honoured is an
// error, never passed over in silence; only a parameter that the type does not
// have may be, and is then listed. Nothing a client sends makes it panic or run
// long. Errors name the parameter, never its value.
//
// Named queries (_query) and functional lists are refused.
package parse

import (
	"errors"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"galen/fhir"
	"galen/fhir/search"
	"galen/fhir/search/filter"
	"galen/fhir/spec"
	"galen/fhir/ucum"
)

// Options are what a Parser needs to know of its server. The zero value will do.
type Options struct {
	Base string           // base URL with its last slash; an absolute reference under it is a relative one
	Zone *time.Location   // of dates without an offset; nil is UTC
	Now  func() time.Time // for the prefix ap; nil is time.Now

	MaxTests int      // alternatives in all, chains multiplied out; 0 is 5,000
	MaxChain int      // hops of a chain or _has; 0 is 10
	Own      []string // parameters that the caller reads itself; nil is _format and _pretty

	Terminology Terminology     // nil refuses the modifiers that need one
	FullText    search.FullText // what the Indexer puts under _text and _content
}

// Parser reads search URLs. It is safe for concurrent use.
type Parser struct {
	units *ucum.Table
	opts  Options
	known atomic.Pointer[known]
}

// known is what a Parser knows at one moment.
type known struct {
	defs    *spec.Definitions
	targets map[typeParam][]string // what a reference parameter can lead to
}

// New makes a Parser; defs and units are shared, not copied.
func New(defs *spec.Definitions, units *ucum.Table, opts Options) *Parser {
	if opts.Zone == nil {
		opts.Zone = time.UTC
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.MaxTests == 0 {
		opts.MaxTests = 5_000
	}
	if opts.MaxChain == 0 {
		opts.MaxChain = 10
	}
	if opts.Own == nil {
		opts.Own = []string{"_format", "_pretty"}
	}
	p := &Parser{units: units, opts: opts}
	p.Use(defs)
	return p
}

// Use makes the Parser go by other definitions from now on.
func (p *Parser) Use(defs *spec.Definitions) { p.known.Store(&known{defs, allTargets(defs)}) }

// Handling is what to do with a parameter that the type does not have
// (https://hl7.org/fhir/R4/search.html#errors, Prefer: handling).
type Handling uint8

// The ways of handling. A modifier, prefix or value that cannot be honoured is
// an error under both.
const (
	Lenient Handling = iota // pass over it and say so in Request.Ignored
	Strict                  // an error
)

// anyType stands for a search over every type: only the parameters of Resource
// are known then.
const anyType = "Resource"

// Parse reads the query part of a search URL (without "?"; a form body may be
// joined to it with "&") for a resource type, "" for the whole system. A
// parameter without a value is passed over, as R4 asks. The error is an
// *fhir.Error of Kind Malformed, Invalid, Value, NotSupported or TooCostly whose
// At is the parameter.
func (p *Parser) Parse(resourceType, rawQuery string, handling Handling) (*search.Request, error) {
	s := &state{Parser: p, known: p.known.Load(), handling: handling, req: &search.Request{Type: resourceType}}
	return s.run(rawQuery)
}

// ParseCriteria reads the criteria of a conditional interaction
// (https://hl7.org/fhir/R4/http.html#ccreate): strict, at least one condition,
// and no parameter without a value or about the result, lest more matches than
// was meant. The Kinds are those of Parse and Required.
func (p *Parser) ParseCriteria(resourceType, rawQuery string) (*search.Query, error) {
	s := &state{Parser: p, known: p.known.Load(), handling: Strict, criteria: true, req: &search.Request{Type: resourceType}}
	req, err := s.run(rawQuery)
	if err != nil {
		return nil, err
	}
	if len(req.Clauses) == 0 {
		return nil, fhir.E(op, fhir.Required, "", "the criteria are empty")
	}
	return &req.Query, nil
}

const op = "parse.Parse"

// state is one parse under way.
type state struct {
	*Parser
	*known
	handling Handling
	criteria bool
	req      *search.Request
	name     string    // the parameter being read, for errors
	compare  filter.Op // of the comparison of a _filter being read, "" outside
	tests    int       // read so far
	seen     []string  // result parameters that may come once only
}

type pair struct{ name, value string }

func (s *state) run(rawQuery string) (*search.Request, error) {
	if s.req.Type != "" {
		if !s.defs.IsResource(s.req.Type) {
			return nil, fhir.E(op, fhir.NotSupported, "", "no such resource type in R4")
		}
		s.req.Types = []string{s.req.Type}
	}
	pairs, err := decode(rawQuery)
	if err != nil {
		return nil, err
	}
	// _type decides which parameters there are, so it comes first.
	slices.SortStableFunc(pairs, func(a, b pair) int { return typeFirst(a) - typeFirst(b) })
	var where []search.Expr
	for _, pair := range pairs {
		s.name = pair.name
		e, err := s.parameter(pair)
		var unknown unknownError
		if s.handling == Lenient && errors.As(err, &unknown) {
			s.req.Ignored = append(s.req.Ignored, search.Ignored{Name: pair.name, Reason: unknown.is.Err.Error()})
			continue
		}
		if err != nil {
			return nil, err
		}
		where = append(where, e)
	}
	s.req.Where = search.And(where...)
	return s.req, nil
}

func typeFirst(p pair) int {
	if p.name == "_type" {
		return 0
	}
	return 1
}

// decode takes a query apart in order. "+" is a space, as browsers and form
// bodies write it.
func decode(rawQuery string) ([]pair, error) {
	var pairs []pair
	for part := range strings.SplitSeq(rawQuery, "&") {
		if part == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil {
			return nil, fhir.E(op, fhir.Malformed, "", "a parameter's name is not percent-encoded")
		}
		value, err := url.QueryUnescape(rawValue)
		if err != nil {
			return nil, fhir.E(op, fhir.Malformed, shown(name), "the value is not percent-encoded")
		}
		pairs = append(pairs, pair{name, value})
	}
	return pairs, nil
}

// shown is a parameter's name fit for an error.
func shown(name string) string { return strings.ToValidUTF8(name[:min(len(name), 100)], "?") }

func (s *state) fail(kind fhir.Kind, message string) error {
	return fhir.E(op, kind, shown(s.name), message)
}

// unknownError is about a parameter that the type does not have, which lenient
// handling passes over.
type unknownError struct{ is *fhir.Error }

func (e unknownError) Error() string { return e.is.Error() }

// Unwrap returns the plain error.
func (e unknownError) Unwrap() error { return e.is }

func (s *state) unknown(resourceType string) error {
	message := "no such search parameter on " + resourceType
	if resourceType == anyType {
		message = "no such search parameter on every resource type"
	}
	return unknownError{fhir.E(op, fhir.NotSupported, shown(s.name), message)}
}

// pendingError is about a parameter that would find a part of what there is: it
// is an error under every handling, in every branch of a chain.
type pendingError struct{ is *fhir.Error }

func (e pendingError) Error() string { return e.is.Error() }

// Unwrap returns the plain error.
func (e pendingError) Unwrap() error { return e.is }

// ready refuses a parameter by which not every resource is indexed yet.
func (s *state) ready(p *spec.SearchParam) error {
	if !p.Pending {
		return nil
	}
	return pendingError{fhir.E(op, fhir.NotSupported, shown(s.name), "the search parameter "+p.Code+" is not yet indexed for all resources; an administrator can run $reindex")}
}

// parameter reads one pair: a result parameter into the request, any other as a
// condition. An absent condition is nil.
func (s *state) parameter(p pair) (search.Expr, error) {
	if slices.Contains(s.opts.Own, p.name) {
		return nil, nil
	}
	value := p.value
	if p.name != "_filter" { // which has no alternatives
		value = joined(p.value)
	}
	if value == "" {
		if s.criteria {
			return nil, s.fail(fhir.Value, "a condition needs a value")
		}
		return nil, nil
	}
	base, modifier, _ := strings.Cut(p.name, ":")
	if read, ok := results[base]; ok {
		if s.criteria {
			return nil, s.fail(fhir.Invalid, "not a condition")
		}
		return nil, read(s, modifier, value)
	}
	e, err := s.condition(p.name, value)
	if err == nil {
		s.req.Clauses = append(s.req.Clauses, search.Clause{Name: p.name, Value: value})
	}
	return e, err
}

// joined is a value without its empty alternatives.
func joined(value string) string {
	pieces := split(value, ',')
	pieces = slices.DeleteFunc(pieces, func(piece string) bool { return strings.TrimSpace(piece) == "" })
	return strings.Join(pieces, ",")
}

// condition reads a condition for all types of the request. Where the types
// mean different things by the same code, each goes by its own.
func (s *state) condition(key, value string) (search.Expr, error) {
	types := s.req.Types
	if len(types) == 0 {
		types = []string{anyType}
	}
	var union search.Any
	for _, typ := range types {
		e, err := s.expr(typ, key, value, 0)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(union, func(o search.Expr) bool { return reflect.DeepEqual(o.(search.All)[1], e) })
		if i < 0 {
			union = append(union, search.All{search.HasType{Types: []string{typ}}, e})
			continue
		}
		known := union[i].(search.All)[0].(search.HasType)
		union[i].(search.All)[0] = search.HasType{Types: append(known.Types, typ)}
	}
	if len(union) == 1 {
		return union[0].(search.All)[1], nil
	}
	return union, nil
}
