package hooks_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/hooks"
	"galen/hooks/clients"
	"galen/policies"
	"galen/policies/audit"
)

const suggestion = "00000000-0000-4000-8000-000000000001"

func accepted(card string) string {
	return fmt.Sprintf(`{"card":%q,"outcome":"accepted","acceptedSuggestions":[{"id":%q}],"outcomeTimestamp":"2026-11-24T12:01:00Z"}`, card, suggestion)
}

func overridden(card, reason string) string {
	return fmt.Sprintf(`{"card":%q,"outcome":"overridden","overrideReason":%s,"outcomeTimestamp":"2026-11-24T13:02:00+01:00"}`, card, reason)
}

func feedbackOf(items ...string) []byte {
	return []byte(`{"feedback":[` + strings.Join(items, ",") + `]}`)
}

// judged is a harness in which cards about p1 were given: of the kidney model,
// and of what could not be assessed.
func judged(t *testing.T) (h *harness, kidney, notes string) {
	t.Helper()
	h = newHarness(t)
	h.put(kidneyPatient()...)
	cards := h.cards(request{}.String())
	return h, h.cardAbout(cards, "Kidney").Get("uuid").Text(), cards[len(cards)-1].Get("uuid").Text()
}

// Acceptance 21: feedback is stored, linked to RiskAssessment and model, found by
// the card, counted, on record, and the same again is nothing new.
func TestFeedback(t *testing.T) {
	h, kidney, notes := judged(t)
	known := `{"reason":{"system":"` + hooks.OverrideSystem + `","code":"known","display":"Known"},"userComment":"seen <b>yesterday</b>"}`
	all := feedbackOf(accepted(kidney), overridden(strings.ToUpper(kidney), known), overridden(notes, `{"userComment":"no"}`))
	caller := ehr
	caller.Principal.FHIRUser = "Practitioner/7"
	for range 2 {
		if err := h.Feedback(t.Context(), caller, hooks.ServiceID, all); err != nil {
			t.Fatal(err)
		}
	}
	stored := h.stored("Communication")
	if len(stored) != 3 {
		t.Fatalf("%d Communications, want 3 after the same was sent twice", len(stored))
	}
	outcomes := map[string]jsontree.Node{}
	for _, c := range stored {
		if c.Get("meta").Get("versionId").Text() != "1" {
			t.Errorf("a replay made version %s", c.Get("meta").Get("versionId").Text())
		}
		if c.Get("identifier").Item(0).Get("value").Text() == "urn:uuid:"+kidney {
			outcomes[c.Get("topic").Get("coding").Item(0).Get("code").Text()] = c
		}
	}
	c := outcomes["overridden"]
	for name, pair := range map[string][2]string{
		"about":     {c.Get("about").Item(0).Get("reference").Text()[:15], "RiskAssessment/"},
		"recipient": {c.Get("recipient").Item(0).Get("reference").Text(), "Device/model-kfre-4v-1.0.0"},
		"subject":   {c.Get("subject").Get("reference").Text(), "Patient/p1"},
		"sender":    {c.Get("sender").Get("reference").Text(), "Practitioner/7"},
		"reason":    {c.Get("reasonCode").Item(0).Get("coding").Item(0).Get("code").Text(), "known"},
		"comment":   {c.Get("payload").Item(0).Get("contentString").Text(), "seen <b>yesterday</b>"},
		"sent":      {c.Get("sent").Text(), "2026-11-24T12:02:00.000Z"},
		"note":      {outcomes["accepted"].Get("note").Item(0).Get("text").Text(), "Accepted suggestions: " + suggestion},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %q, want %q", name, pair[0], pair[1])
		}
	}
	counts := map[string]uint64{}
	for _, n := range h.Counts() {
		if n.Name == hooks.CountFeedback {
			counts[n.Labels.Model+" "+n.Labels.Kind+" "+n.Labels.Reason] = n.Value
		}
	}
	if counts["kfre-4v@1.0.0 accepted "] != 1 || counts["kfre-4v@1.0.0 overridden known"] != 1 || counts[" overridden "] != 1 {
		t.Errorf("counted %v", counts)
	}
	entries := h.entries(audit.HookFeedback)
	if len(entries) != 6 {
		t.Fatalf("%d on record, want one for each piece each time", len(entries))
	}
	e := entries[1]
	if e.Reason != "overridden:known" || e.Model.Name != "kfre-4v" || e.Model.Version != "1.0.0" || e.Cards[0] != kidney || e.Patients[0] != "Patient/p1" || len(e.Assessments) != 1 {
		t.Errorf("on record as %+v", e)
	}
}

