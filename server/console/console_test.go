package console_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"galen/policies/audit"
	"galen/server/auth"
	"galen/server/servertest"
)

// browser is somebody with a cookie jar, who follows no redirect.
type browser struct {
	t    *testing.T
	base string
	http http.Client
}

func open(t *testing.T, s *servertest.Server) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, s.URL, http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// answer is a page as it came.
type answer struct {
	status int
	header http.Header
	text   string
}

func (b *browser) do(method, path string, form url.Values, header http.Header) answer {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, values := range header {
		r.Header[name] = values
	}
	resp, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}

func (b *browser) get(path string) answer {
	b.t.Helper()
	return b.do(http.MethodGet, path, nil, nil)
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// csrf is the token of the forms on a page.
func (a answer) csrf(t *testing.T) string {
	t.Helper()
	found := csrfField.FindStringSubmatch(a.text)
	if found == nil {
		t.Fatalf("no form on the page (%d)", a.status)
	}
	return found[1]
}

func (b *browser) signIn(token string) answer {
	b.t.Helper()
	return b.do(http.MethodPost, "/console/sign-in", url.Values{"csrf": {b.get("/console").csrf(b.t)}, "token": {token}}, nil)
}

// as opens a browser in which a role is signed in.
func as(t *testing.T, s *servertest.Server, role string, more ...func(*auth.Claims)) *browser {
	t.Helper()
	b := open(t, s)
	if a := b.signIn(s.As(role, more...).Token); a.status != http.StatusSeeOther {
		t.Fatalf("signing in as %s: %d", role, a.status)
	}
	return b
}

// hostile is a name that would run if it were not escaped.
const hostile = `"><script>alert(1)</script><img src=x onerror=alert(2)>`

func withPatient(t *testing.T) *servertest.Server {
	t.Helper()
	s := servertest.Start(t, servertest.Options{})
	admin := s.As("admin")
	admin.Do(http.MethodPut, "/fhir/Patient/p1", `{"resourceType":"Patient","id":"p1","name":[{"family":`+quoted(hostile)+`}],"birthDate":"1971-03-14"}`)
	admin.Do(http.MethodPut, "/fhir/Observation/o1", `{"resourceType":"Observation","id":"o1","status":"final","code":{"text":`+quoted(hostile)+
		`},"subject":{"reference":"Patient/p1"},"effectiveDateTime":"2026-01-02T03:04:05Z","valueQuantity":{"value":1.50,"unit":`+quoted(hostile)+`}}`)
	return s
}

func quoted(text string) string { return `"` + strings.ReplaceAll(text, `"`, `\"`) + `"` }

// Unsigned visitors get the sign-in page at every URL, and never data.
func TestUnsigned(t *testing.T) {
	s := withPatient(t)
	for _, path := range []string{"", "/audit", "/audit/export", "/policies", "/models", "/patients", "/patients/p1", "/system", "/nowhere"} {
		a := open(t, s).get("/console" + path)
		if a.status != http.StatusOK || !strings.Contains(a.text, `action="/console/sign-in"`) {
			t.Errorf("%q: %d, not the sign-in page", path, a.status)
		}
		if strings.Contains(a.text, "1971") || strings.Contains(a.text, "alert(1)") {
			t.Errorf("%q shows data", path)
		}
	}
}

// What a role may not see is absent from the navigation and refused at its URL,
// as the API would; the refusal is on record.
func TestRoles(t *testing.T) {
	s := withPatient(t)
	places := []string{"/console/patients", "/console/audit", "/console/policies", "/console/models", "/console/system"}
	cases := map[string][]string{
		"clinician":   {"/console/patients", "/console/system"},
		"nurse":       {"/console/patients", "/console/system"},
		"compliance":  {"/console/audit", "/console/policies", "/console/system"},
		"model-owner": {"/console/models", "/console/system"},
		"ehr":         {"/console/system"},
		"researcher":  {"/console/system"},
	}
	for role, want := range cases {
		t.Run(role, func(t *testing.T) {
			b := as(t, s, role)
			home := b.get("/console")
			for _, place := range places {
				offered := strings.Contains(home.text, `href="`+place+`"`)
				if may := slices.Contains(want, place); offered != may {
					t.Errorf("%s offered: %v, want %v", place, offered, may)
				}
				if place == "/console/models" {
					continue // this server has no models to ask about
				}
				status := http.StatusForbidden
				if slices.Contains(want, place) {
					status = http.StatusOK
				}
				if a := b.get(place); a.status != status {
					t.Errorf("%s: %d, want %d", place, a.status, status)
				}
			}
		})
	}
}

// A page leaves the audit entries of the same calls from outside.
func TestOnRecord(t *testing.T) {
	s := withPatient(t)
	as(t, s, "clinician").get("/console/patients/p1")
	as(t, s, "nurse").get("/console/audit")
	open(t, s).signIn("no token")
	var read, denied, refused bool
	for e, err := range s.AuditLog.Read(0) {
		if err != nil {
			t.Fatal(err)
		}
		read = read || e.Kind == audit.Read && slices.Contains(e.Patients, "Patient/p1")
		denied = denied || e.Kind == audit.AuditUse && !e.Decision.Allow
		refused = refused || e.Kind == audit.Login
	}
	if !read || !denied || !refused {
		t.Errorf("read %v, denial %v, failed sign-in %v: all must be on record", read, denied, refused)
	}
}

// Whatever a record holds is text on a page; pages allow no inline script.
func TestHostileNames(t *testing.T) {
	s := withPatient(t)
	b := as(t, s, "clinician")
	for _, path := range []string{
		"/console/patients", "/console/patients/p1", "/console/patients?name=" + url.QueryEscape(hostile),
		"/console/system?q=Patient", "/console/system?q=" + url.QueryEscape(hostile), "/console/patients/" + url.PathEscape(hostile),
	} {
		a := b.get(path)
		if strings.Contains(a.text, "<script") || strings.Contains(a.text, "<img") {
			t.Errorf("%s lets markup through", path)
		}
		if csp := a.header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: Content-Security-Policy %q", path, csp)
		}
	}
	if a := b.get("/console/patients/p1"); !strings.Contains(a.text, "&lt;script&gt;") || !strings.Contains(a.text, "1.50") {
		t.Error("the page does not show what is on record")
	}
}

