package server_test

import (
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"galen/fhir/jsontree"
	"galen/server/servertest"
	"galen/store"
	"galen/store/mem"
	"galen/store/sqlite"
)

// eachDriver runs a test over the drivers that the engine serves.
func eachDriver(t *testing.T, test func(*testing.T, *servertest.Server)) {
	drivers := map[string]func(*testing.T) store.Driver{
		"mem": func(*testing.T) store.Driver { return mem.New() },
		"sqlite": func(t *testing.T) store.Driver {
			db, err := sqlite.Open(sqlite.Options{Dir: t.TempDir(), Readers: 2})
			if err != nil {
				t.Fatal(err)
			}
			return db
		},
	}
	for name, open := range drivers {
		t.Run(name, func(t *testing.T) { test(t, servertest.Start(t, servertest.Options{Driver: open(t)})) })
	}
}

// parameter is an active SearchParameter on Patient.
func parameter(id, kind, expression string, more ...string) string {
	return fmt.Sprintf(`{"resourceType":"SearchParameter","id":%q,"url":"http://x/%s","name":"P","status":"active","description":"d","code":%q,"base":["Patient"],"type":%q,"expression":%q%s}`,
		id, id, id, kind, expression, strings.Join(append([]string{""}, more...), ","))
}

// eyed is a patient with a value of each kind in extensions.
func eyed(n int) string {
	return fmt.Sprintf(`{"resourceType":"Patient","id":"p%d","extension":[
		{"url":"http://x/eye","valueCoding":{"system":"http://eye","code":"c%d"}},
		{"url":"http://x/n","valueInteger":%d},
		{"url":"http://x/d","valueDate":"2020-01-0%d"},
		{"url":"http://x/org","valueReference":{"reference":"Organization/o%d"}},
		{"url":"http://x/s","valueString":"Zoë%d"},
		{"url":"http://x/u","valueUri":"http://u/%d"},
		{"url":"http://x/q","valueQuantity":{"value":%d,"system":"http://unitsofmeasure.org","code":"mg"}}]}`, n, n%2, n, n+1, n%2, n, n, n)
}

// finish waits for the job whose status is at a URL.
func finish(t *testing.T, c servertest.Client, location string) jsontree.Node {
	t.Helper()
	for {
		if a := c.Do("GET", location, ""); a.Status != 202 {
			return a.Want(200).JSON()
		}
	}
}

// outputs are the parameters of a Parameters resource as "name=value".
func outputs(p jsontree.Node) (out []string) {
	for item := range p.Get("parameter").Items() {
		for name, value := range item.Members() {
			if strings.HasPrefix(name, "value") {
				out = append(out, item.Get("name").Text()+"="+value.Text())
			}
		}
	}
	return out
}

func found(c servertest.Client, query string) string {
	a := c.Do("GET", query, "")
	if a.Status != 200 {
		return fmt.Sprintf("%d %s", a.Status, a.Issue().Get("diagnostics").Text())
	}
	var ids []string
	for e := range a.JSON().Get("entry").Items() {
		if e.Get("search").Get("mode").Text() == "match" {
			ids = append(ids, e.Get("resource").Get("id").Text())
		}
	}
	return strings.Join(ids, " ")
}

