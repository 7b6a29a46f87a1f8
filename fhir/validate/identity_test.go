package validate_test

import (
	"slices"
	"testing"

	"galen/fhir"
	"galen/fhir/validate"
)

// What names something must name it rightly. Each case breaks one clause, is an
// error when R4 is held strictly, and most are warnings below, as HL7's own
// examples break them.
func TestIdentity(t *testing.T) {
	observation := func(subject string) string {
		return `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":` + subject + `}`
	}
	organizations := func(a, b string) string {
		return `{"resourceType":"Patient","contained":[` + a + `,` + b + `],"managingOrganization":{"reference":"#a"}}`
	}
	tests := []struct {
		name, json, at string
		kind           fhir.Kind
	}{
		{"element.html#id: twice in one resource", `{"resourceType":"Patient","name":[{"id":"a","family":"x"},{"id":"a","family":"y"}]}`, "Patient.name[1].id", fhir.Invalid},
		{"references.html#contained: twice the same id", organizations(`{"resourceType":"Organization","id":"a","name":"x"}`, `{"resourceType":"Organization","id":"a","name":"y"}`), "Patient.contained[1].id", fhir.Invalid},
		{"references.html#contained: without id", organizations(`{"resourceType":"Organization","id":"a","name":"x"}`, `{"resourceType":"Organization","name":"y"}`), "Patient.contained[1].id", fhir.Required},
		{"datatypes.html#oid", `{"resourceType":"Patient","identifier":[{"system":"urn:oid:abc","value":"1"}]}`, "Patient.identifier[0].system", fhir.Value},
		{"datatypes.html#uuid", `{"resourceType":"Patient","identifier":[{"system":"urn:uuid:abc","value":"1"}]}`, "Patient.identifier[0].system", fhir.Value},
		{"references.html#literal: a word", observation(`{"reference":"Patient"}`), "Observation.subject.reference", fhir.Value},
		{"references.html#literal: no UUID", observation(`{"reference":"urn:uuid:1"}`), "Observation.subject.reference", fhir.Value},
		{"references.html#literal: no type of R4", observation(`{"reference":"Patent/1"}`), "Observation.subject.reference", fhir.Value},
		{"references.html#Reference.type", observation(`{"reference":"Patient/1","type":"Group"}`), "Observation.subject.type", fhir.Value},
		{"bundle-definitions.html#Bundle.entry.fullUrl: another id", `{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"http://a/Patient/2","resource":{"resourceType":"Patient","id":"1"}}]}`, "Bundle.entry[0].fullUrl", fhir.Value},
		{"bundle-definitions.html#Bundle.entry.fullUrl: another type", `{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"http://a/Group/1","resource":{"resourceType":"Patient","id":"1"}}]}`, "Bundle.entry[0].fullUrl", fhir.Value},
	}
	v := newValidator(t, validate.Strict)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			issues := v.Validate(parse(t, tt.json))
			if !slices.ContainsFunc(issues, func(i fhir.Issue) bool {
				return i.Severity == fhir.SeverityError && i.At == tt.at && i.Kind == tt.kind
			}) {
				t.Errorf("%v, want %s at %s", issues, tt.kind, tt.at)
			}
		})
	}
}

func TestIdentityAccepts(t *testing.T) {
	v := newValidator(t, validate.Strict)
	for name, json := range map[string]string{
		"a UUID in capitals, as RFC 4122 reads":                       `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"urn:uuid:0C3151BD-1CBF-4D64-B04D-CD9187A4C6E0"}}`,
		"a search as a reference, in what is to be stored":            `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient?identifier=1"}}`,
		"a type that is a URI of something else":                      `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/1","type":"http://example.org/Person"}}`,
		"ids of elements in different contained resources":            `{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"a","identifier":[{"id":"i","value":"x"}]},{"resourceType":"Organization","id":"b","identifier":[{"id":"i","value":"x"}]}],"managingOrganization":{"reference":"#a"},"generalPractitioner":[{"reference":"#b"}]}`,
		"the fullUrl of what is to be created says nothing of its id": `{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"http://a/Patient/2","resource":{"resourceType":"Patient","id":"1"},"request":{"method":"POST","url":"Patient"}}]}`,
	} {
		for _, i := range v.Validate(parse(t, json)) {
			if i.Severity <= fhir.SeverityError {
				t.Errorf("%s: %v", name, i)
			}
		}
	}
}
