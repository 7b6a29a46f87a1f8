package server_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/url"
	"strings"
	"testing"

	"galen/fhir/jsontree"
	"galen/fhir/spec"
	"galen/fhir/xml"
	"galen/server/servertest"
)

const (
	jsonType = "application/fhir+json; charset=utf-8"
	xmlType  = "application/fhir+xml; charset=utf-8"
)

// What Accept and _format ask for (https://hl7.org/fhir/R4/http.html#mime-type).
func TestNegotiation(t *testing.T) {
	tests := []struct {
		name, format, accept string
		want                 string // Content-Type; "" for 406
	}{
		{"nothing asked", "", "", jsonType},
		{"any", "", "*/*", jsonType},
		{"any application", "", "application/*", jsonType},
		{"fhir+json", "", "application/fhir+json", jsonType},
		{"fhir+xml", "", "application/fhir+xml", xmlType},
		{"json", "", "application/json", jsonType},
		{"xml", "", "application/xml", xmlType},
		{"text/xml", "", "text/xml", xmlType},
		{"text/json", "", "text/json", jsonType},
		{"DSTU2 JSON, as the CDS Hooks Sandbox sends", "", "application/json+fhir", jsonType},
		{"DSTU2 XML", "", "application/xml+fhir", xmlType},
		{"upper case", "", "Application/FHIR+XML", xmlType},
		{"charset", "", "application/fhir+xml; charset=UTF-8", xmlType},
		{"fhirVersion 4.0", "", "application/fhir+xml; fhirVersion=4.0", xmlType},
		{"fhirVersion 5.0", "", "application/fhir+json; fhirVersion=5.0", ""},
		{"another version and then ours", "", "application/fhir+json; fhirVersion=5.0, application/fhir+xml; fhirVersion=4.0", xmlType},
		{"the higher q", "", "application/fhir+json;q=0.5, application/fhir+xml;q=0.9", xmlType},
		{"the higher q, first", "", "application/fhir+json;q=0.9, application/fhir+xml;q=0.5", jsonType},
		{"the first of two alike", "", "application/fhir+xml, application/fhir+json", xmlType},
		{"a name before a wildcard", "", "*/*, application/fhir+xml", xmlType},
		{"q=0 takes out", "", "application/fhir+json;q=0, */*", xmlType},
		{"q=0 for all", "", "*/*;q=0", ""},
		{"a browser", "", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", xmlType},
		{"a browser's script", "", "application/json, text/plain, */*", jsonType},
		{"nothing served", "", "text/turtle", ""},
		{"an image", "", "image/png", ""},
		{"not a media type", "", "xyz", ""},
		{"_format before Accept", "xml", "application/fhir+json", xmlType},
		{"_format before an Accept that is not served", "json", "text/turtle", jsonType},
		{"_format json", "json", "", jsonType},
		{"_format text/xml", "text/xml", "", xmlType},
		{"_format application/json", "application/json", "", jsonType},
		{"_format with its + escaped", "application/fhir%2Bxml", "", xmlType},
		{"_format with its + become a space", "application/fhir+xml", "", xmlType},
		{"_format with charset", "application/fhir%2Bxml%3B+charset%3Dutf-8", "", xmlType},
		{"_format with a bare semicolon", "application/fhir%2Bxml;fhirVersion=4.0", "", xmlType},
		{"_format with fhirVersion 5.0", "application/fhir%2Bxml%3BfhirVersion%3D5.0", "", ""},
		{"_format not served", "ttl", "", ""},
	}
	s := servertest.Start(t, servertest.Options{})
	admin := s.As("admin")
	admin.Do("PUT", "Patient/1", `{"resourceType":"Patient","id":"1","active":true}`).Want(201)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			target := "Patient/1"
			if tt.format != "" {
				target += "?_format=" + tt.format
			}
			got := admin.Do("GET", target, "", "Accept", tt.accept)
			if tt.want == "" {
				got.Want(406)
				if code := got.Issue().Get("code").Text(); code != "not-supported" {
					t.Errorf("issue code %q", code)
				}
				return
			}
			got.Want(200)
			if kind := got.Header.Get("Content-Type"); kind != tt.want {
				t.Errorf("Content-Type %q, want %q", kind, tt.want)
			}
			if isXML := strings.Contains(string(got.Body), `<Patient xmlns="http://hl7.org/fhir">`); isXML != (tt.want == xmlType) {
				t.Errorf("the body is not what the Content-Type says: %s", got.Body)
			}
			if head := admin.Do("HEAD", target, "", "Accept", tt.accept).Want(200); head.Header.Get("Content-Type") != tt.want || head.Header.Get("Content-Length") != got.Header.Get("Content-Length") {
				t.Error("HEAD differs from GET")
			}
		})
	}
}

