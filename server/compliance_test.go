package server_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"galen/fhir/jsontree"
	"galen/server/auth"
	"galen/server/servertest"
)

// moving is a clock that tests set.
type moving struct {
	mu sync.Mutex
	at time.Time
}

func (m *moving) now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at = m.at.Add(time.Millisecond)
	return m.at
}

func (m *moving) set(at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at = at
}

func as(subject, user string) func(*auth.Claims) {
	return func(c *auth.Claims) { c.Subject, c.FHIRUser, c.TTL = subject, user, 1000*time.Hour }
}

const jsonBody = "application/json"

// Acceptance 35: a consent that denies blocks read and search for that actor and
// purpose, and its withdrawal counts at the next request.
func TestConsentOverHTTP(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	twoPatients(t, s)
	admin := s.As("admin")
	denied := s.As("clinician", as("dr-a", "Practitioner/a"))
	other := s.As("clinician", as("dr-b", "Practitioner/b"))
	own := s.As("patient", launch("p1", ""))
	consent := func(status string) {
		t.Helper()
		body := `{"resourceType":"Consent","id":"c","status":"` + status + `","scope":{"coding":[{"code":"patient-privacy"}]},"category":[{"text":"x"}],
			"patient":{"reference":"Patient/p1"},"policyRule":{"coding":[{"code":"OPTIN"}]},"provision":{"type":"deny","actor":[{"role":{"text":"x"},"reference":{"reference":"Practitioner/a"}}]}}`
		if a := admin.Do("PUT", "Consent/c", body); a.Status != 200 && a.Status != 201 {
			t.Fatalf("consent: %d %s", a.Status, a.Body)
		}
	}
	look := func(c servertest.Client) string {
		t.Helper()
		return fmt.Sprint(c.Do("GET", "Patient/p1", "").Status, c.Do("GET", "Observation/o1", "").Status,
			c.Do("GET", "Encounter/e1/_history", "").Status, len(ids(c.Do("GET", "Observation", ""))),
			len(ids(c.Do("GET", "Encounter?_revinclude=Observation:encounter", ""))), c.Do("GET", "Patient/p2", "").Status)
	}
	const all, half = "200 200 200 4 4 200", "404 404 404 2 2 200"
	for _, step := range []struct {
		status string
		want   string
	}{{"", all}, {"active", half}, {"inactive", all}, {"active", half}} {
		if step.status != "" {
			consent(step.status)
		}
		if got := look(denied); got != step.want {
			t.Errorf("consent %q: %s, want %s", step.status, got, step.want)
		}
		if got := look(other); got != all {
			t.Errorf("consent %q, another clinician: %s", step.status, got)
		}
	}
	own.Do("GET", "Observation/o1", "").Want(200)
	if a := denied.Do("PUT", "Observation/o1", `{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p1"}}`); a.Status < 400 {
		t.Errorf("written although withheld: %d", a.Status)
	}
	officer := s.As("compliance")
	answer := officer.Do("POST", "/compliance/explain", `{"sub":"dr-a","action":"read","type":"Observation","id":"o1"}`, "Content-Type", jsonBody).Want(200).JSON()
	if answer.Get("allow").Kind() != jsontree.False || answer.Get("reason").Text() != "consent" {
		t.Errorf("explained: %s", answer.Raw())
	}
	answer = officer.Do("POST", "/compliance/explain", `{"sub":"dr-a","action":"read","type":"Observation","id":"o2"}`, "Content-Type", jsonBody).Want(200).JSON()
	if answer.Get("allow").Kind() != jsontree.True || answer.Get("rule").Text() != "staff-read" {
		t.Errorf("explained: %s", answer.Raw())
	}
}

