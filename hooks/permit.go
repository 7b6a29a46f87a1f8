package hooks

import (
	"context"
	"slices"
	"strings"

	"galen/fhir"
	"galen/hooks/call"
	"galen/hooks/clients"
	"galen/policies"
)

// permit decides whether the caller may call the service for this patient. The
// error is of Kind Forbidden.
func (d *Dispatcher) permit(ctx context.Context, in *invocation, s *Service, r call.Request) error {
	const op = "hooks.permit"
	p := in.caller.Principal
	if !d.client(p).MayCall(s.Hook) {
		in.entry.Reason = "client-hook"
		return fhir.E(op, fhir.Forbidden, "hook", "the client is not registered for this hook")
	}
	if err := d.decide(ctx, in, policies.Request{Action: policies.Invoke, Patient: in.patient(r)}, reads(s)); err != nil {
		return err
	}
	if p.Patient != "" && (p.Patient != r.Patient || !in.local(r)) {
		in.entry.Reason, in.entry.Decision.Allow = "patient", false
		return fhir.E(op, fhir.Forbidden, "context.patientId", "the token is limited to another patient")
	}
	return nil
}

// client is the registration of a caller: by its own JWT, or by a token of
// another issuer that names it as client or subject. nil for none.
func (d *Dispatcher) client(p policies.Principal) *clients.Client {
	if c := d.Clients.Find(p.Client); c != nil {
		return c
	}
	return d.Clients.Find(p.Subject)
}

// decide asks the policies. SMART scopes say nothing of CDS Hooks, and a CDS
// client's JWT has none at all (https://cds-hooks.hl7.org/2.0/#security-and-safety).
// A token that has scopes may call a service if they would let it read all that
// the service's answer is made of, or if it has the scope galen/invoke; a card
// must not tell an app what the app may not read.
func (d *Dispatcher) decide(ctx context.Context, in *invocation, ask policies.Request, types []string) error {
	p := in.caller.Principal
	if coversAll(&p, types) {
		p.Scopes = nil
	}
	ask.Type = in.id
	decision := d.Policies.Decide(ctx, p, ask)
	in.decided(decision)
	switch {
	case decision.Allow:
		return nil
	case decision.Reason == policies.NoScope:
		return fhir.E("hooks.decide", fhir.Forbidden, "", "the token's scopes cover neither galen/"+string(ask.Action)+" nor reading "+strings.Join(types, ", "))
	}
	return decision.Refusal("hooks.decide")
}

// patient is the logical id of the patient here, "" if the call's ids are those
// of another server.
func (in *invocation) patient(r call.Request) string {
	if in.local(r) {
		return r.Patient
	}
	return ""
}

// reads are the types of resources that a service's answer is made of.
func reads(s *Service) []string {
	types := []string{"RiskAssessment"}
	for _, t := range s.templates {
		name := t.Query[:strings.IndexAny(t.Query+"/", "/?")]
		if fhir.ValidTypeName(name) && !slices.Contains(types, name) {
			types = append(types, name)
		}
	}
	return types
}

// coversAll reports whether FHIR scopes let read and search every type.
func coversAll(p *policies.Principal, types []string) bool {
	const rights = policies.MayRead | policies.MaySearch
	for _, t := range types {
		covered := slices.ContainsFunc(p.Scopes, func(s policies.Scope) bool {
			return (s.Level != "patient" || p.Patient != "") && s.Rights&rights == rights && s.Query == "" && (s.Type == "*" || s.Type == t)
		})
		if !covered {
			return false
		}
	}
	return true
}
