package cds_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"galen/cds"
	"galen/cds/feature"
	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/search"
	"galen/fhir/search/index"
	"galen/fhir/spec"
	"galen/fhir/ucum"
	"galen/fhir/validate"
	"galen/models"
	"galen/models/catalog"
	"galen/models/manifest"
	"galen/models/onnx"
	"galen/store"
	"galen/store/mem"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// bench is an Engine with the shipped kidney model.
type bench struct {
	*testing.T
	zoo    *models.Catalog
	engine *cds.Engine
	defs   *spec.Definitions
	units  *ucum.Table
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{T: t, defs: must(spec.Load())(t), units: must(ucum.Load())(t)}
	runtime := must(onnx.Open(must(onnx.DefaultPath(os.Getenv))(t)))(t)
	b.zoo = must(models.Load(t.Context(), models.Options{Openers: map[manifest.Runtime]models.Opener{manifest.ONNX: runtime}},
		models.Source{Name: "built in", FS: catalog.FS()}))(t)
	t.Cleanup(func() { _ = b.zoo.Close() })
	b.engine = cds.New(feature.New(b.units), uuid.NewString)
	return b
}

func (b *bench) assess(ev feature.Evidence) *cds.Assessment {
	b.Helper()
	model := must(b.zoo.Acquire(models.Ref{Name: "kfre-4v"}))(b)
	defer model.Release()
	return must(b.engine.Assess(b.Context(), model, ev, noon))(b)
}

func item(t *testing.T, text string) feature.Item {
	t.Helper()
	r := must(fhir.Parse([]byte(text), jsontree.Limits{}))(t)
	return feature.Item{Resource: r, Citation: r.String() + "/_history/1"}
}

func lab(t *testing.T, loinc, value, unit string) feature.Item {
	return item(t, fmt.Sprintf(`{"resourceType":"Observation","id":"o%s","status":"final","code":{"coding":[{"system":"http://loinc.org","code":%q}]},
		"subject":{"reference":"Patient/p1"},"effectiveDateTime":"2026-11-01","valueQuantity":{"value":%s,"unit":%q,"system":"http://unitsofmeasure.org","code":%q}}`, loinc, loinc, value, unit, unit))
}

func evidence(t *testing.T, born string, items ...feature.Item) feature.Evidence {
	return feature.Evidence{PatientID: "p1", Patient: item(t, `{"resourceType":"Patient","id":"p1","gender":"male","birthDate":"`+born+`"}`), Items: items}
}

// What an assessment ends as: an answer, what is missing, or why the model does
// not apply. Nothing is guessed.
func TestAssess(t *testing.T) {
	b := newBench(t)
	egfr, acr := lab(t, "98979-8", "45", "mL/min/{1.73_m2}"), lab(t, "9318-7", "120", "mg/g")
	dialysis := item(t, `{"resourceType":"Condition","id":"d","subject":{"reference":"Patient/p1"},"code":{"coding":[{"system":"http://snomed.info/sct","code":"46177005"}]}}`)
	unknown := evidence(t, "1971-06-01", egfr, acr)
	unknown.Unavailable = []string{"Condition"}
	for name, tt := range map[string]struct {
		ev     feature.Evidence
		status cds.Status
		reason string
		egfr   float64 // computed; NaN for not run
	}{
		"worked example":              {evidence(t, "1971-06-01", egfr, acr), cds.Assessed, "", 45},
		"creatinine in another unit":  {evidence(t, "1971-06-01", lab(t, "14682-9", "168", "umol/L"), acr), cds.Assessed, "", 41.1},
		"no ratio":                    {evidence(t, "1971-06-01", egfr), cds.NotAssessable, "Urine albumin/creatinine ratio missing", math.NaN()},
		"nothing":                     {evidence(t, "1971-06-01"), cds.NotAssessable, "missing", math.NaN()},
		"a child":                     {evidence(t, "2015-06-01", egfr, acr), cds.NotApplicable, "the equation was made for adults", math.NaN()},
		"on dialysis":                 {evidence(t, "1971-06-01", egfr, acr, dialysis), cds.NotApplicable, "kidney failure is on record already", math.NaN()},
		"healthy kidneys":             {evidence(t, "1971-06-01", lab(t, "98979-8", "90", "mL/min/{1.73_m2}"), acr), cds.NotApplicable, "eGFR below 60", 90},
		"conditions not to be had":    {unknown, cds.Assessed, "", 45},
		"ratio without a unit":        {evidence(t, "1971-06-01", egfr, lab(t, "9318-7", "120", "")), cds.NotAssessable, "ratio missing", math.NaN()},
		"implausible ratio":           {evidence(t, "1971-06-01", egfr, lab(t, "9318-7", "1200000", "mg/g")), cds.NotAssessable, "ratio missing", math.NaN()},
		"ratio of another patient":    {evidence(t, "1971-06-01", egfr, item(t, strings.Replace(string(acr.Resource.Bytes()), "Patient/p1", "Patient/p2", 1))), cds.NotAssessable, "ratio missing", math.NaN()},
		"ratio that was a mistake":    {evidence(t, "1971-06-01", egfr, item(t, strings.Replace(string(acr.Resource.Bytes()), `"final"`, `"entered-in-error"`, 1))), cds.NotAssessable, "ratio missing", math.NaN()},
		"a birth date without a year": {evidence(t, "", egfr, acr), cds.NotAssessable, "Age missing", math.NaN()},
	} {
		a := b.assess(tt.ev)
		if a.Status != tt.status || !strings.Contains(a.Reason, tt.reason) || (a.Headline() != nil) != (tt.status == cds.Assessed) {
			t.Errorf("%s: %s: %q", name, a.Status, a.Reason)
		}
		if x, ok := a.Outputs["egfr"]; ok == math.IsNaN(tt.egfr) || (ok && math.Abs(x-tt.egfr) > 0.05) {
			t.Errorf("%s: eGFR %v, want %v", name, x, tt.egfr)
		}
	}
	a := b.assess(unknown)
	for i := range a.Features {
		if v := &a.Features[i]; v.Feature.Kind == manifest.Condition && cds.Text(v) != "missing" {
			t.Errorf("%s: %q, though conditions could not be had", v.Feature.Name, cds.Text(v))
		}
	}
	whole := b.assess(evidence(t, "1971-06-01", egfr, acr))
	if got := whole.Headline().Text(); got != "1.25 %" {
		t.Errorf("headline %q", got)
	}
	if diff := cmp.Diff([]string{"Patient/p1/_history/1", "Observation/o98979-8/_history/1", "Observation/o9318-7/_history/1"}, whole.Citations()); diff != "" {
		t.Errorf("citations (-want +got):\n%s", diff)
	}
	if why := whole.Rationale(); !strings.HasPrefix(why, "Main contributions: ") || strings.Count(why, ";") != 2 {
		t.Errorf("rationale %q", why)
	}
}