// Security labels over HTTP: what bears V is there for the patient, and in an
// emergency.
func TestLabelsOverHTTP(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	s.As("admin").Do("PUT", "Observation/v", `{"resourceType":"Observation","id":"v","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"V"}]},"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p1"}}`).Want(201)
	s.As("admin").Do("PUT", "Observation/r", `{"resourceType":"Observation","id":"r","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]},"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p1"}}`).Want(201)
	for name, c := range map[string]struct {
		client servertest.Client
		v, r   int
	}{
		"clinician": {s.As("clinician"), 404, 200},
		"nurse":     {s.As("nurse"), 404, 404},
		"patient":   {s.As("patient", launch("p1", "")), 200, 200},
		"another":   {s.As("patient", launch("p2", "")), 404, 404},
	} {
		if v, r := c.client.Do("GET", "Observation/v", "").Status, c.client.Do("GET", "Observation/r", "").Status; v != c.v || r != c.r {
			t.Errorf("%s: V %d, R %d", name, v, r)
		}
	}
}

// Acceptance 34: break-glass needs a reason, is for one patient and a time, is on
// record as emergency access, and waits for another person's sign-off.
func TestBreakGlassOverHTTP(t *testing.T) {
	clock := &moving{at: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	s := servertest.Start(t, servertest.Options{Now: clock.now})
	twoPatients(t, s)
	admin, doctor, officer := s.As("admin"), s.As("clinician", as("dr-a", "Practitioner/a")), s.As("compliance", as("officer", ""))
	for _, p := range []string{"p1", "p2"} {
		admin.Do("PUT", "Consent/"+p, `{"resourceType":"Consent","id":"`+p+`","status":"active","scope":{"coding":[{"code":"patient-privacy"}]},"category":[{"text":"x"}],"policyRule":{"coding":[{"code":"OPTOUT"}]},"patient":{"reference":"Patient/`+p+`"}}`).Want(201)
	}
	doctor.Do("GET", "Observation/o1", "").Want(404)
	for name, c := range map[string]struct {
		client servertest.Client
		body   string
		want   int
	}{
		"no reason":      {doctor, `{"patient":"p1"}`, 400},
		"no patient":     {doctor, `{"reason":"unconscious"}`, 400},
		"two hours":      {doctor, `{"patient":"p1","reason":"unconscious","minutes":120}`, 400},
		"unknown member": {doctor, `{"patient":"p1","reason":"unconscious","forever":true}`, 400},
		"a patient":      {s.As("patient", launch("p1", "")), `{"patient":"p1","reason":"curious"}`, 403},
		"administrator":  {admin, `{"patient":"p1","reason":"curious"}`, 403},
	} {
		if got := c.client.Do("POST", "/compliance/break-glass", c.body, "Content-Type", jsonBody).Status; got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	started := doctor.Do("POST", "/compliance/break-glass", `{"patient":"Patient/p1","reason":"unconscious in A&E","minutes":30}`, "Content-Type", jsonBody).Want(201)
	id := started.JSON().Get("id").Text()
	doctor.Do("POST", "/compliance/break-glass", `{"patient":"p1","reason":"unconscious in A&E"}`, "Content-Type", jsonBody).Want(200)
	doctor.Do("GET", "Observation/o1", "").Want(200)
	if got := ids(doctor.Do("GET", "Observation", "")); !slices.Equal(got, []string{"Observation/o1", "Observation/v1"}) {
		t.Errorf("search in the emergency: %v", got)
	}
	doctor.Do("GET", "Observation/o2", "").Want(404)
	s.As("clinician", as("dr-b", "Practitioner/b")).Do("GET", "Observation/o1", "").Want(404)
	clock.set(clock.now().Add(31 * time.Minute))
	doctor.Do("GET", "Observation/o1", "").Want(404)

	queue := officer.Do("GET", "/compliance/break-glass", "").Want(200).JSON().Get("accesses")
	if queue.Len() != 1 || queue.Item(0).Get("id").Text() != id {
		t.Errorf("queue: %s", queue.Raw())
	}
	doctor.Do("GET", "/compliance/break-glass", "").Want(403)
	officer.Do("POST", "/compliance/break-glass/"+id+"/review", `{"verdict":"justified","comment":"chart seen"}`, "Content-Type", jsonBody).Want(200)
	if queue := officer.Do("GET", "/compliance/break-glass", "").JSON().Get("accesses"); queue.Len() != 0 {
		t.Errorf("queue after sign-off: %s", queue.Raw())
	}
	emergencies := officer.Do("GET", "/compliance/break-glass-report", "").Want(200).JSON().Get("accesses")
	seen := []string{}
	for a := range emergencies.Items() {
		seen = append(seen, a.Get("action").Text()+" "+a.Get("purpose").Text()+" "+fmt.Sprint(a.Get("allowed").Kind() == jsontree.True))
	}
	if !slices.Contains(seen, "read ETREAT true") || !slices.Contains(seen, "search ETREAT true") {
		t.Errorf("what was done in the emergency: %v", seen)
	}
	events := string(officer.Do("GET", "AuditEvent?patient=p1", "").Want(200).Body)
	if !strings.Contains(events, "110127") || strings.Contains(events, "unconscious") {
		t.Errorf("AuditEvents: %.600s", events)
	}
}

// Acceptance 34: a request may bring the reason of an emergency along.
func TestBreakGlassHeader(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	twoPatients(t, s)
	for _, p := range []string{"p1", "p2"} {
		s.As("admin").Do("PUT", "Consent/"+p, `{"resourceType":"Consent","id":"`+p+`","status":"active","scope":{"coding":[{"code":"patient-privacy"}]},"category":[{"text":"x"}],"policyRule":{"coding":[{"code":"OPTOUT"}]},"patient":{"reference":"Patient/`+p+`"}}`).Want(201)
	}
	doctor := s.As("clinician", as("dr-a", "Practitioner/a"))
	for name, c := range map[string]struct {
		client  servertest.Client
		headers []string
		want    int
	}{
		"without":       {doctor, nil, 404},
		"no patient":    {doctor, []string{"X-Break-Glass", "unconscious"}, 400},
		"short reason":  {doctor, []string{"X-Break-Glass", "x", "X-Break-Glass-Patient", "p1"}, 400},
		"other purpose": {doctor, []string{"X-Break-Glass", "unconscious", "X-Break-Glass-Patient", "p1", "X-Purpose-Of-Use", "HRESCH"}, 400},
		"a patient":     {s.As("patient", launch("p2", "")), []string{"X-Break-Glass", "curious", "X-Break-Glass-Patient", "p1"}, 403},
		"another one":   {doctor, []string{"X-Break-Glass", "unconscious", "X-Break-Glass-Patient", "p2", "X-Purpose-Of-Use", "BTG"}, 404},
	} {
		if got := c.client.Do("GET", "Observation/o1", "", c.headers...).Status; got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	doctor.Do("GET", "Observation/o1", "", "X-Break-Glass", "unconscious", "X-Break-Glass-Patient", "p1", "X-Purpose-Of-Use", "ETREAT").Want(200)
	if got := s.Office.Glass.List(true); len(got) != 2 || got[1].Purpose != "ETREAT" {
		t.Errorf("accesses: %+v", got)
	}
}

// Acceptance 38: the access report equals a script of accesses exactly: who,
// when, app, purpose, what, allowed or not, rule and revision.
func TestAccessReportEqualsTheScript(t *testing.T) {
	clock := &moving{at: time.Date(2026, 10, 1, 8, 0, 0, 0, time.UTC)}
	s := servertest.Start(t, servertest.Options{Now: clock.now})
	twoPatients(t, s)
	type access struct{ Time, Subject, Role, App, Purpose, Action, Resource, Allowed, Rule, Revision, Request string }
	since := clock.now().Format(time.RFC3339Nano)
	clinician := func(c *auth.Claims) {
		c.Subject, c.FHIRUser, c.Client, c.Purpose, c.TTL = "dr-a", "Practitioner/a", "ehr-app", "TREAT", 1000*time.Hour
	}
	clients := map[string]servertest.Client{
		"clinician": s.As("clinician", clinician), "nurse": s.As("nurse", as("n", "")), "researcher": s.As("researcher", as("r", "")),
		"patient": s.As("patient", launch("p1", ""), as("p", "Patient/p1")), "stranger": s.As("patient", launch("p2", ""), as("q", "Patient/p2")),
	}
	rev := s.Office.Engine.Revision()
	script := []struct {
		who, path string
		status    int
		want      *access // nil for what does not concern p1
	}{
		{"clinician", "Patient/p1", 200, &access{Subject: "dr-a", Role: "clinician", App: "ehr-app", Purpose: "TREAT", Action: "read", Resource: "Patient/p1", Allowed: "true", Rule: "staff-read"}},
		{"clinician", "Observation?patient=p1", 200, &access{Subject: "dr-a", Role: "clinician", App: "ehr-app", Purpose: "TREAT", Action: "search", Resource: "Observation", Allowed: "true", Rule: "staff-read"}},
		{"clinician", "Observation/o2", 200, nil},
		{"nurse", "Encounter/e1", 200, &access{Subject: "n", Role: "nurse", Action: "read", Resource: "Encounter/e1", Allowed: "true", Rule: "staff-read"}},
		{"researcher", "Patient/p1", 403, &access{Subject: "r", Role: "researcher", Action: "read", Resource: "Patient/p1", Allowed: "false"}},
		{"researcher", "Observation?subject=Patient/p1", 403, &access{Subject: "r", Role: "researcher", Action: "search", Resource: "Observation", Allowed: "false"}},
		{"researcher", "Observation/o1", 403, &access{Subject: "r", Role: "researcher", Action: "read", Resource: "Observation/o1", Allowed: "false"}},
		{"stranger", "Observation/o1", 404, &access{Subject: "q", Role: "patient", Action: "read", Resource: "Observation/o1", Allowed: "false", Rule: "patient-own"}},
		{"stranger", "Observation?patient=p2", 200, nil},
		{"patient", "Observation/o1/_history/2", 200, &access{Subject: "p", Role: "patient", Action: "read", Resource: "Observation/o1", Allowed: "true", Rule: "patient-own"}},
		{"nurse", "Observation?patient=p1&code=none", 200, &access{Subject: "n", Role: "nurse", Action: "search", Resource: "Observation", Allowed: "true", Rule: "staff-read"}},
	}
	var want []access
	for i, step := range script {
		clock.set(time.Date(2026, 10, 2+2*i, 10, 0, 0, 0, time.UTC))
		clients[step.who].Do("GET", step.path, "", "X-Request-Id", fmt.Sprintf("req-%d", i)).Want(step.status)
		if step.want != nil {
			a := *step.want
			a.Time, a.Request, a.Revision = time.Date(2026, 10, 2+2*i, 10, 0, 0, 0, time.UTC).Format(time.DateOnly), fmt.Sprintf("req-%d", i), rev
			want = append(want, a)
		}
	}
	officer := s.As("compliance", as("officer", ""))
	report := "/compliance/access-report?patient=p1&from=" + since
	var got []access
	for a := range officer.Do("GET", report, "").Want(200).JSON().Get("accesses").Items() {
		text := func(name string) string { return a.Get(name).Text() }
		if a.Get("allowed").Kind() == jsontree.True {
			got = append(got, access{Allowed: "true"})
		} else {
			got = append(got, access{Allowed: "false"})
		}
		g := &got[len(got)-1]
		g.Time, g.Subject, g.Role, g.App, g.Purpose = text("time")[:10], text("subject"), text("role"), text("app"), text("purpose")
		g.Action, g.Resource, g.Rule, g.Revision, g.Request = text("action"), text("resource"), text("rule"), text("revision"), text("request_id")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-script +report):\n%s", diff)
	}
	if again := officer.Do("GET", report, "").JSON().Get("accesses").Len(); again != len(want) {
		t.Errorf("reading the report changed it: %d lines", again)
	}
	if month := officer.Do("GET", "/compliance/access-report?patient=p1&from=2026-10-02&to=2026-10-04", "").JSON().Get("accesses").Len(); month != 2 {
		t.Errorf("two days: %d lines", month)
	}
	formats(t, s, officer, report, len(want))
	for who, c := range clients {
		c.Do("GET", report, "").Want(403)
		_ = who
	}
	s.As("admin", as("root", "")).Do("GET", report, "").Want(403)
	officer.Do("GET", "/compliance/access-report", "").Want(400)
	officer.Do("GET", report+"&format=xml", "").Want(400)
	uses := 0
	for e, err := range s.AuditLog.Read(1) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == "audit-use" && e.Object == "access-report Patient/p1" && e.Agent.Subject == "officer" {
			uses++
		}
	}
	if uses < 3 {
		t.Errorf("reading the report is on record %d times", uses)
	}
}

// formats checks CSV and NDJSON and the signed manifest of their bytes.
func formats(t *testing.T, s *servertest.Server, officer servertest.Client, report string, lines int) {
	t.Helper()
	if a := officer.Do("GET", report+"&_format=csv", "").Want(200); !strings.HasPrefix(a.Header.Get("Content-Type"), "text/csv") {
		t.Errorf("_format=csv: %s", a.Header.Get("Content-Type"))
	}
	for _, format := range []string{"csv", "ndjson", "json"} {
		a := officer.Do("GET", report+"&format="+format, "").Want(200)
		manifest, err := base64.StdEncoding.DecodeString(a.Header.Get("X-Report-Manifest"))
		sum := sha256.Sum256(a.Body)
		if err != nil || !strings.Contains(string(manifest), hex.EncodeToString(sum[:])) || !strings.Contains(string(manifest), "\n— galen-audit ") {
			t.Errorf("%s: manifest %s, %v", format, manifest, err)
		}
		switch format {
		case "csv":
			rows, err := csv.NewReader(bytes.NewReader(a.Body)).ReadAll()
			if err != nil || len(rows) != lines+1 || rows[0][0] != "time" {
				t.Errorf("csv: %d rows, %v", len(rows), err)
			}
		case "ndjson":
			for line := range strings.Lines(string(a.Body)) {
				if !json.Valid([]byte(line)) {
					t.Errorf("ndjson: %s", line)
				}
			}
			if n := strings.Count(string(a.Body), "\n"); n != lines {
				t.Errorf("ndjson: %d lines", n)
			}
		}
	}
}

// Acceptance 39: the life of a policy over HTTP, and the new rule decides at once.
func TestPolicyLifeOverHTTP(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	twoPatients(t, s)
	author, approver, admin := s.As("compliance", as("anna", "")), s.As("compliance", as("ben", "")), s.As("admin", as("carl", ""))
	nurse := s.As("nurse", func(c *auth.Claims) { c.Purpose = "HPAYMT" })
	nurse.Do("GET", "Claim", "").Want(403)
	s.As("patient", func(c *auth.Claims) { c.Patient = "p1" }).Do("GET", "Account/none", "").Want(404) // a decision about nobody's record
	post := func(c servertest.Client, path, body string) servertest.Answer {
		return c.Do("POST", "/compliance/"+path, body, "Content-Type", jsonBody)
	}
	const draft = `{"add":["p, nurse, *, Claim, read|search, HPAYMT, always, allow, nurse-claims"],"reason":"nurses check bills"}`
	post(s.As("nurse"), "policies", draft).Want(403)
	post(author, "policies", `{"add":["p, nurse, *"],"reason":"x"}`).Want(400)
	post(author, "policies", `{"remove":["staff-read"],"reason":"x"}`).Want(422)
	digest := post(author, "policies", draft).Want(201).JSON().Get("digest").Text()
	diff := author.Do("GET", "/compliance/policies/"+digest+"/diff", "").Want(200).JSON()
	if row := diff.Get("rows").Item(0); diff.Get("rows").Len() != 1 || row.Get("id").Text() != "nurse-claims" || row.Get("change").Text() != "added" {
		t.Errorf("diff by row: %s", diff.Get("rows").Raw())
	}
	var effects []string
	for e := range diff.Get("effects").Items() {
		effects = append(effects, e.Get("text").Text())
	}
	if want := []string{"nurse gains read Claim for HPAYMT", "nurse gains search Claim for HPAYMT"}; !slices.Equal(effects, want) {
		t.Errorf("diff by effect: %q", effects)
	}
	flips := post(author, "replay", `{"revision":"`+digest+`","last":500}`).Want(200).JSON()
	if f := flips.Get("flips"); f.Len() != 1 || f.Item(0).Get("now").Kind() != jsontree.True || f.Item(0).Get("rule").Text() != "nurse-claims" {
		t.Errorf("replay: %s", flips.Raw())
	}
	if same := post(author, "replay", `{"last":500}`).Want(200).JSON(); same.Get("flips").Len() != 0 || same.Get("decided").Text() == "0" {
		t.Errorf("replay under the policy that decided: %s", same.Raw())
	}
	post(author, "policies/"+digest+"/activate", `{"reason":"now"}`).Want(409)
	post(author, "policies/"+digest+"/approve", ``).Want(403)
	post(admin, "policies/"+digest+"/approve", ``).Want(403)
	post(approver, "policies/"+digest+"/approve", `{"comment":"fine"}`).Want(200)
	nurse.Do("GET", "Claim", "").Want(403)
	post(admin, "policies/"+digest+"/activate", `{"reason":"now"}`).Want(200)
	nurse.Do("GET", "Claim", "").Want(200)
	list := author.Do("GET", "/compliance/policies", "").Want(200).JSON()
	if list.Get("active").Text() != digest || list.Get("revisions").Len() != 2 {
		t.Errorf("list: %s", list.Raw())
	}
	post(approver, "policies/rollback", `{"reason":"too early"}`).Want(200)
	nurse.Do("GET", "Claim", "").Want(403)
	changes := 0
	for e, err := range s.AuditLog.Read(1) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == "policy-change" && e.Outcome == 0 {
			changes++
		}
	}
	if changes != 4 {
		t.Errorf("%d policy changes on record", changes)
	}
}

