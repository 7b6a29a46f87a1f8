package policies

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"galen/fhir"
	"galen/fhir/spec"
)

// Engine decides by one revision at a time. It is safe for concurrent use.
type Engine struct {
	defs   *spec.Definitions
	limits limits
	layers Layers
	active atomic.Pointer[rules]
	cache  granularCache
}

// New makes an Engine with that revision and no Layers; the errors are those of
// NewLayered.
func New(rev Revision, defs *spec.Definitions) (*Engine, error) {
	return NewLayered(rev, defs, Layers{})
}

// NewLayered makes an Engine with that revision. A revision that is malformed,
// that Casbin cannot run or that lets an unknown role in is refused with an
// *fhir.Error of Kind Invalid whose At names the file and line.
func NewLayered(rev Revision, defs *spec.Definitions, layers Layers) (*Engine, error) {
	e := &Engine{defs: defs, limits: newLimits(defs), layers: layers}
	if err := e.Activate(rev); err != nil {
		return nil, err
	}
	return e, nil
}

// Try makes an Engine with another revision and the same Layers, to see what it
// would decide; the errors are those of NewLayered.
func (e *Engine) Try(rev Revision) (*Engine, error) { return NewLayered(rev, e.defs, e.layers) }

// Activate replaces the revision for every decision from now on. If it fails,
// the one before stays; the errors are those of NewLayered.
func (e *Engine) Activate(rev Revision) error {
	doc, err := parsePolicy(rev.Policy, e.defs)
	if err != nil {
		return err
	}
	s, err := compile(rev, doc)
	if err != nil {
		return err
	}
	e.active.Store(s)
	return nil
}

// Revision is the digest of the active revision.
func (e *Engine) Revision() string { return e.active.Load().digest }

// Rows are the rules of the active revision in their order; not to be changed.
func (e *Engine) Rows() []Row { return e.active.Load().rows }

// Roles are the names of the roles that the active revision knows, sorted.
func (e *Engine) Roles() []string { return e.active.Load().roles() }

// Decide says whether the principal may do what it asks, and on which rows. It
// never fails: whatever goes wrong is a denial.
func (e *Engine) Decide(ctx context.Context, p Principal, r Request) Decision {
	d, l := e.decide(ctx, &p, r)
	if d.Allow {
		d.Filter = l.filter()
	}
	return d
}

// Explain is Decide with what each layer limits the request to.
func (e *Engine) Explain(ctx context.Context, p Principal, r Request) (Decision, Limits) {
	d, l := e.decide(ctx, &p, r)
	if d.Allow {
		d.Filter = l.filter()
	}
	return d, l
}

func (e *Engine) decide(ctx context.Context, p *Principal, r Request) (Decision, Limits) {
	s := e.active.Load()
	d, l := Decision{Revision: s.digest}, Limits{}
	limit, own, reason, missing := e.scopes(p, r)
	if reason != "" {
		d.Reason, d.Missing = reason, missing
		return d, l
	}
	v := s.verdict(s.keyOf(e.defs, p, r, e.facts(p)))
	d.Rule, d.Reason, d.Missing = v.rule, v.reason, v.missing
	if !v.allow {
		return d, l
	}
	l.Scope = limit
	if r.Action.Interaction() {
		d.Own = own && limit != nil || v.onlyOwn()
		reason, missing = e.limit(ctx, p, r, v, &l)
	} else {
		reason, missing = e.about(p, r)
	}
	if reason != "" {
		d.Rule, d.Reason, d.Missing = "", reason, missing
		return d, l
	}
	d.Allow = true
	return d, l
}

// about is what limits an action that is no interaction but concerns a patient:
// a token of one patient is for that one, and a patient may keep the record from
// the principal, but not from an emergency.
func (e *Engine) about(p *Principal, r Request) (Reason, string) {
	switch {
	case r.Patient == "":
		return "", ""
	case p.patientOnly() && p.Patient != r.Patient:
		return NoCompartment, "a token for that patient"
	case e.layers.Consents == nil || !e.layers.Consents.Refuses(p, r.Patient):
		return "", ""
	case e.layers.Emergencies != nil && slices.Contains(e.layers.Emergencies.Active(p.Subject), r.Patient):
		return "", ""
	}
	return NoConsent, "the patient's consent"
}

// key is all that a verdict depends on. What no rule names is left out of it, so
// that strange tokens cannot fill the cache.
type key struct {
	roles             uint64 // bits as in rules.roleBits
	action            Action
	typ, org, purpose string
	facts             facts
}

func (s *rules) keyOf(defs *spec.Definitions, p *Principal, r Request, f facts) key {
	k := key{action: r.Action, typ: r.Type, facts: f & s.needed}
	for _, role := range p.Roles {
		k.roles |= s.roleBits[role]
	}
	if s.orgs[p.Org] {
		k.org = p.Org
	}
	if s.purposes[p.Purpose] {
		k.purpose = p.Purpose
	}
	if r.Action.Interaction() && r.Type != "" && !defs.IsResource(r.Type) {
		k.roles = 0 // no such type: nobody may
	}
	return k
}

// cache holds verdicts of one revision; it dies with it.
type cache struct {
	mu   sync.RWMutex
	seen map[key]verdict
}

const maxCached = 20_000 // about 5 MB; more keys than the shipped policy can have

func (s *rules) verdict(k key) verdict {
	s.cache.mu.RLock()
	v, ok := s.cache.seen[k]
	s.cache.mu.RUnlock()
	if ok {
		return v
	}
	v = s.decide(k)
	if v.reason == Failed {
		return v
	}
	if v.allow && k.action.Interaction() {
		v.withheld = s.withheld(k)
	}
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	if s.cache.seen == nil || len(s.cache.seen) >= maxCached {
		s.cache.seen = map[key]verdict{}
	}
	s.cache.seen[k] = v
	return v
}

// OwnKey is the key of the principal's patient, the zero Key if it has none.
func (p Principal) OwnKey() fhir.Key {
	if !fhir.ValidID(p.Patient) {
		return fhir.Key{}
	}
	return fhir.Key{Type: "Patient", ID: p.Patient}
}

// patientOnly reports whether the token is for one patient's data: all its
// scopes for FHIR resources are patient/ scopes, or it is a patient's own.
func (p *Principal) patientOnly() bool {
	patient, other := false, false
	for _, s := range p.Scopes {
		patient = patient || s.Level == "patient"
		other = other || s.Level == "user" || s.Level == "system"
	}
	return patient && !other || p.Is(p.Patient)
}

// Is reports whether the principal is that patient: by fhirUser, or, without
// one, by the role of a patient.
func (p *Principal) Is(patient string) bool {
	if patient == "" {
		return false
	}
	if p.FHIRUser != "" {
		return p.FHIRUser == "Patient/"+patient
	}
	return p.Patient == patient && len(p.Roles) == 1 && p.Roles[0] == "patient"
}