// The cookie is for this site and no script; sign-out and time end the session.
func TestSession(t *testing.T) {
	now := time.Now()
	s := servertest.Start(t, servertest.Options{Now: func() time.Time { return now }})
	b := open(t, s)
	cookies := strings.Join(b.signIn(s.As("clinician").Token).header.Values("Set-Cookie"), "\n")
	for _, want := range []string{"HttpOnly", "SameSite=Strict", "Path=/console"} {
		if strings.Count(cookies, want) != 2 {
			t.Errorf("cookies without %s: %s", want, cookies)
		}
	}
	home := b.get("/console")
	if a := b.do(http.MethodPost, "/console/sign-out", url.Values{"csrf": {home.csrf(t)}}, nil); a.status != http.StatusSeeOther {
		t.Errorf("signing out: %d", a.status)
	}
	if a := b.get("/console/patients"); !strings.Contains(a.text, "/console/sign-in") {
		t.Error("signed in after sign-out")
	}
	b = as(t, s, "clinician")
	now = now.Add(16 * time.Minute)
	if a := b.get("/console/patients"); !strings.Contains(a.text, "/console/sign-in") {
		t.Error("signed in after the idle time")
	}
}

// A form counts only with the token of its session and from this site.
func TestForgery(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	b := as(t, s, "compliance")
	good := b.get("/console").csrf(t)
	form := func(csrf string) url.Values {
		return url.Values{"csrf": {csrf}, "add": {"p, nurse, *, RiskAssessment, read, HPAYMT, always, deny, nurse-no-payment"}, "reason": {"test"}}
	}
	cases := []struct {
		name   string
		csrf   string
		header http.Header
		status int
	}{
		{"no token", "", nil, http.StatusForbidden},
		{"another's token", as(t, s, "compliance").get("/console").csrf(t), nil, http.StatusForbidden},
		{"another site", good, http.Header{"Sec-Fetch-Site": {"cross-site"}}, http.StatusForbidden},
		{"its own", good, http.Header{"Sec-Fetch-Site": {"same-origin"}}, http.StatusSeeOther},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if a := b.do(http.MethodPost, "/console/policies", form(c.csrf), c.header); a.status != c.status {
				t.Errorf("status %d, want %d", a.status, c.status)
			}
		})
	}
	a := open(t, s).do(http.MethodPost, "/console/sign-in", url.Values{"token": {s.As("admin").Token}}, nil)
	if a.status != http.StatusForbidden {
		t.Errorf("signed in without the form: %d", a.status)
	}
}