// Acceptance 39: every cell of the simulated matrix equals what HTTP answers, and
// what explain says.
func TestSimulationEqualsHTTP(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	officer := s.As("compliance", as("officer", ""))
	roles := []string{"admin", "clinician", "nurse", "patient", "researcher", "ehr", "model-owner", "compliance", "nobody"}
	kinds := []string{"Patient", "Observation", "RiskAssessment", "Claim", "Practitioner", "ValueSet", "Group", "Provenance", "ResearchStudy"}
	for _, purpose := range []string{"", "HRESCH"} {
		body, err := json.Marshal(map[string]any{
			"roles": roles, "types": kinds, "actions": []string{"read", "search", "create", "delete"}, "purposes": []string{purpose}, "patient": "p1",
		})
		if err != nil {
			t.Fatal(err)
		}
		cells := officer.Do("POST", "/compliance/simulate", string(body), "Content-Type", jsonBody).Want(200).JSON().Get("cells")
		if cells.Len() != len(roles)*len(kinds)*4 {
			t.Fatalf("%d cells", cells.Len())
		}
		clients := map[string]servertest.Client{}
		for _, role := range roles {
			clients[role] = s.As(role, func(c *auth.Claims) { c.Purpose, c.Patient = purpose, "p1" })
		}
		for cell := range cells.Items() {
			role, kind, action := cell.Get("role").Text(), cell.Get("type").Text(), cell.Get("action").Text()
			allowed := cell.Get("allow").Kind() == jsontree.True
			status := 0
			switch action {
			case "read":
				status = clients[role].Do("GET", kind+"/none", "").Status
			case "search":
				status = clients[role].Do("GET", kind, "").Status
			case "create":
				status = clients[role].Do("POST", kind, `{"resourceType":"`+kind+`","id":"x","bad":1}`).Status
			case "delete":
				status = clients[role].Do("DELETE", kind+"/none", "").Status
			}
			if (status != 403) != allowed {
				t.Errorf("%s %s %s for %q: simulated %t, HTTP %d", role, action, kind, purpose, allowed, status)
			}
		}
	}
	for _, q := range []struct{ body, reason, rule, missing string }{
		{`{"role":"researcher","action":"read","type":"Observation"}`, "policy", "", "purpose HRESCH (researcher-data)"},
		{`{"role":"researcher","action":"read","type":"Observation","purpose":"HRESCH"}`, "permitted", "researcher-data", ""},
		{`{"role":"nurse","action":"delete","type":"Observation"}`, "policy", "", ""},
		{`{"role":"admin","action":"update","type":"AuditEvent"}`, "policy-deny", "audit-immutable", ""},
		{`{"role":"nurse","action":"read","type":"Observation","scope":"user/Patient.rs"}`, "scope", "", "scope user/Observation.r"},
	} {
		a := officer.Do("POST", "/compliance/explain", q.body, "Content-Type", jsonBody).Want(200).JSON()
		if a.Get("reason").Text() != q.reason || a.Get("rule").Text() != q.rule || q.missing != "" && a.Get("missing").Text() != q.missing {
			t.Errorf("%s: %s", q.body, a.Raw())
		}
	}
	officer.Do("POST", "/compliance/explain", `{"role":"nurse","action":"fly"}`, "Content-Type", jsonBody).Want(400)
	officer.Do("POST", "/compliance/explain", `{"sub":"never seen","action":"read"}`, "Content-Type", jsonBody).Want(404)
	s.As("nurse").Do("POST", "/compliance/explain", `{}`, "Content-Type", jsonBody).Want(403)
}

