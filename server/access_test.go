package server_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"galen/fhir/jsontree"
	"galen/server/auth"
	"galen/server/servertest"
)

// twoPatients stores the records of p1 and p2, alike but for whose they are.
// Observation o1 was p2's before it became p1's.
func twoPatients(t *testing.T, s *servertest.Server) {
	t.Helper()
	admin := s.As("admin")
	put := func(format string, args ...any) {
		body := fmt.Sprintf(format, args...)
		doc, err := jsontree.Parse([]byte(body), jsontree.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		admin.Do("PUT", doc.Root().Get("resourceType").Text()+"/"+doc.Root().Get("id").Text(), body)
	}
	put(`{"resourceType":"Practitioner","id":"doc"}`)
	put(`{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"secret-of-p2"},"subject":{"reference":"Patient/p2"}}`)
	for _, n := range []string{"1", "2"} {
		put(`{"resourceType":"Patient","id":"p%[1]s","name":[{"family":"Family%[1]s"}],"generalPractitioner":[{"reference":"Practitioner/doc"}]}`, n)
		put(`{"resourceType":"Encounter","id":"e%[1]s","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/p%[1]s"},"participant":[{"individual":{"reference":"Practitioner/doc"}}]}`, n)
		put(`{"resourceType":"Observation","id":"o%[1]s","status":"final","category":[{"coding":[{"code":"laboratory"}]}],"code":{"text":"laboratory-of-p%[1]s"},"subject":{"reference":"Patient/p%[1]s"},"encounter":{"reference":"Encounter/e%[1]s"},"performer":[{"reference":"Practitioner/doc"}]}`, n)
		put(`{"resourceType":"Observation","id":"v%[1]s","status":"final","category":[{"coding":[{"code":"vital-signs"}]}],"code":{"text":"vital-of-p%[1]s"},"subject":{"reference":"Patient/p%[1]s"}}`, n)
	}
}

// ids are the resources in a Bundle, "Observation/o1", sorted.
func ids(a servertest.Answer) []string {
	var all []string
	for e := range a.Want(200).JSON().Get("entry").Items() {
		r := e.Get("resource")
		all = append(all, r.Get("resourceType").Text()+"/"+r.Get("id").Text())
	}
	slices.Sort(all)
	return all
}

func launch(patient, scope string) func(*auth.Claims) {
	return func(c *auth.Claims) { c.Patient, c.Scope = patient, scope }
}

// Acceptance 32: a token for one patient meets nothing of another's record on
// any path, and what is hidden answers as what never was.
func TestPatientTokenOnEveryPath(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	twoPatients(t, s)
	for name, c := range map[string]servertest.Client{
		"a patient":         s.As("patient", launch("p1", "")),
		"a launched app":    s.As("clinician", launch("p1", "launch/patient patient/*.rs")),
		"a v1 launched app": s.As("clinician", launch("p1", "patient/*.read")),
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"Patient/%s", "Observation/%s", "Observation/%s/_history/1", "Observation/%s/_history", "Encounter/%s"} {
				for _, id := range []string{"p2", "o2", "v2", "e2"} {
					hidden := c.Do("GET", fmt.Sprintf(path, id), "").Want(404)
					absent := c.Do("GET", fmt.Sprintf(path, "none"), "").Want(404)
					if string(hidden.Body) != string(absent.Body) {
						t.Errorf("%s: hidden and absent differ:\n%s\n%s", path, hidden.Body, absent.Body)
					}
				}
			}
			c.Do("GET", "Observation/o1", "").Want(200)
			c.Do("GET", "Observation/o1/_history/1", "").Want(404) // it was p2's then
			for query, want := range map[string][]string{
				"Patient":                                                      {"Patient/p1"},
				"Patient?_id=p2":                                               nil,
				"Observation?patient=p2":                                       nil,
				"Observation?subject=Patient/p2":                               nil,
				"Observation?subject:Patient.name=Fam":                         {"Observation/o1", "Observation/v1"},
				"Observation?subject:Patient._id=p2":                           nil,
				"Practitioner?_id=doc&_revinclude=Encounter:participant":       {"Encounter/e1", "Practitioner/doc"},
				"Practitioner?_id=doc&_revinclude=Observation:performer":       {"Observation/o1", "Practitioner/doc"},
				"Observation?_id=o1&_include=Observation:subject":              {"Observation/o1", "Patient/p1"},
				"Encounter?_revinclude=Observation:encounter":                  {"Encounter/e1", "Observation/o1"},
				"Practitioner?_has:Observation:performer:_id=o2":               nil,
				"Practitioner?_has:Observation:performer:_id=o1":               {"Practitioner/doc"},
				"Practitioner?_has:Encounter:participant:patient.name=Family2": nil,
				"Observation/o1/_history":                                      {"Observation/o1"},
			} {
				if got := ids(c.Do("GET", query, "")); !slices.Equal(got, want) {
					t.Errorf("GET %s: %v, want %v", query, got, want)
				}
				kind, params, ok := strings.Cut(query, "?")
				if ok {
					got := ids(c.Do("POST", kind+"/_search", params, "Content-Type", "application/x-www-form-urlencoded"))
					if !slices.Equal(got, want) {
						t.Errorf("POST %s: %v, want %v", query, got, want)
					}
				}
			}
			pages(t, s, c)
			batch(t, c)
			if body := c.Do("GET", "Observation/o1/_history", "").Body; strings.Contains(string(body), "secret-of-p2") {
				t.Error("the history shows the version that was another patient's")
			}
			c.Do("GET", "/fhir", "").Want(403)
			c.Do("GET", "AuditEvent", "").Want(403)
		})
	}
}