// A policy is proposed by one officer and approved and activated by another; the
// simulator answers by what is in force.
func TestPolicyLife(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	author := as(t, s, "compliance", func(c *auth.Claims) { c.Subject = "author" })
	other := as(t, s, "compliance", func(c *auth.Claims) { c.Subject = "other" })
	post := func(b *browser, path string, form url.Values) {
		t.Helper()
		form.Set("csrf", b.get("/console").csrf(t))
		if a := b.do(http.MethodPost, path, form, nil); a.status != http.StatusSeeOther {
			t.Fatalf("%s: %d %s", path, a.status, a.text)
		}
	}
	ask := "/console/policies?role=nurse&type=RiskAssessment&purpose=HPAYMT"
	if a := author.get(ask); !strings.Contains(a.text, "staff-results") {
		t.Fatal("the simulator does not name the rule that allows")
	}
	post(author, "/console/policies", url.Values{
		"add":    {"p, nurse, *, RiskAssessment, read|search, HPAYMT, always, deny, nurse-no-payment"},
		"reason": {"payment needs no risks"},
	})
	found := regexp.MustCompile(`/console/policies/([0-9a-f]{64})"[^\n]*payment needs no risks`).FindStringSubmatch(author.get("/console/policies").text)
	if found == nil {
		t.Fatal("the proposal is not listed")
	}
	page := "/console/policies/" + found[1]
	if a := author.get(page); strings.Contains(a.text, page+`/approve`) || !strings.Contains(a.text, "nurse-no-payment") {
		t.Error("the author is offered to approve, or the change is not shown")
	}
	post(other, page+"/approve", url.Values{"comment": {"yes"}})
	post(other, page+"/activate", url.Values{"reason": {"now"}})
	if a := author.get(ask); !strings.Contains(a.text, "nurse-no-payment") {
		t.Error("the simulator does not know the policy in force")
	}
	post(other, "/console/policies/active/rollback", url.Values{"reason": {"back"}})
	if a := author.get(ask); strings.Contains(a.text, "<td>nurse-no-payment") {
		t.Error("the policy is still in force after the roll back")
	}
}

// An officer gets the checkpoint of the log with its key, and a proof that an
// earlier log is its beginning; what cannot be proved is said.
func TestIntegrity(t *testing.T) {
	b := as(t, withPatient(t), "compliance")
	const page = "/console/audit?report=integrity"
	if a := b.get(page); !strings.Contains(a.text, "galen-audit") {
		t.Error("no checkpoint on the page")
	}
	if a := b.get(page + "&since=1"); !strings.Contains(a.text, "Check it against") || strings.Contains(a.text, `class="problem"`) {
		t.Error("no proof on the page")
	}
	if a := b.get(page + "&since=many"); !strings.Contains(a.text, "whole number") || strings.Contains(a.text, "Check it against") {
		t.Error("the page does not say why there is no proof")
	}
	for _, path := range []string{"/console", "/console/"} {
		if a := b.get(path); a.status != http.StatusOK || !strings.Contains(a.text, `class="tiles"`) {
			t.Errorf("%s: %d, not the start", path, a.status)
		}
	}
}
