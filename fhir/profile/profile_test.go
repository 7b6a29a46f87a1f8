package profile_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"galen/fhir"
	"galen/fhir/definition"
	"galen/fhir/fhirtest"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/profile"
	"galen/fhir/spec"
	"galen/fhir/terminology"
	"galen/fhir/ucum"
)

type shelf map[string]fhir.Resource

func (s shelf) Find(_ context.Context, resourceType, url, _ string) (fhir.Resource, bool, error) {
	r, ok := s[resourceType+" "+url]
	return r, ok, nil
}

func (s shelf) List(context.Context, string) ([]fhir.Resource, error) { return nil, nil }

func parse(t testing.TB, text string) fhir.Resource {
	t.Helper()
	r, err := fhir.Parse([]byte(text), jsontree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newValidator(t testing.TB, definitions ...string) *profile.Validator {
	t.Helper()
	defs, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	units, err := ucum.Load()
	if err != nil {
		t.Fatal(err)
	}
	s := shelf{}
	for _, text := range definitions {
		r := parse(t, text)
		s[r.Type+" "+r.Root().Get("url").Text()] = r
	}
	source := definition.Stack{s, profile.Builtin(), terminology.Builtin()}
	return profile.New(profile.Options{
		Defs: defs, Engine: path.New(defs, units), Source: source,
		Terminology: terminology.ForPath{Service: terminology.New(terminology.Options{Source: source, Units: units, Now: time.Now})},
	})
}

const core = "http://hl7.org/fhir/StructureDefinition/"

// bloodPressure is an Observation of the profile bp, with parts to break.
const bloodPressure = `{"resourceType":"Observation","status":"final",
	"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}]}],
	"code":{"coding":[{"system":"http://loinc.org","code":"85354-9"}]},"subject":{"reference":"Patient/1"},"effectiveDateTime":"2026-11-24T08:00:00Z",
	"component":[
		{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},"valueQuantity":{"value":120,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}},
		{"code":{"coding":[{"system":"http://loinc.org","code":"8462-4"}]},"valueQuantity":{"value":80,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}]}`

// R4's own blood pressure profile: slices by codes, fixed values, patterns.
func TestVitalSigns(t *testing.T) {
	v := newValidator(t)
	tests := []struct {
		name, old, new, at string
		kind               fhir.Kind
	}{
		{"as it should be", "", "", "", 0},
		{"without the systolic component", `"8480-6"`, `"8867-4"`, "Observation.component:SystolicBP", fhir.Required},
		{"another code", `"85354-9"`, `"8867-4"`, "Observation.code.coding:BPCode", fhir.Required},
		{"another category", `"vital-signs"`, `"laboratory"`, "Observation.category:VSCat", fhir.Required},
		{"another unit", `"code":"mm[Hg]"}},
		{`, `"code":"kPa"}},
		{`, "Observation.component[0].valueQuantity.code", fhir.Value},
		{"no subject", `"subject":{"reference":"Patient/1"},`, ``, "Observation.subject", fhir.Required},
		{"a subject that is no patient", `"Patient/1"`, `"Device/1"`, "Observation.subject.reference", fhir.Value},
		{"no time", `"effectiveDateTime":"2026-11-24T08:00:00Z",`, ``, "Observation.effective", fhir.Required},
		{"a time of another type", `"effectiveDateTime":"2026-11-24T08:00:00Z"`, `"effectiveInstant":"2026-11-24T08:00:00Z"`, "Observation.effectiveInstant", fhir.Invalid},
		{"a date without day (vs-1)", `"2026-11-24T08:00:00Z"`, `"2026-11"`, "Observation.effectiveDateTime", fhir.Invariant},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(bloodPressure, tt.old, tt.new, 1)
			if tt.old != "" && text == bloodPressure {
				t.Fatal("nothing replaced")
			}
			issues, err := v.Validate(t.Context(), parse(t, text), core+"bp")
			if err != nil {
				t.Fatal(err)
			}
			issues = slices.DeleteFunc(issues, func(i fhir.Issue) bool { return i.Severity > fhir.SeverityError })
			if tt.at == "" {
				if len(issues) > 0 {
					t.Error(issues)
				}
				return
			}
			if !slices.ContainsFunc(issues, func(i fhir.Issue) bool { return i.At == tt.at && i.Kind == tt.kind }) {
				t.Errorf("%v, want %s at %s", issues, tt.kind, tt.at)
			}
		})
	}
}

