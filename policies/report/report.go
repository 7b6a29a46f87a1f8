// Package report answers questions of compliance officers from the audit log: who
// saw a patient's record, what a user did, which data were disclosed, what was
// denied, what was unusual, and how models were used.
//
// It promises that an access report lists every access on record, denials
// included, one line for each entry of the log, and names no other patient. It
// reads the log itself, not an index of it. Asking is recorded by its callers.
package report

import (
	"bytes"
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"galen/fhir"
	"galen/policies"
	"galen/policies/audit"
)

// Access is one line of a report.
type Access struct {
	Time     time.Time `json:"time"`
	Subject  string    `json:"subject"`
	User     string    `json:"user,omitempty"` // "Practitioner/1"
	Role     string    `json:"role"`           // several joined by spaces
	Org      string    `json:"org,omitempty"`
	App      string    `json:"app"` // client id
	Purpose  string    `json:"purpose"`
	Action   string    `json:"action"` // as in policy.csv; the kind of the entry for others
	Resource string    `json:"resource"`
	Patient  string    `json:"patient,omitempty"`
	Allowed  bool      `json:"allowed"`
	Reason   string    `json:"reason,omitempty"` // of a denial or failure
	Rule     string    `json:"rule"`
	Revision string    `json:"revision"`
	Request  string    `json:"request_id"`
	Seq      uint64    `json:"seq"` // of the audit entry
	TPO      *bool     `json:"tpo,omitempty"`
	Unusual  []string  `json:"unusual,omitempty"`
}

// Period bounds a report; a zero end is open.
type Period struct{ From, To time.Time }

func (p Period) holds(t time.Time) bool {
	return (p.From.IsZero() || !t.Before(p.From)) && (p.To.IsZero() || t.Before(p.To))
}

// Reporter makes reports of one log. It is safe for concurrent use.
type Reporter struct {
	Log       *audit.Log
	Relations policies.Relations // for unusual accesses; nil leaves that sign out
	Zone      *time.Location     // of off hours
}

// collect yields the entries of a period that are wanted, as accesses.
func (r *Reporter) collect(ctx context.Context, p Period, bytesWanted func([]byte) bool, wanted func(*audit.Entry) bool) ([]Access, error) {
	list := []Access{}
	for e, err := range r.Log.Find(1, bytesWanted) {
		if err == nil && ctx.Err() != nil {
			err = &fhir.Error{Op: "report", Kind: fhir.Timeout, Err: ctx.Err()}
		}
		if err != nil {
			return nil, err
		}
		if p.holds(e.Time) && wanted(&e) {
			list = append(list, accessOf(&e))
		}
	}
	return list, nil
}

// decided reports whether an entry is about somebody who wanted something: what a
// model did within a call and what the server did for itself are not.
func decided(e *audit.Entry) bool {
	switch e.Kind {
	case audit.Inference, audit.Start, audit.Stop, audit.AuditUse, audit.AuditExport, audit.PolicyChange, audit.ModelChange, audit.BreakGlassStop:
		return false
	}
	return true
}

// Patient lists who saw, or was kept from seeing, the record of a patient.
func (r *Reporter) Patient(ctx context.Context, patient string, p Period) ([]Access, error) {
	ref := "Patient/" + patient
	needle, search := []byte(`"`+ref), []byte(`"kind":"search-`)
	list, err := r.collect(ctx, p, func(b []byte) bool {
		return bytes.Contains(b, needle) || bytes.Contains(b, search)
	}, func(e *audit.Entry) bool { return decided(e) && concerns(e, ref) })
	for i := range list {
		list[i].Patient = ref
	}
	return list, err
}

// concerns reports whether an entry is about a patient: by the data it touched,
// the resource it named, or what its search asked for.
func concerns(e *audit.Entry, ref string) bool {
	return slices.Contains(e.Patients, ref) ||
		slices.ContainsFunc(e.Resources, func(r string) bool { return r == ref || strings.HasPrefix(r, ref+"/") }) ||
		searched(e, strings.TrimPrefix(ref, "Patient/"))
}

// searched reports whether a search named the patient: patient=…, subject=…, or
// _id=… of Patient.
func searched(e *audit.Entry, id string) bool {
	if e.Kind != audit.Search || len(e.Query) == 0 {
		return false
	}
	values, err := url.ParseQuery(string(e.Query))
	if err != nil {
		return false
	}
	for name, list := range values {
		name, _, _ = strings.Cut(name, ":")
		if name != "patient" && name != "subject" && (name != "_id" || e.Object != "Patient") {
			continue
		}
		for _, value := range list {
			for one := range strings.SplitSeq(value, ",") {
				if one == id || one == "Patient/"+id || strings.HasSuffix(one, "/Patient/"+id) {
					return true
				}
			}
		}
	}
	return false
}

