package server_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"galen/fhir/jsontree"
	"galen/server/servertest"
)

// FuzzHTTP: whatever a client sends, the answer is never a 5xx, an error is
// always an OperationOutcome with an issue in JSON or XML, and nothing panics
// (fhir.md 12, 13).
func FuzzHTTP(f *testing.F) {
	const search = "application/x-www-form-urlencoded"
	for _, seed := range [][6]string{
		{"GET", "Patient/p", "", "", "", ""},
		{"GET", "Patient/p", "If-None-Match", `W/"1"`, "", ""},
		{"GET", "Patient?name=doe&_count=1&_sort=-birthdate,_id", "", "", "", ""},
		{"GET", "Patient?_has:Observation:subject:code=a|b&_revinclude=Observation:subject", "Prefer", "handling=strict", "", ""},
		{"GET", "Patient/p/_history?_at=2026&_count=0", "", "", "", ""},
		{"GET", "_history?_page=abc", "Accept", "application/fhir+xml", "", ""},
		{"GET", "Patient/p/$everything?_since=2020", "", "", "", ""},
		{"GET", "metadata", "Accept", "application/fhir+json; fhirVersion=5.0", "", ""},
		{"HEAD", "Patient/%zz", "", "", "", ""},
		{"TRACE", "metadata", "X-Forwarded-Host", "a b", "", ""},
		{"PUT", "Patient/p", "If-Match", `W/"1"`, "application/fhir+json", patient},
		{"PUT", "Patient?identifier=1", "", "", "application/fhir+json", identified("", "1", "A")},
		{"POST", "Patient", "If-None-Exist", "identifier=1", "application/fhir+json", identified("", "1", "A")},
		{"POST", "Patient", "", "", "application/fhir+xml", `<Patient xmlns="http://hl7.org/fhir"><active value="true"/></Patient>`},
		{"PATCH", "Patient/p", "", "", jsonPatch, `[{"op":"copy","from":"/name","path":"/name/-"}]`},
		{"PATCH", "Patient?identifier=1", "", "", "application/fhir+json", `{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"delete"},{"name":"path","valueString":"Patient.name"}]}]}`},
		{"DELETE", "Patient?identifier=1", "", "", "", ""},
		{"DELETE", "Patient/p", "If-Match", "x", "", ""},
		{"POST", "", "", "", "application/fhir+json", `{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0","resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"}},{"request":{"method":"GET","url":"Patient?name=a"}}]}`},
		{"POST", "Patient/_search?name=a", "", "", search, "birthdate=ge2000&_summary=count"},
		{"POST", "Binary", "X-Security-Context", "Patient/p", "image/png", "\x00\xff"},
		{"GET", "Binary/b", "Accept", "image/*", "", ""},
		{"POST", "Patient", "Content-Encoding", "gzip", "application/fhir+json", "x"},
		{"GET", "/nothing//at/../all", "", "", "", ""},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], seed[4], seed[5])
	}
	s := servertest.Start(f, servertest.Options{MaxBody: 1 << 16})
	admin := s.As("admin")
	admin.Do("PUT", "Patient/p", patient).Want(201)
	admin.Do("PUT", "Binary/b", pixel, "Content-Type", "image/png").Want(201)
	f.Fuzz(func(t *testing.T, method, target, header, value, contentType, body string) {
		r, ok := fuzzed(method, target, header, value, contentType, body)
		if !ok {
			return
		}
		r.Header.Set("Authorization", "Bearer "+admin.Token)
		w := httptest.NewRecorder()
		s.Handler.ServeHTTP(w, r)
		answer := w.Result()
		switch {
		case answer.StatusCode >= http.StatusInternalServerError:
			t.Fatalf("%s %q: status %d: %s\n%s", method, target, answer.StatusCode, w.Body, s.Logs)
		case answer.StatusCode < http.StatusBadRequest || method == http.MethodHead || answer.Header.Get("Content-Encoding") != "":
			return
		case strings.Contains(answer.Header.Get("Content-Type"), "xml"):
			if !strings.Contains(w.Body.String(), "<OperationOutcome") {
				t.Fatalf("%s %q: status %d without an OperationOutcome: %s", method, target, answer.StatusCode, w.Body)
			}
			return
		}
		doc, err := jsontree.Parse(w.Body.Bytes(), jsontree.Limits{})
		if err != nil || doc.Root().Get("resourceType").Text() != "OperationOutcome" || doc.Root().Get("issue").Item(0).Get("severity").Text() == "" {
			t.Fatalf("%s %q: status %d without an OperationOutcome: %s", method, target, answer.StatusCode, w.Body)
		}
	})
}

// fuzzed makes a request that net/http would let through to a handler; its
// target lies below the FHIR base unless it begins with a slash.
func fuzzed(method, target, header, value, contentType, body string) (*http.Request, bool) {
	if !strings.HasPrefix(target, "/") {
		target = "/fhir/" + target
	}
	u, err := url.ParseRequestURI(target)
	if err != nil || u.Host != "" || strings.HasPrefix(u.Path, "/metrics") || strings.HasPrefix(u.Path, "/console") {
		return nil, false
	}
	r, err := http.NewRequest(method, "http://host"+u.RequestURI(), strings.NewReader(body))
	if err != nil {
		return nil, false
	}
	for name, v := range map[string]string{header: value, "Content-Type": contentType} {
		if name == "" || v == "" || strings.ContainsAny(name+v, "\r\n\x00") {
			continue
		}
		r.Header.Set(name, v)
	}
	r.RemoteAddr = "127.0.0.1:1"
	return r, true
}
