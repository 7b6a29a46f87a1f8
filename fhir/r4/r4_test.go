package r4_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/r4"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func root(t *testing.T, b []byte, err error) jsontree.Node {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	r, err := fhir.Parse(b, jsontree.Limits{})
	if err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	for n := range r.Root().Walk() {
		if n.Text() == "" {
			t.Errorf("an empty string in %s", b)
		}
	}
	return r.Root()
}

func TestOperationOutcome(t *testing.T) {
	b := r4.OperationOutcome(fhir.Issues{
		{Severity: fhir.SeverityError, Kind: fhir.Required, At: "Patient.name", Diagnostics: "a \"name\" is needed"},
		{Severity: fhir.Information, Diagnostics: "stored"},
	})
	want := `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"required","diagnostics":"a \"name\" is needed","expression":["Patient.name"]},{"severity":"information","code":"informational","diagnostics":"stored"}]}`
	if diff := cmp.Diff(want, string(b)); diff != "" {
		t.Error(diff)
	}
	if n := root(t, r4.OperationOutcome(nil), nil).Get("issue").Len(); n != 1 {
		t.Errorf("issue is 1..*, got %d", n)
	}
}

func TestRiskAssessmentWritesPercentAsGiven(t *testing.T) {
	b, err := r4.RiskAssessment{
		Identifiers: []r4.Identifier{{System: "urn:ietf:rfc:3986", Value: "urn:uuid:1"}},
		Method:      r4.Concept{Text: "KFRE"}, Subject: "Patient/1", Occurrence: noon, Performer: "Device/m",
		Basis: []string{"Patient/1/_history/2"},
		Predictions: []r4.Prediction{{
			Outcome: r4.Concept{Codings: []r4.Coding{{System: "http://snomed.info/sct", Code: "46177005"}}},
			Percent: "1.2470700", Risk: r4.Coding{System: "s", Code: "low"},
			When: r4.Period{Start: noon, End: noon.AddDate(2, 0, 0)}, Rationale: "why",
		}},
	}.JSON()
	r := root(t, b, err)
	p := r.Get("prediction").Item(0)
	for name, pair := range map[string][2]string{
		"percent": {p.Get("probabilityDecimal").Text(), "1.2470700"},
		"status":  {r.Get("status").Text(), "preliminary"},
		"label":   {r.Get("meta").Get("security").Item(0).Get("code").Text(), "AIAST"},
		"basis":   {r.Get("basis").Item(0).Get("reference").Text(), "Patient/1/_history/2"},
		"when":    {p.Get("whenPeriod").Get("end").Text(), "2028-11-24T12:00:00.000Z"},
		"risk":    {p.Get("qualitativeRisk").Get("coding").Item(0).Get("code").Text(), "low"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %q, want %q", name, pair[0], pair[1])
		}
	}
	if p.Get("extension").Exists() || strings.Contains(string(b), "null") {
		t.Errorf("members that nobody set: %s", b)
	}
}

func TestPredictionThatIsNoProbability(t *testing.T) {
	for unit, member := range map[string]string{"": "valueDecimal", "1": "valueDecimal", "mL/min/{1.73_m2}": "valueQuantity"} {
		b, err := r4.RiskAssessment{Subject: "Patient/1", Predictions: []r4.Prediction{{Score: "7", Unit: unit}}}.JSON()
		p := root(t, b, err).Get("prediction").Item(0)
		ext := p.Get("extension").Item(0)
		if ext.Get("url").Text() != r4.ScoreExtension || !ext.Get(member).Exists() || p.Get("probabilityDecimal").Exists() {
			t.Errorf("unit %q: %s", unit, b)
		}
	}
}

func TestProvenance(t *testing.T) {
	b, err := r4.Provenance{
		Targets: []string{"RiskAssessment/1/_history/1"}, Recorded: noon, Policies: []string{"urn:galen:policy:x"},
		Reason: r4.Concept{Codings: []r4.Coding{r4.AIAST}},
		Agents: []r4.Agent{{Who: "Device/m"}}, Sources: []string{"Observation/1/_history/1"},
	}.JSON()
	r := root(t, b, err)
	if got := r.Get("entity").Item(0).Get("role").Text(); got != "source" {
		t.Errorf("entity role %q", got)
	}
	if got := r.Get("recorded").Text(); got != "2026-11-24T12:00:00.000Z" {
		t.Errorf("recorded %q", got)
	}
}

func TestDevice(t *testing.T) {
	b, err := r4.Device{
		Name: "kfre-4v", Version: "1.0.0",
		Properties: []r4.Property{{r4.Concept{Text: "SHA-256"}, r4.Concept{Text: "abc"}}},
	}.JSON()
	r := root(t, b, err)
	if got := r.Get("property").Item(0).Get("valueCode").Item(0).Get("text").Text(); got != "abc" {
		t.Errorf("property %q in %s", got, b)
	}
}
