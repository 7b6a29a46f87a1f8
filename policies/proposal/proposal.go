// Package proposal is the life of a policy: somebody proposes a revision,
// somebody else approves it, it is activated, and an earlier one can be brought
// back.
//
// It promises that a revision that is malformed, or under which its cases do not
// hold, is never stored; that nobody approves what they proposed; that only what
// was approved becomes active, and nothing that was made for another parent than
// the active one; and that all of it is on disk before it is true and true again
// after a restart. It decides nothing: policies.Engine does. It writes no audit.
package proposal

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"galen/fhir"
	"galen/policies"
	"galen/policies/journal"
)

// Proposal is a revision and what became of it.
type Proposal struct {
	Digest   string    `json:"digest"`
	Parent   string    `json:"parent,omitempty"`
	Author   string    `json:"author"`
	Reason   string    `json:"reason"`
	Proposed time.Time `json:"proposed,omitzero"`
	Approver string    `json:"approver,omitempty"`
	Approved time.Time `json:"approved,omitzero"`
	Comment  string    `json:"comment,omitempty"` // of the approver
	Uses     []Use     `json:"uses,omitempty"`    // when it was made active
	State    State     `json:"state"`
	Policy   string    `json:"policy,omitempty"`
	Model    string    `json:"model,omitempty"`
	Cases    string    `json:"cases,omitempty"` // "" for those of the parent
}

// Use is one activation.
type Use struct {
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"`
}

// State is where a revision stands in its life.
type State string

// The states.
const (
	Proposed State = "proposed"
	Approved State = "approved"
	Active   State = "active"
	Retired  State = "retired" // was active
)

// revision is the proposal as policies reads it.
func (p *Proposal) revision() policies.Revision {
	return policies.Revision{Model: p.Model, Policy: p.Policy, Parent: p.Parent, Author: p.Author, Reason: p.Reason}
}

// event is one line of the journal.
type event struct {
	Event   string    `json:"event"` // propose, approve, activate
	Digest  string    `json:"digest"`
	By      string    `json:"by,omitempty"`
	At      time.Time `json:"at"`
	Text    string    `json:"text,omitempty"` // reason or comment
	Content *Proposal `json:"content,omitempty"`
}

// Book keeps the proposals and the engine's active revision. It is safe for
// concurrent use.
type Book struct {
	engine *policies.Engine
	now    func() time.Time
	file   *journal.File

	mu     sync.RWMutex
	all    []*Proposal // oldest first; the first is the shipped one
	active string
}

