package simulate

import (
	"context"
	"iter"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/search"
	"galen/policies"
	"galen/policies/audit"
	"galen/store"
)

// Question is one request to explain: by whom, or by which role, and for what.
type Question struct {
	Subject  string          `json:"sub"`  // known from the audit; fields that are given count instead
	Role     string          `json:"role"` // or several in roles
	Roles    []string        `json:"roles"`
	Org      string          `json:"org"`
	Purpose  string          `json:"purpose"`
	Patient  string          `json:"patient"` // in the token
	FHIRUser string          `json:"fhirUser"`
	Client   string          `json:"client"`
	Scope    *string         `json:"scope"`
	Action   policies.Action `json:"action"`
	Type     string          `json:"type"`
	ID       string          `json:"id"`
	About    string          `json:"about"` // logical id of the patient of a call
}

// Answer explains a decision.
type Answer struct {
	Allow    bool            `json:"allow"`
	Rule     string          `json:"rule,omitempty"` // that decided, or ""
	Reason   policies.Reason `json:"reason"`
	Missing  string          `json:"missing,omitempty"` // what the nearest rule lacks
	Revision string          `json:"revision"`
	Limited  bool            `json:"limited,omitempty"` // only some resources are shown
	Layers   []Layer         `json:"layers,omitempty"`  // that limit it
	Exists   *bool           `json:"exists,omitempty"`  // whether the resource asked about is there
}

// Layer is one layer that limits an allowed request.
type Layer struct {
	Layer policies.Reason `json:"layer"`
	// Shows says whether it lets the resource through; nil without a resource.
	Shows *bool `json:"shows,omitempty"`
}

// Explainer explains decisions of the live engine.
type Explainer struct {
	Engine *policies.Engine
	Log    *audit.Log
	Store  *store.Store
	Index  store.Indexer
}

// Explain answers a question. Errors: Value for an action or type that does not
// exist, NotFound for a subject that is in no record and has no roles given.
func (x *Explainer) Explain(ctx context.Context, q Question) (Answer, error) {
	const op = "simulate.Explain"
	if len(q.Action) == 0 || !known(q.Action) {
		return Answer{}, fhir.E(op, fhir.Value, "action", "there is no such action")
	}
	p, err := x.principal(q)
	if err != nil {
		return Answer{}, err
	}
	d, limits := x.Engine.Explain(ctx, p, policies.Request{Action: q.Action, Type: q.Type, ID: q.ID, Patient: q.About})
	a := Answer{Allow: d.Allow, Rule: d.Rule, Reason: d.Reason, Missing: d.Missing, Revision: d.Revision, Limited: d.Filter != nil}
	if !d.Allow {
		return a, nil
	}
	layers := []struct {
		reason policies.Reason
		filter search.Expr
	}{{policies.NoScope, limits.Scope}, {policies.NoCompartment, limits.Rules}, {policies.NoConsent, limits.Consent}, {policies.NoLabel, limits.Labels}}
	shows := func(search.Expr) *bool { return nil }
	if q.ID != "" && q.Action.Interaction() {
		if shows, err = x.look(ctx, fhir.Key{Type: q.Type, ID: q.ID}, &a); err != nil {
			return Answer{}, err
		}
	}
	for _, l := range layers {
		if l.filter != nil {
			a.Layers = append(a.Layers, Layer{l.reason, shows(l.filter)})
		}
	}
	if whole := shows(d.Filter); whole != nil && !*whole {
		a.Allow = false
		for _, l := range a.Layers {
			if l.Shows != nil && !*l.Shows {
				a.Reason, a.Missing = l.Layer, "a resource that this layer shows"
				break
			}
		}
	}
	return a, nil
}

// look reads the resource and gives a function that holds a condition against it;
// what is not there is neither shown nor hidden.
func (x *Explainer) look(ctx context.Context, key fhir.Key, a *Answer) (func(search.Expr) *bool, error) {
	none := func(search.Expr) *bool { return nil }
	found, err := x.Store.ReadMany(ctx, key)
	if err != nil {
		return none, err
	}
	there := found[0].Exists() && !found[0].Deleted
	a.Exists = &there
	if !there {
		return none, nil
	}
	resource, err := fhir.Parse(found[0].Body, jsontree.Limits{})
	if err != nil {
		return none, err
	}
	entries, err := x.Index.Index(resource)
	if err != nil {
		return none, err
	}
	c := single{found[0].Header, entries}
	return func(e search.Expr) *bool {
		shown := e == nil || search.Match(e, key, c)
		return &shown
	}, nil
}

func known(a policies.Action) bool {
	for _, o := range policies.Actions() {
		if o == a {
			return true
		}
	}
	return false
}

// principal is who the question is about: the subject as the audit last saw it,
// and what the question says.
func (x *Explainer) principal(q Question) (policies.Principal, error) {
	p := policies.Principal{Subject: q.Subject}
	if q.Role != "" {
		q.Roles = append(q.Roles, q.Role)
	}
	if q.Subject != "" && len(q.Roles) == 0 {
		last, ok, err := x.lastSeen(q.Subject)
		if err != nil {
			return p, err
		}
		if !ok {
			return p, fhir.E("simulate.Explain", fhir.NotFound, "sub", "nobody of that name is on record: give a role")
		}
		p = principalOf(last)
	}
	for into, given := range map[*string]string{
		&p.Org: q.Org, &p.Purpose: q.Purpose, &p.Patient: q.Patient, &p.FHIRUser: q.FHIRUser, &p.Client: q.Client,
	} {
		if given != "" {
			*into = given
		}
	}
	if len(q.Roles) > 0 {
		p.Roles = q.Roles
	}
	if q.Scope != nil {
		p.Scopes, _ = policies.ParseScopes(*q.Scope)
		if p.Scopes == nil {
			p.Scopes = []policies.Scope{}
		}
	}
	return p, nil
}

// lastSeen is the last entry of a subject.
func (x *Explainer) lastSeen(subject string) (last audit.Entry, ok bool, err error) {
	needle := `"subject":"` + subject
	for e, err := range x.Log.Find(1, func(b []byte) bool { return strings.Contains(string(b), needle) }) {
		if err != nil {
			return last, false, err
		}
		if e.Agent.Subject == subject {
			last, ok = e, true
		}
	}
	return last, ok, nil
}

// single is a corpus of one resource.
type single struct {
	header  fhir.Header
	entries []search.Entry
}

// Header returns the one header.
func (c single) Header(k fhir.Key) (fhir.Header, bool) { return c.header, k == c.header.Key }

// Entries returns the one resource's entries.
func (c single) Entries(k fhir.Key) []search.Entry {
	if k == c.header.Key {
		return c.entries
	}
	return nil
}

// Keys yields the one key.
func (c single) Keys(resourceType string) iter.Seq[fhir.Key] {
	return func(yield func(fhir.Key) bool) {
		if resourceType == c.header.Type {
			yield(c.header.Key)
		}
	}
}
