package consent

import (
	"slices"
	"strings"
	"time"

	"galen/fhir"
	"galen/fhir/search"
	"galen/fhir/spec"
	"galen/policies"
)

// question is who asks for what type at what moment. What depends on these is
// settled when a provision is compiled; what is left is a condition on the
// resource.
type question struct {
	defs         *spec.Definitions
	reader       reader // nil if nothing can be looked up
	principal    *policies.Principal
	resourceType string
	now          time.Time
	until        time.Time // when a period of a provision begins or ends next; zero for never
}

// yes holds for every resource, no for none.
func yes() search.Expr { return search.All{} }

func no() search.Expr { return search.Any{} }

func isYes(e search.Expr) bool {
	all, ok := e.(search.All)
	return ok && len(all) == 0
}

func isNo(e search.Expr) bool {
	any, ok := e.(search.Any)
	return ok && len(any) == 0
}

func and(parts ...search.Expr) search.Expr {
	var all search.All
	for _, e := range parts {
		switch {
		case isNo(e):
			return no()
		case !isYes(e):
			all = append(all, e)
		}
	}
	if len(all) == 1 {
		return all[0]
	}
	return append(search.All{}, all...)
}

func or(parts ...search.Expr) search.Expr {
	var some search.Any
	for _, e := range parts {
		switch {
		case isYes(e):
			return yes()
		case !isNo(e):
			some = append(some, e)
		}
	}
	if len(some) == 1 {
		return some[0]
	}
	return append(search.Any{}, some...)
}

func not(e search.Expr) search.Expr {
	switch {
	case isYes(e):
		return no()
	case isNo(e):
		return yes()
	}
	return search.Not{Of: e}
}

// truth is the condition that always or never holds.
func truth(b bool) search.Expr {
	if b {
		return yes()
	}
	return no()
}

// denies is the condition under which a provision, its exceptions heeded, denies.
func (q *question) denies(p *provision) search.Expr {
	inner := make([]search.Expr, len(p.nested))
	permits := make([]search.Expr, len(p.nested))
	for i := range p.nested {
		inner[i], permits[i] = q.denies(&p.nested[i]), q.permits(&p.nested[i])
	}
	own := no()
	if p.effect == deny {
		own = not(or(permits...))
	}
	return and(q.meets(p, true), or(or(inner...), own))
}

// permits is the condition under which a provision permits.
func (q *question) permits(p *provision) search.Expr {
	inner := make([]search.Expr, len(p.nested))
	denied := make([]search.Expr, len(p.nested))
	for i := range p.nested {
		inner[i], denied[i] = q.permits(&p.nested[i]), q.denies(&p.nested[i])
	}
	return and(q.meets(p, false), not(or(denied...)), or(or(inner...), truth(p.effect == permit)))
}

// meets is the condition under which a provision applies. unsure is what counts
// for a part that cannot be checked.
func (q *question) meets(p *provision, unsure bool) search.Expr {
	if !p.accesses() || !q.within(p.period) || !q.forPurpose(p.purposes) {
		return no()
	}
	return and(
		truth(len(p.actors) == 0 || slices.ContainsFunc(p.actors, func(a actor) bool { return q.isActor(a, unsure) })),
		either(p.classes, func(c code) search.Expr { return q.class(c, unsure) }),
		either(p.labels, func(c code) search.Expr {
			return search.Where{Param: "_security", Any: []search.Test{token(c)}}
		}),
		either(p.codes, func(c code) search.Expr { return q.code(c, unsure) }),
		either(p.data, func(d data) search.Expr { return q.data(d, unsure) }),
		q.dated(p.dataPeriod, unsure),
	)
}

// either is the condition of a list of alternatives; an empty one always holds.
func either[T any](list []T, of func(T) search.Expr) search.Expr {
	if len(list) == 0 {
		return yes()
	}
	parts := make([]search.Expr, len(list))
	for i, item := range list {
		parts[i] = of(item)
	}
	return or(parts...)
}

func token(c code) search.Test {
	return search.TokenTest{System: c.system, Code: c.code, AnySystem: c.system == ""}
}

