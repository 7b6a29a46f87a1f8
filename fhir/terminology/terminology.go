// Package terminology answers what FHIR R4 asks of a terminology service
// (https://hl7.org/fhir/R4/terminology-service.html): what a value set holds,
// whether a code is in it, what a code means, how codes relate and translate.
//
// Promises: R4's own 1,062 code systems, 1,316 value sets and 19 concept maps are
// built in and cost nothing until asked for; a definition that the server stores comes
// before a built-in one; value sets that include each other are refused; what
// cannot be decided here, since a code system is not, is an error and never a
// guess; every answer has a limit.
//
// It stores nothing and has no HTTP; another server is asked through Remote.
package terminology

import (
	"cmp"
	"context"
	_ "embed"
	"sync"
	"time"

	"galen/fhir"
	"galen/fhir/definition"
	"galen/fhir/jsontree"
	"galen/fhir/terminology/release"
	"galen/fhir/ucum"
)

//go:embed r4.ndjson.gz
var packed []byte

// Builtin is R4's own code systems, value sets and concept maps, without
// narratives and publication data (fhir/spec/SOURCE.md).
func Builtin() *definition.Library { return definition.Packed(packed) }

// Coding is one code of a code system
// (https://hl7.org/fhir/R4/datatypes.html#Coding).
type Coding struct {
	System, Version, Code, Display string
}

// CodingOf reads a Coding.
func CodingOf(n jsontree.Node) Coding {
	return Coding{n.Get("system").Text(), n.Get("version").Text(), n.Get("code").Text(), n.Get("display").Text()}
}

// Remote is another terminology server.
type Remote interface {
	// Validate asks whether a value set ("url|version"), or with none its own code
	// system, holds a code. Errors are of Kind NotFound if that server does not
	// know either, and Unavailable.
	Validate(ctx context.Context, valueSet string, c Coding) (Verdict, error)
	// Expand asks for an expansion, at most count codes of it.
	Expand(ctx context.Context, in ExpandIn) ([]byte, error)
	// Lookup asks for the Parameters of $lookup.
	Lookup(ctx context.Context, c Coding, properties []string) ([]byte, error)
}

// Limits bound one answer; a zero field takes the default.
type Limits struct {
	Codes   int // codes of one expansion; 100,000
	Nesting int // value sets within value sets; 20
	Cached  int // compiled code systems kept; 200
}

// Service answers. It is safe for concurrent use.
type Service struct {
	source definition.Source
	shelf  *release.Shelf
	remote Remote
	units  *ucum.Table
	now    func() time.Time
	limits Limits
	cache  *cache
}

// cache keeps compiled code systems.
type cache struct {
	mu      sync.Mutex
	systems map[cacheKey]*codeSystem
}

// cacheKey tells versions of stored definitions apart; a built-in one has no id.
type cacheKey struct {
	url     string
	key     fhir.Key
	version int64
	release string
}

// Options are what a Service is made of.
type Options struct {
	Source definition.Source // most often a Stack that ends with Builtin
	Shelf  *release.Shelf    // imported code systems; nil for none
	Remote Remote            // asked what cannot be decided here; nil for none
	Units  *ucum.Table       // decides on UCUM codes
	Now    func() time.Time
	Limits Limits
}

// New returns a Service.
func New(o Options) *Service {
	limits := o.Limits
	for field, value := range map[*int]int{&limits.Codes: 100_000, &limits.Nesting: 20, &limits.Cached: 200} {
		if *field <= 0 {
			*field = value
		}
	}
	return &Service{source: o.Source, shelf: o.Shelf, remote: o.Remote, units: o.Units, now: o.Now, limits: limits, cache: newCache()}
}

func newCache() *cache { return &cache{systems: map[cacheKey]*codeSystem{}} }

// With returns a Service that knows these definitions before all others, for one
// question that brings along what it is about.
func (s *Service) With(definitions []fhir.Resource) *Service {
	if len(definitions) == 0 {
		return s
	}
	out := *s
	out.source = definition.Stack{definition.Given(definitions), s.source}
	out.cache = newCache()
	return &out
}

// find returns a definition by canonical URL, "url|version" allowed.
func (s *Service) find(ctx context.Context, resourceType, canonical, version string) (fhir.Resource, bool, error) {
	url, pinned := definition.Canonical(canonical)
	return s.source.Find(ctx, resourceType, url, cmp.Or(pinned, version))
}

// system returns a compiled code system, nil if its concepts are not here. One
// that is stored as an outline only (content not-present) is filled by an import.
func (s *Service) system(ctx context.Context, url, version string) (*codeSystem, error) {
	url, pinned := definition.Canonical(url)
	version = cmp.Or(pinned, version)
	r, ok, err := s.find(ctx, "CodeSystem", url, version)
	if err != nil {
		return nil, err
	}
	if !ok || r.Root().Get("content").Text() == "not-present" {
		if cs, err := s.imported(url, version); cs != nil || err != nil {
			return cs, err
		}
	}
	if !ok {
		return nil, nil
	}
	return s.cached(cacheKey{url, r.Key, r.Version, r.Root().Get("version").Text()}, func() *codeSystem { return compileSystem(r) }), nil
}

// imported is a code system of the Shelf, nil if it is not there.
func (s *Service) imported(url, version string) (*codeSystem, error) {
	if s.shelf == nil {
		return nil, nil
	}
	t, ok, err := s.shelf.Table(url, version)
	if err != nil || !ok {
		return nil, err
	}
	return s.cached(cacheKey{url: url, release: t.Version}, func() *codeSystem { return importedSystem(t) }), nil
}

// cached keeps what was compiled.
func (s *Service) cached(key cacheKey, compile func() *codeSystem) *codeSystem {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	if cs, ok := s.cache.systems[key]; ok {
		return cs
	}
	if len(s.cache.systems) >= s.limits.Cached {
		for old := range s.cache.systems { // any will do
			delete(s.cache.systems, old)
			break
		}
	}
	cs := compile()
	s.cache.systems[key] = cs
	return cs
}

// need is system, where none is an error of Kind NotFound.
func (s *Service) need(ctx context.Context, url, version string) (*codeSystem, error) {
	cs, err := s.system(ctx, url, version)
	if err == nil && cs == nil {
		err = fhir.E("terminology", fhir.NotFound, "system", "the code system is not known to this server")
	}
	return cs, err
}
