package hooks

import (
	"context"

	"galen/cds"
	"galen/fhir"
	"galen/hooks/call"
	"galen/hooks/card"
	"galen/policies"
	"galen/policies/audit"
)

// invocation is one call or feedback on its way: who, what was decided and what
// is put on record.
type invocation struct {
	caller Caller
	id     string // of the service
	entry  audit.Entry
	show   []func() // remembers what is shown, once it is
}

func (d *Dispatcher) newInvocation(c Caller, id string, kind audit.Kind) *invocation {
	in := &invocation{caller: c, id: id, entry: audit.Entry{Kind: kind, Agent: audit.AgentOf(c.Principal, c.Address), Request: c.RequestID}}
	if d.serves(id) {
		in.entry.Service = id // what a client made up does not go on record
	}
	return in
}

// about puts on record what the call is about, as far as it could be read.
func (in *invocation) about(r call.Request) {
	in.entry.Call = r.Instance
	if r.Patient != "" {
		in.entry.Patients = []string{in.subject(r)}
	}
}

func (in *invocation) decided(d policies.Decision) {
	in.entry.Decision = audit.DecisionOf(d)
	if !d.Allow {
		in.entry.Reason = string(d.Reason)
	}
}

// local reports whether the call's ids are those of this server.
func (in *invocation) local(r call.Request) bool {
	return r.Server == "" || r.Server == in.caller.own() || (in.caller.Alias != "" && r.Server == in.caller.Alias+"/fhir/")
}

// base is what stands before a relative reference of the call.
func (in *invocation) base(r call.Request) string {
	if in.local(r) {
		return ""
	}
	return r.Server
}

// subject is the reference to the patient; relativeSubject that within the
// client's own server, for what is created there.
func (in *invocation) subject(r call.Request) string { return in.base(r) + in.relativeSubject(r) }

func (in *invocation) relativeSubject(r call.Request) string { return "Patient/" + r.Patient }

// end puts a call that ended early on record. The record is made even if the
// client has gone.
func (d *Dispatcher) end(ctx context.Context, in *invocation, err error) error {
	in.entry.Outcome = audit.Minor
	if fhir.KindOf(err).Status() >= 500 {
		in.entry.Outcome = audit.Serious
	}
	if in.entry.Reason == "" {
		in.entry.Reason = fhir.KindOf(err).Code()
	}
	if _, failed := d.Audit.Append(context.WithoutCancel(ctx), in.entry); failed != nil {
		return failed
	}
	return err
}

// publish composes the cards, stores the assessments, puts the call and each run
// of a model on record, durably, and only then gives the answer.
func (d *Dispatcher) publish(ctx context.Context, in *invocation, s *Service, r call.Request, results []result) ([]byte, error) {
	ctx = context.WithoutCancel(ctx)
	for i := range results {
		if results[i].left != "" {
			d.tally.add(CountLeft, Labels{Service: s.ID, Model: results[i].info.Ref.String(), Kind: string(results[i].left)})
		}
	}
	var out *reply
	if s.Rules == nil {
		out = d.compose(in, s, r, results)
	} else {
		out = d.applyRules(in, s, r, results)
	}
	stored, err := d.store(ctx, in, r, results, out)
	if err != nil {
		return nil, err
	}
	ballot := d.client(in.caller.Principal).Ballot()
	for n := range out.cards {
		c := &out.cards[n]
		for i := range c.Suggestions {
			if ballot {
				c.Suggestions[i].ActionSelection = "all"
			}
		}
		for _, i := range out.rests[c.UUID] {
			if stored[i] != "" {
				c.Links = []card.Link{{Label: "Risk assessment", URL: in.caller.own() + unversioned(stored[i]), Type: "absolute"}}
				break
			}
		}
	}
	card.Rank(out.cards)
	body, err := card.Response(out.cards)
	if err != nil {
		return nil, &fhir.Error{Op: "hooks.publish", Err: err}
	}
	if _, err := d.Audit.Append(ctx, in.entries(results, out, stored)...); err != nil {
		return nil, err
	}
	for _, show := range in.show {
		show()
	}
	return body, nil
}

func unversioned(reference string) string { return fhir.ParseReference(reference).Key.String() }

// store keeps the assessments. It returns by result the versioned reference of
// the RiskAssessment, "" where there is none.
func (d *Dispatcher) store(ctx context.Context, in *invocation, r call.Request, results []result, out *reply) ([]string, error) {
	c := cds.Context{Subject: in.subject(r), Policy: in.entry.Decision.Revision, Guidance: out.guidance}
	if id := r.Context.Member("encounterId").Text(); id != "" {
		c.Encounter = in.base(r) + "Encounter/" + id
	}
	var assessments []*cds.Assessment
	var at []int
	for i := range results {
		if results[i].Assessment != nil {
			assessments, at = append(assessments, results[i].Assessment), append(at, i)
			c.Cards = append(c.Cards, out.shown[i])
		}
	}
	records, err := d.Ledger.Record(ctx, c, assessments)
	if err != nil {
		return nil, err
	}
	stored := make([]string, len(results))
	for n, i := range at {
		if records[n].Exists() {
			stored[i] = fhir.VersionedReference(records[n].Key, records[n].Version)
		}
	}
	return stored, nil
}

// entries are the record of the call and of each model: what it read, what it
// gave, and why it gave nothing or was not shown.
func (in *invocation) entries(results []result, out *reply, stored []string) []audit.Entry {
	all := make([]audit.Entry, 1, len(results)+1)
	call := in.entry
	for i := range out.cards {
		call.Cards = append(call.Cards, out.cards[i].UUID)
	}
	for i := range results {
		r := &results[i]
		run := in.entry
		run.Kind = audit.Inference
		run.Model = audit.Model{Name: r.info.Manifest.Name, Version: string(r.info.Manifest.Version), Digest: r.info.Digest}
		if stored[i] != "" {
			run.Assessments = []string{stored[i]}
			call.Assessments = append(call.Assessments, stored[i])
		}
		if out.shown[i] != "" {
			run.Cards = []string{out.shown[i]}
		}
		run.Reason = out.hidden[i]
		if r.Assessment == nil {
			run.Reason = string(r.left)
		} else {
			run.Resources = r.Citations()
			if r.Headline() == nil {
				run.Reason = r.Status.String()
			}
		}
		all = append(all, run)
	}
	all[0] = call
	return all
}