// Open reads the journal at path, or makes it, and activates what was active.
// The engine runs the revision that comes with the server, shipped, until then.
// The error is of Kind Invalid if this version of the server refuses what was
// active.
func Open(path string, engine *policies.Engine, shipped policies.Revision, now func() time.Time) (*Book, error) {
	first := &Proposal{
		Digest: shipped.Digest(), Author: shipped.Author, Reason: shipped.Reason, Approver: shipped.Author,
		Policy: shipped.Policy, Model: shipped.Model, State: Active,
	}
	b := &Book{engine: engine, now: now, all: []*Proposal{first}, active: first.Digest}
	var err error
	b.file, err = journal.Open(path, func(line []byte) error {
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			return &fhir.Error{Op: "proposal.Open", Err: err}
		}
		b.apply(e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if current := b.find(b.active); current != nil && current.Digest != engine.Revision() {
		if err := engine.Activate(current.revision()); err != nil {
			_ = b.file.Close() // the other error says more
			return nil, err
		}
	}
	return b, nil
}

// Close closes the journal.
func (b *Book) Close() error { return b.file.Close() }

// apply makes an event true.
func (b *Book) apply(e event) {
	p := b.find(e.Digest)
	switch {
	case e.Event == "propose" && p == nil && e.Content != nil:
		b.all = append(b.all, e.Content)
	case p == nil: // a revision that an older server shipped
	case e.Event == "approve":
		p.Approver, p.Approved, p.Comment, p.State = e.By, e.At, e.Text, Approved
	case e.Event == "activate":
		if old := b.find(b.active); old != nil {
			old.State = Retired
		}
		p.State, b.active = Active, p.Digest
		p.Uses = append(p.Uses, Use{e.By, e.At, e.Text})
	}
}

// find is a proposal by its digest or the beginning of it, at least 8 digits.
func (b *Book) find(digest string) *Proposal {
	var found *Proposal
	for _, p := range b.all {
		switch {
		case p.Digest == digest:
			return p
		case len(digest) >= 8 && strings.HasPrefix(p.Digest, digest) && found == nil:
			found = p
		}
	}
	return found
}

// record writes an event and makes it true; the caller holds the lock.
func (b *Book) record(e event) error {
	if err := b.file.Append(e); err != nil {
		return err
	}
	b.apply(e)
	return nil
}

func (b *Book) stamp() time.Time { return b.now().UTC().Truncate(time.Millisecond) }

// Draft is what somebody proposes: a whole policy, or lines to add to the active
// one and ids of rows to take out of it.
type Draft struct {
	Policy string   `json:"policy"`
	Model  string   `json:"model"` // "" for the active one
	Cases  string   `json:"cases"` // YAML; "" for those of the active one
	Add    []string `json:"add"`
	Remove []string `json:"remove"`
	Reason string   `json:"reason"`
}

// Revision is the draft as a revision on top of the active one. The error is of
// Kind Required without any change, NotFound for a row to remove that is not there.
func (b *Book) Revision(d Draft) (policies.Revision, error) {
	const op = "proposal.Revision"
	b.mu.RLock()
	base := *b.find(b.active)
	b.mu.RUnlock()
	rev := policies.Revision{Model: d.Model, Policy: d.Policy, Parent: base.Digest, Reason: d.Reason}
	if rev.Model == "" {
		rev.Model = base.Model
	}
	if rev.Policy == "" {
		if len(d.Add)+len(d.Remove) == 0 && d.Model == "" {
			return rev, fhir.E(op, fhir.Required, "policy", "a proposal needs policy, or add and remove")
		}
		rev.Policy = base.Policy
	}
	for _, id := range d.Remove {
		text, ok := without(rev.Policy, id)
		if !ok {
			return rev, fhir.E(op, fhir.NotFound, "remove", "the policy has no row with this id")
		}
		rev.Policy = text
	}
	if len(d.Add) > 0 {
		rev.Policy = strings.TrimRight(rev.Policy, "\n") + "\n" + strings.Join(d.Add, "\n") + "\n"
	}
	return rev, nil
}

// without is a policy less the row with that id, its last field.
func without(policy, id string) (string, bool) {
	lines := strings.Split(policy, "\n")
	i := slices.IndexFunc(lines, func(line string) bool {
		fields := strings.Split(line, ",")
		kind := strings.TrimSpace(fields[0])
		return (kind == "p" || kind == "l") && strings.TrimSpace(fields[len(fields)-1]) == id
	})
	if i < 0 {
		return policy, false
	}
	return strings.Join(slices.Delete(lines, i, i+1), "\n"), true
}

// Propose checks a draft and stores it. Errors: Required without a reason, Invalid
// for a policy or cases that cannot be read (At names file and line),
// Unprocessable for cases that do not hold, Conflict for a revision that is known.
func (b *Book) Propose(ctx context.Context, author string, d Draft) (Proposal, error) {
	const op = "proposal.Propose"
	if strings.TrimSpace(d.Reason) == "" {
		return Proposal{}, fhir.E(op, fhir.Required, "reason", "a proposal needs a reason")
	}
	rev, err := b.Revision(d)
	if err != nil {
		return Proposal{}, err
	}
	tried, err := b.engine.Try(rev)
	if err != nil {
		return Proposal{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	cases, err := b.cases(d.Cases, rev.Parent)
	if err != nil {
		return Proposal{}, err
	}
	if wrong := tried.Check(ctx, cases); len(wrong) > 0 {
		return Proposal{}, failing(wrong)
	}
	if b.find(rev.Digest()) != nil {
		return Proposal{}, fhir.E(op, fhir.Conflict, "policy", "this revision is known already")
	}
	p := Proposal{
		Digest: rev.Digest(), Parent: rev.Parent, Author: author, Reason: d.Reason, Proposed: b.stamp(),
		Policy: rev.Policy, Model: rev.Model, Cases: d.Cases, State: Proposed,
	}
	return p, b.record(event{Event: "propose", Digest: p.Digest, By: author, At: p.Proposed, Content: &p})
}

// cases are those of a text, or, without one, of the nearest ancestor that has
// some, at last the shipped ones.
func (b *Book) cases(text, parent string) ([]policies.Case, error) {
	for range b.all {
		if text != "" {
			return policies.ParseCases("cases", []byte(text))
		}
		p := b.find(parent)
		if p == nil {
			break
		}
		text, parent = p.Cases, p.Parent
	}
	return policies.ShippedCases()
}

// failing is the error for cases that do not hold, each an issue.
func failing(wrong []string) error {
	var issues fhir.Issues
	for _, w := range wrong[:min(len(wrong), 50)] {
		issues = append(issues, fhir.Issue{Severity: fhir.SeverityError, Kind: fhir.Unprocessable, At: "cases", Diagnostics: w})
	}
	return &fhir.Error{Op: "proposal.Propose", Kind: fhir.Unprocessable, At: "cases", Err: issues}
}

// Approve lets another person approve. Errors: NotFound, Forbidden for the
// author, Conflict for what is approved already.
func (b *Book) Approve(by, digest, comment string) (Proposal, error) {
	const op = "proposal.Approve"
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.find(digest)
	switch {
	case p == nil:
		return Proposal{}, unknown(op)
	case p.Author == by || by == "":
		return Proposal{}, fhir.E(op, fhir.Forbidden, "", "nobody approves what they proposed")
	case p.State != Proposed:
		return Proposal{}, fhir.E(op, fhir.Conflict, "", "the revision is approved already")
	}
	err := b.record(event{Event: "approve", Digest: p.Digest, By: by, At: b.stamp(), Text: comment})
	return *p, err
}

func unknown(op string) error {
	return fhir.E(op, fhir.NotFound, "", "there is no such revision")
}

// Activate makes an approved revision decide from now on; one that was active
// before is brought back so too. Errors: NotFound, Conflict for what is not
// approved, is active, or was made for another parent than the active revision.
func (b *Book) Activate(by, digest, reason string) (Proposal, error) {
	const op = "proposal.Activate"
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.find(digest)
	switch {
	case p == nil:
		return Proposal{}, unknown(op)
	case p.State == Proposed:
		return Proposal{}, fhir.E(op, fhir.Conflict, "", "the revision is not approved")
	case p.State == Active:
		return Proposal{}, fhir.E(op, fhir.Conflict, "", "the revision is active")
	case p.State == Approved && p.Parent != b.active:
		return Proposal{}, fhir.E(op, fhir.Conflict, "", "another revision became active since this was proposed: propose it anew")
	}
	if _, err := b.engine.Try(p.revision()); err != nil {
		return Proposal{}, err
	}
	if err := b.record(event{Event: "activate", Digest: p.Digest, By: by, At: b.stamp(), Text: reason}); err != nil {
		return Proposal{}, err
	}
	return *p, b.engine.Activate(p.revision())
}

// Rollback brings back the revision that was active before the present one. The
// error is of Kind Conflict if there is none.
func (b *Book) Rollback(by, reason string) (Proposal, error) {
	b.mu.RLock()
	previous := ""
	if p := b.find(b.active); p != nil {
		previous = p.Parent
	}
	b.mu.RUnlock()
	if previous == "" {
		return Proposal{}, fhir.E("proposal.Rollback", fhir.Conflict, "", "there is no earlier revision")
	}
	return b.Activate(by, previous, reason)
}

// List is every revision, oldest first, without the texts.
func (b *Book) List() []Proposal {
	b.mu.RLock()
	defer b.mu.RUnlock()
	list := make([]Proposal, len(b.all))
	for i, p := range b.all {
		list[i] = *p
		list[i].Policy, list[i].Model, list[i].Cases = "", "", ""
	}
	return list
}

// Find is one revision by its digest or its beginning, or "active"; NotFound.
func (b *Book) Find(digest string) (Proposal, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if digest == "active" {
		digest = b.active
	}
	p := b.find(digest)
	if p == nil {
		return Proposal{}, unknown("proposal.Find")
	}
	return *p, nil
}

// Engine runs a known revision, to see what it decides; NotFound.
func (b *Book) Engine(digest string) (*policies.Engine, error) {
	p, err := b.Find(digest)
	if err != nil {
		return nil, err
	}
	return b.engine.Try(p.revision())
}
