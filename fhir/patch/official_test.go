package patch

import (
	"encoding/xml"
	"os"
	"strings"
	"testing"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/spec"
	fhirxml "galen/fhir/xml"
)

// excludedFHIRPath are cases of the official suite that do not pass, with why.
var excludedFHIRPath = map[string]string{}

// officialCase is a case of fhir-patch-tests.xml.
type officialCase struct {
	Name   string `xml:"name,attr"`
	Input  inner  `xml:"input"`
	Diff   inner  `xml:"diff"`
	Output *inner `xml:"output"`
	Error  *inner `xml:"error"`
}

type inner struct {
	XML string `xml:",innerxml"`
}

// alike takes out where the suite writes one narrative in two ways: white space
// and quotes.
func alike(text string) string {
	text = strings.NewReplacer(`\r`, " ", `\n`, " ", `\t`, " ", "&quot;", `\"`).Replace(text)
	return strings.Join(strings.Fields(text), " ")
}

// The suite of https://github.com/FHIR/fhir-test-cases (r5/patch).
func TestOfficialFHIRPathPatchSuite(t *testing.T) {
	text, err := os.ReadFile("../../../shared/data/patch/fhir-patch-tests.xml")
	if err != nil {
		t.Skip("skipped: ../shared not found")
	}
	var suite struct {
		Cases []officialCase `xml:"case"`
	}
	if err := xml.Unmarshal(text, &suite); err != nil {
		t.Fatal(err)
	}
	defs, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	codec := fhirxml.New(defs)
	convert := func(t *testing.T, x inner) string {
		t.Helper()
		out, err := codec.ToJSON([]byte(strings.TrimSpace(x.XML)), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	for _, c := range suite.Cases {
		t.Run(c.Name, func(t *testing.T) {
			got, err := applied(t, convert(t, c.Input), convert(t, c.Diff))
			passed := err != nil && c.Output == nil
			if err == nil && c.Output != nil {
				want := alike(convert(t, *c.Output))
				passed = jsontree.Equal(mustParse(t, alike(got)), mustParse(t, want))
				if !passed {
					t.Logf("want %s\ngot %s", want, alike(got))
				}
			}
			if why, excluded := excludedFHIRPath[c.Name]; excluded == passed {
				t.Errorf("passed: %v, excluded: %q; got %s, %v", passed, why, got, err)
			}
		})
	}
	if len(suite.Cases) < 30 {
		t.Errorf("only %d cases", len(suite.Cases))
	}
}

// https://hl7.org/fhir/R4/http.html#patch: patches in Bundles.
func TestReadResource(t *testing.T) {
	f, err := formats()
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name, resource string
		kind           fhir.Kind
		ok             bool
	}{
		{"FHIRPath Patch", parameters(op("delete", at("Patient.name"))), 0, true},
		{"JSON Patch", `{"resourceType":"Binary","contentType":"application/json-patch+json; charset=utf-8","data":"W3sib3AiOiJyZW1vdmUiLCJwYXRo IjoiL2EifV0="}`, 0, true},
		{"unknown format", `{"resourceType":"Binary","contentType":"text/plain","data":""}`, fhir.MediaUnknown, false},
		{"no format", `{"resourceType":"Binary","data":""}`, fhir.Value, false},
		{"not base64", `{"resourceType":"Binary","contentType":"application/json-patch+json","data":"?"}`, fhir.Value, false},
		{"not a patch", `{"resourceType":"Patient"}`, fhir.Invalid, false},
		{"nothing", `null`, fhir.Invalid, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p, err := f.ReadResource(mustParse(t, c.resource))
			if (err == nil) != c.ok || (p != nil) != c.ok || err != nil && fhir.KindOf(err) != c.kind {
				t.Errorf("%v, %v", p, err)
			}
		})
	}
}
