package hooks_test

import (
	"strings"
	"testing"

	"galen/fhir"
	"galen/fhir/jsontree"
)

// The worked examples of the published scores, from the call to the card, with
// the evidence sent along and with it read from the store.
func TestWorkedExamplesEndToEnd(t *testing.T) {
	for name, tt := range map[string]struct {
		patient      string
		observations []string
		source       string
		summary      string
		indicator    string
		inputs       []string
	}{
		"KFRE": {
			kidneyPatient()[0], kidneyPatient()[1:], "Kidney Failure", "Kidney failure within 2 years: 1.25 % (Low)", "info",
			[]string{"| Age | 55 a |", "| eGFR | 45 mL/min", "120 mg/g", "2026-11-24 09:00", "| Creatinine | missing |"},
		},
		"NEWS2": {
			patientOf("female", 70), wardVitals(), "Early Warning", "NEWS2: 7 points (High)", "critical",
			[]string{"| Respiration rate | 22 /min |", "| Oxygen saturation | 93 % |", "Mentally alert", "air is assumed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			h.put(tt.patient)
			h.put(tt.observations...)
			for way, body := range map[string]string{
				"prefetch": request{prefetch: h.full(tt.patient, tt.observations...)}.String(),
				"store":    request{}.String(),
			} {
				card := h.cardAbout(h.cards(body), tt.source)
				if got := card.Get("summary").Text(); got != tt.summary {
					t.Errorf("%s: summary %q, want %q", way, got, tt.summary)
				}
				if got := card.Get("indicator").Text(); got != tt.indicator {
					t.Errorf("%s: indicator %q, want %q", way, got, tt.indicator)
				}
				detail := card.Get("detail").Text()
				for _, want := range tt.inputs {
					if !strings.Contains(detail, want) {
						t.Errorf("%s: %q is not in the detail:\n%s", way, want, detail)
					}
				}
				risk := h.linked(card)
				if risk.Get("basis").Len() == 0 || risk.Get("subject").Get("reference").Text() != "Patient/p1" {
					t.Errorf("%s: %s", way, risk.Raw())
				}
			}
		})
	}
}

// linked is the RiskAssessment that a card links to.
func (h *harness) linked(card jsontree.Node) jsontree.Node {
	h.Helper()
	url := card.Get("links").Item(0).Get("url").Text()
	record, err := h.store.Read(h.Context(), fhir.ParseReference(url).Key)
	if err != nil {
		h.Fatalf("%s: %v", url, err)
	}
	return must(fhir.Parse(record.Body, jsontree.Limits{}))(h).Root()
}

// The digits of the worked example are kept in the RiskAssessment.
func TestRiskAssessmentKeepsTheDigits(t *testing.T) {
	h := newHarness(t)
	h.put(kidneyPatient()...)
	risk := h.linked(h.cardAbout(h.cards(request{}.String()), "Kidney"))
	percent := risk.Get("prediction").Item(0).Get("probabilityDecimal").Text()
	if !strings.HasPrefix(percent, "1.24707") {
		t.Errorf("probabilityDecimal %s, want 1.24707 %%", percent)
	}
	for b := range risk.Get("basis").Items() {
		ref := fhir.ParseReference(b.Get("reference").Text())
		if ref.Version == "" {
			t.Errorf("basis %s has no version", ref.Text)
			continue
		}
		if _, err := h.store.Read(t.Context(), ref.Key); err != nil {
			t.Errorf("basis %s: %v", ref.Text, err)
		}
	}
}

// What is missing is said and never guessed.
func TestMissingInputIsNamed(t *testing.T) {
	h := newHarness(t)
	h.put(kidneyPatient()[:2]...)
	for _, c := range h.cards(request{}.String()) {
		if strings.Contains(c.Get("detail").Text(), "albumin/creatinine ratio missing") {
			return
		}
	}
	t.Error("no card says that the urine albumin/creatinine ratio is missing")
}
