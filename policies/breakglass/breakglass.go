// Package breakglass keeps the emergency accesses: somebody opens the record of
// one patient, with a reason and for a short time, and somebody else looks at it
// afterwards.
//
// It promises that an access is on disk before it opens anything, ends by itself,
// and is signed off only by another person. It overrides consents, labels and
// care relationships, never a deny of the role policy; policies sees to that. It
// writes no audit: its callers do.
package breakglass

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"galen/fhir"
	"galen/policies"
	"galen/policies/journal"
)

// Access is one emergency access. The reason is the clinician's own words; it is
// kept here and shown to reviewers, never in the audit or a log.
type Access struct {
	ID       string    `json:"id"`
	Subject  string    `json:"subject"`
	User     string    `json:"user,omitempty"`
	Client   string    `json:"client,omitempty"`
	Patient  string    `json:"patient"` // logical id
	Purpose  string    `json:"purpose"` // ETREAT or BTG
	Reason   string    `json:"reason"`
	Started  time.Time `json:"started"`
	Expires  time.Time `json:"expires"`
	Ended    time.Time `json:"ended,omitzero"` // before it expired
	Reviewer string    `json:"reviewer,omitempty"`
	Reviewed time.Time `json:"reviewed,omitzero"`
	Verdict  string    `json:"verdict,omitempty"` // justified or unjustified
	Comment  string    `json:"comment,omitempty"`
}

// open reports whether the access lets anything through at that moment.
func (a *Access) open(at time.Time) bool { return a.Ended.IsZero() && at.Before(a.Expires) }

// MaxTime is how long an access may last.
const MaxTime = time.Hour

// Registry keeps the accesses. It is safe for concurrent use.
type Registry struct {
	file  *journal.File
	now   func() time.Time
	newID func() string

	mu     sync.RWMutex
	all    []*Access // in the order of their start
	active map[string][]*Access
}

var _ policies.Emergencies = (*Registry)(nil)

