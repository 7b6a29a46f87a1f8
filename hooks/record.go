package hooks

import (
	"context"

	"galen/cds"
	"galen/fhir"
	"galen/policies"
	"galen/policies/audit"
)

// invocation is one call of a service on its way: what is decided and what is
// put on record.
type invocation struct {
	decision policies.Decision
	entry    audit.Entry
	context  cds.Context
}

// begin decides whether the caller may invoke the service. A refusal is put on
// record and is an error of Kind Forbidden.
func (d *Dispatcher) begin(ctx context.Context, c Caller, service string, r *request) (*invocation, error) {
	decision := d.Policies.Decide(ctx, c.Principal, policies.Request{Action: policies.Invoke, Type: service})
	in := &invocation{
		decision: decision,
		entry: audit.Entry{
			Kind: audit.HookCall, Agent: audit.AgentOf(c.Principal, c.Address), Decision: audit.DecisionOf(decision),
			Request: c.RequestID, Service: service, Call: r.instance, Patients: []string{"Patient/" + r.patient},
		},
		context: cds.Context{Subject: r.server + "Patient/" + r.patient, Policy: decision.Revision},
	}
	if decision.Allow {
		return in, nil
	}
	in.entry.Reason = string(decision.Reason)
	return nil, d.end(ctx, in, fhir.E("hooks.begin", fhir.Forbidden, "", "the policies do not permit this"))
}

// end puts a call that ended early on record.
func (d *Dispatcher) end(ctx context.Context, in *invocation, err error) error {
	in.entry.Outcome = audit.Minor
	if fhir.KindOf(err).Status() >= 500 {
		in.entry.Outcome = audit.Serious
	}
	if _, failed := d.Audit.Append(ctx, in.entry); failed != nil {
		return failed
	}
	return err
}

// record stores the assessments and then puts the call and each run of a model
// on record, durably, before anything is answered. It returns the reference of
// each RiskAssessment, "" where there is none.
func (d *Dispatcher) record(ctx context.Context, in *invocation, results []Result) ([]string, error) {
	assessments := make([]*cds.Assessment, len(results))
	for i, r := range results {
		assessments[i] = r.Assessment
		in.context.Cards = append(in.context.Cards, r.Card)
	}
	stored, err := d.Ledger.Record(ctx, in.context, assessments)
	if err != nil {
		return nil, d.end(ctx, in, err)
	}
	references := make([]string, len(results))
	entries := []audit.Entry{in.entry}
	for i, r := range results {
		run := in.entry
		run.Kind = audit.Inference
		run.Model = audit.Model{Name: r.Model.Manifest.Name, Version: string(r.Model.Manifest.Version), Digest: r.Model.Digest}
		run.Resources, run.Cards = r.Citations(), []string{r.Card}
		if stored[i].Exists() {
			references[i] = stored[i].Key.String()
			run.Assessments = []string{fhir.VersionedReference(stored[i].Key, stored[i].Version)}
		} else {
			run.Reason = r.Status.String()
		}
		entries[0].Cards = append(entries[0].Cards, r.Card)
		entries[0].Assessments = append(entries[0].Assessments, run.Assessments...)
		entries = append(entries, run)
	}
	if _, err := d.Audit.Append(ctx, entries...); err != nil {
		return nil, err
	}
	return references, nil
}
