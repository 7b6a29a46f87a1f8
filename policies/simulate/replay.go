package simulate

import (
	"context"
	"slices"
	"strings"
	"time"

	"galen/fhir"
	"galen/policies"
	"galen/policies/audit"
)

// Flip is a recorded decision that would come out otherwise.
type Flip struct {
	Seq     uint64          `json:"seq"` // of the audit entry
	Time    time.Time       `json:"time"`
	Subject string          `json:"subject"`
	Roles   []string        `json:"roles,omitempty"`
	Purpose string          `json:"purpose,omitempty"`
	Action  policies.Action `json:"action"`
	Type    string          `json:"type,omitempty"`
	Was     bool            `json:"was"` // allowed
	Now     bool            `json:"now"`
	Rule    string          `json:"rule,omitempty"`    // that decides now
	Missing string          `json:"missing,omitempty"` // for a denial
}

// Replayed is what became of the recorded decisions.
type Replayed struct {
	Decided int    `json:"decided"` // asked again
	Skipped int    `json:"skipped"` // denied by what the record does not hold: scopes, consents, compartments
	Flips   []Flip `json:"flips"`
}

// Replay asks an engine again for the last n decisions on record. The record
// holds no scopes, so only the role policy is asked.
func Replay(ctx context.Context, e *policies.Engine, log *audit.Log, n int) (Replayed, error) {
	out := Replayed{Flips: []Flip{}}
	last := log.Head().Seq
	window := make([]audit.Entry, 0, n)
	// Not every entry is a decision: read backwards in growing steps.
	for from, step := last+1, uint64(2*n); from > 1 && len(window) < n; step *= 2 {
		from -= min(step, from-1)
		window = window[:0]
		for entry, err := range log.Read(from) {
			if err != nil {
				return out, err
			}
			if entry.Decision.Revision != "" {
				window = append(window, entry)
			}
		}
	}
	for _, entry := range window[max(0, len(window)-n):] {
		if err := ctx.Err(); err != nil {
			return out, &fhir.Error{Op: "simulate.Replay", Kind: fhir.Timeout, Err: err}
		}
		out.again(ctx, e, entry)
	}
	return out, nil
}

// again decides one entry anew.
func (r *Replayed) again(ctx context.Context, e *policies.Engine, entry audit.Entry) {
	action, name, ok := asked(entry)
	decided := entry.Decision.Allow || entry.Reason == string(policies.NoRule) || entry.Reason == string(policies.DenyRule)
	if !ok || !decided {
		r.Skipped++
		return
	}
	r.Decided++
	d := e.Decide(ctx, principalOf(entry), policies.Request{Action: action, Type: name})
	if d.Allow == entry.Decision.Allow {
		return
	}
	r.Flips = append(r.Flips, Flip{
		entry.Seq, entry.Time, entry.Agent.Subject, entry.Agent.Roles, entry.Agent.Purpose, action, name,
		entry.Decision.Allow, d.Allow, d.Rule, d.Missing,
	})
}

// principalOf is who an entry says it was. Entries of before the record held the
// launch patient tell it by the user or the role.
func principalOf(e audit.Entry) policies.Principal {
	p := policies.Principal{
		Subject: e.Agent.Subject, Client: e.Agent.Client, Org: e.Agent.Org, Roles: e.Agent.Roles,
		Purpose: e.Agent.Purpose, FHIRUser: e.Agent.FHIRUser, TokenID: e.Agent.TokenID, Patient: e.Agent.Patient,
	}
	if p.Patient != "" {
		return p
	}
	if id, ok := strings.CutPrefix(e.Agent.FHIRUser, "Patient/"); ok {
		p.Patient = id
	} else if len(e.Patients) == 1 && slices.Contains(e.Agent.Roles, "patient") {
		p.Patient = strings.TrimPrefix(e.Patients[0], "Patient/")
	}
	return p
}

// asked is what was asked for, by the kind of an entry.
func asked(e audit.Entry) (policies.Action, string, bool) {
	action, ok := map[audit.Kind]policies.Action{
		audit.Read: policies.Read, audit.VRead: policies.Read, audit.HistoryInstance: policies.Read,
		audit.Search: policies.Search, audit.SearchSystem: policies.Search, audit.HistoryType: policies.Search,
		audit.HistorySystem: policies.Search, audit.Create: policies.Create, audit.Update: policies.Update,
		audit.Patch: policies.Update, audit.Delete: policies.Delete,
		audit.HookCall: policies.Invoke, audit.HookFeedback: policies.Feedback,
	}[e.Kind]
	switch {
	case !ok:
		return "", "", false
	case action == policies.Invoke || action == policies.Feedback:
		return action, e.Service, e.Service != ""
	case e.Object != "":
		return action, e.Object, true
	case len(e.Resources) > 0:
		name, _, _ := strings.Cut(e.Resources[0], "/")
		return action, name, true
	}
	return action, "", e.Kind == audit.SearchSystem || e.Kind == audit.HistorySystem
}
