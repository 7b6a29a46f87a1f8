package proposal_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"galen/fhir"
	"galen/fhir/search/parse"
	"galen/fhir/spec"
	"galen/fhir/ucum"
	"galen/policies"
	"galen/policies/proposal"
)

func open(t *testing.T, path string) (*proposal.Book, *policies.Engine) {
	t.Helper()
	defs, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	units, err := ucum.Load()
	if err != nil {
		t.Fatal(err)
	}
	e, err := policies.NewLayered(policies.Shipped(), defs, policies.Layers{Criteria: parse.New(defs, units, parse.Options{})})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	b, err := proposal.Open(path, e, policies.Shipped(), func() time.Time { at = at.Add(time.Minute); return at })
	if err != nil {
		t.Fatal(err)
	}
	return b, e
}

const billing = "p, nurse, *, Claim, read, HPAYMT, always, allow, nurse-claims"

func mayReadClaims(t *testing.T, e *policies.Engine) bool {
	t.Helper()
	return e.Decide(t.Context(), policies.Principal{Roles: []string{"nurse"}, Purpose: "HPAYMT"}, policies.Request{Action: policies.Read, Type: "Claim"}).Allow
}

// Acceptance 39: propose and approve by different people, activate, roll back;
// all of it after a restart.
func TestLifeOfARevision(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policies")
	b, e := open(t, path)
	shipped := e.Revision()
	p, err := b.Propose(t.Context(), "anna", proposal.Draft{Add: []string{billing}, Reason: "nurses check bills"})
	if err != nil || p.State != proposal.Proposed || p.Parent != shipped || mayReadClaims(t, e) {
		t.Fatalf("propose: %+v %v", p, err)
	}
	for name, c := range map[string]struct {
		do   func() error
		want fhir.Kind
	}{
		"approved by the author": {func() error { _, err := b.Approve("anna", p.Digest, ""); return err }, fhir.Forbidden},
		"approved by nobody":     {func() error { _, err := b.Approve("", p.Digest, ""); return err }, fhir.Forbidden},
		"activated too soon":     {func() error { _, err := b.Activate("anna", p.Digest, ""); return err }, fhir.Conflict},
		"approve unknown":        {func() error { _, err := b.Approve("ben", "none", ""); return err }, fhir.NotFound},
		"activate unknown":       {func() error { _, err := b.Activate("ben", "none", ""); return err }, fhir.NotFound},
		"proposed twice": {func() error {
			_, err := b.Propose(t.Context(), "ben", proposal.Draft{Add: []string{billing}, Reason: "again"})
			return err
		}, fhir.Conflict},
		"nothing to roll back": {func() error { _, err := b.Rollback("ben", "x"); return err }, fhir.Conflict},
	} {
		if err := c.do(); fhir.KindOf(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := b.Approve("ben", p.Digest[:10], "fine"); err != nil || got.State != proposal.Approved || got.Approver != "ben" {
		t.Fatalf("approve: %+v %v", got, err)
	}
	if _, err := b.Approve("carl", p.Digest, ""); fhir.KindOf(err) != fhir.Conflict {
		t.Errorf("approved twice: %v", err)
	}
	other, err := b.Propose(t.Context(), "anna", proposal.Draft{Remove: []string{"admin-models"}, Cases: "[]", Reason: "not their business"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Approve("ben", other.Digest, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Activate("anna", p.Digest, "go"); err != nil || !mayReadClaims(t, e) || e.Revision() != p.Digest {
		t.Fatalf("activate: %v", err)
	}
	if _, err := b.Activate("anna", other.Digest, "go"); fhir.KindOf(err) != fhir.Conflict {
		t.Errorf("made for another parent: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b, e = open(t, path)
	if !mayReadClaims(t, e) {
		t.Fatal("after a restart the shipped policy decides")
	}
	if _, err := b.Rollback("ben", "too early"); err != nil || mayReadClaims(t, e) || e.Revision() != shipped {
		t.Fatalf("roll back: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b, e = open(t, path)
	if mayReadClaims(t, e) {
		t.Error("after a restart the rolled back policy decides")
	}
	list := b.List()
	if len(list) != 3 || list[0].State != proposal.Active || list[1].State != proposal.Retired || list[2].State != proposal.Approved || list[1].Policy != "" {
		t.Errorf("list: %+v", list)
	}
	if got, err := b.Find("active"); err != nil || got.Digest != shipped || len(got.Uses) != 1 || got.Policy == "" {
		t.Errorf("find: %+v %v", got.Uses, err)
	}
	if other, err := b.Engine(p.Digest); err != nil || !mayReadClaims(t, other) {
		t.Errorf("engine of another revision: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

// Acceptance 33 and 39: what is malformed or breaks its cases is refused with the
// reason, and the active policy goes on deciding.
func TestRefusedProposals(t *testing.T) {
	b, e := open(t, filepath.Join(t.TempDir(), "policies"))
	before := e.Revision()
	for name, c := range map[string]struct {
		draft proposal.Draft
		kind  fhir.Kind
		says  string
	}{
		"no reason":        {proposal.Draft{Add: []string{billing}}, fhir.Required, "reason"},
		"no change":        {proposal.Draft{Reason: "x"}, fhir.Required, "policy"},
		"short row":        {proposal.Draft{Add: []string{"p, nurse, *, Claim, read"}, Reason: "x"}, fhir.Invalid, "fields"},
		"unknown type":     {proposal.Draft{Add: []string{strings.Replace(billing, "Claim", "Clam", 1)}, Reason: "x"}, fhir.Invalid, "line"},
		"no such row":      {proposal.Draft{Remove: []string{"nothing"}, Reason: "x"}, fhir.NotFound, "row"},
		"breaks a case":    {proposal.Draft{Remove: []string{"staff-read"}, Reason: "x"}, fhir.Unprocessable, "staff-read"},
		"breaks its own":   {proposal.Draft{Add: []string{billing}, Reason: "x", Cases: "[{name: a, who: {roles: [nurse]}, action: [read], type: [Claim], expect: allow, rule: nurse-claims}]"}, fhir.Unprocessable, "nurse-claims"},
		"unreadable cases": {proposal.Draft{Add: []string{billing}, Reason: "x", Cases: "{"}, fhir.Invalid, "cases"},
		"model for all":    {proposal.Draft{Model: "[x]", Reason: "x"}, fhir.Invalid, "model.conf"},
		"everything gone":  {proposal.Draft{Policy: "# nothing\n", Reason: "x"}, fhir.Unprocessable, "rule"},
	} {
		_, err := b.Propose(t.Context(), "anna", c.draft)
		if fhir.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(b.List()) != 1 || e.Revision() != before {
		t.Error("something was stored")
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}