// User lists what a user did, or was kept from doing.
func (r *Reporter) User(ctx context.Context, subject string, p Period) ([]Access, error) {
	needle := []byte(subject)
	return r.collect(ctx, p, func(b []byte) bool { return bytes.Contains(b, needle) }, func(e *audit.Entry) bool {
		return decided(e) && (e.Agent.Subject == subject || e.Agent.FHIRUser == subject)
	})
}

// Denials lists what was denied.
func (r *Reporter) Denials(ctx context.Context, p Period) ([]Access, error) {
	return r.collect(ctx, p, func(b []byte) bool { return bytes.Contains(b, []byte(`"outcome":4`)) },
		func(e *audit.Entry) bool { return !allowed(e) })
}

// tpo are the purposes of treatment, payment and operations; a token without a
// purpose counts as treatment (45 CFR 164.528(a)(1)(i)).
func tpo(purpose string) bool {
	return slices.Contains([]string{"", "TREAT", "ETREAT", "BTG", "HPAYMT", "HOPERAT"}, purpose)
}

// Disclosures is the accounting of disclosures of a patient's data (45 CFR
// 164.528): accesses that were allowed, but for the patient's own. Those for
// treatment, payment and operations need not be told; they are listed and marked.
func (r *Reporter) Disclosures(ctx context.Context, patient string, p Period) ([]Access, error) {
	list, err := r.Patient(ctx, patient, p)
	own := func(a Access) bool {
		return !a.Allowed || a.User == "Patient/"+patient || a.User == "" && a.Role == "patient"
	}
	list = slices.DeleteFunc(list, own)
	for i := range list {
		is := tpo(list[i].Purpose)
		list[i].TPO = &is
	}
	return list, err
}

// Emergencies lists what was done under emergency accesses, their start included.
func (r *Reporter) Emergencies(ctx context.Context, p Period) ([]Access, error) {
	return r.collect(ctx, p, func(b []byte) bool {
		return bytes.Contains(b, []byte(`TREAT"`)) || bytes.Contains(b, []byte(`"BTG"`)) || bytes.Contains(b, []byte(`"kind":"break-glass`))
	}, func(e *audit.Entry) bool {
		return e.Agent.Purpose == "ETREAT" || e.Agent.Purpose == "BTG" || e.Kind == audit.BreakGlass || e.Kind == audit.BreakGlassStop
	})
}

// allowed reports whether what was asked was let through: not what a policy
// denied, what its filter hid, or what came without a valid token.
func allowed(e *audit.Entry) bool {
	if e.Kind == audit.Login {
		return e.Outcome == audit.Success
	}
	return e.Decision.Allow && e.Reason != "hidden"
}

// accessOf is an entry as a line.
func accessOf(e *audit.Entry) Access {
	a := Access{
		Time: e.Time, Subject: e.Agent.Subject, User: e.Agent.FHIRUser, Role: strings.Join(e.Agent.Roles, " "), Org: e.Agent.Org,
		App: e.Agent.Client, Purpose: e.Agent.Purpose, Action: actionOf(e.Kind), Resource: resourceOf(e), Allowed: allowed(e),
		Reason: e.Reason, Rule: e.Decision.Rule, Revision: e.Decision.Revision, Request: e.Request, Seq: e.Seq,
	}
	if len(e.Patients) == 1 {
		a.Patient = e.Patients[0]
	}
	return a
}

// actionOf says a kind in the words of policy.csv.
func actionOf(k audit.Kind) string {
	switch k {
	case audit.Read, audit.VRead, audit.HistoryInstance:
		return string(policies.Read)
	case audit.Search, audit.SearchSystem, audit.HistoryType, audit.HistorySystem:
		return string(policies.Search)
	case audit.Patch:
		return string(policies.Update)
	case audit.HookCall:
		return string(policies.Invoke)
	case audit.HookFeedback:
		return string(policies.Feedback)
	}
	return string(k)
}

// resourceOf is what was asked for: one resource without its version, the type
// of a search, or the service. The results of a search are not listed: they may
// be other patients'.
func resourceOf(e *audit.Entry) string {
	switch {
	case e.Service != "":
		return e.Service
	case e.Object != "":
		return e.Object
	case len(e.Resources) > 0:
		key := fhir.ParseReference(e.Resources[0]).Key
		if e.Kind == audit.HistoryType || e.Kind == audit.HistorySystem || e.Kind == audit.Search {
			return key.Type
		}
		return key.String()
	}
	return ""
}
