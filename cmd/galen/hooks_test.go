package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
)

// ehr is a registered CDS client with its key.
type ehr struct {
	*testing.T
	key  jwk.Key
	file string // of the registrations
}

const ehrIssuer = "https://ehr.test"

// newEHR registers a client; more are further members of its registration.
func newEHR(t *testing.T, more string) *ehr {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := jwk.Import(private)
	if err != nil {
		t.Fatal(err)
	}
	if err := key.Set(jwk.KeyIDKey, "k1"); err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := json.Marshal(map[string]any{"keys": []any{public}})
	if err != nil {
		t.Fatal(err)
	}
	e := &ehr{t, key, filepath.Join(t.TempDir(), "clients.json")}
	text := fmt.Sprintf(`[{"iss":%q,"jwks":%s,"origins":["https://app.ehr.test"]%s}]`, ehrIssuer, keys, more)
	if err := os.WriteFile(e.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return e
}

func (e *ehr) register(o *options) { o.hooks.clients = e.file }

// token is a JWT for one URL, as the CDS Hooks Sandbox makes it.
func (e *ehr) token(audience string) string {
	e.Helper()
	now := time.Now()
	return e.sign(map[string]any{
		"iss": ehrIssuer, "aud": audience, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "jti": newID(),
	}, map[string]string{"typ": "JWT"})
}

// sign makes a JWT with those claims; a header with alg none is not signed.
func (e *ehr) sign(claims map[string]any, more map[string]string) string {
	e.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		e.Fatal(err)
	}
	if more["alg"] != "" { // one that nobody would sign with
		head, err := json.Marshal(map[string]string{"alg": more["alg"], "kid": "k1", "typ": "JWT"})
		if err != nil {
			e.Fatal(err)
		}
		encode := base64.RawURLEncoding.EncodeToString
		return encode(head) + "." + encode(payload) + "."
	}
	key, err := e.key.Clone()
	if err != nil {
		e.Fatal(err)
	}
	if kid, ok := more["kid"]; ok { // a key says its kid itself
		if err := key.Set(jwk.KeyIDKey, kid); err != nil {
			e.Fatal(err)
		}
	}
	header := jws.NewHeaders()
	for name, value := range more {
		if err := header.Set(name, value); err != nil {
			e.Fatal(err)
		}
	}
	signed, err := jws.Sign(payload, jws.WithKey(jwa.ES384(), key, jws.WithProtectedHeaders(header)))
	if err != nil {
		e.Fatal(err)
	}
	return string(signed)
}

const hookPath = "/cds-services/galen-risk"

var asJSON = []string{"Content-Type", "application/json"}

// A registered client calls with its own JWT and gives feedback, the answers of
// both are on record for compliance, and no token is used twice, not even after
// a restart (acceptance 5, 21).
func TestRegisteredClient(t *testing.T) {
	dir, e := t.TempDir(), newEHR(t, `,"purpose":"TREAT"`)
	g, stop := start(t, dir, e.register)
	g.want(200, "GET", "/cds-services", "", "")
	token := e.token(g.url + hookPath)
	cards := g.want(200, "POST", hookPath, token, hookCall, asJSON...).Get("cards")
	var card string
	for c := range cards.Items() {
		if c.Get("links").Exists() {
			card = c.Get("uuid").Text()
		}
	}
	for name, bad := range map[string]string{
		"used twice": token, "for feedback": e.token(g.url + hookPath + "/feedback"), "for another server": e.token("https://other.test" + hookPath), "none": "",
	} {
		res, root := g.call("POST", hookPath, bad, hookCall, asJSON...)
		if res.StatusCode != 401 || strings.Contains(string(root.Raw()), "aud") || strings.Contains(string(root.Raw()), "used") {
			t.Errorf("%s: %d %s", name, res.StatusCode, root.Raw())
		}
	}
	if res, _ := g.call("GET", "/fhir/Patient/demo-kidney", e.token(g.url+"/fhir/Patient/demo-kidney"), ""); res.StatusCode != 401 {
		t.Errorf("a hook JWT reads FHIR: %d", res.StatusCode)
	}
	proxied := e.token("https://cds.hospital.test/galen" + hookPath)
	g.want(200, "POST", hookPath, proxied, hookCall, "Content-Type", "application/json",
		"X-Forwarded-Proto", "https", "X-Forwarded-Host", "cds.hospital.test", "X-Forwarded-Prefix", "/galen")

	feedback := `{"feedback":[{"card":"` + card + `","outcome":"overridden","overrideReason":{"reason":{"system":"http://galen.health/fhir/CodeSystem/override-reason","code":"disagree"}},"outcomeTimestamp":"2026-11-24T12:00:00Z"}]}`
	for range 2 {
		g.want(200, "POST", hookPath+"/feedback", e.token(g.url+hookPath+"/feedback"), feedback, asJSON...)
	}
	g.want(401, "POST", hookPath+"/feedback", "", feedback, asJSON...)
	g.want(404, "POST", hookPath+"/feedback", e.token(g.url+hookPath+"/feedback"), strings.ReplaceAll(feedback, card, "00000000-0000-4000-8000-000000000000"), asJSON...)
	if n := g.want(200, "GET", "/fhir/Communication?identifier=urn:ietf:rfc:3986|urn:uuid:"+card, g.token("clinician"), "").Get("entry").Len(); n != 1 {
		t.Errorf("%d Communications about the card", n)
	}
	events := string(g.want(200, "GET", "/fhir/AuditEvent?outcome=0&patient=demo-kidney&_count=100", g.token("compliance"), "").Raw())
	if !strings.Contains(events, "overridden:disagree") || !strings.Contains(events, ehrIssuer) {
		t.Error("compliance does not see the feedback or the client")
	}
	if metrics := g.text("/metrics"); !strings.Contains(metrics, `galen_hooks_override_ratio{model="kfre-4v@1.0.0",service="galen-risk"} 1`) ||
		!strings.Contains(metrics, `galen_hooks_feedback_total{model="kfre-4v@1.0.0",outcome="overridden",reason="disagree",service="galen-risk"} 1`) {
		t.Errorf("metrics: %.2000s", metrics[strings.Index(metrics, "galen_hooks"):])
	}
	stop()
	for _, secret := range []string{token, strings.Split(token, ".")[2]} {
		if strings.Contains(g.logs.String(), secret) {
			t.Error("the log holds a token")
		}
	}
	again, stop := start(t, dir, e.register)
	defer stop()
	if res, _ := again.call("POST", hookPath, proxied, hookCall, "Content-Type", "application/json",
		"X-Forwarded-Proto", "https", "X-Forwarded-Host", "cds.hospital.test", "X-Forwarded-Prefix", "/galen"); res.StatusCode != 401 {
		t.Errorf("a token used before the restart: %d", res.StatusCode)
	}
}

