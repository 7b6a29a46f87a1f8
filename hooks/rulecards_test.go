package hooks_test

import (
	"fmt"
	"strings"
	"testing"

	"galen/fhir/jsontree"
	"galen/hooks"
	"galen/hooks/call"
	"galen/hooks/rules"
	"galen/policies/audit"
)

const orderCheck = "galen-order-check"

// withShipped adds the shipped definitions.
func withShipped(t *testing.T) func(*hooks.Config) {
	return func(c *hooks.Config) {
		zoo := hooks.Champions(c.Catalog)
		c.Services = append(c.Services, hooks.Defined(must(rules.Shipped(zoo, call.Known))(t), zoo)...)
	}
}

func draft(id, name, subject string) string {
	return fmt.Sprintf(`{"resourceType":"MedicationRequest","id":%q,"status":"draft","intent":"order","subject":{"reference":"Patient/%s"},"medicationCodeableConcept":{"text":%q}}`, id, subject, name)
}

// check calls the order check with draft orders.
func (h *harness) check(hook string, more map[string]any, orders ...string) []jsontree.Node {
	h.Helper()
	context := map[string]any{"userId": "Practitioner/1", "patientId": "p1", "draftOrders": bundle(orders...)}
	for k, v := range more {
		context[k] = v
	}
	answer, err := h.Call(h.Context(), ehr, orderCheck, []byte(request{hook: hook, context: context}.String()))
	if err != nil {
		h.Fatal(err)
	}
	root := must(jsontree.Parse(answer, jsontree.Limits{}))(h).Root()
	h.sound(root)
	return items(root.Get("cards"))
}

// Draft orders are held against the kidney function: computed where it can be,
// else recorded; what is not known is said.
func TestOrderCheck(t *testing.T) {
	h := newHarness(t, withShipped(t))
	h.put(kidneyPatient()[0], lab("egfr", "98979-8", "25", "mL/min/{1.73_m2}"))
	cards := h.check("order-sign", nil, draft("m1", "Metformin 500 MG Oral Tablet", "p1"), draft("m2", "Paracetamol 500 MG", "p1"), draft("m3", "ibuprofen 400 mg", "p1"), draft("m4", "metformin", "p2"))
	if len(cards) != 2 {
		t.Fatalf("%d cards, want those of metformin and ibuprofen", len(cards))
	}
	c := cards[0]
	if c.Get("indicator").Text() != "critical" || !strings.Contains(c.Get("summary").Text(), "25 mL/min") || !strings.Contains(c.Get("detail").Text(), "Metformin 500 MG Oral Tablet") {
		t.Errorf("%s", c.Raw())
	}
	s := c.Get("suggestions").Item(0)
	if a := s.Get("actions").Item(0); a.Get("type").Text() != "delete" || a.Get("resourceId").Text() != "MedicationRequest/m1" || a.Get("resource").Exists() || s.Get("isRecommended").Kind() != jsontree.True {
		t.Errorf("suggestion %s", s.Raw())
	}
	if err := h.Feedback(t.Context(), ehr, orderCheck, feedbackOf(accepted(c.Get("uuid").Text()))); err != nil {
		t.Errorf("feedback on the card: %v", err)
	}
	if e := h.last(audit.HookFeedback); e.Model.Name != "rule:metformin-below-30" {
		t.Errorf("feedback on record as %+v", e)
	}
	selected := map[string]any{"selections": []string{"MedicationRequest/m3"}}
	if cards := h.check("order-select", selected, draft("m1", "metformin", "p1"), draft("m3", "ibuprofen", "p1")); len(cards) != 1 || !strings.Contains(cards[0].Get("summary").Text(), "NSAID") {
		t.Errorf("%d cards of the one that is selected", len(cards))
	}
	if cards := h.check("order-sign", nil, draft("m2", "Paracetamol", "p1")); len(cards) != 0 {
		t.Errorf("%d cards of an order that no rule is about", len(cards))
	}
	h.stored("GuidanceResponse")
	h.stored("RiskAssessment")
}

// A draft may name its medicine by reference: to a Medication of the call it is
// read there; to nothing that the call holds, the card says that nobody checked.
func TestOrderByReference(t *testing.T) {
	h := newHarness(t, withShipped(t))
	h.put(kidneyPatient()[0], lab("egfr", "98979-8", "25", "mL/min/{1.73_m2}"))
	of := func(medication string) string {
		return `{"resourceType":"MedicationRequest","id":"m1","status":"draft","intent":"order","subject":{"reference":"Patient/p1"},"medicationReference":{"reference":"` + medication + `"}}`
	}
	metformin := `{"resourceType":"Medication","id":"x","code":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"6809"}]}}`
	for name, tt := range map[string]struct{ reference, want string }{
		"by id":   {"Medication/x", "Metformin is contraindicated"},
		"unknown": {"Medication/y", "Not checked: 1 order"},
		"none":    {"", "Not checked: 1 order"},
	} {
		cards := h.check("order-sign", nil, of(tt.reference), metformin)
		if len(cards) != 1 || !strings.HasPrefix(cards[0].Get("summary").Text(), tt.want) {
			t.Errorf("%s: %d cards, want %q", name, len(cards), tt.want)
		}
	}
}

func TestOrderCheckComputesTheKidneyFunction(t *testing.T) {
	h := newHarness(t, withShipped(t))
	h.put(patientOf("male", 55), lab("creatinine", "2160-0", "1.9", "mg/dL"), lab("acr", "9318-7", "120", "mg/g"))
	cards := h.check("order-sign", nil, draft("m1", "metformin", "p1"))
	if len(cards) != 1 || cards[0].Get("indicator").Text() != "warning" || !strings.Contains(cards[0].Get("summary").Text(), "30 to 45: 41") || !cards[0].Get("links").Exists() {
		t.Errorf("%d cards: %s", len(cards), cards[0].Raw())
	}
	h = newHarness(t, withShipped(t))
	h.put(patientOf("male", 55))
	cards = h.check("order-sign", nil, draft("m1", "metformin", "p1"))
	if len(cards) != 1 || !strings.Contains(cards[0].Get("summary").Text(), "not known") || cards[0].Get("suggestions").Item(0).Get("actions").Item(0).Get("resource").Get("resourceType").Text() != "ServiceRequest" {
		t.Errorf("%d cards where nothing is known", len(cards))
	}
}

// The five hooks that a server must serve are served.
func TestShippedHooks(t *testing.T) {
	h := newHarness(t, withShipped(t))
	for _, hook := range []string{"patient-view", "order-select", "order-sign", "encounter-start", "encounter-discharge"} {
		if len(h.templates(hook)) == 0 {
			t.Errorf("no service under %s", hook)
		}
	}
}
