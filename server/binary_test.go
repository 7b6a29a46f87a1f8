package server_test

import (
	"bytes"
	"strings"
	"testing"

	"galen/server/auth"
	"galen/server/servertest"
)

const pixel = "\x89PNG\r\n\x1a\n\x00\xff binary"

// fhir.md 55: raw in, raw out, base64 as a resource.
func TestBinary(t *testing.T) {
	c := admin(t)
	made := c.Do("POST", "Binary", pixel, "Content-Type", "image/png").Want(201)
	same(t, "the resource", made.JSON().Get("contentType").Text(), "image/png")
	location := made.Header.Get("Location")
	id := "Binary/" + made.ID()
	for _, accept := range []string{"", "*/*", "image/png", "image/*, */*;q=0.1", "text/html,application/xhtml+xml,*/*;q=0.8"} {
		for _, target := range []string{id, location} {
			got := c.Do("GET", target, "", "Accept", accept).Want(200)
			same(t, accept+" content", string(got.Body), pixel)
			same(t, accept+" type", got.Header.Get("Content-Type"), "image/png")
			same(t, "ETag", got.Header.Get("ETag"), `W/"1"`)
			same(t, "a browser does not guess", got.Header.Get("X-Content-Type-Options"), "nosniff")
			if !strings.Contains(got.Header.Get("Content-Security-Policy"), "sandbox") {
				t.Error("content of clients must not run as a page of this server")
			}
		}
	}
	for _, target := range []string{id + "?_format=json", id} {
		got := c.Do("GET", target, "", "Accept", "application/fhir+json").Want(200)
		same(t, "data", got.JSON().Get("data").Text(), "iVBORw0KGgoA/yBiaW5hcnk=")
	}
	if got := c.Do("GET", id, "", "Accept", "application/fhir+xml").Want(200); !bytes.Contains(got.Body, []byte(`<Binary xmlns="http://hl7.org/fhir">`)) {
		t.Errorf("%s", got.Body)
	}
	head := c.Do("HEAD", id, "").Want(200)
	same(t, "HEAD", head.Header.Get("Content-Type"), "image/png")
	c.Do("GET", id, "", "If-None-Match", `W/"1"`).Want(304)
	c.Do("PUT", id, pixel, "Content-Type", "image/png").Want(200)
	same(t, "the same content makes no version", c.Do("GET", id, "").Want(200).Header.Get("ETag"), `W/"1"`)
	same(t, "new content", c.Do("PUT", id, "text", "Content-Type", "text/plain; charset=utf-8").Want(200).Header.Get("ETag"), `W/"2"`)
	same(t, "type with parameters", c.Do("GET", id, "").Want(200).Header.Get("Content-Type"), "text/plain; charset=utf-8")
	c.Do("PUT", "Binary/named", "x", "Content-Type", "text/plain").Want(201)
	c.Do("DELETE", id, "").Want(204)
	c.Do("GET", id, "").Want(410).Issue()
	c.Do("GET", "Binary/none", "", "Accept", "image/png").Want(404).Issue()
	c.Do("POST", "Binary", "x", "Content-Type", "").Want(415).Issue()
	c.Do("POST", "Binary", "x", "Content-Type", "nonsense").Want(415).Issue()
}

// A Binary in a FHIR format is the resource; JSON and XML that are no Binary are
// content.
func TestBinaryAsResource(t *testing.T) {
	c := admin(t)
	resource := `{"resourceType":"Binary","contentType":"text/plain","data":"aGk="}`
	for _, kind := range []string{"application/fhir+json", "application/json"} {
		made := c.Do("POST", "Binary", resource, "Content-Type", kind).Want(201)
		same(t, kind, string(c.Do("GET", "Binary/"+made.ID(), "").Want(200).Body), "hi")
	}
	made := c.Do("POST", "Binary", `{"a":1.00}`, "Content-Type", "application/json").Want(201)
	same(t, "JSON that is no Binary", string(c.Do("GET", "Binary/"+made.ID(), "").Want(200).Body), `{"a":1.00}`)
	made = c.Do("POST", "Binary", `<a/>`, "Content-Type", "text/xml").Want(201)
	same(t, "XML that is no Binary", string(c.Do("GET", "Binary/"+made.ID(), "").Want(200).Body), `<a/>`)
	c.Do("POST", "Binary", `{"a":1}`, "Content-Type", "application/fhir+json").Want(400).Issue()
	made = c.Do("POST", "Binary", `<Binary xmlns="http://hl7.org/fhir"><contentType value="text/plain"/><data value="aGk="/></Binary>`, "Content-Type", "application/fhir+xml").Want(201)
	same(t, "FHIR XML", string(c.Do("GET", "Binary/"+made.ID(), "").Want(200).Body), "hi")
}

// Binary.securityContext: who may not read that resource may not read the Binary.
func TestBinarySecurityContext(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	a := s.As("admin")
	a.Do("PUT", "Patient/one", `{"resourceType":"Patient","id":"one"}`).Want(201)
	a.Do("PUT", "Patient/two", `{"resourceType":"Patient","id":"two"}`).Want(201)
	made := a.Do("POST", "Binary", "secret", "Content-Type", "text/plain", "X-Security-Context", "Patient/one").Want(201)
	id := "Binary/" + made.ID()
	same(t, "X-Security-Context", a.Do("GET", id, "").Want(200).Header.Get("X-Security-Context"), "Patient/one")
	for patient, want := range map[string]int{"one": 200, "two": 404} {
		p := s.As("admin", func(c *auth.Claims) { c.Scope, c.Patient = "user/Binary.cruds patient/Patient.rs", patient })
		p.Do("GET", id, "").Want(want)
		p.Do("GET", id+"/_history/1", "").Want(want)
		p.Do("GET", id+"/_history", "").Want(want)
		found := p.Do("GET", "Binary", "").Want(200).JSON()
		same(t, "found by "+patient, found.Get("entry").Len(), map[int]int{200: 1}[want])
	}
	p := s.As("admin", func(c *auth.Claims) { c.Scope, c.Patient = "user/Binary.cruds patient/Patient.rs", "two" })
	p.Do("PUT", id, "mine", "Content-Type", "text/plain").Want(404)
	p.Do("DELETE", id, "").Want(204)
	same(t, "content", string(a.Do("GET", id, "").Want(200).Body), "secret")
}
