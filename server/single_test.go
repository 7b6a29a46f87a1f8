package server_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"galen/fhir/rest"
	"galen/server/auth"
	"galen/server/servertest"
)

const (
	patient   = `{"resourceType":"Patient","id":"p","active":true,"name":[{"family":"Doe"}]}`
	changed   = `{"resourceType":"Patient","id":"p","active":false,"name":[{"family":"Doe"}]}`
	jsonPatch = "application/json-patch+json"
)

// clock is a time that tests move on.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func admin(t testing.TB, change ...func(*rest.Config)) servertest.Client {
	t.Helper()
	return servertest.Start(t, servertest.Options{Rest: func(c *rest.Config) {
		for _, f := range change {
			f(c)
		}
	}}).As("admin")
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// fhir.md 1: create.
func TestCreate(t *testing.T) {
	c := admin(t)
	before := time.Now().Truncate(time.Second)
	made := c.Do("POST", "Patient", `{"resourceType":"Patient","id":"mine","meta":{"versionId":"7","lastUpdated":"2001-01-01T00:00:00Z","tag":[{"code":"kept"}]},"active":true}`).Want(201)
	root := made.JSON()
	id := root.Get("id").Text()
	if id == "mine" || id == "" {
		t.Errorf("id %q: the client's id is ignored", id)
	}
	same(t, "meta.versionId", root.Get("meta").Get("versionId").Text(), "1")
	same(t, "meta.tag", string(root.Get("meta").Get("tag").Raw()), `[{"code":"kept"}]`)
	if at, err := time.Parse(time.RFC3339, root.Get("meta").Get("lastUpdated").Text()); err != nil || at.Before(before) {
		t.Errorf("meta.lastUpdated %v, %v", at, err)
	}
	same(t, "ETag", made.Header.Get("ETag"), `W/"1"`)
	if at, err := http.ParseTime(made.Header.Get("Last-Modified")); err != nil || at.Before(before) {
		t.Errorf("Last-Modified %v, %v", at, err)
	}
	location := made.Header.Get("Location")
	if !strings.HasPrefix(location, "http://") || !strings.HasSuffix(location, "/fhir/Patient/"+id+"/_history/1") {
		t.Errorf("Location %q", location)
	}
	same(t, "what is at Location", c.Do("GET", location, "").Want(200).ID(), id)
}

// fhir.md 1: Location honours the proxy's headers.
func TestForwardedBase(t *testing.T) {
	c := admin(t)
	cases := []struct {
		name    string
		headers []string
		want    string
	}{
		{"X-Forwarded", []string{"X-Forwarded-Proto", "https", "X-Forwarded-Host", "ehr.example"}, "https://ehr.example/fhir/"},
		{"port", []string{"X-Forwarded-Proto", "https", "X-Forwarded-Host", "ehr.example", "X-Forwarded-Port", "8443"}, "https://ehr.example:8443/fhir/"},
		{"default port", []string{"X-Forwarded-Proto", "https", "X-Forwarded-Host", "ehr.example", "X-Forwarded-Port", "443"}, "https://ehr.example/fhir/"},
		{"prefix", []string{"X-Forwarded-Proto", "https", "X-Forwarded-Host", "ehr.example", "X-Forwarded-Prefix", "/galen/"}, "https://ehr.example/galen/fhir/"},
		{"list of proxies", []string{"X-Forwarded-Proto", "https, http", "X-Forwarded-Host", "ehr.example, inner"}, "https://ehr.example/fhir/"},
		{"Forwarded (RFC 7239)", []string{"Forwarded", `for=1.2.3.4;proto=https;host="ehr.example:444", for=10.0.0.1`}, "https://ehr.example:444/fhir/"},
		{"Forwarded comes first", []string{"Forwarded", "proto=https;host=a.example", "X-Forwarded-Host", "b.example"}, "https://a.example/fhir/"},
		{"not a host", []string{"X-Forwarded-Proto", "https", "X-Forwarded-Host", "a/b?c"}, ""},
		{"not a scheme", []string{"X-Forwarded-Proto", "gopher", "X-Forwarded-Host", "ehr.example"}, "http://ehr.example/fhir/"},
	}
	for _, k := range cases {
		t.Run(k.name, func(t *testing.T) {
			got := c.In(t).Do("POST", "Patient", patient, k.headers...).Want(201).Header.Get("Location")
			if !strings.HasPrefix(got, k.want) || strings.Contains(got, "a/b") {
				t.Errorf("Location %q, want %s…", got, k.want)
			}
		})
	}
}

