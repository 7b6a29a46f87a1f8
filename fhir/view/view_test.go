package view

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/search"
	"galen/fhir/spec"
)

const patient = `{"resourceType":"Patient","id":"1","meta":{"versionId":"2","lastUpdated":"2020-01-01T00:00:00.000Z"},` +
	`"implicitRules":"http://x.org/r","language":"de","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">Eve</div>"},` +
	`"contained":[{"resourceType":"Organization","id":"o"}],"extension":[{"url":"http://x.org/e","valueCode":"a"}],` +
	`"modifierExtension":[{"url":"http://x.org/m","valueCode":"b"}],"active":true,"name":[{"family":"Adams","_family":{"id":"f"},"given":["Eve"]}],` +
	`"_birthDate":{"extension":[{"url":"http://x.org/d","valueCode":"c"}]},"photo":[{"contentType":"image/png","data":"AAAA","title":"me"}],` +
	`"contact":[{"name":{"family":"B"}}],"communication":[{"language":{"text":"German"},"preferred":true}],` +
	`"managingOrganization":{"reference":"#o"}}`

const observation = `{"resourceType":"Observation","id":"2","meta":{"tag":[{"code":"t"}]},"status":"final","code":{"text":"x"},` +
	`"valueQuantity":{"value":1.00},"interpretation":[{"text":"high"}],` +
	`"component":[{"code":{"text":"c"},"valueString":"v","interpretation":[{"text":"low"}]}]}`

// https://hl7.org/fhir/R4/search.html#summary and #elements; spec/fhir.md item 43.
func TestApply(t *testing.T) {
	defs, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, body string
		view       View
		want       string // the members' JSON, or the whole body
	}{
		{"all", patient, View{}, patient},
		{"false", patient, View{Summary: search.SummaryFalse}, patient},
		{
			"true: what is marked, deep, modifiers, the contained that is referred to", patient,
			View{Summary: search.SummaryTrue},
			`{"resourceType":"Patient","id":"1","meta":{"versionId":"2","lastUpdated":"2020-01-01T00:00:00.000Z","tag":[` + subsetted + `]},` +
				`"implicitRules":"http://x.org/r","contained":[{"resourceType":"Organization","id":"o"}],` +
				`"modifierExtension":[{"url":"http://x.org/m","valueCode":"b"}],"active":true,"name":[{"family":"Adams","_family":{"id":"f"},"given":["Eve"]}],` +
				`"_birthDate":{"extension":[{"url":"http://x.org/d","valueCode":"c"}]},"managingOrganization":{"reference":"#o"}}`,
		},
		{
			"true: mandatory ones within what is kept; decimals as written", observation,
			View{Summary: search.SummaryTrue},
			`{"resourceType":"Observation","id":"2","meta":{"tag":[{"code":"t"},` + subsetted + `]},"status":"final","code":{"text":"x"},` +
				`"valueQuantity":{"value":1.00},"component":[{"code":{"text":"c"},"valueString":"v"}]}`,
		},
		{
			"text: narrative and what is mandatory", observation,
			View{Summary: search.SummaryText},
			`{"resourceType":"Observation","id":"2","meta":{"tag":[{"code":"t"},` + subsetted + `]},"status":"final","code":{"text":"x"}}`,
		},
		{
			"data: all but the narrative", `{"resourceType":"Basic","text":{"status":"empty"},"code":{"text":"x"},"created":"2020"}`,
			View{Summary: search.SummaryData},
			`{"resourceType":"Basic","code":{"text":"x"},"created":"2020","meta":{"tag":[` + subsetted + `]}}`,
		},
		{
			"elements: named, mandatory and modifiers; a choice by its name", observation,
			View{Elements: []string{"value", "nonsense"}},
			`{"resourceType":"Observation","id":"2","meta":{"tag":[{"code":"t"},` + subsetted + `]},"status":"final","code":{"text":"x"},"valueQuantity":{"value":1.00}}`,
		},
		{
			"elements below the root", observation,
			View{Elements: []string{"Observation.component.interpretation"}},
			`{"resourceType":"Observation","id":"2","meta":{"tag":[{"code":"t"},` + subsetted + `]},"status":"final","code":{"text":"x"},` +
				`"component":[{"code":{"text":"c"},"interpretation":[{"text":"low"}]}]}`,
		},
		{
			"elements: the whole wins over a part", observation,
			View{Elements: []string{"component.interpretation", "component", "component.value"}},
			`{"resourceType":"Observation","id":"2","meta":{"tag":[{"code":"t"},` + subsetted + `]},"status":"final","code":{"text":"x"},` +
				`"component":[{"code":{"text":"c"},"valueString":"v","interpretation":[{"text":"low"}]}]}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Apply(defs, tt.view, []byte(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if !json.Valid(got) {
				t.Error("not JSON")
			}
		})
	}
}

func TestParse(t *testing.T) {
	tests := []struct {
		query string
		want  View
		kind  fhir.Kind
		fails bool
	}{
		{query: "", want: View{}},
		{query: "_format=json&_summary=text", want: View{Summary: search.SummaryText}},
		{query: "_elements=name,%20gender&_elements=link", want: View{Elements: []string{"name", "gender", "link"}}},
		{query: "_summary=false&_elements=name", want: View{Summary: search.SummaryFalse, Elements: []string{"name"}}},
		{query: "_summary=count", fails: true, kind: fhir.Value},
		{query: "_summary=true&_elements=name", fails: true, kind: fhir.Invalid},
		{query: "_summary=%zz", fails: true, kind: fhir.Malformed},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			got, err := Parse(tt.query)
			if (err != nil) != tt.fails || err != nil && fhir.KindOf(err) != tt.kind {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(tt.want, got); err == nil && diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// A view of a whole resource is a resource again, whatever came in.
func FuzzApply(f *testing.F) {
	f.Add(patient, "name")
	f.Add(observation, "component.interpretation")
	f.Add(`{"resourceType":"Patient","name":[null,1,{}],"meta":{"tag":[]}}`, "meta.tag")
	defs, err := spec.Load()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body, element string) {
		if _, err := fhir.Parse([]byte(body), jsontree.Limits{}); err != nil {
			t.Skip()
		}
		for _, v := range []View{{Summary: search.SummaryTrue}, {Summary: search.SummaryText}, {Summary: search.SummaryData}, {Elements: []string{element}}} {
			out, err := Apply(defs, v, []byte(body))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := fhir.Parse(out, jsontree.Limits{}); err != nil {
				t.Fatalf("%v of %s: %s: %v", v, body, out, err)
			}
		}
	})
}

func BenchmarkApply(b *testing.B) {
	defs, err := spec.Load()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Apply(defs, View{Summary: search.SummaryTrue}, []byte(patient)); err != nil {
			b.Fatal(err)
		}
	}
}