// What a body may come as.
func TestContentType(t *testing.T) {
	const (
		asJSON = `{"resourceType":"Patient","active":true}`
		asXML  = `<Patient xmlns="http://hl7.org/fhir"><active value="true"/></Patient>`
	)
	tests := []struct {
		name, kind, body string
		status           int
	}{
		{"fhir+json", "application/fhir+json", asJSON, 201},
		{"json", "application/json", asJSON, 201},
		{"text/json", "text/json", asJSON, 201},
		{"DSTU2", "application/json+fhir", asJSON, 201},
		{"charset", "application/fhir+json; charset=UTF-8", asJSON, 201},
		{"fhirVersion 4.0", "application/fhir+json; fhirVersion=4.0", asJSON, 201},
		{"fhir+xml", "application/fhir+xml", asXML, 201},
		{"xml", "application/xml", asXML, 201},
		{"text/xml", "text/xml; charset=utf-8", asXML, 201},
		{"fhirVersion 5.0", "application/fhir+xml; fhirVersion=5.0", asXML, 415},
		{"fhirVersion 3.0", "application/fhir+json; fhirVersion=3.0", asJSON, 415},
		{"another charset", "application/fhir+xml; charset=iso-8859-1", asXML, 415},
		{"none", "", asJSON, 415},
		{"a form", "application/x-www-form-urlencoded", "a=b", 415},
		{"text", "text/plain", asJSON, 415},
		{"JSON said to be XML", "application/fhir+xml", asJSON, 400},
		{"XML said to be JSON", "application/fhir+json", asXML, 400},
		{"XML with a DTD", "application/fhir+xml", `<!DOCTYPE Patient [<!ENTITY a "aaaa">]>` + asXML, 400},
		{"XML with an unknown element", "application/fhir+xml", `<Patient xmlns="http://hl7.org/fhir"><activ value="true"/></Patient>`, 400},
	}
	s := servertest.Start(t, servertest.Options{})
	admin := s.As("admin")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := admin.Do("POST", "Patient", tt.body, "Content-Type", tt.kind).Want(tt.status)
			if tt.status == 201 && got.JSON().Get("active").Text() != "true" {
				t.Errorf("stored as %s", got.Body)
			}
			if tt.status > 201 {
				got.Issue()
			}
		})
	}
}

func codec(t *testing.T) *xml.Codec {
	t.Helper()
	defs, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	return xml.New(defs)
}

