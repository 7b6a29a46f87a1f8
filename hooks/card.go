package hooks

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"galen/cds"
	"galen/cds/feature"
	"galen/fhir"
	"galen/models/manifest"
)

// card is a CDS Hooks card (https://cds-hooks.hl7.org/2.0/#card-attributes).
type card struct {
	UUID      string `json:"uuid"`
	Summary   string `json:"summary"`
	Detail    string `json:"detail,omitempty"`
	Indicator string `json:"indicator"`
	Source    source `json:"source"`
	Links     []link `json:"links,omitempty"`
}

type source struct {
	Label string `json:"label"`
	URL   string `json:"url,omitempty"`
}

type link struct {
	Label string `json:"label"`
	URL   string `json:"url"`
	Type  string `json:"type"`
}

// maxSummary is how many characters a summary may have: fewer than 140.
const maxSummary = 139

// response is the body of an answer: the most urgent card first, those without
// a result last.
func response(base string, results []Result, stored []string) ([]byte, error) {
	cards := make([]card, len(results))
	for i, r := range results {
		cards[i] = newCard(base, r, stored[i])
	}
	slices.SortStableFunc(cards, func(a, b card) int { return urgency(b.Indicator) - urgency(a.Indicator) })
	body, err := json.Marshal(map[string]any{"cards": cards})
	if err != nil {
		return nil, &fhir.Error{Op: "hooks.response", Err: err}
	}
	return body, nil
}

func urgency(indicator string) int {
	return slices.Index([]string{string(manifest.Info), string(manifest.Warning), string(manifest.Critical)}, indicator)
}

func newCard(base string, r Result, stored string) card {
	m := r.Model.Manifest
	c := card{
		UUID: r.Card, Indicator: string(manifest.Info), Detail: detail(r.Assessment),
		Source: source{Label: clip("Galen: "+m.Title, maxSummary)},
	}
	if len(m.Citations) > 0 {
		c.Source.URL = m.Citations[0].URL
	}
	if stored != "" {
		c.Links = []link{{"Risk assessment", base + "/fhir/" + stored, "absolute"}}
	}
	headline := r.Headline()
	if headline == nil {
		c.Summary = clip(m.Title+": "+r.Status.String()+": "+r.Reason, maxSummary)
		return c
	}
	text := headline.Output.Label + ": " + headline.Text()
	if headline.Band != nil {
		text += " (" + headline.Band.Label + ")"
		c.Indicator = string(headline.Band.Indicator)
	}
	c.Summary = clip(text, maxSummary)
	return c
}

// clip shortens to a number of characters.
func clip(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}

// detail is the card's Markdown: the answers, then each input with value, unit
// and date, what was missing or not used and why, and what the model is for.
// All text that comes from a record is escaped.
func detail(a *cds.Assessment) string {
	var b strings.Builder
	m := a.Model.Manifest
	if a.Status != cds.Assessed {
		fmt.Fprintf(&b, "**%s**: %s\n\n", capital(a.Status.String()), escape(a.Reason))
	}
	for i := range a.Predictions {
		prediction(&b, &a.Predictions[i])
	}
	if why := a.Rationale(); why != "" {
		fmt.Fprintf(&b, "\n%s\n", escape(why))
	}
	b.WriteString("\n| Input | Value | Date |\n|---|---|---|\n")
	for i := range a.Features {
		v := &a.Features[i]
		fmt.Fprintf(&b, "| %s | %s | %s |\n", escape(v.Feature.Label), escape(inputText(v)), dateOf(v))
	}
	for i := range a.Features {
		counts := rejections(&a.Features[i])
		for _, reason := range slices.Sorted(maps.Keys(counts)) {
			fmt.Fprintf(&b, "\n%s: not used, %s (%d)\n", escape(a.Features[i].Feature.Label), escape(reason), counts[reason])
		}
	}
	fmt.Fprintf(&b, "\n_%s %s. %s_\n", escape(m.Title), m.Version, escape(m.Use.Intended))
	for _, limit := range m.Limitations {
		fmt.Fprintf(&b, "\n- %s", escape(limit))
	}
	return b.String()
}

func prediction(b *strings.Builder, p *cds.Prediction) {
	fmt.Fprintf(b, "**%s: %s**", escape(p.Output.Label), escape(p.Text()))
	if p.Band != nil {
		fmt.Fprintf(b, " (%s)", escape(p.Band.Label))
	}
	b.WriteString("\n")
	if p.Band != nil && p.Band.Advice != "" {
		fmt.Fprintf(b, "\n%s\n", escape(p.Band.Advice))
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

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// escape makes text inert in GitHub-flavoured Markdown and in clients that
// render the HTML in it.
func escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '&':
			b.WriteString("&amp;")
		case r < ' ' || r == 0x7f:
			b.WriteByte(' ')
		case strings.ContainsRune("\\`*_[]|#!~", r):
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
