package coded_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/coded"
	"galen/fhir/fhirtest"
	"galen/fhir/jsontree"
	"galen/fhir/spec"
	"galen/fhir/terminology"
	"galen/fhir/ucum"
)

func newChecker(t testing.TB) coded.Checker {
	t.Helper()
	defs, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	units, err := ucum.Load()
	if err != nil {
		t.Fatal(err)
	}
	service := terminology.New(terminology.Options{Source: terminology.Builtin(), Units: units, Now: time.Now})
	return coded.Checker{Defs: defs, Terminology: service}
}

func parse(t testing.TB, text string) fhir.Resource {
	t.Helper()
	r, err := fhir.Parse([]byte(text), jsontree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Clauses of https://hl7.org/fhir/R4/terminologies.html.
func TestCodes(t *testing.T) {
	const married = `"system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","code":"M"`
	quantity := func(q string) string {
		return `{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":` + q + `}`
	}
	tests := []struct {
		name, json string
		at         string // of the only finding; "" for none
		severity   fhir.Severity
		kind       fhir.Kind
	}{
		{"a code of its system", `{"resourceType":"Patient","maritalStatus":{"coding":[{` + married + `,"display":"Married"}]}}`, "", 0, 0},
		{"display in another case", `{"resourceType":"Patient","maritalStatus":{"coding":[{` + married + `,"display":"married"}]}}`, "", 0, 0},
		{"wrong display", `{"resourceType":"Patient","maritalStatus":{"coding":[{` + married + `,"display":"Divorced"}]}}`, "Patient.maritalStatus.coding[0].display", fhir.Warning, fhir.CodeInvalid},
		{"a code that its system does not define", `{"resourceType":"Patient","meta":{"tag":[{"system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","code":"nonsense"}]}}`, "Patient.meta.tag[0].code", fhir.SeverityError, fhir.CodeInvalid},
		{"outside an extensible binding", `{"resourceType":"Patient","maritalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"TREAT"}]}}`, "Patient.maritalStatus", fhir.Warning, fhir.CodeInvalid},
		{"text alone under an extensible binding", `{"resourceType":"Patient","maritalStatus":{"text":"it is complicated"}}`, "", 0, 0},
		{"one of two codes in the value set", `{"resourceType":"Patient","maritalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"TREAT"},{` + married + `}]}}`, "", 0, 0},
		{"a code system that is not known", `{"resourceType":"Patient","meta":{"tag":[{"system":"http://example.org/a","code":"b"},{"system":"http://example.org/a","code":"c"}]}}`, "Patient.meta.tag[0]", fhir.Information, fhir.NotFound},
		{"a unit of UCUM", quantity(`{"value":1,"unit":"anything","system":"http://unitsofmeasure.org","code":"mg/dL"}`), "", 0, 0},
		{"a unit that UCUM does not have", quantity(`{"value":1,"system":"http://unitsofmeasure.org","code":"mgs/dl"}`), "Observation.valueQuantity.code", fhir.Warning, fhir.CodeInvalid},
		{"a unit without a system", quantity(`{"value":1,"unit":"tablets"}`), "", 0, 0},
		{"required binding by a grammar: a MIME type", `{"resourceType":"Binary","contentType":"text/plain"}`, "", 0, 0},
		{"required binding by a grammar: no MIME type", `{"resourceType":"Binary","contentType":"text"}`, "Binary.contentType", fhir.SeverityError, fhir.CodeInvalid},
		{"FHIR's short name of a format", `{"resourceType":"CapabilityStatement","format":["json"]}`, "", 0, 0},
		{"in a contained resource", `{"resourceType":"Observation","status":"final","code":{"text":"x"},"contained":[{"resourceType":"Patient","id":"p","maritalStatus":{"coding":[{` + married + `,"display":"no"}]}}],"subject":{"reference":"#p"}}`, "Observation.contained[0].maritalStatus.coding[0].display", fhir.Warning, fhir.CodeInvalid},
		{"in an entry of a Bundle", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","maritalStatus":{"coding":[{` + married + `,"display":"no"}]}}}]}`, "Bundle.entry[0].resource.maritalStatus.coding[0].display", fhir.Warning, fhir.CodeInvalid},
		{"in an extension of a primitive", `{"resourceType":"Patient","_birthDate":{"extension":[{"url":"http://a","valueCoding":{` + married + `,"display":"no"}}]}}`, "Patient.birthDate.extension[0].valueCoding.display", fhir.Warning, fhir.CodeInvalid},
	}
	c := newChecker(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := c.Validate(t.Context(), parse(t, tt.json))
			var want fhir.Issues
			if tt.at != "" {
				want = fhir.Issues{{Severity: tt.severity, Kind: tt.kind, At: tt.at}}
			}
			for i := range got {
				got[i].Diagnostics = ""
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// What HL7 publishes as examples has codes that their systems define.
func TestOfficialExamples(t *testing.T) {
	c := newChecker(t)
	for name, body := range fhirtest.Examples(t) {
		for _, i := range c.Validate(t.Context(), parse(t, string(body))) {
			if i.Severity <= fhir.SeverityError {
				t.Errorf("%s: %v", name, i)
			}
		}
	}
}
