package policies

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"galen/fhir"
	"galen/fhir/search"
)

// Scope is one SMART App Launch 2 scope for FHIR resources
// (https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html),
// or one of this server's own for what is not a FHIR interaction.
type Scope struct {
	Level  string // "patient", "user", "system"; "galen" for the server's own
	Type   string // resource type or "*"; for galen an action or "*"
	Rights Rights // none for galen
	Query  string // "category=…" of a granular scope, as written; "" for none
}

// Rights is a set of c, r, u, d and s.
type Rights uint8

// The rights, in the order in which a scope must name them.
const (
	MayCreate Rights = 1 << iota
	MayRead
	MayUpdate
	MayDelete
	MaySearch
)

const scopeLetters = "cruds"

// ownLevel begins the scopes for actions that SMART has none for:
// "galen/invoke", "galen/policy:read", "galen/*". A token with scopes can do
// these only with such a scope, so that an app limited to some resources cannot
// change policies in its user's name.
const ownLevel = "galen"

// ParseScopes reads a scope claim, SMART v1 and v2 forms alike. Scopes that it
// does not know or that are malformed (".dus", letters out of order) grant
// nothing and come back as ignored; openid, launch and the like are among them.
func ParseScopes(claim string) (scopes []Scope, ignored []string) {
	for _, text := range strings.Fields(claim) {
		if s, ok := parseScope(text); ok {
			scopes = append(scopes, s)
		} else {
			ignored = append(ignored, text)
		}
	}
	return scopes, ignored
}

func parseScope(text string) (Scope, bool) {
	level, rest, ok := strings.Cut(text, "/")
	if !ok {
		return Scope{}, false
	}
	if level == ownLevel {
		return Scope{Level: level, Type: rest}, rest == "*" || (Action(rest).known() && !Action(rest).Interaction())
	}
	if level != "patient" && level != "user" && level != "system" {
		return Scope{}, false
	}
	body, query, granular := strings.Cut(rest, "?")
	if granular && query == "" {
		return Scope{}, false
	}
	name, suffix, ok := strings.Cut(body, ".")
	if !ok || (name != "*" && !fhir.ValidTypeName(name)) {
		return Scope{}, false
	}
	rights, ok := parseRights(suffix)
	return Scope{level, name, rights, query}, ok
}

// parseRights reads what follows the dot: the v1 words, or v2 letters in order;
// ".dus" is out of order and grants nothing.
func parseRights(suffix string) (Rights, bool) {
	switch suffix {
	case "read":
		return MayRead | MaySearch, true
	case "write":
		return MayCreate | MayUpdate | MayDelete, true
	case "*":
		return MayCreate | MayRead | MayUpdate | MayDelete | MaySearch, true
	}
	var rights Rights
	last := -1
	for i := range len(suffix) {
		at := strings.IndexByte(scopeLetters, suffix[i])
		if at <= last {
			return 0, false
		}
		rights |= 1 << at
		last = at
	}
	return rights, rights != 0
}

// String writes the scope in its v2 form.
func (s Scope) String() string {
	if s.Level == ownLevel {
		return s.Level + "/" + s.Type
	}
	b := []byte(s.Level + "/" + s.Type + ".")
	for i := range len(scopeLetters) {
		if s.Rights&(1<<i) != 0 {
			b = append(b, scopeLetters[i])
		}
	}
	if s.Query != "" {
		b = append(append(b, '?'), s.Query...)
	}
	return string(b)
}

// right is the right that an interaction needs.
func (a Action) right() Rights {
	switch a {
	case Create:
		return MayCreate
	case Read:
		return MayRead
	case Update:
		return MayUpdate
	case Delete:
		return MayDelete
	case Search:
		return MaySearch
	}
	return 0
}

// covers reports whether the scope speaks of the request at all.
func (s Scope) covers(r Request) bool {
	if !r.Action.Interaction() {
		return s.Level == ownLevel && (s.Type == "*" || s.Type == string(r.Action))
	}
	return s.Level != ownLevel && s.Rights&r.Action.right() != 0 && (s.Type == "*" || (r.Type != "" && s.Type == r.Type))
}

