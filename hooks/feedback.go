package hooks

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"galen/fhir"
	"galen/hooks/feedback"
	"galen/policies"
	"galen/policies/audit"
)

// Feedback takes what clinicians made of a service's cards and returns when it
// is durable (https://cds-hooks.hl7.org/2.0/#feedback). Errors: NotFound for an
// unknown service or card, Malformed, Required, Value or TooLong for a bad body,
// Forbidden. All of it is stored or nothing.
func (d *Dispatcher) Feedback(ctx context.Context, c Caller, id string, body []byte) error {
	in := d.newInvocation(c, id, audit.HookFeedback)
	entries, err := d.readFeedback(ctx, in, body)
	if err != nil {
		return d.end(ctx, in, err)
	}
	ctx = context.WithoutCancel(ctx)
	kept, err := d.Book.Keep(ctx, entries)
	if err != nil {
		return d.end(ctx, in, err)
	}
	if _, err := d.Audit.Append(ctx, in.feedbackEntries(entries, kept)...); err != nil {
		return err
	}
	for i := range entries {
		if kept[i].New {
			d.count(&entries[i])
		}
	}
	return nil
}

// readFeedback checks the feedback and finds the cards it is about.
func (d *Dispatcher) readFeedback(ctx context.Context, in *invocation, body []byte) ([]feedback.Entry, error) {
	const op = "hooks.Feedback"
	if !d.serves(in.id) || d.Book == nil {
		return nil, fhir.E(op, fhir.NotFound, "", "there is no such service")
	}
	list, err := feedback.Parse(body)
	if err != nil {
		return nil, err
	}
	for _, f := range list {
		if !slices.Contains(in.entry.Cards, f.Card) {
			in.entry.Cards = append(in.entry.Cards, f.Card)
		}
	}
	if err := d.decide(ctx, in, policies.Request{Action: policies.Feedback}, []string{"RiskAssessment"}); err != nil {
		return nil, err
	}
	p := in.caller.Principal
	entries := make([]feedback.Entry, len(list))
	for i, f := range list {
		about, err := d.Book.Find(ctx, f.Card)
		if kind := fhir.KindOf(err); kind == fhir.NotFound || (err == nil && !d.mayJudge(p, about.Subject)) {
			return nil, fhir.E(op, fhir.NotFound, "feedback["+strconv.Itoa(i)+"].card", "no such card was given")
		}
		if err != nil {
			return nil, err
		}
		entries[i] = feedback.Entry{Feedback: f, About: about, Service: in.id, Sender: sender(p.FHIRUser)}
	}
	return entries, nil
}

// mayJudge reports whether a caller may know of cards about a patient: a token of
// one patient is for that one, and of another client's server a client knows
// nothing.
func (d *Dispatcher) mayJudge(p policies.Principal, subject string) bool {
	if p.Patient != "" && subject != "Patient/"+p.Patient {
		return false
	}
	base := strings.TrimSuffix(subject, fhir.ParseReference(subject).Key.String())
	client := d.client(p)
	if base == "" || client == nil {
		return true
	}
	_, ok := client.Server(base)
	return ok
}

// sender is the user if R4 allows its type as Communication.sender.
func sender(user string) string {
	switch fhir.ParseReference(user).Key.Type {
	case "Practitioner", "PractitionerRole", "Patient", "RelatedPerson", "Organization", "Device":
		return user
	}
	return ""
}

// feedbackEntries are the audit records: one for each piece, with the model it
// judges, so that override rates can be told from the audit alone.
func (in *invocation) feedbackEntries(entries []feedback.Entry, kept []feedback.Kept) []audit.Entry {
	out := make([]audit.Entry, len(entries))
	for i := range entries {
		e := &entries[i]
		one := in.entry
		one.Cards, one.Patients, one.Assessments = []string{e.Card}, []string{e.Subject}, e.Results
		one.Resources = []string{fhir.VersionedReference(kept[i].Key, kept[i].Version)}
		one.Model.Name, one.Model.Version, _ = strings.Cut(strings.Join(e.Methods[:min(1, len(e.Methods))], ""), "@")
		one.Reason = string(e.Outcome)
		if code := e.Reason.Code; plainCode.MatchString(code) {
			one.Reason += ":" + code
		}
		out[i] = one
	}
	return out
}

// plainCode is a code that can hold nothing of a patient.
var plainCode = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,39}$`)

// count adds a piece of feedback to the figures, by the reasons that cards
// offer.
func (d *Dispatcher) count(e *feedback.Entry) {
	l := Labels{Service: e.Service, Kind: string(e.Outcome)}
	if e.Reason.Code != "" {
		l.Reason = "other"
		for _, r := range overrideReasons {
			if r.System == e.Reason.System && r.Code == e.Reason.Code {
				l.Reason = r.Code
			}
		}
	}
	if len(e.Methods) == 0 {
		d.tally.add(CountFeedback, l)
	}
	for _, l.Model = range e.Methods { // a card may show several models
		d.tally.add(CountFeedback, l)
	}
}
