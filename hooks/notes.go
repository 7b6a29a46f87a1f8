package hooks

import (
	"encoding/json"
	"fmt"
	"strings"

	"galen/cds"
	"galen/hooks/call"
	"galen/hooks/card"
	"galen/hooks/pace"
	"galen/hooks/rules"
	"galen/models/manifest"
)

// note is why one model says nothing.
type note struct {
	title string
	text  string
}

// addNotes adds the card that tells what was not assessed or is not shown, with
// suggestions to measure what little is missing.
func (d *Dispatcher) addNotes(in *invocation, s *Service, r call.Request, results []result, over []int, out *reply) {
	var notes []note
	for i := range results {
		if text := results[i].note(); text != "" {
			notes = append(notes, note{results[i].info.Manifest.Title, text})
		}
	}
	for _, i := range over {
		h := results[i].Headline()
		notes = append(notes, note{results[i].info.Manifest.Title, h.Output.Label + ": " + h.Text() + ", not shown as a card of its own"})
	}
	if len(notes) == 0 {
		return
	}
	texts := make([]string, len(notes))
	for i, n := range notes {
		texts[i] = n.title + ": " + n.text
	}
	id, now := pace.NewFinding(append([]string{in.subject(r), cmpUser(in, r), s.ID, "notes"}, texts...)...), pace.Shown{At: d.Now()}
	if d.quiet.Repeats(id, now) {
		return
	}
	c := card.Card{
		UUID: d.NewID(), Indicator: card.Info, Source: card.Source{Label: "Galen"}, OverrideReasons: overrideReasons,
		Summary: card.Clip(card.Plain(summaryOf(texts)), card.MaxSummary), Detail: notesDetail(notes, results),
		Suggestions: d.suggest(in, r, results),
	}
	if len(results) == 1 {
		c.Source.Label = card.Clip("Galen: "+card.Plain(notes[0].title), card.MaxSummary)
	}
	if len(c.Suggestions) > 0 {
		c.SelectionBehavior = card.Any
	}
	if !d.sound(&c, s) {
		return
	}
	in.show = append(in.show, func() { d.quiet.Show(id, now) })
	out.guidance = append(out.guidance, cds.Guidance{
		Card: c.UUID, Module: "urn:galen:service:" + s.ID, Status: cds.DataRequired, At: d.Now(), Texts: texts,
	})
	out.cards = append(out.cards, c)
	d.tally.add(CountCards, Labels{Service: s.ID, Kind: "notes"})
}

// note is why the model gave no answer, "" if it gave one.
func (r *result) note() string {
	switch {
	case r.left == leftData:
		return "not assessed: prefetch " + r.missing + " was neither sent nor to be had"
	case r.left != "":
		return "not assessed: " + r.left.String()
	case r.Headline() == nil:
		return r.Status.String() + ": " + r.Reason
	}
	return ""
}

func summaryOf(texts []string) string {
	if len(texts) == 1 {
		return texts[0]
	}
	return fmt.Sprintf("%d models without a result: %s", len(texts), strings.Join(texts, "; "))
}

func notesDetail(notes []note, results []result) string {
	var b strings.Builder
	for _, n := range notes {
		fmt.Fprintf(&b, "- **%s**: %s\n", card.Markdown(n.title), card.Markdown(n.text))
	}
	for i := range results {
		if results[i].Assessment != nil && results[i].Headline() == nil {
			unused(&b, &results[i])
		}
	}
	return b.String()
}

// maxSuggested is how many missing measurements are suggested, and how few must
// be missing: a patient of whom hardly anything is known is not one whom the
// model is meant for.
const maxSuggested = 2

// suggest offers to order the measurements that keep a model from an answer
// when it has some of its own already.
func (d *Dispatcher) suggest(in *invocation, r call.Request, results []result) []card.Suggestion {
	var out []card.Suggestion
	seen := map[string]bool{}
	for i := range results {
		if results[i].Assessment == nil || results[i].Status != cds.NotAssessable || results[i].left != "" {
			continue
		}
		lacks := missingMeasurements(results[i].Assessment)
		if len(lacks) == 0 || len(lacks) > maxSuggested {
			continue
		}
		for _, f := range lacks {
			code := f.Codes[0].Coding
			if seen[code.Code] {
				continue
			}
			seen[code.Code] = true
			label := card.Clip("Order: "+f.Label, 80)
			out = append(out, card.Suggestion{
				Label: label, UUID: d.NewID(),
				Actions: []card.Action{{Type: "create", Description: label, Resource: order(d.NewID(), in.relativeSubject(r), rules.Coding{System: code.System, Code: code.Code, Display: code.Display})}},
			})
		}
	}
	return out
}

// missingMeasurements are the measurements without which the model has no
// answer; none if the record holds nothing else of what it measures.
func missingMeasurements(a *cds.Assessment) []*manifest.Feature {
	measured := false
	absent := map[string]*manifest.Feature{}
	for i := range a.Features {
		v := &a.Features[i]
		if v.Feature.Kind != manifest.Observation || len(v.Feature.Codes) == 0 {
			continue
		}
		measured = measured || v.Present()
		if !v.Present() {
			absent[v.Feature.Name] = v.Feature
		}
	}
	var out []*manifest.Feature
	if !measured {
		return nil
	}
	m := a.Model.Manifest
	for i := range m.Features {
		if f := absent[m.Features[i].Name]; f != nil && f.Missing == manifest.MissingRequired {
			out = append(out, f)
		}
	}
	for _, group := range m.Require {
		if f := absent[group[0]]; f != nil && allAbsent(group, absent) {
			out = append(out, f)
		}
	}
	return out
}

func allAbsent(group []string, absent map[string]*manifest.Feature) bool {
	for _, name := range group {
		if absent[name] == nil {
			return false
		}
	}
	return true
}

// order is a draft ServiceRequest (https://hl7.org/fhir/R4/servicerequest.html)
// with a temporary id, for the client to complete.
func order(id, subject string, code rules.Coding) json.RawMessage {
	type coding struct {
		System  string `json:"system"`
		Code    string `json:"code"`
		Display string `json:"display,omitempty"`
	}
	type concept struct {
		Coding []coding `json:"coding"`
	}
	type reference struct {
		Reference string `json:"reference"`
	}
	body, err := json.Marshal(struct {
		ResourceType string    `json:"resourceType"`
		ID           string    `json:"id"`
		Status       string    `json:"status"`
		Intent       string    `json:"intent"`
		Code         concept   `json:"code"`
		Subject      reference `json:"subject"`
	}{"ServiceRequest", id, "draft", "proposal", concept{[]coding{{code.System, code.Code, code.Display}}}, reference{subject}})
	if err != nil {
		return nil // no such struct fails; the card's check refuses it
	}
	return body
}