// fhir.md 2: ETag and If-Match.
func TestIfMatch(t *testing.T) {
	cases := []struct {
		name, method, id, ifMatch string
		want                      int
	}{
		{"weak", "PUT", "p", `W/"1"`, 200},
		{"strong", "PUT", "p", `"1"`, 200},
		{"any", "PUT", "p", "*", 200},
		{"another version", "PUT", "p", `W/"2"`, 412},
		{"a tag that is no version", "PUT", "p", `W/"x"`, 412},
		{"malformed", "PUT", "p", "1", 400},
		{"malformed", "PUT", "p", `W/1`, 400},
		{"unknown id never creates", "PUT", "q", `W/"1"`, 412},
		{"unknown id never creates", "PUT", "q", "*", 412},
		{"delete", "DELETE", "p", `W/"1"`, 204},
		{"delete of another version", "DELETE", "p", `W/"3"`, 412},
		{"delete, malformed", "DELETE", "p", "x", 400},
		{"delete of what is not there", "DELETE", "q", `W/"1"`, 412},
		{"patch", "PATCH", "p", `W/"1"`, 200},
		{"patch of another version", "PATCH", "p", `W/"2"`, 412},
		{"patch, malformed", "PATCH", "p", "x", 400},
		{"patch of what is not there", "PATCH", "q", `W/"1"`, 404},
	}
	for _, k := range cases {
		t.Run(k.name+" "+k.method+" "+k.ifMatch, func(t *testing.T) {
			c := admin(t)
			c.Do("PUT", "Patient/p", patient).Want(201)
			body, kind := strings.Replace(changed, `"p"`, `"`+k.id+`"`, 1), "application/fhir+json"
			switch k.method {
			case "PATCH":
				body, kind = `[{"op":"replace","path":"/active","value":false}]`, jsonPatch
			case "DELETE":
				body = ""
			}
			got := c.Do(k.method, "Patient/"+k.id, body, "If-Match", k.ifMatch, "Content-Type", kind).Want(k.want)
			if k.want >= 400 {
				got.Issue()
				same(t, "version afterwards", c.Do("GET", "Patient/p", "").Want(200).Header.Get("ETag"), `W/"1"`)
			}
			if k.id == "q" {
				c.Do("GET", "Patient/q", "").Want(404)
			}
		})
	}
}

// RFC 9110, section 13.1.2: If-None-Match: * only creates.
func TestUpdateOnlyIfAbsent(t *testing.T) {
	c := admin(t)
	c.Do("PUT", "Patient/p", patient, "If-None-Match", "*").Want(201)
	c.Do("PUT", "Patient/p", changed, "If-None-Match", "*").Want(412).Issue()
	c.Do("DELETE", "Patient/p", "").Want(204)
	c.Do("PUT", "Patient/p", changed, "If-None-Match", "*").Want(201)
}

// fhir.md 3 and 12: bodies.
func TestUpdateBody(t *testing.T) {
	c := admin(t)
	c.Do("PUT", "Patient/p", strings.Replace(patient, `"id":"p",`, "", 1)).Want(400).Issue()
	c.Do("PUT", "Patient/other", patient).Want(400).Issue()
	c.Do("PUT", "Patient/p", `{"resourceType":"Group","id":"p","type":"person","actual":true}`).Want(400).Issue()
	c.Do("POST", "Patient", `{"resourceType":"Group","type":"person","actual":true}`).Want(400).Issue()
	c.Do("PUT", "Patient/a_b", strings.Replace(patient, `"p"`, `"a_b"`, 1)).Want(400).Issue()
	c.Do("GET", "Patient/p", "").Want(404)
	made := c.Do("PUT", "Patient/p", patient).Want(201)
	if !strings.HasSuffix(made.Header.Get("Location"), "/fhir/Patient/p/_history/1") {
		t.Errorf("Location %q", made.Header.Get("Location"))
	}
	same(t, "ETag of an update", c.Do("PUT", "Patient/p", changed).Want(200).Header.Get("ETag"), `W/"2"`)
}