// Issue 3: a stored SearchParameter of every type serves searches, chains,
// sorting, inclusion and the CapabilityStatement once every resource is indexed,
// and until then says so.
func TestStoredSearchParameters(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *servertest.Server) {
		c := s.As("admin")
		for n := range 2 {
			c.Do("PUT", fmt.Sprintf("Organization/o%d", n), fmt.Sprintf(`{"resourceType":"Organization","id":"o%d","name":"Org%d"}`, n, n)).Want(201)
		}
		for n := range 4 {
			c.Do("PUT", fmt.Sprintf("Patient/p%d", n), eyed(n)).Want(201)
		}
		const of = "Patient.extension.where(url='http://x/%s').value"
		for _, p := range []string{
			parameter("eye", "token", fmt.Sprintf(of, "eye")),
			parameter("num", "number", fmt.Sprintf(of, "n")),
			parameter("day", "date", fmt.Sprintf(of, "d")),
			parameter("org", "reference", fmt.Sprintf(of, "org"), `"target":["Organization"]`),
			parameter("word", "string", "Patient.extension('http://x/s').value as string"),
			parameter("link-to", "uri", fmt.Sprintf(of, "u")),
		} {
			c.Do("POST", "SearchParameter", p).Want(201)
		}
		// A composite before its part, in one Bundle.
		parts := `"component":[{"definition":"http://x/eye","expression":"extension.where(url='http://x/eye').value"},{"definition":"http://x/amount|1","expression":"extension('http://x/q').value"}]`
		entries := ""
		for i, p := range []string{parameter("both", "composite", "Patient", parts), parameter("amount", "quantity", "(Patient.extension.where(url='http://x/q').value as Quantity)")} {
			entries += strings.Repeat(",", i) + `{"resource":` + p + `,"request":{"method":"POST","url":"SearchParameter"}}`
		}
		c.Do("POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[`+entries+`]}`).Want(200)

		const pending = "not yet indexed"
		for _, q := range []string{
			"Patient?eye=c1", "Patient?eye:missing=true", "Patient?_sort=-num", "Patient?_include=Patient:org", "Organization?_has:Patient:org:num=1",
			"Observation?subject.eye=c1", "Patient?org.name=a", "Patient?both=c1$1", "Patient?_filter=num+gt+1", "Organization?_revinclude=Patient:org",
		} {
			if got := found(c, q); !strings.HasPrefix(got, "400 ") || !strings.Contains(got, pending) {
				t.Errorf("%s before $reindex: %s", q, got)
			}
		}
		s.As("clinician").Do("POST", "$reindex", "").Want(403)
		started := c.Do("POST", "$reindex", "").Want(202)
		if got := strings.Join(outputs(finish(t, c, started.Header.Get("Content-Location"))), " "); !strings.Contains(got, "status=completed") ||
			!strings.Contains(got, "total=4 processed=4 failed=0") {
			t.Errorf("the job ended with %s", got)
		}
		for q, want := range map[string]string{
			"Patient?eye=http://eye|c1":                        "p1 p3",
			"Patient?eye:not=c1":                               "p0 p2",
			"Patient?num=gt1":                                  "p2 p3",
			"Patient?day=2020-01-02":                           "p1",
			"Patient?org=Organization/o1":                      "p1 p3",
			"Patient?org.name=org1":                            "p1 p3",
			"Patient?word:exact=" + url.QueryEscape("Zoë2"):    "p2",
			"Patient?word=zoe":                                 "p0 p1 p2 p3",
			"Patient?link-to=http://u/3":                       "p3",
			"Patient?amount=0.002|http://unitsofmeasure.org|g": "p2",
			"Patient?both=c1$3":                                "p3",
			"Patient?both=c0$3":                                "",
			"Patient?_sort=-num":                               "p3 p2 p1 p0",
			"Patient?_filter=num+gt+1":                         "p2 p3",
			"Organization?_has:Patient:org:num=3":              "o1",
			"Patient?eye:missing=true":                         "",
		} {
			if got := found(c, q); got != want {
				t.Errorf("%s finds %q, want %q", q, got, want)
			}
		}
		for q, n := range map[string]int{"Patient?num=3&_include=Patient:org": 2, "Patient?num=3&_include=*": 2, "Organization?_id=o1&_revinclude=Patient:org": 3} {
			if got := c.Do("GET", q, "").Want(200).JSON().Get("entry").Len(); got != n {
				t.Errorf("%s has %d entries, want %d", q, got, n)
			}
		}
		if statement := string(c.Do("GET", "metadata", "").Want(200).Body); !strings.Contains(statement, `"link-to"`) || !strings.Contains(statement, "Patient:org") {
			t.Error("the CapabilityStatement does not name the parameters")
		}
		c.Do("PUT", "Patient/p9", eyed(5)).Want(400)
		c.Do("PUT", "Patient/p5", eyed(5)).Want(201)
		if got := found(c, "Patient?num=5"); got != "p5" {
			t.Errorf("what is written afterwards: %q", got)
		}
	})
}