// scopes is the first layer: what the scopes of the token cover of the request.
// own is true if only patient/ scopes cover it. A granular scope covers what its
// parameters find; one whose parameters the type does not have, or that leads
// to other resources, grants nothing.
func (e *Engine) scopes(p *Principal, r Request) (limit search.Expr, own bool, reason Reason, missing string) {
	if p.Scopes == nil {
		return nil, false, "", ""
	}
	own, reason, missing = true, NoScope, "scope "+neededScope(r)
	var ways search.Any
	for _, s := range p.Scopes {
		if !s.covers(r) {
			continue
		}
		way, why, lacks := e.scope(s, p, r)
		if why != "" {
			reason, missing = why, lacks
			continue
		}
		if way == nil && s.Level != "patient" {
			return nil, false, "", ""
		}
		own = own && s.Level == "patient"
		if way == nil {
			way = search.All{}
		}
		ways = append(ways, way)
	}
	switch len(ways) {
	case 0:
		return nil, false, reason, missing
	case 1:
		return search.And(ways[0]), own, "", ""
	}
	if slices.ContainsFunc(ways, func(w search.Expr) bool { return search.And(w) == nil }) {
		return nil, own, "", ""
	}
	return ways, own, "", ""
}

// scope is what one scope that covers the request lets through, nil for all, or
// the reason why nothing.
func (e *Engine) scope(s Scope, p *Principal, r Request) (search.Expr, Reason, string) {
	if s.Level == ownLevel {
		return nil, "", ""
	}
	var within search.Expr
	if s.Level == "patient" {
		if !fhir.ValidID(p.Patient) {
			return nil, NoLaunchPatient, "a patient in the token's launch context"
		}
		var ok bool
		if within, ok = e.limits.filter(r.Type, p.Patient); !ok {
			return nil, NoCompartment, "a request that is not limited to one patient"
		}
	}
	if s.Query == "" {
		return within, "", ""
	}
	found, ok := e.granular(r.Type, s.Query)
	if !ok {
		return nil, NoScope, "a scope with parameters that can be checked"
	}
	return search.And(within, found), "", ""
}

// granularKey is a granular scope's query on a type.
type granularKey struct{ resourceType, query string }

// granularCache keeps what granular scopes mean; nil stands for nothing.
type granularCache struct {
	mu   sync.RWMutex
	seen map[granularKey]search.Expr
}

// maxGranular bounds the memory that strange tokens can take.
const maxGranular = 1000

// granular is the condition of a granular scope
// (https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#finer-grained-resource-constraints-using-search-parameters).
func (e *Engine) granular(resourceType, query string) (search.Expr, bool) {
	if e.layers.Criteria == nil || resourceType == "" {
		return nil, false
	}
	k := granularKey{resourceType, query}
	e.cache.mu.RLock()
	found, ok := e.cache.seen[k]
	e.cache.mu.RUnlock()
	if ok {
		return found, found != nil
	}
	q, err := e.layers.Criteria.ParseCriteria(resourceType, query)
	if err == nil && search.And(q.Where) != nil && alone(q.Where) {
		found = q.Where
	}
	e.cache.mu.Lock()
	defer e.cache.mu.Unlock()
	if e.cache.seen == nil || len(e.cache.seen) >= maxGranular {
		e.cache.seen = map[granularKey]search.Expr{}
	}
	e.cache.seen[k] = found
	return found, found != nil
}

// alone reports whether a condition speaks of one resource only, so that it can
// be checked when that is read: without chains.
func alone(e search.Expr) bool {
	switch e := e.(type) {
	case search.All:
		return !slices.ContainsFunc(e, func(part search.Expr) bool { return !alone(part) })
	case search.Any:
		return !slices.ContainsFunc(e, func(part search.Expr) bool { return !alone(part) })
	case search.Not:
		return alone(e.Of)
	case search.Chain, search.Reverse, search.Tree:
		return false
	}
	return true
}

func neededScope(r Request) string {
	if !r.Action.Interaction() {
		return ownLevel + "/" + string(r.Action)
	}
	return Scope{Level: "user", Type: cmp.Or(r.Type, "*"), Rights: r.Action.right()}.String()
}