// Acceptance 37 over HTTP: checkpoints and proofs.
func TestCheckpointAndProofs(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	twoPatients(t, s)
	officer := s.As("compliance")
	note := string(officer.Do("GET", "/compliance/audit/checkpoint", "").Want(200).Body)
	if !strings.HasPrefix(note, "galen-audit\n") || !strings.Contains(note, "\n\n— galen-audit ") {
		t.Errorf("checkpoint: %s", note)
	}
	if key := string(officer.Do("GET", "/compliance/audit/key", "").Want(200).Body); !strings.HasPrefix(key, "galen-audit+") {
		t.Errorf("key: %s", key)
	}
	in := officer.Do("GET", "/compliance/audit/proof?entry=3&size=8", "").Want(200).JSON()
	if in.Get("index").Text() != "2" || in.Get("path").Len() != 3 {
		t.Errorf("inclusion: %s", in.Raw())
	}
	if c := officer.Do("GET", "/compliance/audit/proof?from=3&to=8", "").Want(200).JSON(); c.Get("path").Len() == 0 {
		t.Errorf("consistency: %s", c.Raw())
	}
	officer.Do("GET", "/compliance/audit/proof?entry=99999", "").Want(400)
	officer.Do("GET", "/compliance/audit/proof?entry=x", "").Want(400)
	s.As("clinician").Do("GET", "/compliance/audit/checkpoint", "").Want(403)
	s.Anonymous().Do("GET", "/compliance/audit/checkpoint", "").Want(401)
}

