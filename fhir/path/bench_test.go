package path_test

import (
	"context"
	"testing"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
)

const observation = `{"resourceType":"Observation","id":"o1","meta":{"versionId":"1","lastUpdated":"2024-01-01T00:00:00.000Z"},"status":"final",
"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}]}],
"code":{"coding":[{"system":"http://loinc.org","code":"33914-3","display":"eGFR"}],"text":"eGFR"},
"subject":{"reference":"Patient/p1"},"effectiveDateTime":"2024-01-01T10:00:00Z","issued":"2024-01-01T10:00:00Z",
"valueQuantity":{"value":61.5,"unit":"mL/min","system":"http://unitsofmeasure.org","code":"mL/min"}}`

const patient = `{"resourceType":"Patient","id":"p1","active":true,"name":[{"use":"official","family":"Chalmers","given":["Peter","James"]},{"use":"usual","given":["Jim"]}],
"telecom":[{"system":"phone","value":"1","use":"home"},{"system":"email","value":"a@b"},{"system":"phone","value":"2"}],
"gender":"male","birthDate":"1974-12-25","_birthDate":{"extension":[{"url":"http://x","valueString":"y"}]},"deceasedBoolean":false}`

func parseResource(t testing.TB, text string) fhir.Resource {
	t.Helper()
	r, err := fhir.Parse([]byte(text), jsontree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func BenchmarkEval(b *testing.B) {
	engine, _ := newEngine(b)
	o, p := parseResource(b, observation), parseResource(b, patient)
	stub := path.TypedItem("Patient", jsontree.Node{})
	for _, bm := range []struct {
		name, expr string
		on         fhir.Resource
	}{
		{"path", "Observation.code", o},
		{"names", "Patient.name.family", p},
		{"other type", "Condition.code", o},
		{"choice", "(Observation.value as Quantity) | (Observation.value as SampledData)", o},
		{"resolve", "Observation.subject.where(resolve() is Patient)", o},
		{"where", "Patient.telecom.where(system='phone')", p},
		{"long union", "AllergyIntolerance.code | AllergyIntolerance.reaction.substance | Condition.code | DiagnosticReport.code | Observation.code", o},
		{"invariant", "code.exists() and (value.empty() or value.hasValue().not() or value.value > 0)", o},
	} {
		b.Run(bm.name, func(b *testing.B) {
			x, err := engine.Compile(bm.expr)
			if err != nil {
				b.Fatal(err)
			}
			env := path.Env{Resource: bm.on, Resolve: func(context.Context, string) (path.Item, bool) { return stub, true }}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := x.Eval(b.Context(), env); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("New", func(b *testing.B) {
		_, defs := newEngine(b)
		for b.Loop() {
			path.New(defs, nil)
		}
	})
}
