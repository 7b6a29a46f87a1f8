package bundle_test

import (
	"fmt"
	"sync"
	"testing"

	"galen/fhir/rest"
	"galen/fhir/rest/integrity"
	"galen/server/servertest"
)

// Referential integrity, when it is on, for single writes and in Bundles
// (https://hl7.org/fhir/R4/valueset-reference-handling-policy.html, "enforced").
func TestIntegrity(t *testing.T) {
	o := onSQLite(t)
	o.Rest = func(c *rest.Config) { c.Integrity = integrity.New(c.Defs, c.Store) }
	s := servertest.Start(t, o)
	admin := s.As("admin")
	admin.Do("PUT", "Patient/one", person("one", "1")).Want(201)

	refused := admin.Do("POST", "Observation", about("Patient/none")).Want(422)
	if at := refused.Issue().Get("expression").Item(0).Text(); at != "Observation.subject.reference" {
		t.Errorf("at %s", at)
	}
	admin.Do("POST", "Observation", about(s.URL+"/fhir/Patient/none")).Want(422)
	for _, fine := range []string{"http://other.example/fhir/Patient/none", "urn:uuid:x", "#x", s.URL + "/fhir/Patient/one", "Patient/one/_history/1"} {
		if fine != "#x" {
			admin.Do("POST", "Observation", about(fine)).Want(201)
		}
	}
	admin.Do("PUT", "Observation/o", `{"id":"o",`+about("Patient/one")[1:]).Want(201)
	admin.Do("DELETE", "Patient/one", "").Want(409)
	admin.Do("PUT", "Patient/lonely", person("lonely", "2")).Want(201)
	admin.Do("DELETE", "Patient/lonely", "").Want(204)
	admin.Do("POST", "Observation", about("Patient/lonely")).Want(422)

	got := statuses(admin.Do("POST", "", bundleOf("batch",
		entryOf("POST", "Observation", about("Patient/none")), entryOf("DELETE", "Patient/one", ""), entryOf("POST", "Observation", about("Patient/one")))).Want(200).JSON())
	if got != "422 409 201" {
		t.Error(got)
	}
	// What a transaction writes is there; what it deletes is not.
	admin.Do("POST", "", bundleOf("transaction",
		entryOf("PUT", "Patient/two", person("two", "2")), entryOf("PUT", "Observation/p", `{"id":"p",`+about("Patient/two")[1:]))).Want(200)
	answer := admin.Do("POST", "", bundleOf("transaction",
		entryOf("DELETE", "Patient/two", ""), entryOf("PUT", "Observation/p", `{"id":"p",`+about("Patient/two")[1:]))).Want(422)
	if at := answer.Issue().Get("expression").Item(0).Text(); at != "Bundle.entry[1].resource.subject.reference" {
		t.Errorf("at %s", at)
	}
	answer = admin.Do("POST", "", bundleOf("transaction", entryOf("GET", "metadata", ""), entryOf("DELETE", "Patient/two", ""))).Want(409)
	if at := answer.Issue().Get("expression").Item(0).Text(); at != "Bundle.entry[1]" {
		t.Errorf("at %s", at)
	}
	// The referrer goes with it, or refers to another.
	admin.Do("POST", "", bundleOf("transaction",
		entryOf("DELETE", "Patient/two", ""), entryOf("PUT", "Observation/p", `{"id":"p",`+about("Patient/one")[1:]))).Want(200)
	admin.Do("POST", "", bundleOf("transaction",
		entryOf("DELETE", "Patient/one", ""), entryOf("DELETE", "Observation?patient=one", ""))).Want(412)
}

// Of a delete and a write that refers to what it deletes, one is refused.
func TestIntegrityOfRacingWriters(t *testing.T) {
	o := onSQLite(t)
	o.Rest = func(c *rest.Config) { c.Integrity = integrity.New(c.Defs, c.Store) }
	s := servertest.Start(t, o)
	admin := s.As("admin")
	var racing sync.WaitGroup
	for i := range 40 {
		id := fmt.Sprintf("p%d", i)
		admin.Do("PUT", "Patient/"+id, person(id, "1")).Want(201)
		racing.Go(func() { admin.Do("DELETE", "Patient/"+id, "") })
		racing.Go(func() { admin.Do("POST", "Observation", about("Patient/"+id)) })
	}
	racing.Wait()
	for i := range 40 {
		id := fmt.Sprintf("p%d", i)
		gone := admin.Do("GET", "Patient/"+id, "").Status == 410
		total := admin.Do("GET", "Observation?patient="+id+"&_summary=count", "").JSON().Get("total").Text()
		if gone == (total == "1") {
			t.Errorf("%s: gone %t, %s refer to it", id, gone, total)
		}
	}
}