// pages walks a search page by page; a link made for another may not help.
func pages(t *testing.T, s *servertest.Server, c servertest.Client) {
	t.Helper()
	next := func(a servertest.Answer) string {
		for l := range a.Want(200).JSON().Get("link").Items() {
			if l.Get("relation").Text() == "next" {
				return l.Get("url").Text()
			}
		}
		return ""
	}
	var seen []string
	for at := "Observation?_count=1"; at != ""; {
		a := c.Do("GET", at, "")
		seen = append(seen, ids(a)...)
		at = next(a)
	}
	slices.Sort(seen)
	if want := []string{"Observation/o1", "Observation/v1"}; !slices.Equal(seen, want) {
		t.Errorf("pages: %v, want %v", seen, want)
	}
	theirs := next(s.As("admin").Do("GET", "Observation?_count=1", ""))
	if a := c.Do("GET", theirs, ""); a.Status == 200 {
		if got := ids(a); slices.Contains(got, "Observation/o2") || slices.Contains(got, "Observation/v2") {
			t.Errorf("another's paging link: %v", got)
		}
	}
}

func batch(t *testing.T, c servertest.Client) {
	t.Helper()
	for _, kind := range []string{"batch", "transaction"} {
		a := c.Do("POST", "", `{"resourceType":"Bundle","type":"`+kind+`","entry":[
			{"request":{"method":"GET","url":"Observation/o1"}},
			{"request":{"method":"GET","url":"Observation/o2"}},
			{"request":{"method":"GET","url":"Observation?patient=p2"}}]}`).Want(200)
		entries := a.JSON().Get("entry")
		for i, want := range []string{"200", "404", "200"} {
			if got := entries.Item(i).Get("response").Get("status").Text(); !strings.HasPrefix(got, want) {
				t.Errorf("%s entry %d: %s", kind, i, got)
			}
		}
		if strings.Contains(string(a.Body), "-of-p2") {
			t.Errorf("%s shows another patient's data", kind)
		}
	}
}

// Acceptance 32: a patient/ scope without a patient in the token is refused.
func TestPatientScopeWithoutPatient(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	twoPatients(t, s)
	c := s.As("clinician", launch("", "patient/*.rs"))
	for _, path := range []string{"Patient/p1", "Observation", "Practitioner/doc"} {
		c.Do("GET", path, "").Want(403)
	}
}

// Acceptance 31: the forms of scopes over HTTP, each batch entry by itself.
func TestScopesOverHTTP(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	twoPatients(t, s)
	const body = `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p1"}}`
	as := func(scope string) servertest.Client { return s.As("clinician", launch("p1", scope)) }
	for name, c := range map[string]struct {
		scope                string
		read, search, create int
	}{
		"v2":                {"user/Observation.cruds", 200, 200, 201},
		"v2 rs":             {"user/Observation.rs", 200, 200, 403},
		"v2 s alone":        {"user/Observation.s", 403, 200, 403},
		"v1 read":           {"user/Observation.read", 200, 200, 403},
		"v1 write":          {"user/Observation.write", 403, 403, 201},
		"v1 all":            {"user/*.*", 200, 200, 201},
		"dus":               {"user/Observation.dus", 403, 403, 403},
		"another type":      {"user/Condition.cruds", 403, 403, 403},
		"never beyond role": {"system/*.cruds", 200, 200, 201},
	} {
		client := as(c.scope)
		client.Do("GET", "Observation/o1", "").Want(c.read)
		client.Do("GET", "Observation", "").Want(c.search)
		client.Do("POST", "Observation", body).Want(c.create)
		answer := client.Do("POST", "", `{"resourceType":"Bundle","type":"batch","entry":[
			{"request":{"method":"GET","url":"Observation/o1"}},{"request":{"method":"DELETE","url":"Observation/o1"}}]}`).Want(200)
		for i, want := range []int{c.read, 403} {
			if got := answer.JSON().Get("entry").Item(i).Get("response").Get("status").Text(); !strings.HasPrefix(got, fmt.Sprint(want)) {
				t.Errorf("%s: batch entry %d: %s, want %d", name, i, got, want)
			}
		}
	}
	laboratory := as("user/Observation.rs?category=laboratory")
	laboratory.Do("GET", "Observation/o2", "").Want(200)
	laboratory.Do("GET", "Observation/v2", "").Want(404)
	if got := ids(laboratory.Do("GET", "Observation", "")); !slices.Equal(got, []string{"Observation/o1", "Observation/o2"}) {
		t.Errorf("granular search: %v", got)
	}
	own := as("patient/Observation.rs?category=" + url.QueryEscape("|vital-signs"))
	if got := ids(own.Do("GET", "Observation", "")); !slices.Equal(got, []string{"Observation/v1"}) {
		t.Errorf("granular search of the own record: %v", got)
	}
}

// SMART App Launch and RFC 6750: 401 and 403 say what is wrong with a token.
func TestChallenges(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	bad := s.Anonymous()
	bad.Token = "a.b.c"
	for name, c := range map[string]struct {
		client servertest.Client
		status int
		want   string
	}{
		"no token":    {s.Anonymous(), 401, `Bearer`},
		"bad token":   {bad, 401, `Bearer error="invalid_token"`},
		"small scope": {s.As("clinician", launch("", "user/Patient.r")), 403, `Bearer error="insufficient_scope"`},
	} {
		answer := c.client.Do("GET", "Observation", "").Want(c.status)
		if got := answer.Header.Get("WWW-Authenticate"); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