// fromXML reads an answer in XML; it ends the test if it is none.
func fromXML(t *testing.T, a servertest.Answer) jsontree.Node {
	t.Helper()
	if kind := a.Header.Get("Content-Type"); kind != xmlType {
		t.Fatalf("Content-Type %q: %s", kind, a.Body)
	}
	body, err := codec(t).ToJSON(a.Body, 0)
	if err != nil {
		t.Fatalf("%v in %s", err, a.Body)
	}
	doc, err := jsontree.Parse(body, jsontree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return doc.Root()
}

// A client that speaks nothing but XML gets through every interaction.
func TestXMLClient(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	admin := s.As("admin")
	do := func(method, target, body string) servertest.Answer {
		t.Helper()
		return admin.Do(method, target, body, "Content-Type", "application/fhir+xml", "Accept", "application/fhir+xml")
	}
	const patient = `<Patient xmlns="http://hl7.org/fhir"><id value="x1"/><text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml" id='b' class="a">x&#160;y</div></text><birthDate value="1970-03"><extension url="http://x/t"><valueDecimal value="1.00"/></extension></birthDate></Patient>`
	created := fromXML(t, do("PUT", "Patient/x1", patient).Want(201))
	if got := created.Get("_birthDate").Get("extension").Item(0).Get("valueDecimal").Text(); got != "1.00" {
		t.Errorf("the decimal came back as %q", got)
	}
	asJSON := admin.Do("GET", "Patient/x1", "").Want(200).JSON()
	if got := asJSON.Get("text").Get("div").Text(); got != `<div xmlns="http://www.w3.org/1999/xhtml" id='b' class="a">x&#160;y</div>` {
		t.Errorf("the narrative is %s", got)
	}
	if back := fromXML(t, do("GET", "Patient/x1", "").Want(200)); !jsontree.Equal(asJSON, back) {
		t.Errorf("XML and JSON differ")
	}
	fromXML(t, do("GET", "Patient/x1/_history/1", "").Want(200))
	bundle := fromXML(t, do("GET", "Patient?_id=x1", "").Want(200))
	if got := bundle.Get("entry").Item(0).Get("resource").Get("resourceType").Text(); got != "Patient" {
		t.Errorf("search found %q", got)
	}
	fromXML(t, do("GET", "Patient/x1/_history", "").Want(200))
	answer := fromXML(t, do("POST", "", `<Bundle xmlns="http://hl7.org/fhir"><type value="transaction"/><entry><fullUrl value="urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"/><resource><Patient><active value="true"/></Patient></resource><request><method value="POST"/><url value="Patient"/></request></entry></Bundle>`).Want(200))
	if got := answer.Get("entry").Item(0).Get("response").Get("status").Text(); !strings.HasPrefix(got, "201") {
		t.Errorf("transaction entry: %q", got)
	}
	for _, target := range []string{"Patient/none", "Nothing/1", "Patient/x1/what/ever/else"} {
		if got := fromXML(t, do("GET", target, "").Want(404)).Get("resourceType").Text(); got != "OperationOutcome" {
			t.Errorf("%s: %s", target, got)
		}
	}
	outcome := fromXML(t, do("POST", "Patient", "<Patient xmlns=\"http://hl7.org/fhir\">\n<nme value='x'/></Patient>").Want(400))
	issue := outcome.Get("issue").Item(0)
	if !strings.Contains(issue.Get("diagnostics").Text(), "line 2") || issue.Get("expression").Item(0).Text() != "Patient" {
		t.Errorf("issue %s", issue.Raw())
	}
	fromXML(t, s.Anonymous().Do("GET", "Patient/x1", "", "Accept", "application/fhir+xml").Want(401))
	if got := fromXML(t, s.Anonymous().Do("GET", "metadata", "", "Accept", "text/xml").Want(200)).Get("resourceType").Text(); got != "CapabilityStatement" {
		t.Errorf("metadata is a %s", got)
	}
	fromXML(t, do("PUT", "Patient/x1", `<Patient xmlns="http://hl7.org/fhir"><id value="x1"/></Patient>`).Want(200))
}

// _format and _pretty in a form count as in the URL.
func TestFormatInForm(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	admin := s.As("admin")
	form := func(v url.Values, accept string) servertest.Answer {
		return admin.Do("POST", "Patient/_search", v.Encode(), "Content-Type", "application/x-www-form-urlencoded", "Accept", accept)
	}
	fromXML(t, form(url.Values{"_format": {"application/fhir+xml"}}, "application/json").Want(200))
	form(url.Values{"_format": {"ttl"}}, "").Want(406).Issue()
	if got := form(url.Values{"_pretty": {"true"}}, "").Want(200); !bytes.Contains(got.Body, []byte("\n  \"type\"")) {
		t.Errorf("not pretty: %s", got.Body)
	}
}

func TestPretty(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	admin := s.As("admin")
	admin.Do("PUT", "Observation/1", `{"resourceType":"Observation","id":"1","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.00}}`).Want(201)
	got := admin.Do("GET", "Observation/1?_pretty=true", "").Want(200)
	if !strings.Contains(string(got.Body), "\n  \"valueQuantity\": {\n    \"value\": 1.00\n  }") {
		t.Errorf("not pretty: %s", got.Body)
	}
	got = admin.Do("GET", "Observation/1?_pretty=true&_format=xml", "").Want(200)
	if !strings.Contains(string(got.Body), "\n  <valueQuantity>\n    <value value=\"1.00\"/>\n  </valueQuantity>") {
		t.Errorf("not pretty: %s", got.Body)
	}
	if got := admin.Do("GET", "Observation/none?_pretty=true", "").Want(404); !strings.Contains(string(got.Body), "\n  \"issue\"") {
		t.Errorf("not pretty: %s", got.Body)
	}
}

// Bodies may be compressed on both ways, in both formats.
func TestGzip(t *testing.T) {
	s := servertest.Start(t, servertest.Options{MaxBody: 64 << 10})
	admin := s.As("admin")
	zip := func(text string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	long := `<Patient xmlns="http://hl7.org/fhir"><id value="1"/><name><text value="` + strings.Repeat("x", 4000) + `"/></name></Patient>`
	admin.Do("PUT", "Patient/1", zip(long), "Content-Type", "application/fhir+xml", "Content-Encoding", "gzip").Want(201)
	for _, accept := range []string{"gzip", "deflate, gzip;q=0.5", "*"} {
		got := admin.Do("GET", "Patient/1?_format=xml", "", "Accept-Encoding", accept).Want(200)
		if got.Header.Get("Content-Encoding") != "gzip" || !strings.Contains(got.Header.Get("Vary"), "Accept-Encoding") {
			t.Fatalf("%s: headers %v", accept, got.Header)
		}
		r, err := gzip.NewReader(bytes.NewReader(got.Body))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil || !strings.Contains(string(text), strings.Repeat("x", 4000)) {
			t.Errorf("%v", err)
		}
	}
	if got := admin.Do("GET", "Patient/1", "", "Accept-Encoding", "gzip;q=0").Want(200); got.Header.Get("Content-Encoding") != "" {
		t.Error("compressed against the client's wish")
	}
	bomb := zip(`<Patient xmlns="http://hl7.org/fhir"><name><text value="` + strings.Repeat("x", 1<<20) + `"/></name></Patient>`)
	admin.Do("POST", "Patient", bomb, "Content-Type", "application/fhir+xml", "Content-Encoding", "gzip").Want(413)
	admin.Do("POST", "Patient", "{}", "Content-Encoding", "gzip").Want(400)
	admin.Do("POST", "Patient", "{}", "Content-Encoding", "br").Want(415)
}
