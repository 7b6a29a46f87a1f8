package feature_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"galen/cds/feature"
	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/ucum"
	"galen/models/manifest"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

const loinc = "http://loinc.org"

// creatinine is a feature as a manifest would have it.
func creatinine(t *testing.T) manifest.Feature {
	t.Helper()
	window, err := manifest.ParseDuration("365d")
	if err != nil {
		t.Fatal(err)
	}
	low, high := 0.1, 30.0
	return manifest.Feature{
		Name: "creatinine", Label: "Serum creatinine", Kind: manifest.Observation, Unit: "mg/dL",
		Codes: []manifest.Code{
			{Coding: manifest.Coding{System: loinc, Code: "2160-0"}},
			{Coding: manifest.Coding{System: loinc, Code: "14682-9"}, Conversions: []manifest.Conversion{{Unit: "umol/L", Divide: 88.4}}},
		},
		Window: window, Aggregate: manifest.Latest, Plausible: &manifest.Limits{GE: &low, LE: &high}, Missing: manifest.MissingOptional,
	}
}

func item(t *testing.T, json string) feature.Item {
	t.Helper()
	r, err := fhir.Parse([]byte(json), jsontree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return feature.Item{Resource: r, Citation: r.String() + "/_history/1"}
}

// observation makes a final Observation of patient p; more is appended raw.
func observation(id, code, at, more string) string {
	return `{"resourceType":"Observation","id":"` + id + `","status":"final","subject":{"reference":"Patient/p"},
		"code":{"coding":[{"system":"http://loinc.org","code":"` + code + `"}]},"effectiveDateTime":"` + at + `",` + more + `}`
}

func quantity(value, unit string) string {
	return `"valueQuantity":{"value":` + value + `,"system":"http://unitsofmeasure.org","code":"` + unit + `"}`
}

func extract(t *testing.T, f manifest.Feature, jsons ...string) feature.Value {
	t.Helper()
	units, err := ucum.Load()
	if err != nil {
		t.Fatal(err)
	}
	ev := feature.Evidence{PatientID: "p"}
	for _, j := range jsons {
		it := item(t, j)
		if it.Resource.Type == "Patient" {
			ev.Patient = it
			continue
		}
		ev.Items = append(ev.Items, it)
	}
	return feature.New(units).Extract([]manifest.Feature{f}, ev, noon)[0]
}

func TestObservationValue(t *testing.T) {
	const day = "2026-11-20T08:00:00Z"
	tests := []struct {
		name   string
		json   []string
		number float64 // NaN for missing
		reason string  // a rejection that must be there
	}{
		{"its own unit", []string{observation("a", "2160-0", day, quantity("1.10", "mg/dL"))}, 1.1, ""},
		{"a UCUM conversion", []string{observation("a", "2160-0", day, quantity("11", "mg/L"))}, 1.1, ""},
		{"a conversion of the manifest", []string{observation("a", "14682-9", day, quantity("88.4", "umol/L"))}, 1, ""},
		{"a conversion that only the other code has", []string{observation("a", "2160-0", day, quantity("88.4", "umol/L"))}, math.NaN(), "convert"},
		{"no unit", []string{observation("a", "2160-0", day, `"valueQuantity":{"value":1.1}`)}, math.NaN(), "no unit"},
		{"a unit of another kind", []string{observation("a", "2160-0", day, quantity("1.1", "Cel"))}, math.NaN(), "convert"},
		{"the unit as text only", []string{observation("a", "2160-0", day, `"valueQuantity":{"value":1.1,"unit":"mg/dL"}`)}, 1.1, ""},
		{"implausible", []string{observation("a", "2160-0", day, quantity("88.4", "mg/dL"))}, math.NaN(), "plausible"},
		{"a limit", []string{observation("a", "2160-0", day, `"valueQuantity":{"value":1,"comparator":"<","code":"mg/dL","system":"http://unitsofmeasure.org"}`)}, math.NaN(), "limit"},
		{"no value", []string{observation("a", "2160-0", day, `"dataAbsentReason":{"text":"lost"}`)}, math.NaN(), "no usable value"},
		{"too old", []string{observation("a", "2160-0", "2024-01-01", quantity("1.1", "mg/dL"))}, math.NaN(), "too old"},
		{"in the future", []string{observation("a", "2160-0", "2026-11-25", quantity("1.1", "mg/dL"))}, math.NaN(), "after"},
		{"entered in error", []string{strings.Replace(observation("a", "2160-0", day, quantity("1.1", "mg/dL")), "final", "entered-in-error", 1)}, math.NaN(), "status"},
		{"another patient's", []string{strings.Replace(observation("a", "2160-0", day, quantity("1.1", "mg/dL")), "Patient/p", "Patient/q", 1)}, math.NaN(), "another patient"},
		{"another code", []string{observation("a", "2161-8", day, quantity("1.1", "mg/dL"))}, math.NaN(), ""},
		{"the newest wins", []string{
			observation("a", "2160-0", day, quantity("1", "mg/dL")),
			observation("b", "2160-0", "2026-11-21", quantity("2", "mg/dL")),
			observation("c", "2160-0", "2026-11-19", quantity("3", "mg/dL")),
		}, 2, ""},
		{"of one time the code listed first", []string{
			observation("a", "14682-9", day, quantity("176.8", "umol/L")),
			observation("b", "2160-0", day, quantity("1", "mg/dL")),
		}, 1, ""},
		{"a bad one does not hide a good one", []string{
			observation("a", "2160-0", "2026-11-22", quantity("500", "mg/dL")),
			observation("b", "2160-0", day, quantity("1", "mg/dL")),
		}, 1, "plausible"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := extract(t, creatinine(t), tt.json...)
			if math.IsNaN(tt.number) != math.IsNaN(v.Number) || !math.IsNaN(tt.number) && math.Abs(v.Number-tt.number) > 1e-12 {
				t.Errorf("number %v, want %v", v.Number, tt.number)
			}
			if v.Present() == math.IsNaN(tt.number) || v.Present() != (len(v.Sources) == 1) {
				t.Errorf("status %d with sources %v", v.Status, v.Sources)
			}
			reasons := ""
			for _, r := range v.Rejected {
				reasons += r.Reason + ";"
			}
			if !strings.Contains(reasons, tt.reason) || tt.reason == "" && reasons != "" {
				t.Errorf("rejections %q, want %q", reasons, tt.reason)
			}
		})
	}
}