// sd makes a profile of a type out of elements below its root.
func sd(url, typ, elements string) string {
	return `{"resourceType":"StructureDefinition","url":"` + url + `","type":"` + typ + `","derivation":"constraint","snapshot":{"element":[{"id":"` + typ + `","path":"` + typ + `","min":0,"max":"*"},` + elements + `]}}`
}

// Each discriminator and each rule of slicing (profiling.html#discriminator).
func TestSlicing(t *testing.T) {
	telecom := func(slicing, slices string) string {
		return sd("http://p", "Patient", `{"id":"Patient.telecom","path":"Patient.telecom","min":0,"max":"*","slicing":`+slicing+`,"type":[{"code":"ContactPoint"}]},`+slices)
	}
	phone := `{"id":"Patient.telecom:phone","path":"Patient.telecom","sliceName":"phone","min":1,"max":"1","type":[{"code":"ContactPoint"}]},
		{"id":"Patient.telecom:phone.system","path":"Patient.telecom.system","min":1,"max":"1","type":[{"code":"code"}],"fixedCode":"phone"}`
	mail := `,{"id":"Patient.telecom:mail","path":"Patient.telecom","sliceName":"mail","min":0,"max":"1","type":[{"code":"ContactPoint"}]},
		{"id":"Patient.telecom:mail.system","path":"Patient.telecom.system","min":1,"max":"1","type":[{"code":"code"}],"patternCode":"email"}`
	bySystem := func(rules, ordered string) string {
		return `{"discriminator":[{"type":"value","path":"system"}],"rules":"` + rules + `","ordered":` + ordered + `}`
	}
	choice := sd("http://p", "Observation", `{"id":"Observation.value[x]","path":"Observation.value[x]","min":0,"max":"1","slicing":{"discriminator":[{"type":"type","path":"$this"}],"rules":"closed"},"type":[{"code":"Quantity"},{"code":"string"}]},
		{"id":"Observation.value[x]:valueQuantity","path":"Observation.value[x]","sliceName":"valueQuantity","min":0,"max":"1","type":[{"code":"Quantity"}]},
		{"id":"Observation.value[x]:valueQuantity.unit","path":"Observation.value[x].unit","min":1,"max":"1","type":[{"code":"string"}]}`)
	exists := sd("http://p", "Patient", `{"id":"Patient.name","path":"Patient.name","min":0,"max":"*","slicing":{"discriminator":[{"type":"exists","path":"family"}],"rules":"open"},"type":[{"code":"HumanName"}]},
		{"id":"Patient.name:full","path":"Patient.name","sliceName":"full","min":1,"max":"*","type":[{"code":"HumanName"}]},
		{"id":"Patient.name:full.family","path":"Patient.name.family","min":1,"max":"1","type":[{"code":"string"}]}`)
	tests := []struct{ name, profile, resource, at string }{
		{"a slice is there", telecom(bySystem("open", "false"), phone), `{"resourceType":"Patient","telecom":[{"system":"url"},{"system":"phone"}]}`, ""},
		{"a slice is missing", telecom(bySystem("open", "false"), phone), `{"resourceType":"Patient","telecom":[{"system":"url"}]}`, "Patient.telecom:phone"},
		{"a slice has too many", telecom(bySystem("open", "false"), phone), `{"resourceType":"Patient","telecom":[{"system":"phone"},{"system":"phone"}]}`, "Patient.telecom[1]"},
		{"closed", telecom(bySystem("closed", "false"), phone), `{"resourceType":"Patient","telecom":[{"system":"phone"},{"system":"url"}]}`, "Patient.telecom[1]"},
		{"ordered", telecom(bySystem("open", "true"), phone+mail), `{"resourceType":"Patient","telecom":[{"system":"email"},{"system":"phone"}]}`, "Patient.telecom[1]"},
		{"open at the end", telecom(bySystem("openAtEnd", "false"), phone), `{"resourceType":"Patient","telecom":[{"system":"url"},{"system":"phone"}]}`, "Patient.telecom[1]"},
		{"type", choice, `{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1}}`, "Observation.valueQuantity.unit"},
		{"type, another one in closed slices", choice, `{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueString":"1"}`, "Observation.valueString"},
		{"exists", exists, `{"resourceType":"Patient","name":[{"family":"x"}]}`, ""},
		{"exists not", exists, `{"resourceType":"Patient","name":[{"text":"x"}]}`, "Patient.name:full"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			issues, err := newValidator(t, tt.profile).Validate(t.Context(), parse(t, tt.resource), "http://p")
			if err != nil {
				t.Fatal(err)
			}
			if tt.at == "" && len(issues) > 0 || tt.at != "" && !slices.ContainsFunc(issues, func(i fhir.Issue) bool {
				return strings.TrimSuffix(i.At, ".unit") == strings.TrimSuffix(tt.at, ".unit") && i.Severity == fhir.SeverityError
			}) {
				t.Errorf("%v, want one at %q", issues, tt.at)
			}
		})
	}
}