// fhir.md 4: identical content makes no version; meta survives as sent.
func TestIdenticalUpdate(t *testing.T) {
	c := admin(t)
	tagged := `{"resourceType":"Patient","id":"p","meta":{"profile":["http://p"],"security":[{"code":"R"}],"tag":[{"code":"x"}]},"multipleBirthInteger":1}`
	made := c.Do("PUT", "Patient/p", tagged).Want(201)
	for name, body := range map[string]string{
		"as sent":            tagged,
		"as it was returned": string(made.Body),
		"members in another order, white space": `{ "meta":{"tag":[{"code":"x"}],"profile":["http://p"],"security":[{"code":"R"}]},
			"multipleBirthInteger":1,"id":"p","resourceType":"Patient"}`,
	} {
		got := c.Do("PUT", "Patient/p", body).Want(200)
		same(t, name+": ETag", got.Header.Get("ETag"), `W/"1"`)
		same(t, name+": body", string(got.Body), string(made.Body))
	}
	for _, member := range []string{`"profile":["http://p"]`, `"security":[{"code":"R"}]`, `"tag":[{"code":"x"}]`} {
		if !bytes.Contains(made.Body, []byte(member)) {
			t.Errorf("%s did not survive: %s", member, made.Body)
		}
	}
	same(t, "another tag is another version", c.Do("PUT", "Patient/p", strings.Replace(tagged, `"x"`, `"y"`, 1)).Want(200).Header.Get("ETag"), `W/"2"`)
	same(t, "versions", c.Do("GET", "Patient/p/_history", "").Want(200).JSON().Get("total").Text(), "2")
}

// fhir.md 5, 6, 7: delete, read after it, and back again.
func TestDeleteAndResurrect(t *testing.T) {
	c := admin(t)
	c.Do("DELETE", "Patient/p", "").Want(204)
	c.Do("GET", "Patient/p", "").Want(404).Issue()
	c.Do("PUT", "Patient/p", patient).Want(201)
	same(t, "ETag of the tombstone", c.Do("DELETE", "Patient/p", "").Want(204).Header.Get("ETag"), `W/"2"`)
	same(t, "ETag of a second delete", c.Do("DELETE", "Patient/p", "").Want(204).Header.Get("ETag"), `W/"2"`)
	gone := c.Do("GET", "Patient/p", "").Want(410)
	same(t, "issue of a deleted resource", gone.Issue().Get("code").Text(), "deleted")
	same(t, "ETag of a deleted resource", gone.Header.Get("ETag"), `W/"2"`)
	c.Do("HEAD", "Patient/p", "").Want(410)
	c.Do("GET", "Patient/p/_history/2", "").Want(410).Issue()
	c.Do("GET", "Patient/p/_history/1", "").Want(200)
	c.Do("GET", "Patient/p/_history/3", "").Want(404).Issue()
	c.Do("GET", "Patient/p/_history/x", "").Want(404).Issue()
	c.Do("PATCH", "Patient/p", `[]`, "Content-Type", jsonPatch).Want(410).Issue()
	back := c.Do("PUT", "Patient/p", patient).Want(201)
	same(t, "version after the tombstone", back.Header.Get("ETag"), `W/"3"`)
	history := c.Do("GET", "Patient/p/_history", "").Want(200).JSON()
	same(t, "versions", history.Get("total").Text(), "3")
	var methods []string
	for e := range history.Get("entry").Items() {
		methods = append(methods, e.Get("request").Get("method").Text())
		if e.Get("resource").Exists() == (methods[len(methods)-1] == "DELETE") {
			t.Errorf("a deletion has no resource, everything else has one: %s", e.Raw())
		}
	}
	same(t, "methods", methods, []string{"PUT", "DELETE", "PUT"})
	c.Do("DELETE", "Patient/p", "", "Prefer", "return=OperationOutcome").Want(200).Issue()
}

