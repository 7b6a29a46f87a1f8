package validate_test

import (
	"compress/bzip2"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"galen/fhir"
	"galen/fhir/fhirtest"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/spec"
	"galen/fhir/ucum"
	"galen/fhir/validate"
)

func newValidator(t testing.TB, level validate.Level) *validate.Validator {
	t.Helper()
	defs, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	units, err := ucum.Load()
	if err != nil {
		t.Fatal(err)
	}
	v, err := validate.New(defs, path.New(defs, units), level)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func parse(t testing.TB, text string) fhir.Resource {
	t.Helper()
	r, err := fhir.Parse([]byte(text), jsontree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Each case breaks one rule of https://hl7.org/fhir/R4/json.html,
// datatypes.html or the definitions, and must be refused at its place.
func TestRefusals(t *testing.T) {
	v := newValidator(t, validate.Base)
	tests := []struct {
		name, json, at string
		kind           fhir.Kind
	}{
		{"unknown element", `{"resourceType":"Patient","nme":"x"}`, "Patient", fhir.Invalid},
		{"unknown element below", `{"resourceType":"Patient","name":[{"fam":"x"}]}`, "Patient.name[0]", fhir.Invalid},
		{"unknown type", `{"resourceType":"Patent"}`, "Patent.resourceType", fhir.Invalid},
		{"array for one", `{"resourceType":"Patient","gender":["male"]}`, "Patient.gender", fhir.Invalid},
		{"one for array", `{"resourceType":"Patient","name":{"family":"x"}}`, "Patient.name", fhir.Invalid},
		{"object for string", `{"resourceType":"Patient","birthDate":{}}`, "Patient.birthDate", fhir.Invalid},
		{"string for boolean", `{"resourceType":"Patient","active":"true"}`, "Patient.active", fhir.Invalid},
		{"string for decimal", `{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":"1"}}`, "Observation.valueQuantity.value", fhir.Invalid},
		{"number for string", `{"resourceType":"Patient","name":[{"family":1}]}`, "Patient.name[0].family", fhir.Invalid},
		{"empty object", `{"resourceType":"Patient","maritalStatus":{}}`, "Patient.maritalStatus", fhir.Invalid},
		{"empty array", `{"resourceType":"Patient","name":[]}`, "Patient.name", fhir.Invalid},
		{"empty string", `{"resourceType":"Patient","name":[{"family":""}]}`, "Patient.name[0].family", fhir.Value},
		{"null", `{"resourceType":"Patient","gender":null}`, "Patient.gender", fhir.Invalid},
		{"null without a twin", `{"resourceType":"Patient","name":[{"given":["a",null]}]}`, "Patient.name[0].given[1]", fhir.Invalid},
		{"twin of a complex element", `{"resourceType":"Patient","_name":[{"id":"x"}]}`, "Patient.name", fhir.Invalid},
		{"twin of an id, an attribute in XML", `{"resourceType":"Patient","name":[{"family":"x","_id":{"id":"x"}}]}`, "Patient.name[0].id", fhir.Invalid},
		{"twin of a narrative", `{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>","_div":{"id":"x"}}}`, "Patient.text.div", fhir.Invalid},
		{"null in a twin without values", `{"resourceType":"Patient","name":[{"_given":[null,{"id":"x"}]}]}`, "Patient.name[0].given", fhir.Invalid},
		{"twin with a foreign member", `{"resourceType":"Patient","_birthDate":{"value":"x"}}`, "Patient.birthDate", fhir.Invalid},
		{"twin of another length", `{"resourceType":"Patient","name":[{"given":["a"],"_given":[{"id":"x"},null]}]}`, "Patient.name[0].given", fhir.Invalid},
		{"impossible date", `{"resourceType":"Patient","birthDate":"2020-02-30"}`, "Patient.birthDate", fhir.Value},
		{"bad required code", `{"resourceType":"Patient","gender":"Male"}`, "Patient.gender", fhir.CodeInvalid},
		{"missing status", `{"resourceType":"Observation","code":{"text":"x"}}`, "Observation.status", fhir.Required},
		{"missing below", `{"resourceType":"Patient","link":[{"type":"seealso"}]}`, "Patient.link[0].other", fhir.Required},
		{"two of a choice", `{"resourceType":"Patient","deceasedBoolean":true,"deceasedDateTime":"2020"}`, "Patient.deceasedDateTime", fhir.Invalid},
		{"wrong target", `{"resourceType":"Observation","status":"final","code":{"text":"x"},"encounter":{"reference":"Patient/1"}}`, "Observation.encounter.reference", fhir.Value},
		{"extension without value", `{"resourceType":"Patient","extension":[{"url":"http://a"}]}`, "Patient.extension[0]", fhir.Invalid},
		{"contained of no type", `{"resourceType":"Patient","contained":[{"id":"a"}]}`, "Patient.contained[0].resourceType", fhir.Invalid},
		{"bad entry of a Bundle", `{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Patient","active":1}}]}`, "Bundle.entry[0].resource.active", fhir.Invalid},
		{"contact without details (pat-1)", `{"resourceType":"Patient","contact":[{"gender":"male"}]}`, "Patient.contact[0]", fhir.Invariant},
		{"value beside the same component (obs-7)", `{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"a","code":"b"}]},"valueInteger":1,"component":[{"code":{"coding":[{"system":"a","code":"b"}]}}]}`, "Observation", fhir.Invariant},
		{"period that ends first (per-1)", `{"resourceType":"Patient","name":[{"family":"x","period":{"start":"2020","end":"2019"}}]}`, "Patient.name[0].period", fhir.Invariant},
		{"contained twice nested (dom-2)", `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"#p"},"contained":[{"resourceType":"Patient","id":"p","managingOrganization":{"reference":"#o"},"contained":[{"resourceType":"Organization","id":"o","name":"n"}]}]}`, "Observation", fhir.Invariant},
		{"contained that nothing refers to (dom-3)", `{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","name":"n"}]}`, "Patient", fhir.Invariant},
		{"reference to a contained resource that is not there (ref-1)", `{"resourceType":"Patient","managingOrganization":{"reference":"#o"}}`, "Patient.managingOrganization", fhir.Invariant},
		{"unit code without a system (qty-3)", `{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1,"code":"mg"}}`, "Observation.valueQuantity", fhir.Invariant},
		{"invariant of an entry", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","contact":[{"gender":"male"}]}}]}`, "Bundle.entry[0].resource.contact[0]", fhir.Invariant},
		{"search in a collection (bdl-2)", `{"resourceType":"Bundle","type":"collection","entry":[{"search":{"mode":"match"},"resource":{"resourceType":"Patient"}}]}`, "Bundle", fhir.Invariant},
		{"fraction for integer", `{"resourceType":"Patient","multipleBirthInteger":1.5}`, "Patient.multipleBirthInteger", fhir.Value},
		{"condition with a foreign status", `{"resourceType":"Condition","subject":{"reference":"Patient/1"},"clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"great"}]}}`, "Condition.clinicalStatus", fhir.CodeInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			issues := v.Validate(parse(t, tt.json))
			if len(issues) == 0 {
				t.Fatal("accepted")
			}
			if !slices.ContainsFunc(issues, func(i fhir.Issue) bool { return i.At == tt.at && i.Kind == tt.kind }) {
				t.Errorf("%v, want %s at %s", issues, tt.kind, tt.at)
			}
		})
	}
}

func TestAccepts(t *testing.T) {
	v := newValidator(t, validate.Base)
	for name, json := range map[string]string{
		"primitive extensions": `{"resourceType":"Patient","_birthDate":{"extension":[{"url":"http://a","valueString":"b"}]}}`,
		"null beside a twin":   `{"resourceType":"Patient","name":[{"given":["a",null],"_given":[null,{"id":"x"}]}]}`,
		"contained":            `{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","name":"n"}],"managingOrganization":{"reference":"#o"}}`,
		"absolute reference":   `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"http://other/fhir/Patient/1"}}`,
	} {
		if issues := v.Validate(parse(t, json)); issues != nil {
			t.Errorf("%s: %v", name, issues)
		}
	}
}

// known are official examples that break R4's own rules.
var known = map[string]string{
	"ImplementationGuide-fhir.json": "published without name and status",
}

func TestOfficialExamplesAreValid(t *testing.T) {
	v, n := newValidator(t, validate.Base), 0
	for name, body := range fhirtest.Examples(t) {
		n++
		issues := slices.DeleteFunc(v.Validate(parse(t, string(body))), func(i fhir.Issue) bool { return i.Severity == fhir.Warning })
		reason, excluded := known[name]
		switch {
		case excluded && len(issues) == 0:
			t.Errorf("%s is excluded (%s) and passes", name, reason)
		case !excluded && len(issues) > 0:
			t.Errorf("%s: %v", name, issues[0])
		}
	}
	if n < 375 {
		t.Errorf("only %d examples", n)
	}
}

func TestRealPatientsAreValid(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/data/synthea/*.json.bz2")
	if len(files) == 0 {
		t.Skip("skipped: ../shared not found")
	}
	v := newValidator(t, validate.Base)
	for _, name := range files[:8] {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(bzip2.NewReader(f))
		_ = f.Close()
		if err != nil {
			t.Fatal(err)
		}
		if issues := v.Validate(parse(t, string(body))); len(issues) > 0 {
			t.Errorf("%s: %v", filepath.Base(name), issues[0])
		}
	}
}

func FuzzValidate(f *testing.F) {
	f.Add(`{"resourceType":"Patient","name":[{"given":["a",null],"_given":[null,{"id":"x"}]}]}`)
	f.Add(`{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Patient"}}]}`)
	v := newValidator(f, validate.Strict)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := fhir.Parse([]byte(text), jsontree.Limits{})
		if err != nil {
			return
		}
		if issues := v.Validate(r); len(issues) > 100 || strings.Contains(issues.Error(), "\x00") {
			t.Errorf("%d issues", len(issues))
		}
	})
}

// What one resource costs must not grow with the Bundle around it.
func BenchmarkValidateBundle(b *testing.B) {
	v := newValidator(b, validate.Base)
	for _, n := range []int{10, 1000} {
		entry := `{"fullUrl":"http://a/Observation/%d","resource":{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/1"},"encounter":{"reference":"Encounter/1"},"valueQuantity":{"value":1}}}`
		entries := make([]string, n)
		for i := range entries {
			entries[i] = fmt.Sprintf(entry, i)
		}
		r := parse(b, `{"resourceType":"Bundle","type":"collection","entry":[`+strings.Join(entries, ",")+`]}`)
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			for b.Loop() {
				if issues := v.Validate(r); issues != nil {
					b.Fatal(issues)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/entry")
		})
	}
}

func BenchmarkValidateObservation(b *testing.B) {
	v := newValidator(b, validate.Base)
	r := parse(b, `{"resourceType":"Observation","id":"a","status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},"subject":{"reference":"Patient/1"},"effectiveDateTime":"2026-11-24T08:00:00Z","valueQuantity":{"value":70,"unit":"/min","system":"http://unitsofmeasure.org","code":"/min"}}`)
	for b.Loop() {
		if v.Validate(r) != nil {
			b.Fatal("not valid")
		}
	}
}
