package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"galen/fhir"
	"galen/fhir/job"
	"galen/fhir/jsontree"
	"galen/fhir/rest/bundle"
	"galen/server"
	"galen/server/auth"
)

// galen is a whole server in process on its own data directory.
type galen struct {
	testing.TB
	url    string
	issuer *auth.Issuer
	logs   *bytes.Buffer
	jobs   *job.Room
}

func start(t testing.TB, dir string, change ...func(*options)) (*galen, func()) {
	t.Helper()
	issuer, err := auth.OpenIssuer(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := auth.NewVerifier(issuer, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	o := options{data: dir, store: "sqlite", baseURL: "http://galen.test"}
	for _, c := range change {
		c(&o)
	}
	a, err := open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	logs := &bytes.Buffer{}
	s := server.New(server.Config{
		REST: a.rest, Hooks: a.hooks, HookClients: a.clients, Models: a.serving, Knowledge: a.knowledge, Compliance: a.office, Cohorts: a.cohorts, Auth: verifier, Log: newLog(logs, -4),
		MaxBody: 8 << 20, Timeout: 30 * time.Second, NewID: newID, Version: "test",
	})
	if err := a.demo(t.Context(), io.Discard, issuer, "http://galen.test"); err != nil {
		t.Fatal(err)
	}
	s.Ready(true)
	h := httptest.NewServer(s)
	return &galen{t, h.URL, issuer, logs, a.upkeep.Jobs}, func() {
		h.Close()
		if err := a.close(); err != nil {
			t.Error(err)
		}
	}
}

func (g *galen) token(role string, more ...func(*auth.Claims)) string {
	g.Helper()
	c := auth.Claims{Subject: "test-" + role, Roles: []string{role}, TTL: time.Hour}
	for _, m := range more {
		m(&c)
	}
	token, err := g.issuer.Mint(c)
	if err != nil {
		g.Fatal(err)
	}
	return token
}

// call makes a request and returns the status and the parsed body.
func (g *galen) call(method, path, token, body string, header ...string) (*http.Response, jsontree.Node) {
	g.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, g.url+path, strings.NewReader(body))
	if err != nil {
		g.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/fhir+json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		g.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		g.Fatal(err)
	}
	if len(text) == 0 {
		return res, jsontree.Node{}
	}
	doc, err := jsontree.Parse(text, jsontree.Limits{})
	if err != nil {
		g.Fatalf("%s %s: %d: %v: %.300s", method, path, res.StatusCode, err, text)
	}
	return res, doc.Root()
}

func (g *galen) want(status int, method, path, token, body string, header ...string) jsontree.Node {
	g.Helper()
	res, root := g.call(method, path, token, body, header...)
	if res.StatusCode != status {
		g.Fatalf("%s %s: status %d, want %d: %.600s", method, path, res.StatusCode, status, root.Raw())
	}
	return root
}

const hookCall = `{"hook":"patient-view","hookInstance":"d1577c69-dfbe-44ad-ba6d-3e05e953b2ea","context":{"userId":"Practitioner/demo","patientId":"demo-kidney"}}`

// The main job: an EHR calls a hook for a patient in the store, a FHIR client
// reads the RiskAssessment with its Provenance, a compliance officer sees who
// did what, and nobody else may.
func TestMainJob(t *testing.T) {
	dir := t.TempDir()
	g, stop := start(t, dir)
	ehr, clinician, officer := g.token("ehr"), g.token("clinician"), g.token("compliance")

	if services := g.want(200, "GET", "/cds-services", "", "").Get("services"); services.Len() == 0 {
		t.Fatal("no services")
	}
	cards := g.want(200, "POST", "/cds-services/galen-risk", ehr, hookCall, "Content-Type", "application/json").Get("cards")
	var kidney jsontree.Node
	for c := range cards.Items() {
		if strings.Contains(c.Get("source").Get("label").Text(), "idney") {
			kidney = c
		}
		if n := len([]rune(c.Get("summary").Text())); n > 139 {
			t.Errorf("a summary of %d characters", n)
		}
	}
	if !kidney.Exists() || !strings.Contains(kidney.Get("summary").Text(), "%") {
		t.Fatalf("no kidney risk in %s", cards.Raw())
	}
	link := kidney.Get("links").Item(0).Get("url").Text()
	path := link[strings.Index(link, "/fhir/"):]
	risk := g.want(200, "GET", path, clinician, "")
	prediction := risk.Get("prediction").Item(0)
	if prediction.Get("probabilityDecimal").Text() == "" || prediction.Get("whenPeriod").Get("end").Text() == "" {
		t.Errorf("prediction %s", prediction.Raw())
	}
	for basis := range risk.Get("basis").Items() {
		ref := fhir.ParseReference(basis.Get("reference").Text())
		if ref.Version == "" {
			t.Errorf("a basis without version: %s", basis.Raw())
			continue
		}
		g.want(200, "GET", "/fhir/"+ref.Text, clinician, "")
	}
	g.want(200, "GET", "/fhir/"+risk.Get("performer").Get("reference").Text(), clinician, "")
	found := g.want(200, "GET", "/fhir/RiskAssessment?subject=Patient/demo-kidney&method=kfre-4v", clinician, "")
	if found.Get("total").Text() != "1" {
		t.Errorf("search: %s", found.Raw())
	}
	provenance := g.want(200, "GET", "/fhir/Provenance?target="+strings.TrimPrefix(path, "/fhir/"), clinician, "")
	if provenance.Get("entry").Len() != 1 {
		t.Errorf("provenance: %s", provenance.Raw())
	}

	g.want(403, "GET", "/fhir/AuditEvent?patient=demo-kidney", clinician, "")
	audits := g.want(200, "GET", "/fhir/AuditEvent?patient=demo-kidney&_count=500", officer, "")
	who := string(audits.Raw())
	if !strings.Contains(who, "test-ehr") || !strings.Contains(who, "test-clinician") {
		t.Errorf("the audit does not say who: %.800s", who)
	}
	denied := g.want(200, "GET", "/fhir/AuditEvent?outcome=4&_count=500", officer, "")
	if denied.Get("entry").Len() == 0 {
		t.Error("the denial is not on record")
	}
	stop()
	for _, secret := range []string{"Kidney", "Karl", "1971-03-14", ehr} {
		if strings.Contains(g.logs.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	if err := command().Run(t.Context(), []string{"galen", "audit", "verify", "--data", dir}); err != nil {
		t.Errorf("audit verify: %v", err)
	}
}

func TestHookRefusals(t *testing.T) {
	g, stop := start(t, t.TempDir())
	defer stop()
	ehr := g.token("ehr")
	for name, tt := range map[string]struct {
		status            int
		path, token, body string
	}{
		"no token":        {401, "/cds-services/galen-risk", "", hookCall},
		"may not":         {403, "/cds-services/galen-risk", g.token("researcher"), hookCall},
		"no such service": {404, "/cds-services/other", ehr, hookCall},
		"not JSON":        {400, "/cds-services/galen-risk", ehr, "{"},
		"no hook":         {400, "/cds-services/galen-risk", ehr, `{"hookInstance":"d1577c69-dfbe-44ad-ba6d-3e05e953b2ea","context":{}}`},
		"bad uuid":        {400, "/cds-services/galen-risk", ehr, strings.Replace(hookCall, "d1577c69", "x", 1)},
		"other hook":      {400, "/cds-services/galen-risk", ehr, strings.Replace(hookCall, "patient-view", "order-dispatch", 1)},
		"no patient id":   {400, "/cds-services/galen-risk", ehr, strings.Replace(hookCall, "patientId", "pat", 1)},
		"unknown patient": {412, "/cds-services/galen-risk", ehr, strings.Replace(hookCall, "demo-kidney", "nobody", 1)},
		"array prefetch":  {400, "/cds-services/galen-risk", ehr, strings.Replace(hookCall, `"context"`, `"prefetch":[],"context"`, 1)},
	} {
		root := g.want(tt.status, "POST", tt.path, tt.token, tt.body, "Content-Type", "application/json")
		if root.Get("resourceType").Text() != "OperationOutcome" {
			t.Errorf("%s: %s", name, root.Raw())
		}
	}
}

func TestFHIRRefusals(t *testing.T) {
	g, stop := start(t, t.TempDir())
	defer stop()
	admin := g.token("admin")
	deep := strings.Repeat(`{"extension":[`, 200) + strings.Repeat("]}", 200)
	for name, tt := range map[string]struct {
		status             int
		method, path, body string
		at                 string
	}{
		"malformed":              {400, "POST", "/fhir/Patient", `{"resourceType":"Patient",}`, "offset"},
		"duplicate name":         {400, "POST", "/fhir/Patient", `{"resourceType":"Patient","active":true,"active":false}`, "offset"},
		"deep":                   {400, "POST", "/fhir/Patient", deep, "offset"},
		"wrong type":             {400, "POST", "/fhir/Patient", `{"resourceType":"Patient","active":"yes"}`, "Patient.active"},
		"unknown element":        {400, "POST", "/fhir/Patient", `{"resourceType":"Patient","foo":1}`, "Patient"},
		"other type":             {400, "POST", "/fhir/Patient", `{"resourceType":"Observation"}`, "resourceType"},
		"unknown type":           {404, "POST", "/fhir/Patent", `{"resourceType":"Patent"}`, ""},
		"bad id":                 {404, "GET", "/fhir/Patient/a_b", "", ""},
		"absent":                 {404, "GET", "/fhir/Patient/none", "", ""},
		"other id":               {400, "PUT", "/fhir/Patient/a", `{"resourceType":"Patient","id":"b"}`, "Patient.id"},
		"no id":                  {400, "PUT", "/fhir/Patient/a", `{"resourceType":"Patient"}`, "Patient.id"},
		"unknown modifier":       {400, "GET", "/fhir/Patient?name:foo=x", "", "name:foo"},
		"bad date":               {400, "GET", "/fhir/Patient?birthdate=yesterday", "", "birthdate"},
		"method":                 {405, "POST", "/fhir/Patient/a", `{"resourceType":"Patient"}`, ""},
		"no Bundle":              {400, "POST", "/fhir", `{"resourceType":"Patient"}`, "resourceType"},
		"audit is only added to": {405, "DELETE", "/fhir/AuditEvent/a1", "", ""},
	} {
		root := g.want(tt.status, tt.method, tt.path, admin, tt.body)
		issue := root.Get("issue").Item(0)
		if root.Get("resourceType").Text() != "OperationOutcome" || issue.Get("severity").Text() != "error" || issue.Get("code").Text() == "" {
			t.Errorf("%s: %s", name, root.Raw())
		}
		if at := issue.Get("expression").Item(0).Text(); !strings.HasPrefix(at, tt.at) {
			t.Errorf("%s: at %q, want %q", name, at, tt.at)
		}
	}
	if res, _ := g.call("GET", "/fhir/Patient/demo-kidney", "", ""); res.StatusCode != 401 || res.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("without a token: %d", res.StatusCode)
	}
	if res, _ := g.call("GET", "/fhir/metadata", "", ""); res.StatusCode != 200 {
		t.Errorf("metadata: %d", res.StatusCode)
	}
}

// Items 1 to 8 of the FHIR acceptance list, one life of a resource.
func TestLifeOfAResource(t *testing.T) {
	g, stop := start(t, t.TempDir())
	defer stop()
	admin := g.token("admin")
	res, created := g.call("POST", "/fhir/Patient", admin, `{"resourceType":"Patient","id":"mine","meta":{"versionId":"7"},"name":[{"family":"Prec"}],"multipleBirthInteger":2}`)
	if res.StatusCode != 201 || res.Header.Get("ETag") != `W/"1"` {
		t.Fatalf("create: %d %s", res.StatusCode, res.Header.Get("ETag"))
	}
	id := created.Get("id").Text()
	if id == "mine" || !strings.HasSuffix(res.Header.Get("Location"), "/fhir/Patient/"+id+"/_history/1") {
		t.Errorf("id %s, Location %s", id, res.Header.Get("Location"))
	}
	path := "/fhir/Patient/" + id
	body := `{"resourceType":"Patient","id":"` + id + `","active":true}`
	g.want(412, "PUT", path, admin, body, "If-Match", `W/"9"`)
	g.want(400, "PUT", path, admin, body, "If-Match", `nine`)
	g.want(200, "PUT", path, admin, body, "If-Match", `W/"1"`)
	if v := g.want(200, "PUT", path, admin, body).Get("meta").Get("versionId").Text(); v != "2" {
		t.Errorf("the same content made version %s", v)
	}
	if res, _ := g.call("GET", path, admin, "", "If-None-Match", `W/"2"`); res.StatusCode != 304 {
		t.Errorf("conditional read: %d", res.StatusCode)
	}
	g.want(200, "GET", path+"/_history/1", admin, "")
	g.want(204, "DELETE", path, admin, "")
	g.want(204, "DELETE", path, admin, "")
	g.want(410, "GET", path, admin, "")
	g.want(410, "GET", path+"/_history/3", admin, "")
	res, again := g.call("PUT", path, admin, body)
	if res.StatusCode != 201 || again.Get("meta").Get("versionId").Text() != "4" {
		t.Errorf("resurrection: %d %s", res.StatusCode, again.Raw())
	}
	if total := g.want(200, "GET", path+"/_history", admin, "").Get("total").Text(); total != "4" {
		t.Errorf("history of %s versions", total)
	}
}

// A patient sees the own record and nothing of anybody else, by any path.
func TestPatientSeesOnlyTheOwnRecord(t *testing.T) {
	g, stop := start(t, t.TempDir())
	defer stop()
	own := g.token("patient", func(c *auth.Claims) { c.Patient = "demo-kidney" })
	g.want(200, "GET", "/fhir/Patient/demo-kidney", own, "")
	g.want(200, "GET", "/fhir/Observation/demo-acr", own, "")
	g.want(404, "GET", "/fhir/Patient/demo-ward", own, "")
	g.want(404, "GET", "/fhir/Observation/demo-rr", own, "")
	g.want(404, "GET", "/fhir/Observation/demo-rr/_history/1", own, "")
	for query, want := range map[string]string{
		"/fhir/Observation":                                  "2",
		"/fhir/Observation?patient=demo-ward":                "0",
		"/fhir/Patient":                                      "1",
		"/fhir/Observation?subject:Patient.family=Ward":      "0",
		"/fhir/Patient?_has:Observation:patient:code=9279-1": "0",
		"/fhir/Observation?subject:Patient.family=Kidney":    "2",
	} {
		if total := g.want(200, "GET", query, own, "").Get("total").Text(); total != want {
			t.Errorf("%s: total %s, want %s", query, total, want)
		}
	}
}

// https://hl7.org/fhir/R4/http.html#trules: all or nothing, urn references.
func TestTransaction(t *testing.T) {
	g, stop := start(t, t.TempDir())
	defer stop()
	admin := g.token("admin")
	const good = `{"resourceType":"Bundle","type":"transaction","entry":[
		{"fullUrl":"urn:uuid:1f2a","resource":{"resourceType":"Patient","identifier":[{"system":"s","value":"1"}]},"request":{"method":"POST","url":"Patient","ifNoneExist":"identifier=s|1"}},
		{"fullUrl":"urn:uuid:2f2a","resource":{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"urn:uuid:1f2a"}},"request":{"method":"POST","url":"Observation"}},
		{"resource":{"resourceType":"Observation","status":"final","code":{"text":"y"},"subject":{"reference":"Patient?identifier=s|1"}},"request":{"method":"POST","url":"Observation"}}]}`
	// The last of 501 entries fails: nothing of them stays.
	many := strings.TrimSuffix(good, "]}") + strings.Repeat(`,{"resource":{"resourceType":"Basic","code":{"text":"x"}},"request":{"method":"POST","url":"Basic"}}`, 497) +
		`,{"resource":{"resourceType":"Observation","status":"final","code":{"text":"y"},"subject":{"reference":"Patient?identifier=s|2"}},"request":{"method":"POST","url":"Observation"}}]}`
	g.want(412, "POST", "/fhir", admin, many)
	for _, query := range []string{"Patient?identifier=s|1", "Basic"} {
		if total := g.want(200, "GET", "/fhir/"+query, admin, "").Get("total").Text(); total != "0" {
			t.Errorf("a failed transaction left %s of %s", total, query)
		}
	}
	g.want(201, "POST", "/fhir/Patient", admin, `{"resourceType":"Patient","identifier":[{"system":"s","value":"1"}]}`)
	answer := g.want(200, "POST", "/fhir", admin, good)
	if answer.Get("entry").Len() != 3 || !strings.HasPrefix(answer.Get("entry").Item(0).Get("response").Get("status").Text(), "200") {
		t.Errorf("answer %s", answer.Raw())
	}
	if total := g.want(200, "GET", "/fhir/Observation?patient.identifier=s|1", admin, "").Get("total").Text(); total != "2" {
		t.Errorf("%s observations of the patient", total)
	}
	g.want(400, "POST", "/fhir", admin, strings.Replace(good, `"reference":"urn:uuid:1f2a"`, `"reference":"urn:uuid:9"`, 1))
}

// --max-entries and --referential-integrity reach the service.
func TestBundleOptions(t *testing.T) {
	a, err := open(t.Context(), options{data: t.TempDir(), store: "sqlite", entries: 1, whole: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.close(); err != nil {
			t.Error(err)
		}
	}()
	const entry = `{"resource":{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/none"}},"request":{"method":"POST","url":"Observation"}}`
	for body, want := range map[string]fhir.Kind{entry: fhir.Unprocessable, entry + "," + entry: fhir.TooLong} {
		body = `{"resourceType":"Bundle","type":"transaction","entry":[` + body + `]}`
		if _, err := bundle.Perform(t.Context(), a.rest, importCaller, bundle.In{Body: []byte(body)}); fhir.KindOf(err) != want {
			t.Errorf("%v, want %v", err, want)
		}
	}
}

// Acceptance 35: a patient's consent blocks CDS for that caller, and a part that
// is withheld is not used as evidence.
func TestConsentHoldsForHooks(t *testing.T) {
	g, stop := start(t, t.TempDir())
	defer stop()
	ehr, admin := g.token("ehr", func(c *auth.Claims) { c.Client = "ehr-1" }), g.token("admin")
	call := func(status int) {
		t.Helper()
		g.want(status, "POST", "/cds-services/galen-risk", ehr, hookCall, "Content-Type", "application/json")
	}
	consent := func(status, provision string, code int) {
		t.Helper()
		g.want(code, "PUT", "/fhir/Consent/c", admin, `{"resourceType":"Consent","id":"c","status":"`+status+`","scope":{"coding":[{"code":"patient-privacy"}]},"category":[{"text":"x"}],
			"patient":{"reference":"Patient/demo-kidney"},"policyRule":{"coding":[{"code":"OPTIN"}]},"provision":`+provision+`}`)
	}
	call(200)
	consent("active", `{"type":"deny"}`, 201)
	call(403)
	consent("inactive", `{"type":"deny"}`, 200)
	call(200)
	consent("active", `{"type":"deny","actor":[{"role":{"text":"x"},"reference":{"identifier":{"value":"ehr-2"}}}]}`, 200)
	call(200)
	consent("active", `{"type":"deny","class":[{"code":"Observation"}]}`, 200)
	root := g.want(200, "POST", "/cds-services/galen-risk", ehr, hookCall, "Content-Type", "application/json")
	for c := range root.Get("cards").Items() {
		if strings.Contains(c.Get("summary").Text(), "%") && strings.Contains(c.Get("source").Get("label").Text(), "idney") {
			t.Errorf("a prediction from withheld observations: %s", c.Get("summary").Text())
		}
	}
	officer := g.token("compliance")
	denied := g.want(200, "GET", "/compliance/access-report?patient=demo-kidney", officer, "")
	found := false
	for a := range denied.Get("accesses").Items() {
		found = found || a.Get("action").Text() == "invoke" && a.Get("reason").Text() == "consent" && a.Get("allowed").Kind() == jsontree.False
	}
	if !found {
		t.Errorf("the refused call is not in the report: %.600s", denied.Raw())
	}
}