// text is the body of a GET.
func (g *galen) text(path string) string {
	g.Helper()
	res, err := http.Get(g.url + path) //nolint:noctx // a test
	if err != nil {
		g.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		g.Fatal(err)
	}
	return string(b)
}

// Acceptance 5: statuses, all with an OperationOutcome.
func TestHookStatuses(t *testing.T) {
	g, stop := start(t, t.TempDir())
	defer stop()
	token := g.token("ehr")
	for name, tt := range map[string]struct {
		status             int
		method, path, body string
		header             []string
	}{
		"unknown service":     {404, "POST", "/cds-services/none", hookCall, asJSON},
		"GET on a service":    {405, "GET", hookPath, "", nil},
		"PUT on a service":    {405, "PUT", hookPath, hookCall, asJSON},
		"GET on feedback":     {405, "GET", hookPath + "/feedback", "", nil},
		"POST on discovery":   {405, "POST", "/cds-services", "{}", asJSON},
		"a form":              {415, "POST", hookPath, hookCall, []string{"Content-Type", "application/x-www-form-urlencoded"}},
		"XML":                 {415, "POST", hookPath, hookCall, []string{"Content-Type", "application/xml"}},
		"no type":             {415, "POST", hookPath + "/feedback", "{}", []string{"Content-Type", ""}},
		"too long":            {413, "POST", hookPath, strings.Repeat(" ", 9<<20), asJSON},
		"broken JSON":         {400, "POST", hookPath, `{"hook":`, asJSON},
		"very deep":           {400, "POST", hookPath, strings.Repeat("[", 10_000), asJSON},
		"feedback of nothing": {400, "POST", hookPath + "/feedback", `{"feedback":[]}`, asJSON},
		"the DSTU2 type":      {200, "POST", hookPath, hookCall, []string{"Content-Type", "application/json; charset=utf-8", "Accept", "application/json+fhir"}},
	} {
		root := g.want(tt.status, tt.method, tt.path, token, tt.body, tt.header...)
		if tt.status != 200 && root.Get("resourceType").Text() != "OperationOutcome" {
			t.Errorf("%s: %s", name, root.Raw())
		}
	}
}

