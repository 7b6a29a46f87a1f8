package policies

import (
	"context"
	"time"

	"galen/fhir"
	"galen/fhir/search"
)

// Layers are what an Engine asks beside its revision. A layer that is nil
// answers as its comment says. They are called for every decision, from many
// goroutines, and must be fast.
type Layers struct {
	// Criteria reads the parameters of granular scopes; nil: they grant nothing.
	Criteria Criteria
	// Consents are the patients' own rules; nil: there are none.
	Consents Consents
	// Relations are care relationships; nil: nobody has one.
	Relations Relations
	// Emergencies are the open break-glass accesses; nil: there are none.
	Emergencies Emergencies
	// Labels knows which security labels are in use; nil: any may be.
	Labels Labels
	// Now is the clock of business-hours, in the hospital's zone; nil is time.Now.
	Now func() time.Time
}

// Criteria reads search parameters as search/parse.Parser does.
type Criteria interface {
	ParseCriteria(resourceType, rawQuery string) (*search.Query, error)
}

// Consents answers for the Consent resources that are in force now.
type Consents interface {
	// Withheld is the condition under which a resource of the type is kept from
	// the principal; nil for never.
	Withheld(p *Principal, resourceType string) search.Expr
	// Permitted is the condition under which it is expressly permitted; an empty
	// search.Any for never.
	Permitted(p *Principal, resourceType string) search.Expr
	// Refuses reports whether the patient keeps the whole record from the principal.
	Refuses(p *Principal, patient string) bool
}

// Relations knows who cares for whom.
type Relations interface {
	// Patients are the logical ids of the patients whom the user, "Practitioner/1",
	// cares for.
	Patients(ctx context.Context, user fhir.Key) ([]string, error)
}

// Emergencies knows the break-glass accesses that are open now.
type Emergencies interface {
	// Active are the logical ids of the patients to whom the subject has one.
	Active(subject string) []string
}

// Labels knows which security labels have ever been given to a resource.
type Labels interface {
	// InUse are those of the labels that were.
	InUse(labels []string) []string
}

func (l *Layers) now() time.Time {
	if l.Now == nil {
		return time.Now()
	}
	return l.Now()
}

func inOfficeHours(t time.Time) bool {
	return t.Weekday() != time.Saturday && t.Weekday() != time.Sunday && t.Hour() >= 7 && t.Hour() < 19
}

// Limits are the conditions that the layers put on an allowed request, each nil
// for none. A resource must meet all of them; that of an emergency stands in for
// Rules, Consent and Labels.
type Limits struct {
	Scope   search.Expr // what the token's scopes cover
	Rules   search.Expr // what the conditions of policy rows cover
	Consent search.Expr // what patients do not withhold
	Labels  search.Expr // what no security label withholds
	// Emergency is the record of the patients of open break-glass accesses.
	Emergency search.Expr
}

// filter joins the limits into one condition.
func (l *Limits) filter() search.Expr {
	inner := search.And(l.Rules, l.Consent, l.Labels)
	if inner != nil && l.Emergency != nil {
		inner = search.Any{inner, l.Emergency}
	}
	if l.Scope == nil {
		return inner
	}
	return search.And(l.Scope, inner)
}

// never is the condition that nothing meets.
func never() search.Expr { return search.Any{} }

// limit fills in what rules, consents and labels say of a type. It fails with
// the reason why nothing of the type may be seen. Type "" is a request across
// types: it is limited for each type by itself.
func (e *Engine) limit(ctx context.Context, p *Principal, r Request, v verdict, l *Limits) (Reason, string) {
	if len(v.narrows) > 0 {
		var ways search.Any
		for _, name := range v.narrows {
			if way, ok := e.narrow(ctx, name, p, r.Type); ok {
				ways = append(ways, way)
			}
		}
		switch len(ways) {
		case 0:
			return NoCompartment, "a request that is not limited to one patient"
		case 1:
			l.Rules = ways[0]
		default:
			l.Rules = ways
		}
	}
	if r.Type == "" {
		return "", ""
	}
	l.Consent, l.Labels = e.protection(p, r.Type, v)
	if r.Action == Read || r.Action == Search {
		l.Emergency = e.emergency(p, r.Type)
	}
	return "", ""
}

// protection is what consents and labels leave of a type.
func (e *Engine) protection(p *Principal, resourceType string, v verdict) (consent, labels search.Expr) {
	if e.layers.Consents != nil {
		if kept := e.layers.Consents.Withheld(p, resourceType); kept != nil {
			consent = search.Not{Of: kept}
		}
	}
	kept := v.withheld
	if e.layers.Labels != nil && len(kept) > 0 {
		kept = e.layers.Labels.InUse(kept)
	}
	if len(kept) > 0 {
		labels = withoutLabels(kept)
	}
	return consent, labels
}

// emergency is the record of those to whom the principal has a break-glass
// access, nil if there are none.
func (e *Engine) emergency(p *Principal, resourceType string) search.Expr {
	if e.layers.Emergencies == nil {
		return nil
	}
	patients := e.layers.Emergencies.Active(p.Subject)
	if len(patients) == 0 {
		return nil
	}
	record, ok := e.limits.filter(resourceType, patients...)
	if !ok {
		return nil
	}
	if record == nil {
		return search.All{}
	}
	return record
}

// narrow is what a rule's condition leaves of a type; false for nothing.
func (e *Engine) narrow(ctx context.Context, name string, p *Principal, resourceType string) (search.Expr, bool) {
	var filter search.Expr
	ok := true
	switch name {
	case ownCompartment:
		filter, ok = e.limits.filter(resourceType, p.Patient)
	case breakGlass:
		filter = e.emergency(p, resourceType)
		ok = filter != nil
	case careTeam:
		filter, ok = e.cared(ctx, p, resourceType)
	case consentPermits:
		if e.layers.Consents == nil {
			return nil, false
		}
		filter = e.layers.Consents.Permitted(p, resourceType)
	case notRestricted:
		filter = withoutLabels([]string{"R", "V"})
	}
	if ok && filter == nil {
		filter = search.All{}
	}
	return filter, ok
}

// maxCared is how many patients one user may care for; more are refused, lest
// the search grows without bound.
const maxCared = 5000

func (e *Engine) cared(ctx context.Context, p *Principal, resourceType string) (search.Expr, bool) {
	how, known := e.limits[resourceType]
	switch {
	case !known:
		return nil, false
	case how.open:
		return nil, true
	case e.layers.Relations == nil:
		return never(), true
	}
	patients, err := e.layers.Relations.Patients(ctx, fhir.ParseReference(p.FHIRUser).Key)
	if err != nil || len(patients) > maxCared {
		return nil, false // fail closed
	}
	if len(patients) == 0 {
		return never(), true
	}
	return e.limits.filter(resourceType, patients...)
}

// Protect is what consents, labels and emergencies leave of a type to the
// principal, nil for all: for data that is used under another permission than
// to read them, such as the evidence of a CDS service.
func (e *Engine) Protect(p Principal, resourceType string) search.Expr {
	s := e.active.Load()
	k := s.keyOf(e.defs, &p, Request{Action: Read, Type: resourceType}, e.facts(&p))
	l := Limits{Emergency: e.emergency(&p, resourceType)}
	l.Consent, l.Labels = e.protection(&p, resourceType, verdict{withheld: s.withheld(k)})
	return l.filter()
}
