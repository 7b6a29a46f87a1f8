package hooks_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"galen/fhir"
	"galen/hooks"
	"galen/hooks/clients"
	"galen/models"
	"galen/policies"
	"galen/policies/audit"
)

func logTo(w io.Writer) func(*hooks.Config) {
	return func(c *hooks.Config) {
		c.Log = slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
}

func limits(l hooks.Limits) func(*hooks.Config) { return func(c *hooks.Config) { c.Limits = l } }

// A token that is limited to one patient does not reach another, by whatever
// path, and the attempt is on record.
func TestTokenOfOnePatient(t *testing.T) {
	h := newHarness(t)
	h.put(kidneyPatient()...)
	own, other := ehr, ehr
	own.Principal.Patient, other.Principal.Patient = "p1", "p2"
	if _, err := h.call(own, request{}.String()); err != nil {
		t.Errorf("the own patient: %v", err)
	}
	for name, body := range map[string]string{
		"other patient": request{}.String(), "full prefetch": request{prefetch: h.full(kidneyPatient()[0], kidneyPatient()[1:]...)}.String(),
	} {
		if _, err := h.call(other, body); fhir.KindOf(err) != fhir.Forbidden {
			t.Errorf("%s: %v", name, err)
		}
		e := h.last(audit.HookCall)
		if e.Reason != "patient" || e.Outcome != audit.Minor || e.Decision.Allow || e.Patients[0] != "Patient/p1" {
			t.Errorf("%s: on record as %+v", name, e)
		}
	}
	if _, err := h.call(own, request{more: map[string]any{"fhirServer": "https://other.test/fhir"}}.String()); fhir.KindOf(err) != fhir.Forbidden {
		t.Errorf("the same id on another server: %v", err)
	}
}

// Scopes do not speak of hooks: they let call what they would let read.
func TestScopes(t *testing.T) {
	h := newHarness(t)
	h.put(kidneyPatient()...)
	for name, tt := range map[string]struct {
		claim, patient string
		ok             bool
	}{
		"none, as a CDS client's JWT":   {"", "", true},
		"everything":                    {"user/*.cruds", "", true},
		"reading everything":            {"system/*.rs openid", "", true},
		"SMART 1":                       {"user/*.read", "", true},
		"the types of the answer":       {"user/Patient.rs user/Observation.rs user/Condition.rs user/RiskAssessment.rs", "", true},
		"one type less":                 {"user/Patient.rs user/Observation.rs user/RiskAssessment.rs", "", false},
		"granular":                      {"user/*.rs?category=laboratory", "", false},
		"writing only":                  {"user/*.cud", "", false},
		"our own":                       {"galen/invoke", "", true},
		"another of our own":            {"galen/audit:read", "", false},
		"nothing that grants":           {"openid", "", false},
		"a patient's, with the patient": {"patient/*.rs", "p1", true},
		"a patient's, of another":       {"patient/*.rs", "p2", false},
		"a patient's, without":          {"patient/*.rs", "", false},
	} {
		c := ehr
		c.Principal.Patient = tt.patient
		if tt.claim != "" {
			c.Principal.Scopes, _ = policies.ParseScopes(tt.claim)
			if c.Principal.Scopes == nil {
				c.Principal.Scopes = []policies.Scope{}
			}
		}
		if _, err := h.call(c, request{}.String()); (err == nil) != tt.ok || (err != nil && fhir.KindOf(err) != fhir.Forbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
	researcher := ehr
	researcher.Principal.Roles = []string{"researcher"}
	if _, err := h.call(researcher, request{}.String()); fhir.KindOf(err) != fhir.Forbidden || h.last(audit.HookCall).Reason != "policy" {
		t.Errorf("a role that may not: %v", err)
	}
}

// What is ready within the budget goes out, and a card says what was left
// (acceptance 23: no hang past the deadline).
func TestBudget(t *testing.T) {
	h := newHarness(t, limits(hooks.Limits{Budget: 100 * time.Millisecond}))
	h.put(kidneyPatient()...)
	h.put(wardVitals()...)
	h.block = func(ctx context.Context, query string) error {
		if strings.Contains(query, "9279-1") { // the vital signs
			<-ctx.Done()
			return fhir.E("test", fhir.Timeout, "", "slow")
		}
		return nil
	}
	cards := h.cards(request{}.String())
	h.cardAbout(cards, "Kidney")
	notes := cards[len(cards)-1]
	if !strings.Contains(notes.Get("detail").Text(), "news2-observation") {
		t.Errorf("nothing says what was left: %s", notes.Raw())
	}
	h.block = func(ctx context.Context, _ string) error {
		<-ctx.Done()
		return fhir.E("test", fhir.Timeout, "", "slow")
	}
	if _, err := h.call(ehr, request{}.String()); fhir.KindOf(err) != fhir.Precondition {
		t.Errorf("nothing in time: %v", err)
	}
}

// Under overload calls wait or are turned away; the others are answered
// (acceptance 23).
func TestOverload(t *testing.T) {
	h := newHarness(t, limits(hooks.Limits{Budget: 2 * time.Second, Parallel: 1, Queue: 1}))
	h.put(kidneyPatient()...)
	inside, release := make(chan struct{}, 10), make(chan struct{})
	h.block = func(context.Context, string) error {
		select {
		case inside <- struct{}{}:
		default:
		}
		<-release
		return nil
	}
	results := make(chan error, 3)
	call := func(ctx context.Context) {
		_, err := h.Call(ctx, ehr, hooks.ServiceID, []byte(request{}.String()))
		results <- err
	}
	go call(t.Context())
	<-inside
	waiting, leave := context.WithCancel(t.Context())
	go call(waiting)
	go call(waiting) // one of the two waits, the other finds the queue full
	if err := <-results; fhir.KindOf(err) != fhir.Throttled {
		t.Errorf("a full queue: %v", err)
	}
	leave()
	if err := <-results; fhir.KindOf(err) != fhir.Throttled {
		t.Errorf("a client that went away: %v", err)
	}
	close(release)
	if err := <-results; err != nil {
		t.Errorf("the one that ran: %v", err)
	}
}

func TestCap(t *testing.T) {
	h := newHarness(t, limits(hooks.Limits{Cards: 1}))
	p := kidneyPatient()
	cards := h.cards(request{prefetch: h.full(p[0], append(p[1:], wardVitals()...)...)}.String())
	if len(cards) != 2 || !strings.Contains(cards[0].Get("summary").Text(), "NEWS2") {
		t.Fatalf("%d cards, want the most urgent and the one that tells of the rest", len(cards))
	}
	if d := cards[1].Get("detail").Text(); !strings.Contains(d, "Kidney failure within 2 years: 1.25 %") {
		t.Errorf("the rest: %s", d)
	}
}

// Alert fatigue: the same finding is not shown to the same user again for a
// while, unless it got worse; it is assessed and on record all the same.
func TestQuiet(t *testing.T) {
	h := newHarness(t, limits(hooks.Limits{Quiet: time.Hour}))
	ward := func(rr string) string {
		vitals := append([]string{lab("rr", "9279-1", rr, "/min")}, wardVitals()[1:]...)
		return request{prefetch: h.full(patientOf("female", 70), vitals...)}.String()
	}
	if n := len(h.cards(ward("22"))); n != 2 {
		t.Fatalf("%d cards at first, want NEWS2 and what was not assessed", n)
	}
	before := len(h.stored("RiskAssessment"))
	h.now = noon.Add(10 * time.Minute)
	if n := len(h.cards(ward("22"))); n != 0 {
		t.Errorf("%d cards again", n)
	}
	if len(h.stored("RiskAssessment")) != before+1 || !suppressed(h.entries(audit.Inference)) {
		t.Error("what is not shown is not on record as suppressed")
	}
	if n := len(h.cards(ward("26"))); n != 1 {
		t.Errorf("%d cards when it got worse", n)
	}
	if n := len(h.cards(ward("22"))); n != 0 {
		t.Errorf("%d cards when it got better", n)
	}
	other := strings.Replace(ward("22"), "Practitioner/1", "Practitioner/2", 1)
	if n := len(h.cards(other)); n != 2 {
		t.Errorf("%d cards for another user", n)
	}
	h.now = noon.Add(2 * time.Hour)
	if n := len(h.cards(ward("22"))); n != 2 {
		t.Errorf("%d cards after the hour", n)
	}
}

func suppressed(entries []audit.Entry) bool {
	for _, e := range entries {
		if e.Reason == "suppressed" && len(e.Assessments) == 1 && len(e.Cards) == 0 {
			return true
		}
	}
	return false
}

// fhirServer may be this server under either of its names: then ids are its own.
func TestOwnServer(t *testing.T) {
	h := newHarness(t)
	h.put(kidneyPatient()...)
	c := ehr
	c.Alias = "http://localhost:8080"
	for server, ok := range map[string]bool{base + "/fhir": true, "http://localhost:8080/fhir/": true, "http://localhost:8081/fhir": false, base: false} {
		root, err := h.call(c, request{more: map[string]any{"fhirServer": server}}.String())
		if (err == nil) != ok {
			t.Errorf("%s: %v", server, err)
		}
		if err == nil && h.linked(h.cardAbout(items(root.Get("cards")), "Kidney")).Get("subject").Get("reference").Text() != "Patient/p1" {
			t.Errorf("%s: the subject is not local", server)
		}
	}
}

// What the CDS Hooks 3.0 ballot added is for clients that know it.
func TestBallot(t *testing.T) {
	far := newFarEHR(t, func(string) string { return "" })
	for _, on := range []bool{false, true} {
		h := newHarness(t, far.registered(t), func(c *hooks.Config) {
			c.Clients = must(clients.Parse([]byte(fmt.Sprintf(`[{"iss":"https://ehr.test","jwks":{"keys":[]},"options":{"cds_hooks_3":%t}}]`, on))))(t)
		})
		h.put(kidneyPatient()[:2]...)
		cards := items(must(h.call(client(), request{}.String()))(t).Get("cards"))
		s := cards[len(cards)-1].Get("suggestions").Item(0)
		if !s.Exists() || s.Get("actionSelectionBehavior").Exists() != on {
			t.Errorf("on %t: %s", on, s.Raw())
		}
	}
}

// A client that is registered for some hooks may call no others.
func TestClientOfSomeHooks(t *testing.T) {
	h := newHarness(t, func(c *hooks.Config) {
		c.Clients = must(clients.Parse([]byte(`[{"iss":"https://ehr.test","jwks":{"keys":[]},"hooks":["encounter-start"]}]`)))(t)
	})
	h.put(kidneyPatient()...)
	if _, err := h.call(client(), request{}.String()); fhir.KindOf(err) != fhir.Forbidden || h.last(audit.HookCall).Reason != "client-hook" {
		t.Errorf("%v", err)
	}
	if _, err := h.call(client(), request{hook: "encounter-start", context: map[string]any{"userId": "Practitioner/1", "patientId": "p1", "encounterId": "e1"}}.String()); err != nil {
		t.Errorf("%v", err)
	}
	risks := h.stored("RiskAssessment")
	if len(risks) != 0 {
		t.Errorf("%d assessments without vital signs", len(risks))
	}
	if g := h.stored("GuidanceResponse"); len(g) != 1 || g[0].Get("encounter").Get("reference").Text() != "Encounter/e1" {
		t.Errorf("the encounter is not named")
	}
}

// Services follow the catalog: a model that is stopped is said to be, and after
// the services are served anew it asks for no data any more; a bad set of
// services changes nothing.
func TestServicesFollowTheCatalog(t *testing.T) {
	h := newHarness(t)
	h.put(kidneyPatient()...)
	if err := h.Catalog.Stop(models.Ref{Name: "kfre-4v"}, "a test"); err != nil {
		t.Fatal(err)
	}
	cards := h.cards(request{}.String())
	if len(cards) != 1 || !strings.Contains(cards[0].Get("detail").Text(), "not served at the moment") {
		t.Errorf("%d cards of a model that is stopped", len(cards))
	}
	if err := h.Serve(hooks.Services(two(hooks.Champions(h.Catalog)))); err != nil {
		t.Fatal(err)
	}
	after := string(h.Discovery())
	if strings.Contains(after, "kfre") || !strings.Contains(after, "news2") {
		t.Errorf("discovery %s", after)
	}
	twice := hooks.Services(two(hooks.Champions(h.Catalog)))
	if err := h.Serve(append(twice, twice...)); fhir.KindOf(err) != fhir.Invalid || string(h.Discovery()) != after {
		t.Errorf("two services of one id under one hook: %v", err)
	}
	if err := h.Serve([]hooks.Service{{ID: "x", Hook: "no-hook"}}); fhir.KindOf(err) != fhir.Invalid {
		t.Errorf("a service under no hook: %v", err)
	}
}