// Browsers of registered origins may call, and only they; preflight needs no
// token (https://cds-hooks.hl7.org/2.0/#cors).
func TestCORS(t *testing.T) {
	e := newEHR(t, "")
	g, stop := start(t, t.TempDir(), e.register)
	defer stop()
	for _, path := range []string{"/cds-services", hookPath, hookPath + "/feedback"} {
		res, _ := g.call("OPTIONS", path, "", "", "Origin", "https://app.ehr.test", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type")
		h := res.Header
		if res.StatusCode != 204 || h.Get("Access-Control-Allow-Origin") != "https://app.ehr.test" || h.Get("Access-Control-Allow-Methods") != "GET, POST, OPTIONS" ||
			!strings.Contains(h.Get("Access-Control-Allow-Headers"), "Authorization") || h.Get("Access-Control-Allow-Credentials") != "" || !strings.Contains(strings.Join(h.Values("Vary"), ","), "Origin") {
			t.Errorf("preflight of %s: %d %v", path, res.StatusCode, h)
		}
	}
	for origin, want := range map[string]string{"https://app.ehr.test": "https://app.ehr.test", "https://evil.test": "", "https://app.ehr.test.evil.test": "", "null": "", "http://app.ehr.test": ""} {
		for status, token := range map[int]string{401: "", 200: e.token(g.url + hookPath)} {
			res, _ := g.call("POST", hookPath, token, hookCall, "Content-Type", "application/json", "Origin", origin)
			if res.StatusCode != status || res.Header.Get("Access-Control-Allow-Origin") != want {
				t.Errorf("%s: %d, allowed %q", origin, res.StatusCode, res.Header.Get("Access-Control-Allow-Origin"))
			}
		}
	}
	if res, _ := g.call("GET", "/fhir/metadata", "", "", "Origin", "https://app.ehr.test"); res.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("origins of CDS clients are for CDS Hooks only")
	}
}

// Acceptance 9, 12, 13 over HTTP: an empty prefetch is filled from the client's
// server with its token; without it the answer is a 412 that names the key.
func TestEHRFillsThePrefetch(t *testing.T) {
	var withToken, all atomic.Int64
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		all.Add(1)
		if r.Header.Get("Authorization") == "Bearer far-token" {
			withToken.Add(1)
		}
		day := time.Now().UTC().Add(-time.Hour).Format(time.RFC3339)
		switch {
		case strings.HasPrefix(r.URL.Path, "/r4/Patient/"):
			_, _ = fmt.Fprint(w, `{"resourceType":"Patient","id":"far-1","gender":"male","birthDate":"1971-01-01"}`)
		case strings.Contains(r.URL.RawQuery, "98979-8"):
			_, _ = fmt.Fprintf(w, `{"resourceType":"Bundle","type":"searchset","entry":[
				{"resource":{"resourceType":"Observation","id":"a","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"98979-8"}]},"subject":{"reference":"Patient/far-1"},"effectiveDateTime":%q,"valueQuantity":{"value":45,"unit":"mL/min/{1.73_m2}","system":"http://unitsofmeasure.org","code":"mL/min/{1.73_m2}"}}},
				{"resource":{"resourceType":"Observation","id":"b","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"9318-7"}]},"subject":{"reference":"Patient/far-1"},"effectiveDateTime":%q,"valueQuantity":{"value":120,"unit":"mg/g","system":"http://unitsofmeasure.org","code":"mg/g"}}}]}`, day, day)
		default:
			_, _ = fmt.Fprint(w, `{"resourceType":"Bundle","type":"searchset"}`)
		}
	}))
	defer far.Close()
	e := newEHR(t, `,"fhir_servers":["`+far.URL+`/r4"]`)
	g, stop := start(t, t.TempDir(), e.register)
	defer stop()
	body := func(server string) string {
		return `{"hook":"patient-view","hookInstance":"d1577c69-dfbe-44ad-ba6d-3e05e953b2ea","fhirServer":"` + server + `","fhirAuthorization":{"access_token":"far-token","token_type":"Bearer","expires_in":60,"scope":"user/*.rs","subject":"galen"},"context":{"userId":"Practitioner/1","patientId":"far-1"}}`
	}
	cards := g.want(200, "POST", hookPath, e.token(g.url+hookPath), body(far.URL+"/r4"), asJSON...)
	if !strings.Contains(string(cards.Raw()), "Kidney failure within 2 years: 1.2") {
		t.Errorf("%s", cards.Raw())
	}
	if all.Load() == 0 || withToken.Load() != all.Load() {
		t.Errorf("%d of %d requests had the token", withToken.Load(), all.Load())
	}
	before := all.Load()
	for name, tt := range map[string]struct{ token, server string }{
		"another path of the server": {e.token(g.url + hookPath), far.URL + "/admin"},
		"another server":             {e.token(g.url + hookPath), "http://127.0.0.1:1/r4"},
		"a caller not registered":    {g.token("ehr"), far.URL + "/r4"},
	} {
		root := g.want(412, "POST", hookPath, tt.token, body(tt.server), asJSON...)
		if at := root.Get("issue").Item(0).Get("expression").Item(0).Text(); at != "prefetch.patient" {
			t.Errorf("%s: at %q", name, at)
		}
	}
	if all.Load() != before {
		t.Error("a server was asked for someone who may not")
	}
	if strings.Contains(g.logs.String(), "far-token") || strings.Contains(g.logs.String(), "far-1") {
		t.Error("the log holds the token or the patient")
	}
}
