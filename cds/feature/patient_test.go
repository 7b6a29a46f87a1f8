package feature_test

import (
	"testing"

	"galen/models/manifest"
)

func patient(members string) string {
	return `{"resourceType":"Patient","id":"p","birthDate":"1966-05-01"` + members + `}`
}

// The OMB categories of https://hl7.org/fhir/us/core/StructureDefinition-us-core-race.html.
func TestRace(t *testing.T) {
	const omb = "urn:oid:2.16.840.1.113883.6.238"
	f := manifest.Feature{Name: "race", Kind: manifest.Race, Categories: []manifest.Category{
		{Coding: manifest.Coding{System: omb, Code: "2054-5"}, Value: 1},
		{Coding: manifest.Coding{System: omb, Code: "2106-3"}, Value: 0},
	}}
	race := func(code string) string {
		return patient(`,"extension":[{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-race","extension":[
			{"url":"ombCategory","valueCoding":{"system":"` + omb + `","code":"` + code + `"}},{"url":"text","valueString":"x"}]}]`)
	}
	for name, tt := range map[string]struct {
		json     string
		found    bool
		number   float64
		rejected int
	}{
		"Black or African American": {race("2054-5"), true, 1, 0},
		"White":                     {race("2106-3"), true, 0, 0},
		"a code without a category": {race("2028-9"), false, 0, 1},
		"not recorded":              {patient(""), false, 0, 0},
	} {
		v := extract(t, f, tt.json)
		if v.Present() != tt.found || v.Present() && v.Number != tt.number || len(v.Rejected) != tt.rejected {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

func TestOnset(t *testing.T) {
	f := manifest.Feature{
		Name: "diagnosed", Kind: manifest.Onset, Unit: "a", Aggregate: manifest.Min,
		Codes: []manifest.Code{{Coding: manifest.Coding{System: "http://snomed.info/sct", Code: "44054006"}}},
	}
	condition := func(id, onset string) string {
		return `{"resourceType":"Condition","id":"` + id + `","subject":{"reference":"Patient/p"},
			"code":{"coding":[{"system":"http://snomed.info/sct","code":"44054006"}]}` + onset + `}`
	}
	for name, tt := range map[string]struct {
		json []string
		want float64 // −1 for missing
	}{
		"the day before a birthday": {[]string{condition("c", `,"onsetDateTime":"2016-04-30"`)}, 49},
		"the birthday":              {[]string{condition("c", `,"onsetDateTime":"2016-05-01"`)}, 50},
		"a year alone":              {[]string{condition("c", `,"onsetDateTime":"2016"`)}, 50},
		"a period":                  {[]string{condition("c", `,"onsetPeriod":{"start":"2011-06-01"}`)}, 45},
		"an age":                    {[]string{condition("c", `,"onsetAge":{"value":52,"system":"http://unitsofmeasure.org","code":"a"}`)}, 52},
		"the earliest of two":       {[]string{condition("c", `,"onsetDateTime":"2016-05-01"`), condition("d", `,"onsetDateTime":"2012-05-01"`)}, 46},
		"no onset":                  {[]string{condition("c", "")}, -1},
		"no condition":              {nil, -1},
	} {
		v := extract(t, f, append(tt.json, patient(""))...)
		if v.Present() != (tt.want >= 0) || v.Present() && v.Number != tt.want {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

// Past counts what is over, and still not what never was.
func TestPast(t *testing.T) {
	condition := func(clinical, verification string) string {
		return `{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/p"},
			"clinicalStatus":{"coding":[{"code":"` + clinical + `"}]},"verificationStatus":{"coding":[{"code":"` + verification + `"}]},
			"code":{"coding":[{"system":"http://snomed.info/sct","code":"230690007"}]}}`
	}
	f := manifest.Feature{
		Name: "stroke", Kind: manifest.Condition, Aggregate: manifest.Any, Past: true,
		Codes: []manifest.Code{{Coding: manifest.Coding{System: "http://snomed.info/sct", Code: "230690007"}}},
	}
	for status, want := range map[string]float64{"active": 1, "resolved": 1, "inactive": 1} {
		if v := extract(t, f, condition(status, "confirmed")); v.Number != want {
			t.Errorf("%s: %v", status, v.Number)
		}
	}
	if v := extract(t, f, condition("resolved", "refuted")); v.Number != 0 {
		t.Errorf("refuted: %v", v.Number)
	}
	f.Past = false
	if v := extract(t, f, condition("resolved", "confirmed")); v.Number != 0 {
		t.Errorf("resolved without past: %v", v.Number)
	}
}
