package hooks_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/hooks"
	"galen/hooks/clients"
	"galen/hooks/remote"
	"galen/policies/audit"
)

// sound fails for an answer that breaks a rule of the standard that can be seen
// in any answer (acceptance 15, 16, 17, 18).
func (h *harness) sound(root jsontree.Node) {
	h.Helper()
	if root.Get("systemActions").Exists() || root.Get("cards").Kind() != jsontree.Array {
		h.Errorf("systemActions without opt-in, or no cards: %s", root.Raw())
	}
	seen := map[string]bool{}
	for c := range root.Get("cards").Items() {
		h.noEmptyMember(c)
		id := c.Get("uuid").Text()
		if uuid.Validate(id) != nil || seen[id] {
			h.Errorf("uuid %q is none, or is there twice", id)
		}
		seen[id] = true
		if n := len([]rune(c.Get("summary").Text())); n == 0 || n > 139 {
			h.Errorf("a summary of %d characters", n)
		}
		if strings.ContainsAny(c.Get("detail").Text(), "<>") {
			h.Errorf("HTML in a detail: %s", c.Get("detail").Text())
		}
		for r := range c.Get("overrideReasons").Items() {
			if r.Get("code").Text() == "" || r.Get("system").Text() == "" || r.Get("display").Text() == "" {
				h.Errorf("override reason %s", r.Raw())
			}
		}
		if c.Get("suggestions").Exists() != c.Get("selectionBehavior").Exists() {
			h.Error("suggestions and selectionBehavior come together")
		}
		for s := range c.Get("suggestions").Items() {
			if uuid.Validate(s.Get("uuid").Text()) != nil {
				h.Errorf("suggestion %s", s.Raw())
			}
			for a := range s.Get("actions").Items() {
				if a.Get("type").Text() == "delete" {
					continue
				}
				r := must(fhir.Parse(a.Get("resource").Raw(), jsontree.Limits{}))(h)
				h.validR4(r)
				if r.ID == "" {
					h.Error("a suggested resource without id")
				}
			}
		}
	}
}

func (h *harness) noEmptyMember(n jsontree.Node) {
	h.Helper()
	switch n.Kind() {
	case jsontree.Null:
		h.Error("null in an answer")
	case jsontree.String:
		if n.Text() == "" {
			h.Error("an empty text in an answer")
		}
	case jsontree.Object:
		for _, m := range n.Members() {
			h.noEmptyMember(m)
		}
	case jsontree.Array:
		for m := range n.Items() {
			h.noEmptyMember(m)
		}
	}
	if (n.Kind() == jsontree.Object || n.Kind() == jsontree.Array) && n.Len() == 0 {
		h.Errorf("an empty %s in an answer", n.Kind())
	}
}

var semver = regexp.MustCompile(`^\d+\.\d+\.\d+$`)

// Acceptance 1, 2, 4.
func TestDiscovery(t *testing.T) {
	h := newHarness(t)
	root := must(jsontree.Parse(h.Discovery(), jsontree.Limits{}))(h).Root()
	hooksOf := map[string]int{}
	for s := range root.Get("services").Items() {
		h.noEmptyMember(s)
		for _, member := range []string{"hook", "id", "description", "title", "usageRequirements"} {
			if s.Get(member).Text() == "" {
				t.Errorf("a service without %s", member)
			}
		}
		if !semver.MatchString(s.Get("version").Text()) {
			t.Errorf("version %q", s.Get("version").Text())
		}
		hooksOf[s.Get("id").Text()]++
		for key, query := range s.Get("prefetch").Members() {
			if strings.Contains(query.Text(), "{{") && !strings.Contains(query.Text(), "{{context.patientId}}") {
				t.Errorf("%s: %s", key, query.Text())
			}
		}
	}
	if hooksOf[hooks.ServiceID] < 2 {
		t.Errorf("%s stands under %d hooks, want several", hooks.ServiceID, hooksOf[hooks.ServiceID])
	}
}

// Acceptance 3.
func TestNoServices(t *testing.T) {
	h := newHarness(t, func(c *hooks.Config) { c.Services = nil })
	if got := string(h.Discovery()); got != `{"services":[]}` {
		t.Errorf("%s", got)
	}
}

