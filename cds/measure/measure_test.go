package measure_test

import (
	"testing"
	"time"

	"galen/cds/measure"
	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/spec"
	"galen/fhir/ucum"
	"galen/fhir/validate"
	"galen/models/evaluate"
)

func TestReport(t *testing.T) {
	x := func(v float64) *float64 { return &v }
	i := evaluate.Interval{Value: x(0.8), Low: x(0.7), High: x(0.9)}
	g := evaluate.Group{Name: "all", N: 100, Events: 20, AUC: i, AP: i, Brier: i, Slope: i, Intercept: i, OE: i}
	sub := g
	sub.Name, sub.AUC = "sex = 1", evaluate.Interval{}
	r := &evaluate.Report{
		Model: "kfre-4v@1.0.0", Title: "Kidney failure", Output: "risk_2y", At: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC),
		Probability: true, Overall: g, Subgroups: []evaluate.Group{sub},
	}
	body, err := measure.Report(r)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := fhir.Parse(body, jsontree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defs, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	units, err := ucum.Load()
	if err != nil {
		t.Fatal(err)
	}
	v, err := validate.New(defs, path.New(defs, units), validate.Base)
	if err != nil {
		t.Fatal(err)
	}
	for _, issue := range v.Validate(parsed) {
		if issue.Severity <= fhir.SeverityError {
			t.Errorf("%+v", issue)
		}
	}
	groups := parsed.Root().Get("group")
	if groups.Len() != 6 || groups.Item(0).Get("measureScore").Get("value").Text() != "0.8" {
		t.Errorf("groups %s", groups.Raw())
	}
	stratum := groups.Item(0).Get("stratifier").Item(0).Get("stratum").Item(0)
	if stratum.Get("value").Get("text").Text() != "sex = 1" || stratum.Get("measureScore").Exists() {
		t.Errorf("stratum %s", stratum.Raw())
	}
	r.Probability = false
	if body, err = measure.Report(r); err != nil {
		t.Fatal(err)
	}
	if parsed, err = fhir.Parse(body, jsontree.Limits{}); err != nil || parsed.Root().Get("group").Len() != 2 {
		t.Errorf("of points: %s, %v", body, err)
	}
	r.Model = "kfre-4v"
	if _, err := measure.Report(r); fhir.KindOf(err) != fhir.Value {
		t.Errorf("without a version: %v", err)
	}
}
