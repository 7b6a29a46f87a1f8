package hooks

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"galen/cds"
	"galen/cds/feature"
	"galen/hooks/card"
	"galen/models/manifest"
)

// overrideReasons are offered when a user dismisses a card
// (https://cds-hooks.hl7.org/2.0/#card-attributes, overrideReasons).
var overrideReasons = []card.Coding{
	{System: OverrideSystem, Code: "known", Display: "Already known or being dealt with"},
	{System: OverrideSystem, Code: "not-applicable", Display: "Does not apply to this patient"},
	{System: OverrideSystem, Code: "wrong-data", Display: "Rests on wrong or outdated data"},
	{System: OverrideSystem, Code: "disagree", Display: "I judge it otherwise"},
	{System: OverrideSystem, Code: "declined", Display: "The patient does not want it"},
	{System: OverrideSystem, Code: "later", Display: "I will deal with it later"},
}

// OverrideSystem is the code system of the override reasons that cards offer.
const OverrideSystem = "http://galen.health/fhir/CodeSystem/override-reason"

// fill writes what a group says onto its card; the link to the RiskAssessment
// comes when that is stored.
func (d *Dispatcher) fill(c *card.Card, results []result, g *group) {
	lead := &results[g.lead]
	m, headline := lead.Model.Manifest, lead.Headline()
	c.Indicator, c.OverrideReasons = card.Info, overrideReasons
	c.Source = card.Source{Label: card.Clip("Galen: "+card.Plain(m.Title), card.MaxSummary)}
	if len(m.Citations) > 0 {
		c.Source.URL = m.Citations[0].URL
	}
	if o := headline.Output.Outcome; o != nil {
		c.Source.Topic = &card.Coding{System: o.System, Code: o.Code, Display: o.Display}
	}
	text := headline.Output.Label + ": " + headline.Text()
	if headline.Band != nil {
		text += " (" + headline.Band.Label + ")"
		c.Indicator = card.Indicator(headline.Band.Indicator)
	}
	c.Summary = card.Clip(card.Plain(text), card.MaxSummary)
	c.Detail = detail(lead, results, g.others)
}

// detail is the card's Markdown: the answers, then each input with value, unit
// and date, what was missing or not used and why, other models' answers to the
// same question, and what the model is for. All text that comes from a record is
// escaped.
func detail(r *result, results []result, others []int) string {
	var b strings.Builder
	m := r.Model.Manifest
	for i := range r.Predictions {
		prediction(&b, &r.Predictions[i])
	}
	if why := r.Rationale(); why != "" {
		fmt.Fprintf(&b, "\n%s\n", card.Markdown(why))
	}
	for _, i := range others {
		o := &results[i]
		fmt.Fprintf(&b, "\nAlso assessed with %s: %s\n", card.Markdown(o.Model.Manifest.Title), card.Markdown(o.Headline().Text()))
	}
	b.WriteString("\n| Input | Value | Date |\n|---|---|---|\n")
	for i := range r.Features {
		v := &r.Features[i]
		fmt.Fprintf(&b, "| %s | %s | %s |\n", card.Markdown(v.Feature.Label), card.Markdown(inputText(v)), dateOf(v))
	}
	unused(&b, r)
	fmt.Fprintf(&b, "\n_%s %s. %s_\n", card.Markdown(m.Title), m.Version, card.Markdown(m.Use.Intended))
	for _, limit := range m.Limitations {
		fmt.Fprintf(&b, "\n- %s", card.Markdown(limit))
	}
	return b.String()
}

// unused says which values were not used, and which data could not be had.
func unused(b *strings.Builder, r *result) {
	for i := range r.Features {
		counts := rejections(&r.Features[i])
		for _, reason := range slices.Sorted(maps.Keys(counts)) {
			fmt.Fprintf(b, "\n%s: not used, %s (%d)\n", card.Markdown(r.Features[i].Feature.Label), card.Markdown(reason), counts[reason])
		}
	}
	for _, key := range r.incomplete {
		fmt.Fprintf(b, "\nCould not be had, or not all of it: prefetch %s\n", card.Markdown(key))
	}
}

func prediction(b *strings.Builder, p *cds.Prediction) {
	fmt.Fprintf(b, "**%s: %s**", card.Markdown(p.Output.Label), card.Markdown(p.Text()))
	if p.Band != nil {
		fmt.Fprintf(b, " (%s)", card.Markdown(p.Band.Label))
	}
	b.WriteString("\n")
	if p.Band != nil && p.Band.Advice != "" {
		fmt.Fprintf(b, "\n%s\n", card.Markdown(p.Band.Advice))
	}
	b.WriteString("\n")
}

func inputText(v *feature.Value) string {
	text := cds.Text(v)
	if v.Note != "" {
		text += " – " + v.Note
	}
	return text
}

func dateOf(v *feature.Value) string {
	if v.Time.IsZero() || v.Feature.Kind == manifest.Age {
		return "–"
	}
	return v.Time.Format("2006-01-02 15:04")
}

// rejections counts a feature's unused resources by reason, so that a hundred
// old values are one line.
func rejections(v *feature.Value) map[string]int {
	out := map[string]int{}
	for _, r := range v.Rejected {
		out[r.Reason]++
	}
	return out
}