// What cannot work is refused with its place; what says what R4 says is stored
// and changes nothing.
func TestRefusedSearchParameters(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	c := s.As("admin")
	c.Do("PUT", "SearchParameter/taken", parameter("taken", "token", "Patient.active")).Want(201)
	cases := []struct{ name, body, at string }{
		{"no such element", parameter("a", "token", "Patient.foo"), "SearchParameter.expression"},
		{"no FHIRPath", parameter("a", "token", "Patient.("), "SearchParameter.expression"},
		{"another type", parameter("a", "token", "Observation.code"), "SearchParameter.expression"},
		{"another resource", parameter("a", "token", "Patient.generalPractitioner.resolve().active"), "SearchParameter.expression"},
		{"a code of R4", parameter("name", "string", "Patient.name"), "SearchParameter.code"},
		{"a code that is taken", strings.Replace(parameter("b", "token", "Patient.gender"), `"code":"b"`, `"code":"taken"`, 1), "SearchParameter.code"},
		{"a code of the standard", parameter("_sort", "token", "Patient.gender"), "SearchParameter.code"},
		{"the audit", strings.Replace(parameter("a", "token", "AuditEvent.action"), `"Patient"`, `"AuditEvent"`, 1), "SearchParameter.base[0]"},
		{"special", parameter("a", "special", "Patient.gender"), "SearchParameter.type"},
		{"a composite without parts", parameter("a", "composite", "Patient"), "SearchParameter.component"},
		{"an unknown part", parameter("a", "composite", "Patient", `"component":[{"definition":"http://none","expression":"gender"}]`), "SearchParameter.component[0].definition"},
	}
	for _, p := range cases {
		t.Run(p.name, func(t *testing.T) {
			body := strings.Replace(p.body, `"id":"_sort"`, `"id":"sort"`, 1)
			if issue := c.Do("POST", "SearchParameter", body).Want(422).Issue(); issue.Get("expression").Item(0).Text() != p.at {
				t.Errorf("refused at %s: %s", issue.Get("expression").Raw(), issue.Get("diagnostics").Text())
			}
		})
	}
	twice := ""
	for i, p := range []string{parameter("twin", "token", "Patient.active"), strings.Replace(parameter("second", "token", "Patient.gender"), `"code":"second"`, `"code":"twin"`, 1)} {
		twice += strings.Repeat(",", i) + `{"resource":` + p + `,"request":{"method":"POST","url":"SearchParameter"}}`
	}
	issue := c.Do("POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[`+twice+`]}`).Want(422).Issue()
	if got := issue.Get("expression").Item(0).Text(); got != "Bundle.entry[1].resource.code" {
		t.Errorf("the second of one code is refused at %s", got)
	}
	c.Do("GET", "Patient?twin=true", "", "Prefer", "handling=strict").Want(400)
	r4 := strings.Replace(parameter("active", "token", "Patient.active"), "http://x/active", "http://hl7.org/fhir/SearchParameter/Patient-active", 1)
	c.Do("POST", "SearchParameter", r4).Want(201)
	c.Do("POST", "SearchParameter", strings.Replace(parameter("draft", "token", "Patient.foo"), "active", "draft", 1)).Want(201)
}

// A parameter that is retired or deleted is unknown again, and one that comes
// back is not trusted with what was written meanwhile.
func TestSearchParameterComesAndGoes(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *servertest.Server) {
		c := s.As("admin")
		body := parameter("born", "date", "Patient.birthDate")
		patient := func(id string) {
			c.Do("PUT", "Patient/"+id, `{"resourceType":"Patient","id":"`+id+`","birthDate":"2000-01-01"}`).Want(201)
		}
		c.Do("PUT", "SearchParameter/born", body).Want(201)
		patient("a")
		if got := found(c, "Patient?born=2000-01-01"); got != "a" {
			t.Fatalf("without resources it works at once: %q", got)
		}
		c.Do("PUT", "SearchParameter/born", strings.Replace(body, `"active"`, `"retired"`, 1)).Want(200)
		c.Do("GET", "Patient?born=2000", "", "Prefer", "handling=strict").Want(400)
		patient("b")
		c.Do("PUT", "SearchParameter/born", body).Want(200)
		if got := found(c, "Patient?born=2000-01-01"); !strings.Contains(got, "not yet indexed") {
			t.Errorf("b has no entry: %q", got)
		}
		started := c.Do("POST", "SearchParameter/born/$reindex", "").Want(202)
		if got := strings.Join(outputs(finish(t, c, started.Header.Get("Content-Location"))), " "); !strings.Contains(got, "total=1 processed=1") {
			t.Errorf("only b was to be indexed: %s", got)
		}
		if got := found(c, "Patient?born=2000-01-01"); got != "a b" {
			t.Errorf("after $reindex: %q", got)
		}
		c.Do("DELETE", "SearchParameter/born", "").Want(204)
		c.Do("GET", "Patient?born=2000", "", "Prefer", "handling=strict").Want(400)
		c.Do("POST", "SearchParameter/born/$reindex", "").Want(404)
		c.Do("GET", "_job/none", "").Want(404)
	})
}

