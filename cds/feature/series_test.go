package feature

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/ucum"
	"galen/models/manifest"
)

func extractor(t testing.TB) *Extractor {
	t.Helper()
	units, err := ucum.Load()
	if err != nil {
		t.Fatal(err)
	}
	return New(units)
}

func seriesItem(t testing.TB, n int, text string) Item {
	t.Helper()
	r, err := fhir.Parse([]byte(text), jsontree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return Item{Resource: r, Citation: fmt.Sprintf("%s/%d/_history/1", r.Type, n)}
}

func measured(code, at, value string) string {
	return `{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"` + code + `"}]},"subject":{"reference":"Patient/p"},"effectiveDateTime":"` + at + `","valueQuantity":` + value + `}`
}

var (
	heartRate = manifest.Feature{
		Name: "hr", Kind: manifest.Observation, Unit: "/min", Aggregate: manifest.Mean,
		Codes: []manifest.Code{{Coding: manifest.Coding{System: "http://loinc.org", Code: "8867-4"}}},
	}
	urine = manifest.Feature{
		Name: "urine", Kind: manifest.Observation, Unit: "mL", Aggregate: manifest.Sum,
		Codes: []manifest.Code{{Coding: manifest.Coding{System: "http://loinc.org", Code: "9187-6"}}},
	}
)

func hourly(t testing.TB, length int64) *manifest.Series {
	t.Helper()
	step, err := manifest.ParseDuration("1h")
	if err != nil {
		t.Fatal(err)
	}
	return &manifest.Series{Step: step, Length: length}
}

// Values go into the step that they lie in, the last step takes its end; a step
// is the mean or the sum; what lies outside is listed with the reason.
func TestSeries(t *testing.T) {
	const perMinute = `"unit":"/min","system":"http://unitsofmeasure.org","code":"/min"}`
	const ml = `"unit":"mL","system":"http://unitsofmeasure.org","code":"mL"}`
	var ev Evidence
	ev.PatientID = "p"
	for i, text := range []string{
		measured("8867-4", "2026-01-01T00:00:00Z", `{"value":80,`+perMinute),
		measured("8867-4", "2026-01-01T00:59:59Z", `{"value":90,`+perMinute),
		measured("8867-4", "2026-01-01T01:00:00Z", `{"value":100,`+perMinute),
		measured("8867-4", "2026-01-01T03:00:00Z", `{"value":70,`+perMinute),                                                    // the end of the last step
		measured("8867-4", "2026-01-01T03:00:01Z", `{"value":60,`+perMinute),                                                    // beyond
		measured("8867-4", "2025-12-31T23:59:59Z", `{"value":50,`+perMinute),                                                    // before
		measured("8867-4", "2026-01-01T06:00:00Z", `{"value":40,`+perMinute),                                                    // after the assessment
		measured("9187-6", "2026-01-01T01:10:00Z", `{"value":100,`+ml),                                                          //
		measured("9187-6", "2026-01-01T01:50:00Z", `{"value":0.05,"unit":"L","system":"http://unitsofmeasure.org","code":"L"}`), // litres
	} {
		ev.Items = append(ev.Items, seriesItem(t, i, text))
	}
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := begin.Add(4 * time.Hour)
	features := []*manifest.Feature{&heartRate, &urine}
	got := extractor(t).Series(features, hourly(t, 3), ev, at, begin)
	nan := math.NaN()
	same := cmp.Comparer(func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) })
	if diff := cmp.Diff([][]float64{{85, 100, 70}, {nan, 150, nan}}, got.Steps, same); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	v := got.Values[0]
	if v.Status != Found || v.Number != 70 || len(v.Sources) != 4 || len(v.Rejected) != 3 || got.Guess {
		t.Errorf("%+v", v)
	}
	reasons := map[string]int{}
	for _, r := range v.Rejected {
		reasons[r.Reason]++
	}
	if reasons[reasonFuture] != 1 || reasons[reasonOutside] != 2 {
		t.Error(reasons)
	}
	// Without a stay the first value is the beginning.
	if got = extractor(t).Series(features, hourly(t, 3), ev, at, time.Time{}); !got.Guess || !got.Begin.Equal(begin.Add(-time.Second)) {
		t.Errorf("begins at %v, guessed %v", got.Begin, got.Guess)
	}
	if got = extractor(t).Series(features, hourly(t, 3), Evidence{PatientID: "p"}, at, time.Time{}); got.Values[0].Status != Missing || !math.IsNaN(got.Steps[0][0]) {
		t.Errorf("nothing on record: %+v", got)
	}
}

// A stay is the inpatient Encounter that began last; others count only where
// there is none.
func TestStay(t *testing.T) {
	encounter := func(class, status, start string) string {
		return `{"resourceType":"Encounter","status":"` + status + `","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"` + class + `"},"subject":{"reference":"Patient/p"},"period":{"start":"` + start + `"}}`
	}
	at := time.Date(2026, 1, 10, 0, 0, 0, 0, time.UTC)
	tests := []struct {
		name       string
		encounters []string
		hours      float64 // < 0: missing
	}{
		{"none", nil, -1},
		{"the last one", []string{encounter("IMP", "finished", "2026-01-01T00:00:00Z"), encounter("ACUTE", "in-progress", "2026-01-09T00:00:00Z")}, 24},
		{"a visit is no stay", []string{encounter("IMP", "finished", "2026-01-08T00:00:00Z"), encounter("AMB", "finished", "2026-01-09T12:00:00Z")}, 48},
		{"but better than nothing", []string{encounter("AMB", "finished", "2026-01-09T12:00:00Z")}, 12},
		{"not one that was planned", []string{encounter("IMP", "planned", "2026-01-09T00:00:00Z")}, -1},
		{"nor one to come", []string{encounter("IMP", "in-progress", "2026-01-11T00:00:00Z")}, -1},
		{"nor another patient's", []string{`{"resourceType":"Encounter","status":"finished","class":{"code":"IMP"},"subject":{"reference":"Patient/q"},"period":{"start":"2026-01-01"}}`}, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ev := Evidence{PatientID: "p"}
			for i, text := range tt.encounters {
				ev.Items = append(ev.Items, seriesItem(t, i, text))
			}
			v := extractor(t).Extract([]manifest.Feature{{Name: "stay", Kind: manifest.Stay, Unit: "h"}}, ev, at)[0]
			if tt.hours < 0 && v.Status != Missing || tt.hours >= 0 && (v.Number != tt.hours || len(v.Sources) != 1) {
				t.Errorf("%+v, want %v hours", v, tt.hours)
			}
		})
	}
}
