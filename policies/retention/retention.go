// Package retention decides how long the audit is kept: a period for each class
// of entries, and legal holds that keep what somebody still needs.
//
// It promises that only whole sealed segments go, the oldest first, and only when
// every entry in them is over its period and none is on hold; and that their
// hashes are durable in the transparency log before, so that what is left still
// verifies. Without a period a class is kept for ever, and so is what was recorded
// after it.
package retention

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"galen/fhir"
	"galen/policies/audit"
	"galen/policies/journal"
	"galen/policies/transparency"
)

// Class is a kind of entries with one period.
type Class string

// The classes.
const (
	Access   Class = "access"   // to data, denials included
	Security Class = "security" // sign-in, break-glass, policies, use of the audit, start and stop
	Models   Class = "models"   // CDS calls, feedback, runs and changes of models
)

// ClassOf is the class of a kind.
func ClassOf(k audit.Kind) Class {
	switch k {
	case audit.Login, audit.BreakGlass, audit.BreakGlassStop, audit.PolicyChange, audit.AuditUse, audit.AuditExport, audit.Start, audit.Stop:
		return Security
	case audit.HookCall, audit.HookFeedback, audit.Inference, audit.ModelChange:
		return Models
	}
	return Access
}

// Periods says how long each class is kept; 0 is for ever.
type Periods map[Class]time.Duration

// Hold keeps entries about a patient, or of a user, or all if it names neither.
type Hold struct {
	ID       string    `json:"id"`
	Patient  string    `json:"patient,omitempty"` // logical id
	Subject  string    `json:"subject,omitempty"`
	Reason   string    `json:"reason"`
	By       string    `json:"by"`
	Placed   time.Time `json:"placed"`
	Releaser string    `json:"releaser,omitempty"`
	Released time.Time `json:"released,omitzero"`
}

// covers reports whether the hold keeps an entry.
func (h *Hold) covers(e *audit.Entry) bool {
	switch {
	case !h.Released.IsZero():
		return false
	case h.Patient != "" && !slices.Contains(e.Patients, "Patient/"+h.Patient):
		return false
	}
	return h.Subject == "" || h.Subject == e.Agent.Subject
}

// Keeper keeps the holds and prunes the log. It is safe for concurrent use.
type Keeper struct {
	log     *audit.Log
	tree    *transparency.Log
	periods Periods
	now     func() time.Time
	newID   func() string
	file    *journal.File

	mu    sync.RWMutex
	holds []*Hold
	turn  sync.Mutex // one pruning at a time
}

// Config is what a Keeper needs.
type Config struct {
	Path    string // of the journal of holds
	Log     *audit.Log
	Tree    *transparency.Log
	Periods Periods
	Now     func() time.Time
	NewID   func() string
}

// Open reads the holds, or begins with none.
func Open(c Config) (*Keeper, error) {
	k := &Keeper{log: c.Log, tree: c.Tree, periods: c.Periods, now: c.Now, newID: c.NewID}
	var err error
	k.file, err = journal.Open(c.Path, func(line []byte) error {
		var h Hold
		if err := json.Unmarshal(line, &h); err != nil {
			return &fhir.Error{Op: "retention.Open", Err: err}
		}
		k.put(&h)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

// Close closes the journal.
func (k *Keeper) Close() error { return k.file.Close() }

func (k *Keeper) put(h *Hold) {
	if i := slices.IndexFunc(k.holds, func(o *Hold) bool { return o.ID == h.ID }); i >= 0 {
		k.holds[i] = h
		return
	}
	k.holds = append(k.holds, h)
}

// Place puts entries on hold. Errors: Required without a reason, Value for a
// patient that is no id.
func (k *Keeper) Place(by string, h Hold) (Hold, error) {
	const op = "retention.Place"
	h.Patient = strings.TrimPrefix(h.Patient, "Patient/")
	switch {
	case strings.TrimSpace(h.Reason) == "":
		return Hold{}, fhir.E(op, fhir.Required, "reason", "a hold needs a reason")
	case h.Patient != "" && !fhir.ValidID(h.Patient):
		return Hold{}, fhir.E(op, fhir.Value, "patient", "must be a logical id")
	}
	made := &Hold{ID: k.newID(), Patient: h.Patient, Subject: h.Subject, Reason: h.Reason, By: by, Placed: k.now().UTC()}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.file.Append(made); err != nil {
		return Hold{}, err
	}
	k.put(made)
	return *made, nil
}

// Release ends a hold. Errors: NotFound, Conflict if it has ended.
func (k *Keeper) Release(by, id string) (Hold, error) {
	const op = "retention.Release"
	k.mu.Lock()
	defer k.mu.Unlock()
	i := slices.IndexFunc(k.holds, func(h *Hold) bool { return h.ID == id })
	if i < 0 {
		return Hold{}, fhir.E(op, fhir.NotFound, "", "there is no such hold")
	}
	h := *k.holds[i]
	if !h.Released.IsZero() {
		return Hold{}, fhir.E(op, fhir.Conflict, "", "the hold has ended already")
	}
	h.Releaser, h.Released = by, k.now().UTC()
	if err := k.file.Append(&h); err != nil {
		return Hold{}, err
	}
	k.put(&h)
	return h, nil
}

// Holds lists every hold, oldest first.
func (k *Keeper) Holds() []Hold {
	k.mu.RLock()
	defer k.mu.RUnlock()
	list := make([]Hold, len(k.holds))
	for i, h := range k.holds {
		list[i] = *h
	}
	return list
}

// keeps reports whether an entry must stay.
func (k *Keeper) keeps(e *audit.Entry, now time.Time) bool {
	period := k.periods[ClassOf(e.Kind)]
	if period <= 0 || now.Sub(e.Time) < period {
		return true
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	return slices.ContainsFunc(k.holds, func(h *Hold) bool { return h.covers(e) })
}

// Prune removes what need not be kept any more and returns what it removed. It
// stops at the first segment that must stay.
func (k *Keeper) Prune(ctx context.Context) ([]audit.Sealed, error) {
	if len(k.periods) == 0 {
		return nil, nil
	}
	k.turn.Lock()
	defer k.turn.Unlock()
	var gone []audit.Sealed
	for _, s := range k.log.Sealed() {
		stays, err := k.stays(ctx, s)
		if err != nil || stays {
			return gone, err
		}
		if len(gone) == 0 { // the hashes first, durable and signed
			if _, err := k.tree.Checkpoint(ctx); err != nil {
				return nil, err
			}
		}
		if err := k.log.Prune(s); err != nil {
			return gone, err
		}
		gone = append(gone, s)
	}
	return gone, nil
}

// stays reports whether some entry of a segment must stay.
func (k *Keeper) stays(ctx context.Context, s audit.Sealed) (bool, error) {
	now := k.now()
	for e, err := range k.log.Read(s.First) {
		if err == nil && ctx.Err() != nil {
			err = &fhir.Error{Op: "retention.Prune", Kind: fhir.Timeout, Err: ctx.Err()}
		}
		switch {
		case err != nil:
			return true, err
		case e.Seq > s.Last:
			return false, nil
		case k.keeps(&e, now):
			return true, nil
		}
	}
	return false, nil
}