func TestAggregates(t *testing.T) {
	values := []string{
		observation("a", "2160-0", "2026-11-20", quantity("1", "mg/dL")),
		observation("b", "2160-0", "2026-11-22", quantity("4", "mg/dL")),
		observation("c", "2160-0", "2026-11-21", quantity("1", "mg/dL")),
	}
	for aggregate, want := range map[manifest.Aggregate]float64{
		manifest.Latest: 4, manifest.Earliest: 1, manifest.Mean: 2, manifest.Min: 1, manifest.Max: 4, manifest.Count: 3, manifest.Any: 1,
	} {
		f := creatinine(t)
		f.Aggregate = aggregate
		if v := extract(t, f, values...); v.Number != want {
			t.Errorf("%s: %v, want %v", aggregate, v.Number, want)
		}
	}
}

// The order of the evidence must not change a value or its sources.
func TestOrderOfEvidenceDoesNotMatter(t *testing.T) {
	a := observation("a", "2160-0", "2026-11-20", quantity("1", "mg/dL"))
	b := observation("b", "2160-0", "2026-11-20", quantity("2", "mg/dL"))
	one, other := extract(t, creatinine(t), a, b), extract(t, creatinine(t), b, a)
	if diff := cmp.Diff(one.Sources, other.Sources); diff != "" || one.Number != other.Number {
		t.Errorf("%v and %v: %s", one.Number, other.Number, diff)
	}
}

func TestPanelComponent(t *testing.T) {
	f := manifest.Feature{
		Name: "sbp", Kind: manifest.Observation, Unit: "mm[Hg]", Aggregate: manifest.Latest,
		Codes: []manifest.Code{{Coding: manifest.Coding{System: loinc, Code: "8480-6"}, Panels: []manifest.Coding{{System: loinc, Code: "85354-9"}}}},
	}
	v := extract(t, f, observation("a", "85354-9", "2026-11-24", `"component":[
		{"code":{"coding":[{"system":"http://loinc.org","code":"8462-4"}]},`+quantity("70", "mm[Hg]")+`},
		{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},`+quantity("105", "mm[Hg]")+`}]`))
	if v.Number != 105 {
		t.Errorf("systolic %v", v.Number)
	}
}