// What is stored is valid R4: the assessment, where it came from, the model as a
// Device, and guidance without an assessment.
func TestRecordIsValidR4(t *testing.T) {
	b := newBench(t)
	paths := path.New(b.defs, b.units)
	indexer := must(index.New(b.defs, paths, b.units, index.Options{Zone: time.UTC}))(t)
	s := must(store.New(store.Options{Driver: mem.New(), Indexer: indexer, Now: func() time.Time { return noon }, NewID: uuid.NewString, Random: rand.Reader}))(t)
	defer func() { _ = s.Close() }()
	ledger := cds.NewLedger(s)
	for range 2 {
		if err := ledger.Devices(t.Context(), b.zoo.List()); err != nil {
			t.Fatal(err)
		}
	}
	egfr := lab(t, "98979-8", "45", "mL/min/{1.73_m2}")
	good := b.assess(evidence(t, "1971-06-01", egfr, lab(t, "9318-7", "120", "mg/g")))
	card := uuid.NewString()
	c := cds.Context{
		Subject: "https://ehr.test/fhir/Patient/p1", Encounter: "https://ehr.test/fhir/Encounter/e1", Policy: "abc", Cards: []string{"", card},
		Guidance: []cds.Guidance{
			{Card: uuid.NewString(), Module: "urn:galen:service:x", Status: cds.DataRequired, At: noon, Texts: []string{"missing"}},
			{Card: uuid.NewString(), Module: "urn:galen:rule:x/y", Status: cds.GuidanceGiven, At: noon},
		},
	}
	records := must(ledger.Record(t.Context(), c, []*cds.Assessment{b.assess(evidence(t, "1971-06-01", egfr)), good}))(t)
	if records[0].Exists() || !records[1].Exists() {
		t.Fatalf("only what was assessed is stored: %v", records)
	}
	v := must(validate.New(b.defs, paths, validate.Base))(t)
	counts := map[string]int{}
	for _, kind := range []string{"RiskAssessment", "Provenance", "GuidanceResponse", "Device"} {
		page := must(s.Search(context.Background(), store.SearchInput{Query: &search.Query{Types: []string{kind}}, Count: 100}))(t)
		for _, rec := range page.Matches {
			counts[kind]++
			r := must(fhir.Parse(rec.Body, jsontree.Limits{}))(t)
			for _, issue := range v.Validate(r) {
				if issue.Severity <= fhir.SeverityError {
					t.Errorf("%s: %s: %s", kind, issue.At, issue.Diagnostics)
				}
			}
			if kind == "Device" && rec.Version != 1 {
				t.Errorf("the same model made version %d of its Device", rec.Version)
			}
		}
	}
	if counts["RiskAssessment"] != 1 || counts["Provenance"] != 1 || counts["GuidanceResponse"] != 2 || counts["Device"] < 2 {
		t.Errorf("stored %v", counts)
	}
	root := must(fhir.Parse(records[1].Body, jsontree.Limits{}))(t).Root()
	for name, pair := range map[string][2]string{
		"subject":   {root.Get("subject").Get("reference").Text(), c.Subject},
		"encounter": {root.Get("encounter").Get("reference").Text(), c.Encounter},
		"card":      {root.Get("identifier").Item(1).Get("value").Text(), "urn:uuid:" + card},
		"performer": {root.Get("performer").Get("reference").Text(), "Device/model-kfre-4v-1.0.0"},
		"status":    {root.Get("status").Text(), "preliminary"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %q, want %q", name, pair[0], pair[1])
		}
	}
}

func TestDigits(t *testing.T) {
	for _, tt := range []struct {
		x    float64
		n    int
		want string
	}{
		{0, 3, "0"},
		{1.24707, 3, "1.25"},
		{12.4707, 3, "12.5"},
		{0.000123456, 3, "0.000123"},
		{99.99, 3, "100"},
		{1234567, 3, "1234567"},
		{-1.5, 2, "-1.5"},
		{7, 4, "7"},
		{1e-12, 3, "0.000000000001"},
	} {
		if got := cds.Digits(tt.x, tt.n); got != tt.want {
			t.Errorf("Digits(%v, %d) = %s, want %s", tt.x, tt.n, got, tt.want)
		}
	}
}