// fhir.md 6: unknown type, id of wrong syntax.
func TestReadOfWhatCannotBe(t *testing.T) {
	c := admin(t)
	for _, target := range []string{"Nothing/1", "patient/1", "Patient/a_b", "Resource/1", "DomainResource/1", "Patient/" + strings.Repeat("x", 65)} {
		c.Do("GET", target, "").Want(404).Issue()
	}
	c.Do("POST", "Nothing", `{"resourceType":"Nothing"}`).Want(404).Issue()
	c.Do("DELETE", "Nothing/1", "").Want(404).Issue()
}

// fhir.md 43: _summary and _elements on a read; the part cannot be stored.
func TestPartOfAResource(t *testing.T) {
	c := admin(t)
	c.Do("PUT", "Patient/p", patient).Want(201)
	for _, target := range []string{"Patient/p?_elements=active", "Patient/p/_history/1?_elements=active"} {
		part := c.Do("GET", target, "").Want(200)
		root := part.JSON()
		if root.Get("name").Exists() || !root.Get("active").Exists() || !strings.Contains(string(part.Body), `"SUBSETTED"`) {
			t.Errorf("%s: %s", target, part.Body)
		}
		same(t, "ETag", part.Header.Get("ETag"), `W/"1"`)
		c.Do("PUT", "Patient/p", string(part.Body)).Want(422).Issue()
		c.Do("POST", "Patient", string(part.Body)).Want(422).Issue()
	}
	c.Do("GET", "Patient/p?_summary=true", "").Want(200)
	c.Do("GET", "Patient/p?_summary=some", "").Want(400).Issue()
	same(t, "the stored one is whole", c.Do("GET", "Patient/p", "").Want(200).JSON().Get("name").Exists(), true)
}

// fhir.md 8: conditional read, HEAD.
func TestConditionalRead(t *testing.T) {
	clock := &clock{now: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)}
	c := servertest.Start(t, servertest.Options{Now: clock.Now}).As("admin")
	c.Do("PUT", "Patient/p", patient).Want(201)
	clock.advance(time.Minute)
	c.Do("PUT", "Patient/p", changed).Want(200)
	cases := []struct {
		name, header, value string
		want                int
	}{
		{"current ETag", "If-None-Match", `W/"2"`, 304},
		{"strong ETag", "If-None-Match", `"2"`, 304},
		{"one of several", "If-None-Match", `W/"1", W/"2"`, 304},
		{"any", "If-None-Match", "*", 304},
		{"old ETag", "If-None-Match", `W/"1"`, 200},
		{"same second", "If-Modified-Since", "Mon, 04 May 2026 03:03:01 GMT", 304},
		{"later", "If-Modified-Since", "Mon, 04 May 2026 04:00:00 GMT", 304},
		{"before", "If-Modified-Since", "Mon, 04 May 2026 03:03:00 GMT", 200},
		{"no date", "If-Modified-Since", "x", 200},
	}
	for _, k := range cases {
		for _, method := range []string{"GET", "HEAD"} {
			for _, target := range []string{"Patient/p", "Patient/p/_history/2"} {
				t.Run(k.name+" "+method+" "+target, func(t *testing.T) {
					got := c.In(t).Do(method, target, "", k.header, k.value).Want(k.want)
					if (len(got.Body) > 0) != (k.want == 200 && method == "GET") {
						t.Errorf("%d bytes of body", len(got.Body))
					}
					same(t, "ETag", got.Header.Get("ETag"), `W/"2"`)
					same(t, "Last-Modified", got.Header.Get("Last-Modified"), "Mon, 04 May 2026 03:03:01 GMT")
				})
			}
		}
	}
}