// Acceptance 4, 5, 6: each bad call has its kind and the place, and is on record.
func TestBadCalls(t *testing.T) {
	h := newHarness(t)
	for name, tt := range map[string]struct {
		id, body string
		kind     fhir.Kind
		at       string
	}{
		"unknown service":        {"none", request{}.String(), fhir.NotFound, ""},
		"hook not offered":       {hooks.ServiceID, request{hook: "order-sign"}.String(), fhir.Value, "hook"},
		"broken JSON":            {hooks.ServiceID, `{"hook":`, fhir.Malformed, ""},
		"no context":             {hooks.ServiceID, request{more: map[string]any{"context": nil}}.String(), fhir.Required, "context"},
		"prefetch of no FHIR":    {hooks.ServiceID, request{prefetch: map[string]any{"patient": 7}}.String(), fhir.Malformed, "prefetch.patient"},
		"another patient's data": {hooks.ServiceID, request{prefetch: map[string]any{"patient": raw(`{"resourceType":"Patient","id":"p2"}`)}}.String(), fhir.Value, "prefetch.patient"},
		"nobody":                 {hooks.ServiceID, request{}.String(), fhir.Precondition, "prefetch.patient"},
	} {
		_, err := h.Call(t.Context(), ehr, tt.id, []byte(tt.body))
		var e *fhir.Error
		if !errors.As(err, &e) || e.Kind != tt.kind || e.At != tt.at {
			t.Errorf("%s: %v", name, err)
		}
		entry := h.last(audit.HookCall)
		if entry.Outcome != audit.Minor || entry.Agent.Subject != "ehr-1" || entry.Request != "r1" {
			t.Errorf("%s: on record as %+v", name, entry)
		}
	}
	if n := len(h.entries(audit.HookCall)); n != 7 {
		t.Errorf("%d calls on record, want all 7", n)
	}
}

// Acceptance 7, 8: with full prefetch nothing is fetched, unknown members change
// nothing, and the answer keeps the rules.
func TestFullPrefetch(t *testing.T) {
	h := newHarness(t)
	p := kidneyPatient()
	plain := request{prefetch: h.full(p[0], append(p[1:], wardVitals()...)...)}
	odd := plain
	odd.more = map[string]any{"foo": map[string]any{"bar": nil}, "extension": map[string]any{"x": []int{}}}
	odd.prefetch["unknown"] = map[string]any{"x": 1}
	var answers []string
	for _, r := range []request{plain, odd} {
		root, err := h.call(ehr, r.String())
		if err != nil {
			t.Fatal(err)
		}
		h.sound(root)
		answers = append(answers, same(root))
	}
	if h.fetched.Load() != 0 {
		t.Errorf("%d queries with full prefetch", h.fetched.Load())
	}
	if diff := cmp.Diff(answers[0], answers[1]); diff != "" {
		t.Errorf("unknown members change the answer:\n%s", diff)
	}
	if root := answers[0]; strings.Index(root, "NEWS2") > strings.Index(root, "Kidney failure within") {
		t.Error("the critical card does not come first")
	}
	h.stored("RiskAssessment")
	h.stored("Provenance")
}

var changing = regexp.MustCompile(`"uuid":"[^"]*"|RiskAssessment/[0-9a-f-]+`)

// same is an answer without what differs from call to call.
func same(root jsontree.Node) string { return changing.ReplaceAllString(string(root.Raw()), "") }

// farEHR is a FHIR server of a client, and the client's registration.
type farEHR struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
	// answer is what a query gets; nil for 404.
	answer func(query string) string
}

func newFarEHR(t *testing.T, answer func(query string) string) *farEHR {
	t.Helper()
	e := &farEHR{answer: answer}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := strings.TrimPrefix(r.URL.Path, "/fhir/")
		if raw, err := r.URL.Query(), error(nil); err == nil && len(raw) > 0 {
			query += "?" + strings.ReplaceAll(r.URL.RawQuery, "%7C", "|")
		}
		e.mu.Lock()
		e.asked = append(e.asked, r.Header.Get("Authorization")+" "+query)
		e.mu.Unlock()
		text := e.answer(query)
		if text == "" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write([]byte(text))
	}))
	t.Cleanup(e.Close)
	return e
}

// registered makes the caller of the tests a client whose server may be read.
func (e *farEHR) registered(t *testing.T, servers ...string) func(*hooks.Config) {
	return func(c *hooks.Config) {
		list, err := json.Marshal(servers)
		if err != nil {
			t.Fatal(err)
		}
		c.Clients = must(clients.Parse([]byte(fmt.Sprintf(`[{"iss":"https://ehr.test","jwks":{"keys":[]},"fhir_servers":%s}]`, list))))(t)
		c.Remote = remote.New(remote.Options{Pause: time.Millisecond})
		t.Cleanup(func() { _ = c.Remote.Close() })
	}
}