// Acceptance 21: what is refused, with its path; then nothing of it is stored.
func TestBadFeedback(t *testing.T) {
	h, kidney, _ := judged(t)
	good := accepted(kidney)
	swap := func(from, to string) string { return strings.Replace(good, from, to, 1) }
	limited, researcher := ehr, ehr
	limited.Principal.Patient = "p2"
	researcher.Principal.Roles = []string{"researcher"}
	for name, tt := range map[string]struct {
		caller hooks.Caller
		id     string
		body   []byte
		kind   fhir.Kind
		at     string
	}{
		"no such service":        {ehr, "none", feedbackOf(good), fhir.NotFound, ""},
		"broken":                 {ehr, hooks.ServiceID, []byte(`{`), fhir.Malformed, ""},
		"an array":               {ehr, hooks.ServiceID, []byte(`[]`), fhir.Malformed, ""},
		"no feedback":            {ehr, hooks.ServiceID, []byte(`{}`), fhir.Required, "feedback"},
		"empty":                  {ehr, hooks.ServiceID, feedbackOf(), fhir.Required, "feedback"},
		"no card":                {ehr, hooks.ServiceID, feedbackOf(good, swap(`"card"`, `"kard"`)), fhir.Required, "feedback[1].card"},
		"card no uuid":           {ehr, hooks.ServiceID, feedbackOf(swap(kidney, "x")), fhir.Value, "feedback[0].card"},
		"unknown card":           {ehr, hooks.ServiceID, feedbackOf(good, swap(kidney, suggestion)), fhir.NotFound, "feedback[1].card"},
		"outcome":                {ehr, hooks.ServiceID, feedbackOf(swap(`"accepted"`, `"ignored"`)), fhir.Value, "feedback[0].outcome"},
		"no suggestions":         {ehr, hooks.ServiceID, feedbackOf(swap(`"acceptedSuggestions"`, `"x"`)), fhir.Required, "feedback[0].acceptedSuggestions"},
		"suggestions empty":      {ehr, hooks.ServiceID, feedbackOf(swap(`[{"id":"`+suggestion+`"}]`, `[]`)), fhir.Required, "feedback[0].acceptedSuggestions"},
		"suggestion without id":  {ehr, hooks.ServiceID, feedbackOf(swap(`{"id":"`+suggestion+`"}`, `{}`)), fhir.Value, "feedback[0].acceptedSuggestions[0].id"},
		"no timestamp":           {ehr, hooks.ServiceID, feedbackOf(swap(`"outcomeTimestamp"`, `"x"`)), fhir.Required, "feedback[0].outcomeTimestamp"},
		"timestamp without zone": {ehr, hooks.ServiceID, feedbackOf(swap(`12:01:00Z`, `12:01:00`)), fhir.Value, "feedback[0].outcomeTimestamp"},
		"timestamp a date":       {ehr, hooks.ServiceID, feedbackOf(swap(`T12:01:00Z`, ``)), fhir.Value, "feedback[0].outcomeTimestamp"},
		"cds-fb-3: no reason":    {ehr, hooks.ServiceID, feedbackOf(overridden(kidney, `{}`)), fhir.Required, "feedback[0].overrideReason"},
		"reason without code":    {ehr, hooks.ServiceID, feedbackOf(overridden(kidney, `{"reason":{"display":"x"}}`)), fhir.Required, "feedback[0].overrideReason.reason.code"},
		"comment empty":          {ehr, hooks.ServiceID, feedbackOf(overridden(kidney, `{"userComment":" "}`)), fhir.Value, "feedback[0].overrideReason.userComment"},
		"comment too long":       {ehr, hooks.ServiceID, feedbackOf(overridden(kidney, `{"userComment":"`+strings.Repeat("x", 20_000)+`"}`)), fhir.TooLong, "feedback[0].overrideReason.userComment"},
		"one who may not":        {researcher, hooks.ServiceID, feedbackOf(good), fhir.Forbidden, ""},
		"another patient's":      {limited, hooks.ServiceID, feedbackOf(good), fhir.NotFound, "feedback[0].card"},
	} {
		err := h.Feedback(t.Context(), tt.caller, tt.id, tt.body)
		var e *fhir.Error
		if !errors.As(err, &e) || e.Kind != tt.kind || e.At != tt.at {
			t.Errorf("%s: %v", name, err)
		}
		if o := h.last(audit.HookFeedback).Outcome; o != audit.Minor {
			t.Errorf("%s: outcome %d on record", name, o)
		}
	}
	if n := len(h.stored("Communication")); n != 0 {
		t.Errorf("%d Communications of bad feedback", n)
	}
	scoped := ehr
	scoped.Principal.Scopes, _ = policies.ParseScopes("user/RiskAssessment.rs")
	if err := h.Feedback(t.Context(), scoped, hooks.ServiceID, feedbackOf(good)); err != nil {
		t.Errorf("who may read the assessment may judge it: %v", err)
	}
}

// Acceptance 29: of cards about patients of its own server a client may judge;
// another client does not learn that there are any.
func TestFeedbackOfAnotherClient(t *testing.T) {
	h := newHarness(t, func(c *hooks.Config) {
		c.Clients = must(clients.Parse([]byte(`[{"iss":"https://ehr.test","jwks":{"keys":[]},"fhir_servers":["https://far.test/fhir"]},
			{"iss":"https://other.test","jwks":{"keys":[]},"fhir_servers":["https://elsewhere.test/fhir"]}]`)))(t)
	})
	p := kidneyPatient()
	answer := must(h.call(client(), request{prefetch: h.full(p[0], p[1:]...), more: map[string]any{"fhirServer": "https://far.test/fhir"}}.String()))(t)
	card := h.cardAbout(items(answer.Get("cards")), "Kidney").Get("uuid").Text()
	other := client()
	other.Principal.Subject, other.Principal.Client = "https://other.test", "https://other.test"
	body := feedbackOf(overridden(card, `{"reason":{"code":"known"}}`))
	if err := h.Feedback(t.Context(), other, hooks.ServiceID, body); fhir.KindOf(err) != fhir.NotFound {
		t.Errorf("another client: %v", err)
	}
	if err := h.Feedback(t.Context(), client(), hooks.ServiceID, body); err != nil {
		t.Errorf("its own client: %v", err)
	}
}