// https://hl7.org/fhir/R4/http.html#head: HEAD is GET without the body.
func TestHeadEverywhere(t *testing.T) {
	c := admin(t)
	c.Do("PUT", "Patient/p", patient).Want(201)
	for _, target := range []string{
		"/healthz", "/readyz", "/metrics", "/fhir/metadata", "/fhir", "/fhir/", "Patient", "Patient?name=doe", "Patient/p", "Patient/p/_history",
		"Patient/p/_history/1", "Patient/_history", "_history", "Patient/nothing", "Nothing/1", "Patient?active:wrong=true", "/cds-services",
	} {
		t.Run(target, func(t *testing.T) {
			c := c.In(t)
			get, head := c.Do("GET", target, ""), c.Do("HEAD", target, "")
			same(t, "status", head.Status, get.Status)
			same(t, "body", len(head.Body), 0)
			for _, h := range []string{"Content-Type", "ETag", "Content-Length"} {
				if target == "/metrics" && h == "Content-Length" || h == "Content-Length" && target == "/fhir/metadata" {
					continue
				}
				same(t, h, head.Header.Get(h), get.Header.Get(h))
			}
		})
	}
}

// fhir.md 11: Prefer.
func TestPrefer(t *testing.T) {
	c := admin(t)
	n := 0
	for _, method := range []string{"POST", "PUT", "PATCH"} {
		for prefer, want := range map[string]string{
			"return=minimal": "", "return=representation": "Patient", "return=OperationOutcome": "OperationOutcome", "": "Patient",
			"handling=strict; return=minimal": "", `respond-async, return="minimal"`: "", "return=other": "Patient",
		} {
			t.Run(method+" "+prefer, func(t *testing.T) {
				n++
				c := c.In(t)
				target, body, kind := "Patient", patient, "application/fhir+json"
				switch method {
				case "PUT":
					target, body = "Patient/p", strings.Replace(patient, "Doe", fmt.Sprint("Doe", n), 1)
				case "PATCH":
					c.Do("PUT", "Patient/p", patient)
					target, body, kind = "Patient/p", fmt.Sprintf(`[{"op":"replace","path":"/name/0/family","value":"Roe%d"}]`, n), jsonPatch
				}
				got := c.Do(method, target, body, "Prefer", prefer, "Content-Type", kind)
				if got.Status != 200 && got.Status != 201 {
					t.Fatalf("status %d: %s", got.Status, got.Body)
				}
				same(t, "body", got.JSON().Get("resourceType").Text(), want)
				if want == "OperationOutcome" {
					same(t, "severity", got.Issue().Get("severity").Text(), "information")
				}
				if got.Header.Get("ETag") == "" || got.Header.Get("Location") == "" {
					t.Errorf("headers %v", got.Header)
				}
			})
		}
	}
}

