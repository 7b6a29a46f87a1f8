package policies

import (
	"cmp"
	"strings"

	"galen/fhir"
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

// scopeGate is the first layer: whether some scope covers the request, and
// whether only patient/ scopes do, so that it is limited to the patient.
// Granular scopes cannot be evaluated here yet; they grant nothing, which is
// less than they say and never more.
func scopeGate(p *Principal, r Request) (limited bool, reason Reason, missing string) {
	if p.Scopes == nil {
		return false, "", ""
	}
	patient, granular := false, false
	for _, s := range p.Scopes {
		switch {
		case !s.covers(r):
		case s.Query != "":
			granular = true
		case s.Level == "patient":
			patient = true
		default:
			return false, "", ""
		}
	}
	switch {
	case patient && fhir.ValidID(p.Patient):
		return true, "", ""
	case patient:
		return false, NoLaunchPatient, "a patient in the token's launch context"
	case granular:
		return false, NoScope, "a scope without search parameters"
	}
	return false, NoScope, "scope " + neededScope(r)
}

func neededScope(r Request) string {
	if !r.Action.Interaction() {
		return ownLevel + "/" + string(r.Action)
	}
	return Scope{Level: "user", Type: cmp.Or(r.Type, "*"), Rights: r.Action.right()}.String()
}
