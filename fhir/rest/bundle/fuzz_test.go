package bundle_test

import (
	"fmt"
	"testing"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/rest"
	"galen/fhir/rest/bundle"
	"galen/policies"
	"galen/server/servertest"
)

var fuzzCaller = rest.Caller{
	Principal: policies.Principal{Subject: "fuzz", Roles: []string{"admin"}}, RequestID: "fuzz", Address: "local", Base: "http://galen.test/fhir",
}

// A client's mistake is never the server's: no Bundle, however wrong, ends in an
// internal error, and the answer to one that is performed has all its entries.
func FuzzPerform(f *testing.F) {
	s := servertest.Start(f, servertest.Options{})
	s.As("admin").Do("PUT", "Patient/one", person("one", "1")).Want(201)
	for _, kind := range []string{"batch", "transaction"} {
		f.Add([]byte(bundleOf(kind,
			entryOf("POST", "Patient", person("", "2"), "fullUrl", "urn:uuid:p", "ifNoneExist", "identifier=s|2"),
			entryOf("PUT", "Patient?identifier=s|1", person("", "1"), "ifMatch", `W/"1"`),
			entryOf("POST", "Observation", about("urn:uuid:p")), entryOf("POST", "Observation", about("Patient?identifier=s|1")),
			entryOf("DELETE", "Patient?identifier=s|9", ""), entryOf("GET", "Patient/one/_history?_count=1", ""), entryOf("HEAD", "?_type=Patient", ""))))
		f.Add([]byte(bundleOf(kind, entryOf("PATCH", "Patient/one", `{"resourceType":"Parameters"}`), entryOf("GET", "Patient?_has:x=%zz", ""))))
		f.Add([]byte(bundleOf(kind, entryOf("PUT", "Patient/one", `{"resourceType":"Patient","id":"one","text":{"div":"<div><a href='urn:uuid:p'/></div>"}}`, "fullUrl", "http://x/Patient/1"))))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		sent, err := fhir.Parse(body, jsontree.Limits{Depth: 100})
		n := 0
		if err == nil {
			n = sent.Root().Get("entry").Len()
		}
		if n > 50 {
			return
		}
		answer, err := bundle.Perform(t.Context(), s.REST, fuzzCaller, bundle.In{Body: body})
		if err != nil {
			if fhir.KindOf(err).Status() >= 500 {
				t.Fatal(err)
			}
			return
		}
		got, err := fhir.Parse(answer, jsontree.Limits{})
		if err != nil {
			t.Fatalf("%v: %s", err, answer)
		}
		if got.Root().Get("entry").Len() != n {
			t.Fatalf("%d entries, %d answers", n, got.Root().Get("entry").Len())
		}
		for e := range got.Root().Get("entry").Items() {
			if status := e.Get("response").Get("status").Text(); status >= "5" || len(status) < 3 {
				t.Fatalf("%s in %s", status, answer)
			}
		}
	})
}

// BenchmarkTransaction is a Patient and 99 Observations that refer to it.
func BenchmarkTransaction(b *testing.B) {
	s := servertest.Start(b, onSQLite(b))
	entries := []string{entryOf("POST", "Patient", person("", "1"), "fullUrl", "urn:uuid:p")}
	for i := range 99 {
		entries = append(entries, entryOf("POST", "Observation", about("urn:uuid:p"), "fullUrl", fmt.Sprint("urn:uuid:", i)))
	}
	body := []byte(bundleOf("transaction", entries...))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := bundle.Perform(b.Context(), s.REST, fuzzCaller, bundle.In{Body: body}); err != nil {
			b.Fatal(err)
		}
	}
}
