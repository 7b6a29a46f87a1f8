package hooks

import (
	"slices"
	"strconv"
	"strings"

	"galen/cds"
	"galen/fhir"
	"galen/hooks/call"
	"galen/hooks/card"
	"galen/hooks/pace"
	"galen/hooks/rules"
)

// applyRules makes the reply of a service whose cards are defined by rules.
func (d *Dispatcher) applyRules(in *invocation, s *Service, r call.Request, results []result) *reply {
	out := newReply(results)
	var orders []rules.Order
	var unread []string
	for _, node := range r.Context.Resources() {
		if subject := fhir.ParseReference(node.Get("subject").Get("reference").Text()).Key; subject.ID != "" && subject != (fhir.Key{Type: "Patient", ID: r.Patient}) {
			continue // another patient's order says nothing of this one
		}
		if o, ok := rules.NewOrder(node, r.Context.Find); ok {
			orders = append(orders, o)
		} else if o.Key.Type == "MedicationRequest" {
			unread = append(unread, o.Key.String())
		}
	}
	findings := s.Rules.Evaluate(known(results), orders, card.Markdown)
	slices.SortStableFunc(findings, func(a, b rules.Finding) int {
		return card.Indicator(b.Card.Indicator).Urgency() - card.Indicator(a.Card.Indicator).Urgency()
	})
	for i := range findings {
		d.applyRule(in, s, r, results, &findings[i], out)
	}
	if c := unreadCard(d.NewID, unread); len(unread) > 0 && d.sound(&c, s) {
		out.cards = append(out.cards, c)
		out.guidance = append(out.guidance, cds.Guidance{
			Card: c.UUID, Module: "urn:galen:service:" + s.ID, Status: cds.DataRequired, At: d.Now(), Texts: []string{c.Summary},
		})
	}
	return out
}

// unreadCard says that orders were not checked since the call does not say what
// they are for: no card at all would read as "nothing against it".
func unreadCard(newID func() string, orders []string) card.Card {
	var b strings.Builder
	b.WriteString("What these order is neither in the call nor named in their reference:\n")
	for _, o := range orders {
		b.WriteString("\n- " + card.Markdown(o))
	}
	return card.Card{
		UUID: newID(), Indicator: card.Warning, Source: card.Source{Label: "Galen"}, OverrideReasons: overrideReasons,
		Summary: "Not checked: " + strconv.Itoa(len(orders)) + " order(s) whose medicine is not known", Detail: b.String(),
	}
}

// applyRule adds the card of one finding, unless the user has just seen it.
func (d *Dispatcher) applyRule(in *invocation, s *Service, r call.Request, results []result, f *rules.Finding, out *reply) {
	module := s.ID + "/" + f.Rule.Name
	about := ""
	if f.Order != nil {
		about = f.Order.Key.String() + f.Order.Display
	}
	id := pace.NewFinding(in.subject(r), cmpUser(in, r), module, about)
	c := d.ruleCard(in, r, f)
	now := pace.Shown{At: d.Now(), Urgency: c.Indicator.Urgency()}
	hidden := ""
	switch {
	case d.quiet.Repeats(id, now):
		hidden = "suppressed"
	case len(out.cards) >= d.Limits.Cards:
		hidden = "cap"
	case !d.sound(&c, s):
		hidden = "invalid"
	}
	var rests []int
	for i := range results {
		if slices.Contains(f.Models, results[i].info.Ref.Name) {
			rests = append(rests, i)
			out.hidden[i] = hidden
		}
	}
	if hidden != "" {
		d.tally.add(CountHidden, Labels{Service: s.ID, Model: "rule:" + f.Rule.Name, Kind: hidden})
		return
	}
	in.show = append(in.show, func() { d.quiet.Show(id, now) })
	out.cards, out.rests[c.UUID] = append(out.cards, c), rests
	out.guidance = append(out.guidance, cds.Guidance{
		Card: c.UUID, Module: "urn:galen:rule:" + module, Status: cds.GuidanceGiven, At: d.Now(), Texts: []string{c.Summary},
	})
	d.tally.add(CountCards, Labels{Service: s.ID, Model: "rule:" + f.Rule.Name, Kind: string(c.Indicator)})
}

// ruleCard is the card of a finding.
func (d *Dispatcher) ruleCard(in *invocation, r call.Request, f *rules.Finding) card.Card {
	c := card.Card{
		UUID: d.NewID(), Summary: card.Clip(card.Plain(f.Summary), card.MaxSummary), Detail: f.Detail,
		Indicator: card.Indicator(f.Card.Indicator), OverrideReasons: overrideReasons,
		Source: card.Source{Label: card.Clip(f.Card.Source.Label, card.MaxSummary), URL: f.Card.Source.URL},
	}
	for _, s := range f.Card.Suggestions {
		a := card.Action{Type: "create", Description: s.Label}
		if s.Cancel {
			if f.Order.Key.ID == "" {
				continue // a draft that has no id cannot be named
			}
			a.Type, a.ResourceID = "delete", f.Order.Key.String()
		} else {
			a.Resource = order(d.NewID(), in.relativeSubject(r), s.Request)
		}
		c.Suggestions = append(c.Suggestions, card.Suggestion{Label: s.Label, UUID: d.NewID(), Recommended: s.Recommended, Actions: []card.Action{a}})
	}
	if len(c.Suggestions) > 0 {
		c.SelectionBehavior = card.AtMostOne
	}
	return c
}

// known reads what the models computed and what they found in the record.
func known(results []result) rules.Known {
	return func(model, kind, name string) (rules.Quantity, bool) {
		for i := range results {
			r := &results[i]
			if r.info.Ref.Name != model || r.Assessment == nil {
				continue
			}
			if kind == "output" {
				o, _, _ := r.info.Manifest.Output(name)
				x, ok := r.Outputs[name]
				p := cds.Prediction{Output: o, Value: x}
				if !ok {
					return rules.Quantity{}, false
				}
				return rules.Quantity{Number: x, Text: p.Text()}, true
			}
			for j := range r.Features {
				if v := &r.Features[j]; v.Feature.Name == name && v.Present() {
					return rules.Quantity{Number: v.Number, Text: cds.Text(v) + " of " + v.Time.Format("2006-01-02")}, true
				}
			}
		}
		return rules.Quantity{}, false
	}
}
