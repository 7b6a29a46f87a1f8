package consent

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/search"
	"galen/fhir/spec"
	"galen/policies"
	"galen/store"
)

// Registry holds the consents that are in force and answers for them. It is safe
// for concurrent use.
type Registry struct {
	defs *spec.Definitions
	now  func() time.Time

	reader reader // nil before Load

	mu     sync.RWMutex
	byID   map[string]string          // Consent id → patient
	rules  map[string]map[string]rule // patient → Consent id → rule
	cached map[asker]answer
}

var _ policies.Consents = (*Registry)(nil)

// asker is all of a principal that a provision can ask about.
type asker struct {
	subject, user, org, client, purpose string
	self                                string // the patient who asks
	resourceType                        string
	permitted                           bool // Permitted, else Withheld
}

// answer is what was compiled for an asker, good until a period begins or ends.
type answer struct {
	condition search.Expr // nil for never
	until     time.Time   // zero for ever
}

// maxAnswers bounds the memory.
const maxAnswers = 20_000

// New makes an empty Registry; Load fills it.
func New(defs *spec.Definitions, now func() time.Time) *Registry {
	return &Registry{defs: defs, now: now, byID: map[string]string{}, rules: map[string]map[string]rule{}, cached: map[asker]answer{}}
}

const consentType = "Consent"

// Load takes over every Consent in the store, where the members of groups are
// looked up from then on.
func (r *Registry) Load(ctx context.Context, driver store.Driver) error {
	r.reader = driver
	ask := store.Select{Query: &search.Query{Types: []string{consentType}}, Limit: 500}
	for {
		page, err := driver.Search(ctx, ask)
		if err != nil {
			return err
		}
		for _, rec := range page.Records {
			r.take(rec)
		}
		if page.Next == nil {
			return nil
		}
		ask.After = page.Next
	}
}

// Seen takes over what was written.
func (r *Registry) Seen(writes []store.Write) {
	for i := range writes {
		if writes[i].Type == consentType {
			r.take(writes[i].Record)
		} else if collective(writes[i].Type) {
			r.mu.Lock()
			clear(r.cached)
			r.mu.Unlock()
		}
	}
}

// take replaces what is known of one Consent. Whatever of it cannot be read is
// not in force any more: it was valid when it was stored.
func (r *Registry) take(rec store.Record) {
	var made rule
	inForce := false
	if !rec.Deleted {
		if resource, err := fhir.Parse(rec.Body, jsontree.Limits{}); err == nil {
			made, inForce = parse(resource)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if patient, ok := r.byID[rec.ID]; ok {
		delete(r.rules[patient], rec.ID)
		delete(r.byID, rec.ID)
		if len(r.rules[patient]) == 0 {
			delete(r.rules, patient)
		}
	}
	if inForce {
		r.byID[rec.ID] = made.patient
		if r.rules[made.patient] == nil {
			r.rules[made.patient] = map[string]rule{}
		}
		r.rules[made.patient][rec.ID] = made
	}
	clear(r.cached)
}

// exempt are the types that no consent hides: the consent itself, which must stay
// readable to be withdrawn, and the record of who read what.
func exempt(resourceType string) bool {
	return resourceType == consentType || resourceType == "AuditEvent"
}

// Withheld implements policies.Consents.
func (r *Registry) Withheld(p *policies.Principal, resourceType string) search.Expr {
	if exempt(resourceType) {
		return nil
	}
	return r.answer(p, resourceType, false)
}

// Permitted implements policies.Consents.
func (r *Registry) Permitted(p *policies.Principal, resourceType string) search.Expr {
	if e := r.answer(p, resourceType, true); e != nil {
		return e
	}
	return no()
}

func (r *Registry) answer(p *policies.Principal, resourceType string, permitted bool) search.Expr {
	k := asker{
		subject: p.Subject, user: p.FHIRUser, org: p.Org, client: p.Client, purpose: p.Purpose,
		resourceType: resourceType, permitted: permitted,
	}
	if p.Is(p.Patient) {
		k.self = p.Patient
	}
	now := r.now()
	r.mu.RLock()
	if len(r.rules) == 0 {
		r.mu.RUnlock()
		return nil
	}
	a, ok := r.cached[k]
	r.mu.RUnlock()
	if ok && (a.until.IsZero() || now.Before(a.until)) {
		return a.condition
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	a = r.compile(p, k, now)
	if len(r.cached) >= maxAnswers {
		clear(r.cached)
	}
	r.cached[k] = a
	return a.condition
}

// compile joins what all patients say about one asker. Patients whose consents
// come to the same condition share it.
func (r *Registry) compile(p *policies.Principal, k asker, now time.Time) answer {
	q := question{defs: r.defs, reader: r.reader, principal: p, resourceType: k.resourceType, now: now}
	groups := map[string][]string{} // condition as text → patients
	conditions := map[string]search.Expr{}
	for patient, consents := range r.rules {
		if p.Is(patient) {
			continue
		}
		parts := make([]search.Expr, 0, len(consents))
		for _, c := range consents {
			if k.permitted {
				parts = append(parts, q.permits(&c.root))
			} else {
				parts = append(parts, q.denies(&c.root))
			}
		}
		condition := or(parts...)
		if isNo(condition) {
			continue
		}
		text := fmt.Sprintf("%#v", condition)
		groups[text], conditions[text] = append(groups[text], patient), condition
	}
	var ways []search.Expr
	for text, patients := range groups {
		slices.Sort(patients)
		record, ok := r.record(k.resourceType, patients)
		if ok {
			ways = append(ways, and(record, conditions[text]))
		}
	}
	a := answer{until: q.until}
	if joined := or(ways...); !isNo(joined) {
		a.condition = joined
	}
	return a
}

// record is the condition that a resource is of one of the patients' records;
// false for a type that is of nobody's.
func (r *Registry) record(resourceType string, patients []string) (search.Expr, bool) {
	compartment, ok := r.defs.Compartment("Patient")
	if !ok {
		return nil, false
	}
	if compartment.Self(resourceType) {
		return search.HasID{IDs: patients}, true
	}
	tests := make([]search.Test, len(patients))
	for i, id := range patients {
		tests[i] = search.ReferenceTest{Key: fhir.Key{Type: "Patient", ID: id}}
	}
	var ways []search.Expr
	for _, param := range compartment.Params(resourceType) {
		ways = append(ways, search.Where{Param: param, Any: tests})
	}
	if resourceType == "Device" {
		ways = append(ways, search.Where{Param: "patient", Any: tests})
	}
	return or(ways...), len(ways) > 0
}

// Refuses implements policies.Consents: the whole Patient or every prediction
// about it is withheld.
func (r *Registry) Refuses(p *policies.Principal, patient string) bool {
	if p.Is(patient) {
		return false
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, c := range r.rules[patient] {
		for _, resourceType := range []string{"Patient", "RiskAssessment"} {
			q := question{defs: r.defs, reader: r.reader, principal: p, resourceType: resourceType, now: r.now()}
			if isYes(q.denies(&c.root)) {
				return true
			}
		}
	}
	return false
}