// A profile may come as a differential only, as its authors write it: what it does
// not say is R4's or that of the profile it narrows.
func TestDifferential(t *testing.T) {
	diff := func(url, typ, base, elements string) string {
		return `{"resourceType":"StructureDefinition","url":"` + url + `","type":"` + typ + `","derivation":"constraint","baseDefinition":"` + base + `","differential":{"element":[` + elements + `]}}`
	}
	patient := diff("http://p", "Patient", core+"Patient", `{"id":"Patient.name.family","path":"Patient.name.family","min":1},
		{"id":"Patient.extension:place","path":"Patient.extension","sliceName":"place","min":1,"max":"1","type":[{"code":"Extension","profile":["`+core+`patient-birthPlace"]}]}`)
	const place = `"extension":[{"url":"` + core + `patient-birthPlace","valueAddress":{"city":"x"}}]`
	weight := diff("http://p", "Observation", core+"Observation", `{"id":"Observation.valueQuantity","path":"Observation.valueQuantity","min":1},{"id":"Observation.valueQuantity.unit","path":"Observation.valueQuantity.unit","min":1}`)
	narrower := diff("http://p", "Observation", core+"bp", `{"id":"Observation","path":"Observation","constraint":[{"key":"x-1","severity":"error","human":"h","expression":"status = 'final'"}]},
		{"id":"Observation.component:SystolicBP.interpretation","path":"Observation.component.interpretation","min":1}`)
	interpreted := strings.Replace(bloodPressure, `"code":"8480-6"}]},`, `"code":"8480-6"}]},"interpretation":[{"text":"high"}],`, 1)
	circle := diff("http://p", "Patient", "http://q", `{"id":"Patient.name","path":"Patient.name","min":1}`)
	back := diff("http://q", "Patient", "http://p", `{"id":"Patient.gender","path":"Patient.gender","min":1}`)
	tests := []struct{ name, profile, resource, at string }{
		{"keeps it", patient, `{"resourceType":"Patient",` + place + `,"name":[{"family":"x"}]}`, ""},
		{"an element without its parents", patient, `{"resourceType":"Patient",` + place + `,"name":[{"text":"x"}]}`, "Patient.name[0].family"},
		{"extensions are sliced by url", patient, `{"resourceType":"Patient","extension":[{"url":"http://a","valueString":"x"}],"name":[{"family":"x"}]}`, "Patient.extension:place"},
		{"one type of a choice", weight, `{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1,"unit":"kg"}}`, ""},
		{"one type of a choice, below", weight, `{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1}}`, "Observation.valueQuantity.unit"},
		{"one type of a choice, missing", weight, `{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueString":"1"}`, "Observation.value:valueQuantity"},
		{"slices of the profile that is narrowed", narrower, interpreted, ""},
		{"slices of the profile that is narrowed, broken", narrower, bloodPressure, "Observation.component[0].interpretation"},
		{"the profile that is narrowed, broken", narrower, strings.Replace(interpreted, `"vital-signs"`, `"laboratory"`, 1), "Observation.category:VSCat"},
		{"a constraint on the root", narrower, strings.Replace(interpreted, `"final"`, `"amended"`, 1), "Observation"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			issues, err := newValidator(t, tt.profile).Validate(t.Context(), parse(t, tt.resource), "http://p")
			if err != nil {
				t.Fatal(err)
			}
			if tt.at == "" && len(issues) > 0 || tt.at != "" && !slices.ContainsFunc(issues, func(i fhir.Issue) bool { return i.At == tt.at && i.Severity == fhir.SeverityError }) {
				t.Errorf("%v, want one at %q", issues, tt.at)
			}
		})
	}
	if _, err := newValidator(t, circle, back).Validate(t.Context(), parse(t, `{"resourceType":"Patient"}`), "http://p"); fhir.KindOf(err) != fhir.Unprocessable {
		t.Errorf("profiles that narrow each other: %v", err)
	}
}

