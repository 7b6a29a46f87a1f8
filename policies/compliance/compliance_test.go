package compliance_test

import (
	"context"
	"crypto/rand"
	"strconv"
	"sync"
	"testing"
	"time"

	"galen/fhir/search/parse"
	"galen/fhir/spec"
	"galen/fhir/ucum"
	"galen/policies"
	"galen/policies/audit"
	"galen/policies/compliance"
	"galen/policies/retention"
	"galen/policies/transparency"
	"galen/store/mem"
)

// clock is moved by the tests.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func open(t *testing.T, dir string, c *clock) *compliance.Office {
	t.Helper()
	defs, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	units, err := ucum.Load()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	o, err := compliance.Open(t.Context(), compliance.Config{
		Dir: dir, Defs: defs, Criteria: parse.New(defs, units, parse.Options{}), Driver: mem.New(), Now: c.now,
		NewID: func() string { n++; return "id" + strconv.Itoa(n) }, Random: rand.Reader, AuditSegmentSize: 600,
		Periods: retention.Periods{retention.Access: time.Hour, retention.Security: time.Hour, retention.Models: time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// The chores: the end of an emergency access goes on record, what need not be kept
// goes, checkpoints are signed, and the log verifies after all of it.
func TestChores(t *testing.T) {
	dir, c := t.TempDir(), &clock{at: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	o := open(t, dir, c)
	doctor := policies.Principal{Subject: "dr-a", Roles: []string{"clinician"}}
	if _, _, err := o.Glass.Start(doctor, "p1", "", "unconscious", 10*time.Minute); err != nil {
		t.Fatal(err)
	}
	record := func(patient string) audit.Entry {
		t.Helper()
		seq, err := o.Log.Append(context.Background(), audit.Entry{Kind: audit.Read, Agent: audit.AgentOf(doctor, ""), Patients: []string{"Patient/" + patient}})
		if err != nil {
			t.Fatal(err)
		}
		for e, err := range o.Log.Read(seq) {
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
		return audit.Entry{}
	}
	if got := record("p1").Agent.Purpose; got != "ETREAT" {
		t.Errorf("the patient of the emergency: purpose %q", got)
	}
	if got := record("p2").Agent.Purpose; got != "" {
		t.Errorf("another patient: purpose %q", got)
	}
	for range 10 {
		record("p3")
	}
	c.pass(2 * time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	ticks, done := make(chan time.Time), make(chan struct{})
	go func() {
		defer close(done)
		o.Run(ctx, ticks, func(err error) { t.Error(err) })
	}()
	for range 3 {
		ticks <- c.now()
		c.pass(time.Minute)
	}
	cancel()
	<-done
	var stopped, pruned int
	for e, err := range o.Log.Read(1) {
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case e.Kind == audit.BreakGlassStop && e.Reason == "expired":
			stopped++
		case e.Kind == audit.AuditUse:
			pruned++
		}
	}
	if stopped != 1 || pruned == 0 {
		t.Errorf("on record: %d ends of emergency accesses, %d prunings", stopped, pruned)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	report, err := transparency.Verify(compliance.LogDir(dir), compliance.TreeDir(dir), "")
	if err != nil || report.Bad != nil || report.Pruned == 0 || report.Checkpoints == 0 {
		t.Errorf("verify: %+v %v", report, err)
	}
	o = open(t, dir, c)
	if err := o.Close(); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}