func TestAgeAndSex(t *testing.T) {
	age := manifest.Feature{Name: "age", Kind: manifest.Age, Unit: "a"}
	for birth, want := range map[string]float64{
		"1976-11-24": 50, "1976-11-25": 49, "1976-11": 50, "1976": 50, "2026-11-24": 0, "2000-02-29": 26,
	} {
		if v := extract(t, age, `{"resourceType":"Patient","id":"p","birthDate":"`+birth+`"}`); v.Number != want {
			t.Errorf("born %s: %v, want %v", birth, v.Number, want)
		}
	}
	for _, birth := range []string{"2027-01-01", "unknown"} {
		if v := extract(t, age, `{"resourceType":"Patient","id":"p","birthDate":"`+birth+`"}`); v.Present() {
			t.Errorf("born %s: %v", birth, v.Number)
		}
	}
	sex := manifest.Feature{Name: "sex", Kind: manifest.Sex, Categories: []manifest.Category{
		{Coding: manifest.Coding{System: "http://hl7.org/fhir/administrative-gender", Code: "male"}, Value: 1},
	}}
	if v := extract(t, sex, `{"resourceType":"Patient","id":"p","gender":"male"}`); v.Number != 1 {
		t.Errorf("male: %v", v.Number)
	}
	if v := extract(t, sex, `{"resourceType":"Patient","id":"p","gender":"other"}`); v.Present() || len(v.Rejected) != 1 {
		t.Errorf("a gender without a category: %+v", v)
	}
}

func TestDefaultIsSaidAndHasNoSource(t *testing.T) {
	f := creatinine(t)
	one := 1.0
	f.Missing, f.Default, f.DefaultNote = manifest.MissingDefault, &one, "assumed"
	v := extract(t, f)
	if v.Status != feature.Defaulted || v.Number != 1 || v.Note != "assumed" || v.Sources != nil || v.Present() {
		t.Errorf("%+v", v)
	}
}

func TestRecordedConditions(t *testing.T) {
	f := manifest.Feature{
		Name: "copd", Kind: manifest.Condition, Aggregate: manifest.Any, Unit: "1",
		Codes: []manifest.Code{{Coding: manifest.Coding{System: "http://snomed.info/sct", Code: "13645005"}}},
	}
	condition := func(clinical, verification string) string {
		return `{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/p"},
			"clinicalStatus":{"coding":[{"code":"` + clinical + `"}]},"verificationStatus":{"coding":[{"code":"` + verification + `"}]},
			"code":{"coding":[{"system":"http://snomed.info/sct","code":"13645005"}]}}`
	}
	for name, tt := range map[string]struct {
		json []string
		want float64
	}{
		"nothing on record": {nil, 0},
		"active":            {[]string{condition("active", "confirmed")}, 1},
		"resolved":          {[]string{condition("resolved", "confirmed")}, 0},
		"refuted":           {[]string{condition("active", "refuted")}, 0},
	} {
		if v := extract(t, f, tt.json...); v.Number != tt.want || !v.Present() {
			t.Errorf("%s: %v", name, v.Number)
		}
	}
}

func BenchmarkExtract(b *testing.B) {
	units, err := ucum.Load()
	if err != nil {
		b.Fatal(err)
	}
	r, err := fhir.Parse([]byte(observation("a", "2160-0", "2026-11-20", quantity("11", "mg/L"))), jsontree.Limits{})
	if err != nil {
		b.Fatal(err)
	}
	ev := feature.Evidence{PatientID: "p"}
	for range 20 {
		ev.Items = append(ev.Items, feature.Item{Resource: r, Citation: "Observation/a/_history/1"})
	}
	f := []manifest.Feature{{
		Name: "creatinine", Kind: manifest.Observation, Unit: "mg/dL", Aggregate: manifest.Latest,
		Codes: []manifest.Code{{Coding: manifest.Coding{System: loinc, Code: "2160-0"}}},
	}}
	x := feature.New(units)
	for b.Loop() {
		x.Extract(f, ev, noon)
	}
}