// within reports whether a period covers this moment, and notes when that changes.
func (q *question) within(p *fhir.Period) bool {
	if p == nil {
		return true
	}
	for _, edge := range []time.Time{p.Low.Time(), p.High.Time()} {
		if edge.After(q.now) && (q.until.IsZero() || edge.Before(q.until)) {
			q.until = edge
		}
	}
	now := fhir.InstantOf(q.now)
	return p.Low <= now && now < p.High
}

// forPurpose reports whether the purpose of use is among those of a provision,
// or a kind of one of them (v3-ActReason).
func (q *question) forPurpose(of []string) bool {
	if len(of) == 0 {
		return true
	}
	purpose := q.principal.Purpose
	if purpose == "" {
		purpose = "TREAT"
	}
	broader := map[string]string{"ETREAT": "TREAT", "BTG": "TREAT"}[purpose]
	return slices.Contains(of, purpose) || slices.Contains(of, "PurposeOfUse") || broader != "" && slices.Contains(of, broader)
}

// isActor reports whether the principal is an actor: the user, the organization,
// the app, or a member of the group or team, or who has the role.
func (q *question) isActor(a actor, unsure bool) bool {
	p := q.principal
	switch a.key.Type {
	case "Group", "CareTeam", "PractitionerRole":
		if p.FHIRUser == a.key.String() {
			return true
		}
		if in, known := q.belongs(a.key, maxNesting); known {
			return in
		}
	case "Practitioner", "Patient", "RelatedPerson":
		return p.FHIRUser == a.key.String() || p.FHIRUser == "" && p.Subject == a.key.ID
	case "Organization":
		return p.Org == a.key.ID || p.Org == a.key.String()
	case "Device":
		return p.Client == a.key.ID || p.FHIRUser == a.key.String()
	case "":
		if a.identifier != "" {
			return a.identifier == p.Subject || a.identifier == p.Org || a.identifier == p.Client
		}
	}
	return unsure
}

const resourceTypes = "http://hl7.org/fhir/resource-types"

// class: a resource type, or a profile that the resource claims.
func (q *question) class(c code, unsure bool) search.Expr {
	switch {
	case c.system == resourceTypes || c.system == "" && q.defs.IsResource(c.code):
		return truth(c.code == q.resourceType)
	case strings.HasPrefix(c.code, "http://") || strings.HasPrefix(c.code, "https://"):
		return search.Where{Param: "_profile", Any: []search.Test{search.URITest{URI: c.code}}}
	}
	return truth(unsure)
}

// code: what the resource says, by its parameter for that.
func (q *question) code(c code, unsure bool) search.Expr {
	for _, name := range []string{"code", "type"} {
		if p, ok := q.defs.Param(q.resourceType, name); ok && p.Type == spec.Token {
			return search.Where{Param: name, Any: []search.Test{token(c)}}
		}
	}
	return truth(unsure)
}

// dated: the resource's date lies in the period, in part at least.
func (q *question) dated(p *fhir.Period, unsure bool) search.Expr {
	if p == nil {
		return yes()
	}
	if param, ok := q.defs.Param(q.resourceType, "date"); ok && param.Type == spec.Date {
		return search.Where{Param: "date", Any: []search.Test{search.DateTest{Op: search.Ap, Period: *p}}}
	}
	return truth(unsure)
}

// data: the very resource, and, unless the meaning is instance, what refers to it
// (https://hl7.org/fhir/R4/valueset-consent-data-meaning.html).
func (q *question) data(d data, unsure bool) search.Expr {
	if d.key.ID == "" {
		return truth(unsure)
	}
	ways := []search.Expr{no()}
	if d.key.Type == q.resourceType {
		ways = append(ways, search.HasID{IDs: []string{d.key.ID}})
	}
	if d.meaning != "instance" {
		for _, p := range q.defs.Params(q.resourceType) {
			if p.Type == spec.Reference && (len(p.Targets) == 0 || slices.Contains(p.Targets, d.key.Type)) {
				ways = append(ways, search.Where{Param: p.Code, Any: []search.Test{search.ReferenceTest{Key: d.key}}})
			}
		}
	}
	return or(ways...)
}
