package retention_test

import (
	"context"
	"crypto/rand"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"galen/fhir"
	"galen/policies/audit"
	"galen/policies/retention"
	"galen/policies/transparency"
)

// Whole sealed segments go once all in them is over its period and nothing on
// hold, and what is left verifies.
func TestPrune(t *testing.T) {
	dir, at, n := t.TempDir(), time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), 0
	now := func() time.Time { return at }
	log, err := audit.Open(filepath.Join(dir, "log"), audit.Options{Now: now, SegmentSize: 1000})
	if err != nil {
		t.Fatal(err)
	}
	tree, err := transparency.Open(filepath.Join(dir, "tree"), log, transparency.Options{Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	const day = 24 * time.Hour
	open := func() *retention.Keeper {
		t.Helper()
		k, err := retention.Open(retention.Config{
			Path: filepath.Join(dir, "holds"), Log: log, Tree: tree, Now: now, NewID: func() string { n++; return strconv.Itoa(n) },
			Periods: retention.Periods{retention.Access: 10 * day, retention.Security: 20 * day},
		})
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	k := open()
	record := func(kind audit.Kind, patient string, times int) {
		t.Helper()
		for range times {
			if _, err := log.Append(context.Background(), audit.Entry{Kind: kind, Patients: []string{"Patient/" + patient}, Agent: audit.Agent{Subject: "dr-" + patient}}); err != nil {
				t.Fatal(err)
			}
			at = at.Add(time.Hour)
		}
	}
	prune := func() int {
		t.Helper()
		gone, err := k.Prune(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(gone)
	}
	record(audit.Read, "a", 20)
	record(audit.Login, "b", 10)
	record(audit.HookCall, "c", 10)
	record(audit.Read, "d", 10)
	if got := prune(); got != 0 {
		t.Errorf("too soon: %d", got)
	}
	for name, h := range map[string]retention.Hold{"no reason": {Patient: "a"}, "no id": {Patient: "a b", Reason: "x"}} {
		if _, err := k.Place("officer", h); err == nil {
			t.Errorf("%s: placed", name)
		}
	}
	hold, err := k.Place("officer", retention.Hold{Patient: "Patient/a", Reason: "a court asks"})
	if err != nil {
		t.Fatal(err)
	}
	at = at.Add(11 * day)
	if got := prune(); got != 0 {
		t.Errorf("on hold: %d", got)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	k = open()
	if got := prune(); got != 0 || len(k.Holds()) != 1 {
		t.Errorf("on hold, after a restart: %d", got)
	}
	if _, err := k.Release("officer", "none"); fhir.KindOf(err) != fhir.NotFound {
		t.Errorf("release: %v", err)
	}
	if _, err := k.Release("officer", hold.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Release("officer", hold.ID); fhir.KindOf(err) != fhir.Conflict {
		t.Errorf("release twice: %v", err)
	}
	first := prune()
	if first == 0 {
		t.Error("nothing went after the access period")
	}
	at = at.Add(100 * day)
	second := prune()
	if second == 0 {
		t.Error("nothing went after the security period")
	}
	at = at.Add(1000 * day)
	if got := prune(); got != 0 {
		t.Errorf("what has no period went, or what came after it: %d", got)
	}
	for _, c := range []interface{ Close() error }{k, tree, log} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	report, err := transparency.Verify(filepath.Join(dir, "log"), filepath.Join(dir, "tree"), "")
	if err != nil || report.Bad != nil || report.Pruned == 0 || report.Pruned+report.Entries != 50 {
		t.Errorf("verify: %+v %v", report, err)
	}
}
