package subject_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/subject"
)

func TestPatients(t *testing.T) {
	cases := []struct {
		name, kind, body string
		want             []string
	}{
		{"itself", "Patient", `{"resourceType":"Patient"}`, []string{"Patient/x"}},
		{"subject", "Observation", `{"resourceType":"Observation","subject":{"reference":"Patient/1"}}`, []string{"Patient/1"}},
		{"white space", "Observation", "{ \"resourceType\" : \"Observation\" ,\n \"subject\" : { \"reference\" : \"Patient/1\" } }\n", []string{"Patient/1"}},
		{"after much else", "Condition", `{"resourceType":"Condition","text":{"div":"<div>\"}{\\"},"extension":[{"valueDecimal":-1.0e5},{"valueBoolean":true}],"subject":{"display":"[","reference":"Patient/1"},"note":[]}`, []string{"Patient/1"}},
		{"patient", "Claim", `{"resourceType":"Claim","patient":{"reference":"Patient/1"},"enterer":{"reference":"Practitioner/1"}}`, []string{"Patient/1"}},
		{"further down", "Appointment", `{"resourceType":"Appointment","participant":[{"actor":{"reference":"Practitioner/2"}},{"actor":{"reference":"Patient/1"}},{"actor":{"reference":"Patient/2"}}]}`, []string{"Patient/1", "Patient/2"}},
		{"a group's members", "Group", `{"resourceType":"Group","member":[{"entity":{"reference":"Patient/1"}},{"entity":{"reference":"Patient/1"}}]}`, []string{"Patient/1"}},
		{"a version of it", "List", `{"resourceType":"List","subject":{"reference":"Patient/1/_history/2"}}`, []string{"Patient/1"}},
		{"elsewhere", "Observation", `{"resourceType":"Observation","subject":{"reference":"http://other/Patient/1"}}`, nil},
		{"mentioned, not the subject", "Observation", `{"resourceType":"Observation","note":[{"text":"see Patient/1"}],"performer":[{"reference":"Patient/1"}]}`, nil},
		{"somebody else's subject", "Composition", `{"resourceType":"Composition","contained":[{"resourceType":"Observation","subject":{"reference":"Patient/9"}}],"subject":{"reference":"Patient/1"}}`, []string{"Patient/1"}},
		{"escaped quote before", "Basic", `{"resourceType":"Basic","id":"\\","x":"\\\"","subject":{"reference":"Patient/1"}}`, []string{"Patient/1"}},
		{"no patient", "Organization", `{"resourceType":"Organization","name":"a"}`, nil},
		{"empty", "Observation", ``, nil},
		{"no JSON", "Observation", `Patient/`, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := subject.Patients(fhir.Key{Type: c.kind, ID: "x"}, []byte(c.body))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// FuzzPatients: any bytes end, and on JSON the scanner finds what an index finds.
func FuzzPatients(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Observation","subject":{"reference":"Patient/1"}}`))
	f.Add([]byte(`{"a":[1,{"b":"\\\""}],"subject":{"reference":"Patient/1"},"c":null}`))
	f.Add([]byte(`{"subject"`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got := subject.Patients(fhir.Key{Type: "Basic", ID: "x"}, body)
		doc, err := jsontree.Parse(body, jsontree.Limits{})
		if err != nil || doc.Root().Kind() != jsontree.Object || bytes.Contains(body, []byte(`\`)) {
			return
		}
		want := doc.Root().Get("subject").Get("reference")
		ref := fhir.ParseReference(want.Text())
		if want.Kind() == jsontree.String && ref.Key.Type == "Patient" && ref.Base == "" && !strings.Contains(strings.Join(got, " "), ref.Key.String()) {
			t.Errorf("%v lacks %s", got, ref.Key)
		}
	})
}

func BenchmarkPatients(b *testing.B) {
	body := []byte(`{"resourceType":"Observation","id":"0190","meta":{"versionId":"1","lastUpdated":"2026-01-01T00:00:00.000Z"},"status":"final",` +
		`"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory","display":"laboratory"}]}],` +
		`"code":{"coding":[{"system":"http://loinc.org","code":"2339-0","display":"Glucose"}],"text":"Glucose"},"subject":{"reference":"Patient/1"},` +
		`"effectiveDateTime":"2016-10-19T02:07:50-04:00","valueQuantity":{"value":81.10,"unit":"mg/dL","system":"http://unitsofmeasure.org","code":"mg/dL"}}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		subject.Patients(fhir.Key{Type: "Observation", ID: "x"}, body)
	}
}

func BenchmarkWholeIndex(b *testing.B) {
	body := []byte(`{"resourceType":"Observation","id":"0190","meta":{"versionId":"1","lastUpdated":"2026-01-01T00:00:00.000Z"},"status":"final",` +
		`"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory","display":"laboratory"}]}],` +
		`"code":{"coding":[{"system":"http://loinc.org","code":"2339-0","display":"Glucose"}],"text":"Glucose"},"subject":{"reference":"Patient/1"},` +
		`"effectiveDateTime":"2016-10-19T02:07:50-04:00","valueQuantity":{"value":81.10,"unit":"mg/dL","system":"http://unitsofmeasure.org","code":"mg/dL"}}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		_, _ = jsontree.Parse(body, jsontree.Limits{})
	}
}
