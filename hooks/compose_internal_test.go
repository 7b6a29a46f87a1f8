package hooks

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"galen/cds"
	"galen/cds/feature"
	"galen/models"
	"galen/models/manifest"
)

// answer is a result of a model with a coded outcome ("" for none), an indicator
// and a number of features that were found.
func answer(name, outcome string, indicator manifest.Indicator, found int) result {
	o := &manifest.Output{Name: "o", Meaning: manifest.Probability, Report: manifest.ReportHeadline}
	if outcome != "" {
		o.Outcome = &manifest.Coding{System: "s", Code: outcome}
	}
	info := &models.Info{Ref: models.Ref{Name: name}, Manifest: &manifest.Manifest{Name: name}}
	a := &cds.Assessment{Model: info, Status: cds.Assessed, Predictions: []cds.Prediction{{Output: o, Band: &manifest.Band{Indicator: indicator}}}}
	for range found {
		a.Features = append(a.Features, feature.Value{Feature: &manifest.Feature{}, Status: feature.Found, Sources: []string{"Observation/1"}})
	}
	return result{Assessment: a, info: info}
}

// Models that predict the same outcome share one card: that of the most urgent,
// and of two equally urgent ones that which knows more; the most urgent group
// comes first.
func TestGroupResults(t *testing.T) {
	results := []result{
		answer("kidney-4", "esrd", manifest.Info, 3),
		answer("alone", "", manifest.Info, 1),
		answer("kidney-8", "esrd", manifest.Info, 8),
		answer("ward", "death", manifest.Warning, 1),
		answer("icu", "death", manifest.Critical, 1),
		{info: &models.Info{}},
		answer("alone-too", "", manifest.Warning, 1),
	}
	type row struct {
		Lead   int
		Others []int
	}
	var got []row
	for _, g := range groupResults(results) {
		got = append(got, row{g.lead, g.others})
	}
	want := []row{{4, []int{3}}, {6, nil}, {2, []int{0}}, {1, nil}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