// Nothing that is written while a parameter comes is lost to it.
func TestSearchParameterWhileWriting(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *servertest.Server) {
		const writers, each = 4, 25
		c := s.As("admin")
		var busy sync.WaitGroup
		for w := range writers {
			busy.Go(func() {
				for n := range each {
					id := fmt.Sprintf("w%d-%d", w, n)
					if a := c.Do("PUT", "Patient/"+id, `{"resourceType":"Patient","id":"`+id+`","birthDate":"2000-01-01"}`); a.Status != 201 {
						t.Errorf("%s: status %d", id, a.Status)
					}
				}
			})
		}
		c.Do("PUT", "SearchParameter/born", parameter("born", "date", "Patient.birthDate")).Want(201)
		started := c.Do("POST", "$reindex", "").Want(202)
		finish(t, c, started.Header.Get("Content-Location"))
		busy.Wait()
		if got := c.Do("GET", "Patient?born=2000&_summary=count", "").Want(200).JSON().Get("total").Text(); got != fmt.Sprint(writers*each) {
			t.Errorf("%s found, want %d", got, writers*each)
		}
	})
}

// $expunge: what is removed is gone from every read, and only administrators
// remove.
func TestExpunge(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *servertest.Server) {
		c := s.As("admin")
		ask := func(target, parameters string, status int) string {
			a := c.Do("POST", target+"$expunge", `{"resourceType":"Parameters","parameter":[`+parameters+`]}`)
			if a.Want(status); status != 200 {
				return ""
			}
			return strings.Join(outputs(a.JSON()), " ")
		}
		const previous, deleted = `{"name":"expungePreviousVersions","valueBoolean":true}`, `{"name":"expungeDeletedResources","valueBoolean":true}`
		for _, id := range []string{"a", "b"} {
			for n := range 3 {
				c.Do("PUT", "Patient/"+id, fmt.Sprintf(`{"resourceType":"Patient","id":%q,"birthDate":"200%d-01-01"}`, id, n))
			}
		}
		s.As("clinician").Do("POST", "Patient/a/$expunge", `{"resourceType":"Parameters","parameter":[`+previous+`]}`).Want(403)
		ask("", `{"name":"expungeEverything","valueBoolean":true}`, 400)
		ask("Patient/a/", "", 400)
		ask("AuditEvent/", previous, 400)
		ask("Patient/a/", `{"name":"version","valueId":"3"}`, 409)
		if got := ask("Patient/a/", `{"name":"version","valueId":"2"}`, 200); got != "count=1" {
			t.Errorf("one version: %s", got)
		}
		c.Do("GET", "Patient/a/_history/2", "").Want(404)
		c.Do("GET", "Patient/a/_history/1", "").Want(200)
		c.Do("DELETE", "Patient/a", "").Want(204)
		if got := ask("Patient/", deleted+`,{"name":"limit","valueInteger":1}`, 200); got != "count=1" {
			t.Errorf("with a limit: %s", got)
		}
		if got := ask("Patient/", deleted, 200); got != "count=2" {
			t.Errorf("a deleted resource: %s", got)
		}
		c.Do("GET", "Patient/a", "").Want(404)
		c.Do("GET", "Patient/a/_history", "").Want(404)
		if got := ask("", previous, 200); got != "count=2" {
			t.Errorf("previous versions of all: %s", got)
		}
		if n := c.Do("GET", "Patient/b/_history", "").Want(200).JSON().Get("total").Text(); n != "1" {
			t.Errorf("%s versions are left", n)
		}
		c.Do("PUT", "Patient/a", `{"resourceType":"Patient","id":"a"}`).Want(201)
	})
}
