package breakglass_test

import (
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"galen/fhir"
	"galen/policies"
	"galen/policies/breakglass"
)

// Acceptance 34: reason, time limit, one patient, ends by itself, review by
// another, and all of it after a restart.
func TestLifeOfAnAccess(t *testing.T) {
	path, now, n := filepath.Join(t.TempDir(), "glass"), time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), 0
	open := func() *breakglass.Registry {
		t.Helper()
		r, err := breakglass.Open(path, func() time.Time { return now }, func() string { n++; return strconv.Itoa(n) })
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := open()
	doctor, officer := policies.Principal{Subject: "dr-a", FHIRUser: "Practitioner/1"}, policies.Principal{Subject: "officer"}
	for name, c := range map[string]struct {
		patient, purpose, reason string
		last                     time.Duration
		want                     fhir.Kind
	}{
		"no patient":     {"", "", "unconscious", 0, fhir.Required},
		"no reason":      {"p1", "", "", 0, fhir.Required},
		"blank reason":   {"p1", "", "          ", 0, fhir.Required},
		"other purpose":  {"p1", "TREAT", "unconscious", 0, fhir.Value},
		"too long":       {"p1", "", "unconscious", 61 * time.Minute, fhir.Value},
		"negative":       {"p1", "", "unconscious", -time.Minute, fhir.Value},
		"not an id":      {"p1 p2", "", "unconscious", 0, fhir.Required},
		"endless reason": {"p1", "", string(make([]byte, 2001)) + "x", 0, fhir.Value},
	} {
		if _, _, err := r.Start(doctor, c.patient, c.purpose, c.reason, c.last); fhir.KindOf(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	a, fresh, err := r.Start(doctor, "p1", "", "unconscious in A&E", 10*time.Minute)
	if err != nil || !fresh || a.Purpose != "ETREAT" || !a.Expires.Equal(now.Add(10*time.Minute)) {
		t.Fatalf("start: %+v %v", a, err)
	}
	if again, fresh, err := r.Start(doctor, "p1", "BTG", "again and again", 0); err != nil || fresh || again.ID != a.ID {
		t.Errorf("a second start: %+v %t %v", again, fresh, err)
	}
	active := func(r *breakglass.Registry, subject string) []string { return r.Active(subject) }
	if got := active(r, "dr-a"); !slices.Equal(got, []string{"p1"}) || active(r, "dr-b") != nil {
		t.Errorf("active %v", got)
	}
	if r.Purpose("dr-a", []string{"Patient/p2", "Patient/p1"}) != "ETREAT" || r.Purpose("dr-a", []string{"Patient/p2"}) != "" {
		t.Error("purpose")
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = open()
	if got := active(r, "dr-a"); !slices.Equal(got, []string{"p1"}) {
		t.Errorf("after a restart: %v", got)
	}
	now = now.Add(11 * time.Minute)
	if got := active(r, "dr-a"); len(got) != 0 {
		t.Errorf("after its time: %v", got)
	}
	b, _, err := r.Start(doctor, "p2", "BTG", "needed again", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Stop(officer, b.ID); fhir.KindOf(err) != fhir.NotFound {
		t.Errorf("stopped by another: %v", err)
	}
	if _, err := r.Stop(doctor, b.ID); err != nil || len(active(r, "dr-a")) != 0 {
		t.Errorf("stop: %v", err)
	}
	if _, err := r.Review(doctor, a.ID, "justified", ""); fhir.KindOf(err) != fhir.Forbidden {
		t.Errorf("signed off by oneself: %v", err)
	}
	if _, err := r.Review(officer, a.ID, "fine", ""); fhir.KindOf(err) != fhir.Value {
		t.Errorf("verdict: %v", err)
	}
	if _, err := r.Review(officer, "none", "justified", ""); fhir.KindOf(err) != fhir.NotFound {
		t.Errorf("no such: %v", err)
	}
	if got, err := r.Review(officer, a.ID, "justified", "seen the chart"); err != nil || got.Reviewer != "officer" || got.Reviewed.IsZero() {
		t.Errorf("review: %+v %v", got, err)
	}
	if _, err := r.Review(officer, a.ID, "unjustified", ""); fhir.KindOf(err) != fhir.Conflict {
		t.Errorf("signed off twice: %v", err)
	}
	if pending, all := r.List(true), r.List(false); len(pending) != 1 || pending[0].ID != b.ID || len(all) != 2 {
		t.Errorf("pending %+v, all %+v", pending, all)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = open()
	if all := r.List(false); len(all) != 2 || all[0].Verdict != "justified" || all[1].Ended.IsZero() {
		t.Errorf("after a restart: %+v", all)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}