// Open reads the journal at path, or makes it.
func Open(path string, now func() time.Time, newID func() string) (*Registry, error) {
	r := &Registry{now: now, newID: newID, active: map[string][]*Access{}}
	var err error
	r.file, err = journal.Open(path, func(line []byte) error {
		var a Access
		if err := json.Unmarshal(line, &a); err != nil {
			return &fhir.Error{Op: "breakglass.Open", Err: err}
		}
		r.put(&a)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// put takes over a state of an access; the caller holds the lock.
func (r *Registry) put(a *Access) {
	i := slices.IndexFunc(r.all, func(o *Access) bool { return o.ID == a.ID })
	if i < 0 {
		r.all = append(r.all, a)
	} else {
		r.all[i] = a
	}
	mine := slices.DeleteFunc(slices.Clone(r.active[a.Subject]), func(o *Access) bool { return o.ID == a.ID || !o.open(r.now()) })
	if a.open(r.now()) {
		mine = append(mine, a)
	}
	if len(mine) == 0 {
		delete(r.active, a.Subject)
		return
	}
	r.active[a.Subject] = mine
}

// Close closes the journal.
func (r *Registry) Close() error { return r.file.Close() }

// Active implements policies.Emergencies.
func (r *Registry) Active(subject string) []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	mine := r.active[subject]
	if len(mine) == 0 {
		return nil
	}
	var patients []string
	for now, i := r.now(), 0; i < len(mine); i++ {
		if mine[i].open(now) {
			patients = append(patients, mine[i].Patient)
		}
	}
	return patients
}

// Purpose is that of the open access of the subject to one of the patients, ""
// if there is none.
func (r *Registry) Purpose(subject string, patients []string) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	now := r.now()
	for _, a := range r.active[subject] {
		if a.open(now) && slices.Contains(patients, "Patient/"+a.Patient) {
			return a.Purpose
		}
	}
	return ""
}

// Start opens an access, or returns the one that is open already. The errors are
// of Kind Required or Value for what is missing or wrong, and Unavailable.
func (r *Registry) Start(p policies.Principal, patient, purpose, reason string, last time.Duration) (Access, bool, error) {
	const op = "breakglass.Start"
	reason = strings.TrimSpace(reason)
	switch {
	case !fhir.ValidID(patient):
		return Access{}, false, fhir.E(op, fhir.Required, "patient", "an emergency access names one patient")
	case utf8.RuneCountInString(reason) < 5:
		return Access{}, false, fhir.E(op, fhir.Required, "reason", "an emergency access needs a reason of 5 characters at least")
	case len(reason) > 2000:
		return Access{}, false, fhir.E(op, fhir.Value, "reason", "the reason is too long")
	case purpose != "" && purpose != "ETREAT" && purpose != "BTG":
		return Access{}, false, fhir.E(op, fhir.Value, "purpose", "the purpose is ETREAT or BTG")
	case last < 0 || last > MaxTime:
		return Access{}, false, fhir.E(op, fhir.Value, "minutes", "an emergency access lasts 60 minutes at most")
	case p.Subject == "":
		return Access{}, false, fhir.E(op, fhir.Required, "subject", "the token names nobody")
	}
	if purpose == "" {
		purpose = "ETREAT"
	}
	if last == 0 {
		last = MaxTime
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now().UTC().Truncate(time.Millisecond)
	for _, a := range r.active[p.Subject] {
		if a.Patient == patient && a.open(now) {
			return *a, false, nil
		}
	}
	a := &Access{
		ID: r.newID(), Subject: p.Subject, User: p.FHIRUser, Client: p.Client, Patient: patient, Purpose: purpose,
		Reason: reason, Started: now, Expires: now.Add(last),
	}
	if err := r.file.Append(a); err != nil {
		return Access{}, false, err
	}
	r.put(a)
	return *a, true, nil
}

// change stores a new state of an access.
func (r *Registry) change(id string, edit func(*Access) error) (Access, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.all, func(a *Access) bool { return a.ID == id })
	if i < 0 {
		return Access{}, fhir.E("breakglass", fhir.NotFound, "", "there is no such emergency access")
	}
	a := *r.all[i]
	if err := edit(&a); err != nil {
		return Access{}, err
	}
	if err := r.file.Append(&a); err != nil {
		return Access{}, err
	}
	r.put(&a)
	return a, nil
}

// Stop ends an access of one's own before its time.
func (r *Registry) Stop(p policies.Principal, id string) (Access, error) {
	return r.change(id, func(a *Access) error {
		if a.Subject != p.Subject {
			return fhir.E("breakglass.Stop", fhir.NotFound, "", "there is no such emergency access")
		}
		if a.open(r.now()) {
			a.Ended = r.now().UTC().Truncate(time.Millisecond)
		}
		return nil
	})
}

// Expire ends the accesses whose time is over, so that each end can be recorded,
// and returns them.
func (r *Registry) Expire() ([]Access, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var over []Access
	for _, a := range r.all {
		if !a.Ended.IsZero() || r.now().Before(a.Expires) {
			continue
		}
		ended := *a
		ended.Ended = ended.Expires
		if err := r.file.Append(&ended); err != nil {
			return over, err
		}
		r.put(&ended)
		over = append(over, ended)
	}
	return over, nil
}

// Review signs an access off: justified or not. The errors are of Kind Forbidden
// for one's own, Conflict for one that is signed off, Value and NotFound.
func (r *Registry) Review(p policies.Principal, id, verdict, comment string) (Access, error) {
	const op = "breakglass.Review"
	return r.change(id, func(a *Access) error {
		switch {
		case verdict != "justified" && verdict != "unjustified":
			return fhir.E(op, fhir.Value, "verdict", "the verdict is justified or unjustified")
		case len(comment) > 2000:
			return fhir.E(op, fhir.Value, "comment", "the comment is too long")
		case a.Subject == p.Subject:
			return fhir.E(op, fhir.Forbidden, "", "nobody signs off an access of one's own")
		case a.Reviewer != "":
			return fhir.E(op, fhir.Conflict, "", "the access is signed off already")
		}
		a.Reviewer, a.Verdict, a.Comment = p.Subject, verdict, comment
		a.Reviewed = r.now().UTC().Truncate(time.Millisecond)
		return nil
	})
}

// List is every access in the order of their start; pending leaves out those that
// are signed off.
func (r *Registry) List(pending bool) []Access {
	r.mu.RLock()
	defer r.mu.RUnlock()
	list := []Access{}
	for _, a := range r.all {
		if !pending || a.Reviewer == "" {
			list = append(list, *a)
		}
	}
	return list
}