// fhir.md 12, 13: every error is an OperationOutcome in a FHIR type.
func TestErrorsAreOperationOutcomes(t *testing.T) {
	s := servertest.Start(t, servertest.Options{MaxBody: 1 << 16})
	c := s.As("admin")
	big := `{"resourceType":"Patient","name":[{"text":"` + strings.Repeat("x", 1<<16) + `"}]}`
	cases := []struct {
		name, method, target, body string
		headers                    []string
		status                     int
		code                       string
	}{
		{"no such URL", "GET", "/nothing", "", nil, 404, "not-found"},
		{"no such FHIR URL", "GET", "/fhir/Patient/1/nothing/at/all", "", nil, 404, "not-found"},
		{"method", "DELETE", "/fhir/metadata", "", nil, 405, "not-supported"},
		{"method nobody has", "BREW", "Patient/1", "", nil, 405, "not-supported"},
		{"malformed JSON", "POST", "Patient", `{"resourceType":`, nil, 400, "structure"},
		{"duplicate key", "POST", "Patient", `{"resourceType":"Patient","active":true,"active":false}`, nil, 400, "structure"},
		{"no body", "POST", "Patient", "", []string{"Content-Type", "application/fhir+json"}, 400, "structure"},
		{"no resource", "POST", "Patient", `[]`, nil, 400, "structure"},
		{"unknown element", "POST", "Patient", `{"resourceType":"Patient","colour":"red"}`, nil, 400, ""},
		{"bad date", "POST", "Patient", `{"resourceType":"Patient","birthDate":"2020-02-30"}`, nil, 400, "value"},
		{"too big", "POST", "Patient", big, nil, 413, "too-long"},
		{"media type", "POST", "Patient", "x", []string{"Content-Type", "text/plain"}, 415, "not-supported"},
		{"no media type", "POST", "Patient", patient, []string{"Content-Type", ""}, 415, "not-supported"},
		{"FHIR version of the body", "POST", "Patient", patient, []string{"Content-Type", "application/fhir+json; fhirVersion=5.0"}, 415, "not-supported"},
		{"encoding of the body", "POST", "Patient", patient, []string{"Content-Encoding", "br"}, 415, "not-supported"},
		{"not gzip", "POST", "Patient", patient, []string{"Content-Encoding", "gzip"}, 400, "structure"},
		{"patch media type", "PATCH", "Patient/p", `[]`, []string{"Content-Type", "application/merge-patch+json"}, 415, "not-supported"},
		{"no Accept that is served", "GET", "Patient/p", "", []string{"Accept", "image/png"}, 406, "not-supported"},
		{"FHIR version of the answer", "GET", "Patient/p", "", []string{"Accept", "application/fhir+json; fhirVersion=5.0"}, 406, "not-supported"},
		{"no token", "GET", "Patient/p", "", []string{"Authorization", ""}, 401, "login"},
		{"bad token", "GET", "Patient/p", "", []string{"Authorization", "Bearer x"}, 401, "login"},
		{"bad search", "GET", "Patient?birthdate=x", "", nil, 400, ""},
	}
	for _, k := range cases {
		t.Run(k.name, func(t *testing.T) {
			got := c.In(t).Do(k.method, k.target, k.body, k.headers...).Want(k.status)
			issue := got.Issue()
			if code := issue.Get("code").Text(); k.code != "" && code != k.code {
				t.Errorf("code %q, want %q: %s", code, k.code, got.Body)
			}
			same(t, "severity", issue.Get("severity").Text(), "error")
			if kind := got.Header.Get("Content-Type"); !strings.HasPrefix(kind, "application/fhir+json") {
				t.Errorf("Content-Type %q", kind)
			}
			if got.Header.Get("X-Request-Id") == "" {
				t.Error("no X-Request-Id")
			}
			if k.status == 405 && got.Header.Get("Allow") == "" {
				t.Error("a 405 names what is allowed (RFC 9110, section 15.5.6)")
			}
			if k.status == 415 && k.method == "PATCH" && !strings.Contains(got.Header.Get("Accept-Patch"), jsonPatch) {
				t.Errorf("Accept-Patch %q (RFC 5789, section 3.1)", got.Header.Get("Accept-Patch"))
			}
		})
	}
}

// RFC 9110, section 15.5.6.
func TestAllow(t *testing.T) {
	c := admin(t)
	for target, want := range map[string]string{
		"Patient/1": "DELETE, GET, HEAD, PATCH, PUT", "Patient": "DELETE, GET, HEAD, PATCH, POST, PUT",
		"/fhir/metadata": "GET, HEAD", "Patient/1/_history": "GET, HEAD", "/fhir": "GET, HEAD, POST",
	} {
		same(t, target, c.Do("TRACE", target, "").Want(405).Header.Get("Allow"), want)
	}
	same(t, "DELETE of metadata", c.Do("DELETE", "metadata", "").Want(405).Header.Get("Allow"), "GET, HEAD")
}

