package diff_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/fhirtest"
	"galen/fhir/jsontree"
	"galen/fhir/patch"
	"galen/fhir/patch/diff"
	"galen/fhir/path"
	"galen/fhir/spec"
	"galen/fhir/ucum"
)

type tools struct {
	defs    *spec.Definitions
	formats patch.Formats
}

func newTools(t testing.TB) tools {
	t.Helper()
	defs, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	units, err := ucum.Load()
	if err != nil {
		t.Fatal(err)
	}
	return tools{defs, patch.New(defs, path.New(defs, units), time.Now)}
}

func parse(t testing.TB, text []byte) fhir.Resource {
	t.Helper()
	r, err := fhir.Parse(text, jsontree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// roundTrip applies the difference to the first and compares with the second.
func (x tools) roundTrip(t *testing.T, a, b fhir.Resource) {
	t.Helper()
	text, err := diff.Parameters(x.defs, a, b, diff.Options{Meta: true})
	if err != nil {
		t.Fatal(err)
	}
	p, err := x.formats.Read(patch.FHIRPathPatch, text)
	if fhir.KindOf(err) == fhir.TooLong && err != nil {
		return // more operations than a patch may have
	}
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	got, err := p.Apply(t.Context(), a)
	if err != nil {
		t.Errorf("%s → %s: %v", a.Key, b.Key, err)
		return
	}
	if !jsontree.Equal(parse(t, got).Root(), b.Root()) {
		t.Errorf("%s → %s: the result differs", a.Key, b.Key)
	}
}

func TestParameters(t *testing.T) {
	const (
		operation = `{"resourceType":"Parameters","parameter":[`
		end       = `]}`
	)
	tests := []struct{ name, from, to, want string }{
		{"nothing", `"active":true`, `"active":true`, `{"resourceType":"Parameters"}`},
		{"only meta", `"meta":{"versionId":"1"}`, `"meta":{"versionId":"2"}`, `{"resourceType":"Parameters"}`},
		{"order and escapes do not count", `"active":true,"gender":"male"`, `"gender":"m\u0061le","active":true`, `{"resourceType":"Parameters"}`},
		{"a value", `"birthDate":"1970"`, `"birthDate":"1971"`, operation + `{"name":"operation","part":[{"name":"type","valueCode":"replace"},{"name":"path","valueString":"Patient.birthDate"},{"name":"value","valueDate":"1971"}]}` + end},
		{"a new element", `"active":true`, `"active":true,"gender":"male"`, operation + `{"name":"operation","part":[{"name":"type","valueCode":"add"},{"name":"path","valueString":"Patient"},{"name":"name","valueString":"gender"},{"name":"value","valueCode":"male"}]}` + end},
		{"an element gone", `"active":true,"gender":"male"`, `"active":true`, operation + `{"name":"operation","part":[{"name":"type","valueCode":"delete"},{"name":"path","valueString":"Patient.gender"}]}` + end},
		{"the first of a list gone", `"identifier":[{"value":"1"},{"value":"2"}]`, `"identifier":[{"value":"2"}]`, operation + `{"name":"operation","part":[{"name":"type","valueCode":"delete"},{"name":"path","valueString":"Patient.identifier[0]"}]}` + end},
		{"one in the middle of a list", `"name":[{"given":["a","c"]}]`, `"name":[{"given":["a","b","c"]}]`, operation + `{"name":"operation","part":[{"name":"type","valueCode":"insert"},{"name":"path","valueString":"Patient.name[0].given"},{"name":"index","valueInteger":1},{"name":"value","valueString":"b"}]}` + end},
		{"a backbone as parts", `"active":true`, `"active":true,"contact":[{"name":{"family":"x"},"gender":"male"}]`, operation + `{"name":"operation","part":[{"name":"type","valueCode":"add"},{"name":"path","valueString":"Patient"},{"name":"name","valueString":"contact"},{"name":"value","part":[{"name":"name","valueHumanName":{"family":"x"}},{"name":"gender","valueCode":"male"}]}]}` + end},
		{"another type of a choice", `"deceasedBoolean":true`, `"deceasedDateTime":"2020"`, operation + `{"name":"operation","part":[{"name":"type","valueCode":"replace"},{"name":"path","valueString":"Patient.deceased"},{"name":"value","valueDateTime":"2020"}]}` + end},
	}
	x := newTools(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := parse(t, []byte(`{"resourceType":"Patient",`+tt.from+`}`)), parse(t, []byte(`{"resourceType":"Patient",`+tt.to+`}`))
			got, err := diff.Parameters(x.defs, a, b, diff.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, string(got)); d != "" {
				t.Error(d)
			}
			x.roundTrip(t, a, b)
			x.roundTrip(t, b, a)
		})
	}
	if _, err := diff.Parameters(x.defs, parse(t, []byte(`{"resourceType":"Patient"}`)), parse(t, []byte(`{"resourceType":"Basic"}`)), diff.Options{}); fhir.KindOf(err) != fhir.Invalid {
		t.Errorf("two types: %v", err)
	}
}

// From each official example to the next of its type and back: the difference,
// applied, makes the second of the first.
func TestOfficialExamples(t *testing.T) {
	x := newTools(t)
	last := map[string]fhir.Resource{}
	pairs := 0
	for _, body := range fhirtest.Examples(t) {
		if len(body) > 100_000 {
			continue
		}
		r := parse(t, body)
		if before, ok := last[r.Type]; ok {
			pairs++
			x.roundTrip(t, before, r)
			x.roundTrip(t, r, before)
		}
		last[r.Type] = r
	}
	if pairs < 200 {
		t.Errorf("%d pairs", pairs)
	}
}