// Denials, disclosures, unusual accesses and what a user did.
func TestOtherReports(t *testing.T) {
	clock := &moving{at: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	s := servertest.Start(t, servertest.Options{Now: clock.now})
	twoPatients(t, s)
	admin := s.As("admin", as("root", ""))
	admin.Do("PUT", "CareTeam/t", `{"resourceType":"CareTeam","id":"t","status":"active","subject":{"reference":"Patient/p1"},"participant":[{"member":{"reference":"Practitioner/a"}}]}`).Want(201)
	doctor := s.As("clinician", as("dr-a", "Practitioner/a"))
	research := s.As("researcher", func(c *auth.Claims) { c.Subject, c.Purpose, c.TTL = "r", "HRESCH", 1000*time.Hour })
	from := "from=" + clock.now().Format(time.RFC3339Nano)
	doctor.Do("GET", "Observation/o1", "").Want(200)
	doctor.Do("GET", "Observation/o2", "").Want(200)
	research.Do("GET", "Observation/o1", "").Want(200)
	doctor.Do("GET", "Claim", "").Want(403)
	clock.set(time.Date(2026, 11, 25, 2, 0, 0, 0, time.UTC))
	doctor.Do("GET", "Observation/v1", "").Want(200)
	officer := s.As("compliance", as("officer", ""))
	lines := func(path string, members ...string) []string {
		t.Helper()
		list := []string{}
		for a := range officer.Do("GET", "/compliance/"+path, "").Want(200).JSON().Get("accesses").Items() {
			var parts []string
			for _, m := range members {
				parts = append(parts, strings.Trim(string(a.Get(m).Raw()), `"`))
			}
			list = append(list, strings.Join(parts, " "))
		}
		return list
	}
	for _, c := range []struct {
		path    string
		members []string
		want    []string
	}{
		{"denials?" + from, []string{"subject", "resource", "reason"}, []string{"dr-a Claim policy"}},
		{"disclosures?patient=p1&" + from, []string{"subject", "resource", "tpo"}, []string{"dr-a Observation/o1 true", "r Observation/o1 false", "dr-a Observation/v1 true"}},
		{"user-report?user=dr-a&" + from, []string{"action", "resource", "allowed"}, []string{"read Observation/o1 true", "read Observation/o2 true", "search Claim false", "read Observation/v1 true"}},
		{"unusual?" + from, []string{"subject", "resource", "unusual"}, []string{`dr-a Observation/o2 ["no-care-relationship"]`, `dr-a Observation/v1 ["off-hours"]`}},
		{"unusual?volume=1&" + from, []string{"resource", "unusual"}, []string{`Observation/o1 ["volume"]`, `Observation/o2 ["no-care-relationship","volume"]`, `Observation/v1 ["off-hours"]`}},
	} {
		if diff := cmp.Diff(c.want, lines(c.path, c.members...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.path, diff)
		}
	}
	officer.Do("GET", "/compliance/models", "").Want(200)
	officer.Do("GET", "/compliance/user-report", "").Want(400)
	officer.Do("GET", "/compliance/denials?from=yesterday", "").Want(400)
}

// Legal holds are placed and released by compliance officers alone.
func TestHoldsOverHTTP(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	officer := s.As("compliance", as("officer", ""))
	for _, role := range []string{"admin", "clinician", "patient"} {
		s.As(role).Do("POST", "/compliance/holds", `{"patient":"p1","reason":"x"}`, "Content-Type", jsonBody).Want(403)
	}
	officer.Do("POST", "/compliance/holds", `{"patient":"p1"}`, "Content-Type", jsonBody).Want(400)
	id := officer.Do("POST", "/compliance/holds", `{"patient":"p1","reason":"a court asks"}`, "Content-Type", jsonBody).Want(201).JSON().Get("id").Text()
	if list := officer.Do("GET", "/compliance/holds", "").Want(200).JSON().Get("holds"); list.Len() != 1 {
		t.Errorf("holds: %s", list.Raw())
	}
	officer.Do("DELETE", "/compliance/holds/"+id, "").Want(200)
	officer.Do("DELETE", "/compliance/holds/"+id, "").Want(409)
}