func TestElements(t *testing.T) {
	tests := []struct{ name, element, resource, at string }{
		{"min", `{"id":"Patient.name","path":"Patient.name","min":2,"max":"*","type":[{"code":"HumanName"}]}`, `{"resourceType":"Patient","name":[{"text":"x"}]}`, "Patient.name"},
		{"max", `{"id":"Patient.name","path":"Patient.name","min":0,"max":"1","type":[{"code":"HumanName"}]}`, `{"resourceType":"Patient","name":[{"text":"x"},{"text":"x"}]}`, "Patient.name[1]"},
		{"not allowed", `{"id":"Patient.photo","path":"Patient.photo","min":0,"max":"0","type":[{"code":"Attachment"}]}`, `{"resourceType":"Patient","photo":[{"url":"http://a"}]}`, "Patient.photo[0]"},
		{"required binding", `{"id":"Patient.maritalStatus","path":"Patient.maritalStatus","min":0,"max":"1","type":[{"code":"CodeableConcept"}],"binding":{"strength":"required","valueSet":"http://hl7.org/fhir/ValueSet/administrative-gender"}}`, `{"resourceType":"Patient","maritalStatus":{"coding":[{"system":"http://hl7.org/fhir/administrative-gender","code":"m"}]}}`, "Patient.maritalStatus"},
		{"pattern of a concept", `{"id":"Patient.maritalStatus","path":"Patient.maritalStatus","min":0,"max":"1","type":[{"code":"CodeableConcept"}],"patternCodeableConcept":{"coding":[{"code":"a"}]}}`, `{"resourceType":"Patient","maritalStatus":{"coding":[{"system":"s","code":"b"}]}}`, "Patient.maritalStatus"},
		{"a constraint of its own", `{"id":"Patient.name","path":"Patient.name","min":0,"max":"*","type":[{"code":"HumanName"}],"constraint":[{"key":"x-1","severity":"error","human":"needs a family name","expression":"family.exists()"}]}`, `{"resourceType":"Patient","name":[{"text":"x"}]}`, "Patient.name[0]"},
		{"memberOf in a constraint", `{"id":"Patient.gender","path":"Patient.gender","min":0,"max":"1","type":[{"code":"code"}],"constraint":[{"key":"x-1","severity":"error","human":"h","expression":"memberOf('http://hl7.org/fhir/ValueSet/days-of-week')"}]}`, `{"resourceType":"Patient","gender":"male"}`, "Patient.gender"},
		{"conformsTo in a constraint", `{"id":"Patient.contained","path":"Patient.contained","min":0,"max":"*","type":[{"code":"Resource"}],"constraint":[{"key":"x-1","severity":"error","human":"h","expression":"conformsTo('http://hl7.org/fhir/StructureDefinition/vitalsigns')"}]}`, `{"resourceType":"Patient","contained":[{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"}}]}`, "Patient.contained[0]"},
		{"length", `{"id":"Patient.name","path":"Patient.name","min":0,"max":"*","type":[{"code":"HumanName"}]},{"id":"Patient.name.text","path":"Patient.name.text","min":0,"max":"1","maxLength":2,"type":[{"code":"string"}]}`, `{"resourceType":"Patient","name":[{"text":"äöü"}]}`, "Patient.name[0].text"},
		{"a primitive with extensions alone is there", `{"id":"Patient.birthDate","path":"Patient.birthDate","min":1,"max":"1","type":[{"code":"date"}]}`, `{"resourceType":"Patient","_birthDate":{"extension":[{"url":"http://a","valueString":"x"}]}}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			issues, err := newValidator(t, sd("http://p", "Patient", tt.element)).Validate(t.Context(), parse(t, tt.resource), "http://p")
			if err != nil || (tt.at == "") != (len(issues) == 0) || tt.at != "" && issues[0].At != tt.at {
				t.Errorf("%v, %v; want one at %q", issues, err, tt.at)
			}
		})
	}
}

// An extension keeps its definition and stands where that allows it.
func TestExtensions(t *testing.T) {
	v := newValidator(t)
	birthPlace := `{"url":"` + core + `patient-birthPlace","valueAddress":{"city":"x"}}`
	tests := []struct {
		name, resource, at string
		severity           fhir.Severity
	}{
		{"in its place", `{"resourceType":"Patient","extension":[` + birthPlace + `]}`, "", 0},
		{"in another place", `{"resourceType":"Organization","name":"x","extension":[` + birthPlace + `]}`, "Organization.extension[0]", fhir.SeverityError},
		{"a value of another type", `{"resourceType":"Patient","extension":[{"url":"` + core + `patient-birthPlace","valueString":"x"}]}`, "Patient.extension[0].valueString", fhir.SeverityError},
		{"not known", `{"resourceType":"Patient","extension":[{"url":"http://a","valueString":"x"}]}`, "Patient.extension[0]", fhir.Information},
		{"a modifier that is not known", `{"resourceType":"Patient","modifierExtension":[{"url":"http://a","valueString":"x"}]}`, "Patient.modifierExtension[0]", fhir.SeverityError},
		{"a modifier of an example", `{"resourceType":"Patient","modifierExtension":[{"url":"http://example.org/a","valueString":"x"}]}`, "Patient.modifierExtension[0]", fhir.Warning},
		{"on a primitive", `{"resourceType":"Patient","birthDate":"2020","_birthDate":{"extension":[{"url":"` + core + `patient-birthTime","valueDateTime":"2020-01-01T10:00:00Z"}]}}`, "", 0},
		{"on another primitive", `{"resourceType":"Patient","gender":"male","_gender":{"extension":[{"url":"` + core + `patient-birthTime","valueDateTime":"2020-01-01T10:00:00Z"}]}}`, "Patient.gender.extension[0]", fhir.SeverityError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			issues := v.Extensions(t.Context(), parse(t, tt.resource))
			if tt.at == "" && len(issues) > 0 || tt.at != "" && !slices.ContainsFunc(issues, func(i fhir.Issue) bool { return i.At == tt.at && i.Severity == tt.severity }) {
				t.Errorf("%v, want one at %q", issues, tt.at)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	v := newValidator(t, `{"resourceType":"StructureDefinition","url":"http://bare","type":"Patient","differential":{}}`,
		sd("http://loop", "Patient", `{"id":"Patient.contained","path":"Patient.contained","min":0,"max":"*","type":[{"code":"Resource","profile":["http://loop"]}]}`))
	patient := parse(t, `{"resourceType":"Patient","contained":[{"resourceType":"Patient","id":"a"}]}`)
	for url, kind := range map[string]fhir.Kind{"http://none": fhir.NotFound, "http://bare": fhir.NotSupported, core + "bp": fhir.Invalid} {
		if _, err := v.Validate(t.Context(), patient, url); fhir.KindOf(err) != kind || err == nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	if _, err := v.Validate(t.Context(), patient, "http://loop"); err != nil {
		t.Errorf("a profile that leads to itself: %v", err)
	}
}

// known are official examples that do not keep the profiles or extensions they
// name, with what is wrong.
var known = map[string]string{}

// Official examples keep the profiles that they claim, and their extensions stand
// where they may.
func TestOfficialExamples(t *testing.T) {
	v, claims := newValidator(t), 0
	for name, body := range fhirtest.Examples(t) {
		r := parse(t, string(body))
		issues := v.Extensions(t.Context(), r)
		for claim := range r.Root().Get("meta").Get("profile").Items() {
			found, err := v.Validate(t.Context(), r, claim.Text())
			if err == nil {
				claims++
			}
			issues = append(issues, found...)
		}
		issues = slices.DeleteFunc(issues, func(i fhir.Issue) bool { return i.Severity > fhir.SeverityError })
		switch reason := known[name]; {
		case reason != "" && len(issues) == 0:
			t.Errorf("%s is excluded (%s) and passes", name, reason)
		case reason == "" && len(issues) > 0:
			t.Errorf("%s: %v", name, issues)
		}
	}
	t.Logf("%d claims of known profiles", claims)
	if claims < 8 {
		t.Errorf("only %d claims of known profiles", claims)
	}
}

func FuzzValidate(f *testing.F) {
	f.Add(bloodPressure)
	f.Add(`{"resourceType":"Observation","component":[{}],"code":{"coding":[null]},"value":1}`)
	v := newValidator(f)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := fhir.Parse([]byte(text), jsontree.Limits{})
		if err != nil {
			return
		}
		if issues, err := v.Validate(t.Context(), r, core+"bp"); err == nil && len(issues) > 200 {
			t.Errorf("%d issues", len(issues))
		}
		v.Extensions(t.Context(), r)
	})
}

func BenchmarkBloodPressure(b *testing.B) {
	v := newValidator(b)
	r := parse(b, bloodPressure)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Validate(b.Context(), r, core+"bp"); err != nil {
			b.Fatal(err)
		}
	}
}

type noIssues struct{}

func (noIssues) Validate(fhir.Resource) fhir.Issues { return nil }

type noCodes struct{}

func (noCodes) Validate(context.Context, fhir.Resource) fhir.Issues { return nil }

func TestClaims(t *testing.T) {
	c := profile.Claims{Base: noIssues{}, Codes: noCodes{}, Profiles: newValidator(t), Required: map[string][]string{"Observation": {core + "vitalsigns"}, "Device": {"http://none"}}}
	noCategory := strings.Replace(bloodPressure, `"vital-signs"`, `"laboratory"`, 1)
	for name, tt := range map[string]struct {
		resource string
		errors   bool
	}{
		"keeps what is required":        {bloodPressure, false},
		"breaks what is required":       {noCategory, true},
		"a required one is not known":   {`{"resourceType":"Device"}`, true},
		"a claim that is kept":          {`{"resourceType":"Group","type":"person","actual":true,"meta":{"profile":["` + core + `actualgroup"]}}`, false},
		"a claim of R4's own type":      {`{"resourceType":"Patient","meta":{"profile":["` + core + `Patient"]}}`, false},
		"a claim of another type":       {`{"resourceType":"Patient","meta":{"profile":["` + core + `bp"]}}`, false},
		"an extension in a wrong place": {`{"resourceType":"Basic","code":{"text":"x"},"extension":[{"url":"` + core + `patient-birthPlace","valueAddress":{"city":"x"}}]}`, true},
	} {
		issues := c.Validate(parse(t, tt.resource))
		if got := slices.ContainsFunc(issues, func(i fhir.Issue) bool { return i.Severity == fhir.SeverityError }); got != tt.errors {
			t.Errorf("%s: %v", name, issues)
		}
	}
}
