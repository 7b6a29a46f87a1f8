package rules_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/hooks/call"
	"galen/hooks/rules"
	"galen/models"
	"galen/models/manifest"
)

// zoo is a catalog of one model with an output and a feature.
func zoo() []*models.Info {
	return []*models.Info{{Ref: models.Ref{Name: "m", Version: "1.0.0"}, Manifest: &manifest.Manifest{
		Name: "m", Outputs: []manifest.Output{{Name: "egfr"}}, Features: []manifest.Feature{{Name: "creatinine"}},
	}}}
}

const good = `[{"id":"check","title":"t","description":"d","hooks":["order-sign"],"models":["m"],
	"values":[{"name":"egfr","label":"eGFR","from":["m.output.egfr","m.feature.creatinine"]}],
	"rules":[{"name":"low","orders":{"words":["metformin"],"codes":[{"system":"s","code":"c"}]},"when":[{"value":"egfr","lt":30}],
		"card":{"summary":"Low: {{egfr}}","detail":"**{{order}}** at {{egfr}}","indicator":"critical","source":{"label":"l"},"suggestions":[{"label":"Cancel","cancel_order":true}]},
		"unknown":{"summary":"No eGFR","detail":"{{egfr}}","indicator":"info","source":{"label":"l"}}}]}]`

// A definition is refused as a whole, with the place.
func TestParseRefuses(t *testing.T) {
	if _, err := rules.Parse([]byte(good), zoo(), call.Known); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ from, to, at string }{
		"unknown member":      {`"title"`, `"titel"`, "offset"},
		"id":                  {`"id":"check"`, `"id":"Check/1"`, "[0].id"},
		"no description":      {`"description":"d"`, `"description":""`, "[0].description"},
		"unknown hook":        {`"order-sign"`, `"order-dance"`, "[0].hooks"},
		"unknown model":       {`"models":["m"]`, `"models":["n"]`, "[0].models"},
		"unknown output":      {`m.output.egfr`, `m.output.gfr`, "[0].values[0].from"},
		"unknown feature":     {`m.feature.creatinine`, `m.feature.urea`, "[0].values[0].from"},
		"neither of the two":  {`m.feature.creatinine`, `m.input.creatinine`, "[0].values[0].from"},
		"value named order":   {`"name":"egfr"`, `"name":"order"`, "[0].values[0].name"},
		"other value":         {`"value":"egfr"`, `"value":"gfr"`, "[0].rules[0].when[0].value"},
		"no limit":            {`,"lt":30`, ``, "[0].rules[0].when[0]"},
		"no condition":        {`{"value":"egfr","lt":30}`, ``, "[0].rules[0].when"},
		"short word":          {`"metformin"`, `"me"`, "[0].rules[0].orders.words"},
		"word in capitals":    {`"metformin"`, `"Metformin"`, "[0].rules[0].orders.words"},
		"no summary":          {`"Low: {{egfr}}"`, `""`, "[0].rules[0].card.summary"},
		"indicator":           {`"critical"`, `"hard-stop"`, "[0].rules[0].card.indicator"},
		"unknown placeholder": {`Low: {{egfr}}`, `Low: {{name}}`, "[0].rules[0].card"},
		"no source":           {`"source":{"label":"l"},"suggestions"`, `"source":{"label":""},"suggestions"`, "[0].rules[0].card.source.label"},
		"idle suggestion":     {`,"cancel_order":true`, ``, "[0].rules[0].card.suggestions[0]"},
		"cancel without one":  {`"orders":{"words":["metformin"],"codes":[{"system":"s","code":"c"}]},`, ``, "[0].rules[0].card"},
		"something behind":    {`"info","source":{"label":"l"}}}]}]`, `"info","source":{"label":"l"}}}]}] []`, ""},
	} {
		text := strings.Replace(good, tt.from, tt.to, 1)
		var e *fhir.Error
		if _, err := rules.Parse([]byte(text), zoo(), call.Known); text == good || !errors.As(err, &e) || e.Kind != fhir.Invalid || !strings.HasPrefix(e.At, tt.at) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Definitions of models that are not served are not offered.
func TestShippedFollowsTheCatalog(t *testing.T) {
	got, err := rules.Shipped(zoo(), call.Known)
	if err != nil || len(got) != 0 {
		t.Errorf("%d services of a model that is not served: %v", len(got), err)
	}
}

func order(t *testing.T, text string) (rules.Order, bool) {
	t.Helper()
	doc, err := jsontree.Parse([]byte(text), jsontree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return rules.NewOrder(doc.Root(), func(string) jsontree.Node { return jsontree.Node{} })
}

func TestEvaluate(t *testing.T) {
	all, err := rules.Parse([]byte(good), zoo(), call.Known)
	if err != nil {
		t.Fatal(err)
	}
	safe := func(s string) string { return strings.ReplaceAll(s, "*", "") }
	of := func(output, feature float64) rules.Known {
		return func(_, kind, _ string) (rules.Quantity, bool) {
			x := map[string]float64{"output": output, "feature": feature}[kind]
			return rules.Quantity{Number: x, Text: "some"}, x > 0
		}
	}
	for name, tt := range map[string]struct {
		order string
		known rules.Known
		want  string
	}{
		"below":                  {`{"resourceType":"MedicationRequest","id":"1","medicationCodeableConcept":{"text":"Metformin* 500 MG"}}`, of(20, 0), "Low: some|**Metformin 500 MG** at some"},
		"at the limit":           {`{"resourceType":"MedicationRequest","id":"1","medicationCodeableConcept":{"text":"metformin"}}`, of(30, 0), ""},
		"by the code":            {`{"resourceType":"MedicationRequest","medicationCodeableConcept":{"coding":[{"system":"s","code":"c"}]}}`, of(20, 0), "Low: some|**c** at some"},
		"by a contained one":     {`{"resourceType":"MedicationRequest","medicationReference":{"reference":"#m"},"contained":[{"resourceType":"Medication","id":"m","code":{"text":"metformin/sitagliptin"}}]}`, of(20, 0), "Low: some|**metformin/sitagliptin** at some"},
		"by the reference":       {`{"resourceType":"MedicationRequest","medicationReference":{"reference":"Medication/1","display":"Metformin"}}`, of(20, 0), "Low: some|**Metformin** at some"},
		"part of a word":         {`{"resourceType":"MedicationRequest","medicationCodeableConcept":{"text":"Premetformine"}}`, of(20, 0), ""},
		"something else":         {`{"resourceType":"ServiceRequest","code":{"text":"Chest X-ray"}}`, of(20, 0), ""},
		"the second source":      {`{"resourceType":"MedicationRequest","medicationCodeableConcept":{"text":"metformin"}}`, of(0, 29), "Low: some|**metformin** at some"},
		"unknown is not normal":  {`{"resourceType":"MedicationRequest","medicationCodeableConcept":{"text":"metformin"}}`, of(0, 0), "No eGFR|not known"},
		"no code, so no finding": {`{"resourceType":"Task"}`, of(20, 0), ""},
	} {
		var orders []rules.Order
		if o, ok := order(t, tt.order); ok {
			orders = append(orders, o)
		}
		got := ""
		for _, f := range all[0].Evaluate(tt.known, orders, safe) {
			got += f.Summary + "|" + f.Detail
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