const accessToken = "sesame-0123456789"

func (e *farEHR) authorization() map[string]any {
	return map[string]any{
		"fhirServer":        e.URL + "/fhir",
		"fhirAuthorization": map[string]any{"access_token": accessToken, "token_type": "Bearer", "expires_in": 300, "scope": "user/*.rs", "subject": "galen"},
	}
}

func client() hooks.Caller {
	c := ehr
	c.Principal.Client = "https://ehr.test"
	return c
}

// Acceptance 9: the one key that is missing is fetched by exactly its query with
// the token, and the card is that of full prefetch.
func TestMissingKeyIsFetchedFromTheClient(t *testing.T) {
	p := kidneyPatient()
	far := newFarEHR(t, func(q string) string {
		if strings.HasPrefix(q, "Observation?") {
			return string(bundle(p[1:]...))
		}
		return ""
	})
	h := newHarness(t, far.registered(t, far.URL+"/fhir"))
	h.put(p...) // the same ids on this server are other patients
	sent := h.full(p[0], p[1:]...)
	whole := must(h.call(client(), request{prefetch: sent, more: far.authorization()}.String()))(t)
	if len(far.asked) != 0 {
		t.Fatalf("asked %q with full prefetch", far.asked)
	}
	delete(sent, "kfre-4v-observation")
	part := must(h.call(client(), request{prefetch: sent, more: far.authorization()}.String()))(t)
	want := "Bearer " + accessToken + " " + strings.ReplaceAll(h.templates("patient-view")["kfre-4v-observation"], "{{context.patientId}}", "p1")
	if diff := cmp.Diff([]string{want}, far.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(same(whole), same(part)); diff != "" {
		t.Errorf("the card differs:\n%s", diff)
	}
	if h.fetched.Load() != 0 {
		t.Error("the own store was asked about a patient of another server")
	}
	risk := h.linked(h.cardAbout(items(part.Get("cards")), "Kidney"))
	if got := risk.Get("subject").Get("reference").Text(); got != far.URL+"/fhir/Patient/p1" {
		t.Errorf("subject %s", got)
	}
	if got := h.last(audit.HookCall).Patients; len(got) != 1 || got[0] != far.URL+"/fhir/Patient/p1" {
		t.Errorf("patient on record: %s", got)
	}
}

func items(array jsontree.Node) []jsontree.Node {
	var out []jsontree.Node
	for n := range array.Items() {
		out = append(out, n)
	}
	return out
}

// Acceptance 10: null is "no data" and not fetched again; an OperationOutcome is
// not fetched again either, and is a 412 where nothing can be said without it
// and a note where something can.
func TestNullAndOperationOutcome(t *testing.T) {
	p := kidneyPatient()
	far := newFarEHR(t, func(string) string { return "" })
	h := newHarness(t, far.registered(t, far.URL+"/fhir"))
	outcome := raw(`{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"exception"}]}`)

	sent := h.full(p[0], p[1:]...)
	sent["kfre-4v-condition"] = nil
	cards := items(must(h.call(client(), request{prefetch: sent, more: far.authorization()}.String()))(t).Get("cards"))
	if c := h.cardAbout(cards, "Kidney"); !strings.Contains(c.Get("detail").Text(), "none on record") {
		t.Errorf("null is not taken as nothing: %s", c.Get("detail").Text())
	}
	sent["kfre-4v-condition"] = outcome
	cards = items(must(h.call(client(), request{prefetch: sent, more: far.authorization()}.String()))(t).Get("cards"))
	if d := h.cardAbout(cards, "Kidney").Get("detail").Text(); !strings.Contains(d, "Could not be had, or not all of it: prefetch kfre-4v-condition") || strings.Contains(d, "kidney failure on record | none") {
		t.Errorf("an OperationOutcome for what is optional: %s", d)
	}
	for key := range sent {
		if key != "patient" {
			sent[key] = outcome
		}
	}
	_, err := h.call(client(), request{prefetch: sent, more: far.authorization()}.String())
	var e *fhir.Error
	if !errors.As(err, &e) || e.Kind != fhir.Precondition || !strings.HasPrefix(e.At, "prefetch.") {
		t.Errorf("OperationOutcome for everything: %v", err)
	}
	sent = h.full(p[0])
	sent["patient"] = outcome
	if _, err := h.call(client(), request{prefetch: sent, more: far.authorization()}.String()); !errors.As(err, &e) || e.Kind != fhir.Precondition || e.At != "prefetch.patient" {
		t.Errorf("OperationOutcome for the patient: %v", err)
	}
	if len(far.asked) != 0 {
		t.Errorf("fetched %q", far.asked)
	}
}

// Acceptance 12, 13: no server, one that fails, one that nobody registered: a
// 412 that names the key, and no packet to a server that is not registered.
func TestNothingToBeHad(t *testing.T) {
	p := kidneyPatient()
	failing := newFarEHR(t, func(string) string { return "" })
	stranger := newFarEHR(t, func(string) string { return p[0] })
	h := newHarness(t, failing.registered(t, failing.URL+"/fhir"))
	h.put(p...)
	for name, tt := range map[string]struct {
		caller hooks.Caller
		more   map[string]any
	}{
		"fails":                   {client(), failing.authorization()},
		"not registered":          {client(), stranger.authorization()},
		"below the registered":    {client(), map[string]any{"fhirServer": failing.URL + "/fhir/../admin"}},
		"metadata of a cloud":     {client(), map[string]any{"fhirServer": "http://169.254.169.254/latest"}},
		"a caller not registered": {ehr, failing.authorization()},
	} {
		failing.asked = nil
		_, err := h.call(tt.caller, request{more: tt.more}.String())
		var e *fhir.Error
		if !errors.As(err, &e) || e.Kind != fhir.Precondition || e.At != "prefetch.patient" {
			t.Errorf("%s: %v", name, err)
		}
		if name != "fails" && len(failing.asked) > 0 {
			t.Errorf("%s: asked %q", name, failing.asked)
		}
	}
	if len(stranger.asked) != 0 || h.fetched.Load() != 0 {
		t.Errorf("a stranger was asked %q, the own store %d times", stranger.asked, h.fetched.Load())
	}
	if _, err := h.call(ehr, request{context: map[string]any{"userId": "Practitioner/1", "patientId": "p9"}, prefetch: map[string]any{"patient": raw(`{"resourceType":"Patient","id":"p9","gender":"male","birthDate":"1970-01-01"}`)}}.String()); fhir.KindOf(err) != fhir.Precondition {
		t.Errorf("a patient whom this server does not know: %v; that nothing is here does not mean that there is nothing", err)
	}
}

// Acceptance 14: the access token is nowhere but in the request to its server.
func TestAccessTokenIsNowhere(t *testing.T) {
	p := kidneyPatient()
	far := newFarEHR(t, func(q string) string {
		if strings.HasPrefix(q, "Patient/") {
			return p[0]
		}
		return string(bundle(append(p[1:], wardVitals()...)...))
	})
	var log strings.Builder
	h := newHarness(t, far.registered(t, far.URL+"/fhir"), logTo(&log))
	root := must(h.call(client(), request{more: far.authorization()}.String()))(t)
	far.answer = func(string) string { return "<" }
	_, err := h.call(client(), request{more: far.authorization()}.String())
	if err == nil {
		t.Fatal("an answer without data")
	}
	text := string(root.Raw()) + err.Error() + log.String()
	for _, kind := range []string{"RiskAssessment", "Provenance", "GuidanceResponse"} {
		for _, r := range h.stored(kind) {
			text += string(r.Raw())
		}
	}
	files := must(filepath.Glob(filepath.Join(h.dir, "*")))(t)
	for _, f := range files {
		text += string(must(os.ReadFile(f))(t))
	}
	if strings.Contains(text, accessToken) || len(files) == 0 {
		t.Error("the access token was kept")
	}
}

// Acceptance 17: what little is missing can be ordered, as a valid resource.
func TestMissingMeasurementIsSuggested(t *testing.T) {
	h := newHarness(t)
	h.put(kidneyPatient()[:2]...)
	root := must(h.call(ehr, request{}.String()))(t)
	h.sound(root)
	found := 0
	for _, c := range items(root.Get("cards")) {
		for s := range c.Get("suggestions").Items() {
			a := s.Get("actions").Item(0)
			found++
			if a.Get("type").Text() != "create" || a.Get("resource").Get("code").Get("coding").Item(0).Get("code").Text() != "9318-7" {
				t.Errorf("suggestion %s", s.Raw())
			}
		}
	}
	if found != 1 {
		t.Errorf("%d suggestions, want the urine albumin/creatinine ratio", found)
	}
	h.stored("GuidanceResponse")
}

// Acceptance 19: hostile text in every place that comes from a record.
func TestHostileRecord(t *testing.T) {
	evil := `"><script>alert(1)</script>[x](javascript:alert(1))![](https://evil.test/p.png) www.evil.test \u202e`
	quoted := `"` + strings.ReplaceAll(evil, `"`, `\"`) + `"`
	h := newHarness(t)
	patient := strings.Replace(patientOf("male", 55), `{`, `{"name":[{"text":`+quoted+`,"family":`+quoted+`}],`, 1)
	egfr := strings.Replace(lab("egfr", "98979-8", "45", "mL/min/{1.73_m2}"), `"code":{`, `"note":[{"text":`+quoted+`}],"code":{"text":`+quoted+`,`, 1)
	acr := strings.Replace(lab("acr", "9318-7", "120", "mg/g"), `"unit":"mg/g"`, `"unit":`+quoted, 1)
	bad := strings.ReplaceAll(lab("bad", "2160-0", "1", "x"), `"x"`, quoted)
	for _, observations := range [][]string{{egfr, acr}, {egfr, acr, bad}, {bad}} {
		root, err := h.call(ehr, request{prefetch: h.full(patient, observations...)}.String())
		if err != nil {
			t.Fatal(err)
		}
		h.sound(root)
		for _, c := range items(root.Get("cards")) {
			for _, s := range []string{c.Get("detail").Text(), c.Get("summary").Text()} {
				if strings.Contains(s, "](") || strings.Contains(s, "://") || strings.Contains(s, "\u202e") {
					t.Errorf("active text: %s", s)
				}
			}
		}
	}
}

// The record of a call names who, the service and the patient, and each model
// that ran with what it read, even if the client goes away.
func TestAuditOfACall(t *testing.T) {
	h := newHarness(t)
	h.put(kidneyPatient()...)
	ctx, cancel := context.WithCancel(t.Context())
	h.block = func(_ context.Context, query string) error {
		if strings.HasPrefix(query, "Condition?") {
			cancel()
		}
		return nil
	}
	_, err := h.Call(ctx, ehr, hooks.ServiceID, []byte(request{}.String()))
	e := h.last(audit.HookCall)
	if e.Service != hooks.ServiceID || e.Call != instance || e.Agent.Subject != "ehr-1" || len(e.Patients) != 1 || e.Patients[0] != "Patient/p1" {
		t.Errorf("after the client went away (%v): %+v", err, e)
	}
	h.block = nil
	h.cards(request{}.String())
	e = h.last(audit.HookCall)
	if len(e.Cards) == 0 || len(e.Assessments) != 1 || !e.Decision.Allow || e.Outcome != audit.Success {
		t.Errorf("%+v", e)
	}
	runs := map[string]audit.Entry{}
	for _, run := range h.entries(audit.Inference) {
		runs[run.Model.Name] = run
	}
	kidney := runs["kfre-4v"]
	if len(kidney.Resources) != 3 || len(kidney.Assessments) != 1 || len(kidney.Cards) != 1 || kidney.Model.Digest == "" {
		t.Errorf("the model's run: %+v", kidney)
	}
	if runs["news2"].Reason != "not assessable" {
		t.Errorf("the other: %+v", runs["news2"])
	}
}

// A key that one model could not have says nothing of another model's key.
func TestUnavailableIsPerModel(t *testing.T) {
	h := newHarness(t)
	p := kidneyPatient()
	sent := h.full(p[0], append(p[1:], wardVitals()...)...)
	sent["kfre-4v-condition"] = raw(`{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"exception"}]}`)
	cards := h.cards(request{prefetch: sent}.String())
	if d := h.cardAbout(cards, "Early Warning").Get("detail").Text(); !strings.Contains(d, "SpO2 scale 2) | none on record |") {
		t.Errorf("NEWS2 knows its conditions: %s", d)
	}
	if d := h.cardAbout(cards, "Kidney").Get("detail").Text(); !strings.Contains(d, "on record | missing |") {
		t.Errorf("the kidney model does not: %s", d)
	}
}