// fhir.md 14: X-Request-Id, gzip both ways.
func TestRequestID(t *testing.T) {
	c := admin(t)
	for id, echoed := range map[string]bool{"abc-123": true, "a_b:c/d=": true, "{0190}": true, `a"b`: false, strings.Repeat("x", 129): false, "": false} {
		got := c.Do("GET", "Patient/x", "", "X-Request-Id", id).Header.Get("X-Request-Id")
		if (got == id) != echoed || got == "" {
			t.Errorf("sent %q, got %q", id, got)
		}
	}
}

// fhir.md 14: a compressed body is read, and an answer compressed on request.
func TestGzipBothWays(t *testing.T) {
	c := admin(t)
	body := `{"resourceType":"Patient","id":"z","name":[{"text":"` + strings.Repeat("x", 5000) + `"}]}`
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := io.WriteString(w, body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	c.Do("PUT", "Patient/z", packed.String(), "Content-Encoding", "gzip").Want(201)
	plain := c.Do("GET", "Patient/z", "").Want(200)
	if plain.Header.Get("Content-Encoding") != "" || !bytes.Contains(plain.Body, []byte(`"name":[{"text":"xxx`)) {
		t.Errorf("an answer that was not to be compressed: %v %.100s", plain.Header, plain.Body)
	}
	zipped := c.Do("GET", "Patient/z", "", "Accept-Encoding", "br, gzip").Want(200)
	same(t, "Content-Encoding", zipped.Header.Get("Content-Encoding"), "gzip")
	r, err := gzip.NewReader(bytes.NewReader(zipped.Body))
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "unpacked", string(unpacked), string(plain.Body))
	same(t, "refused gzip", c.Do("GET", "Patient/z", "", "Accept-Encoding", "gzip;q=0").Want(200).Header.Get("Content-Encoding"), "")
}

// A slash at the end makes no difference.
func TestTrailingSlash(t *testing.T) {
	c := admin(t)
	c.Do("POST", "Patient/", patient).Want(201)
	c.Do("GET", "Patient/?name=doe", "").Want(200)
	c.Do("GET", "/fhir/", "").Want(200)
	c.Do("POST", "/fhir/", `{"resourceType":"Bundle","type":"batch"}`).Want(200)
}

// What a policy hides looks as if it had never been, in every interaction.
func TestHiddenLooksAbsent(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	a := s.As("admin")
	a.Do("PUT", "Patient/mine", `{"resourceType":"Patient","id":"mine","identifier":[{"value":"1"}]}`).Want(201)
	a.Do("PUT", "Patient/other", `{"resourceType":"Patient","id":"other","identifier":[{"value":"2"}]}`).Want(201)
	a.Do("PUT", "Patient/gone", `{"resourceType":"Patient","id":"gone"}`).Want(201)
	a.Do("DELETE", "Patient/gone", "").Want(204)
	p := s.As("admin", func(c *auth.Claims) { c.Scope, c.Patient = "patient/*.cruds", "mine" })
	p.Do("GET", "Patient/mine", "").Want(200)
	for _, id := range []string{"other", "gone", "never"} {
		p.Do("GET", "Patient/"+id, "").Want(404)
		p.Do("GET", "Patient/"+id+"/_history/1", "").Want(404)
		p.Do("GET", "Patient/"+id+"/_history", "").Want(404)
		p.Do("PATCH", "Patient/"+id, `[]`, "Content-Type", jsonPatch).Want(404)
		p.Do("DELETE", "Patient/"+id, "").Want(204)
		p.Do("DELETE", "Patient/"+id, "", "If-Match", `W/"1"`).Want(412)
	}
	a.Do("GET", "Patient/other", "").Want(200)
	p.Do("DELETE", "Patient?identifier=2", "").Want(204)
	a.Do("GET", "Patient/other", "").Want(200)
	p.Do("PATCH", "Patient?identifier=2", `[]`, "Content-Type", jsonPatch).Want(404)
	entries := p.Do("GET", "Patient/_history", "").Want(200).JSON()
	same(t, "versions in the type's history", entries.Get("entry").Len(), 1)
	same(t, "total", entries.Get("total").Text(), "1")
	p.Do("PUT", "Patient/other", `{"resourceType":"Patient","id":"other"}`).Want(404)
}
