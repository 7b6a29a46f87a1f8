package rules

import (
	"slices"
	"strings"
	"unicode"

	"galen/fhir"
	"galen/fhir/jsontree"
)

// Quantity is what is known of a Value.
type Quantity struct {
	Number float64
	Text   string // for people, with unit and date
	Model  string // name of the model it is from
}

// Known tells what a model says: of its output or feature, as in Value.From;
// false if it does not know.
type Known func(model, kind, name string) (Quantity, bool)

// Order is a draft order of a call.
type Order struct {
	Key     fhir.Key // of the order; zero ID if it has none
	Display string   // what it is called
	codings []Coding
	words   []string
}

// NewOrder reads an order; find is the resource of the call that a reference
// means. False for a resource of which nobody can tell what it orders.
func NewOrder(r jsontree.Node, find func(reference string) jsontree.Node) (Order, bool) {
	o := Order{Key: fhir.Key{Type: r.Get("resourceType").Text(), ID: r.Get("id").Text()}}
	if o.Key.Type == "Medication" {
		return o, false // what an order is for, not one itself
	}
	concept := r.Get("medicationCodeableConcept")
	if ref := r.Get("medicationReference").Get("reference").Text(); strings.HasPrefix(ref, "#") {
		for c := range r.Get("contained").Items() {
			if c.Get("id").Text() == ref[1:] {
				concept = c.Get("code")
			}
		}
	} else if m := find(ref); m.Get("resourceType").Text() == "Medication" {
		concept = m.Get("code")
	}
	if !concept.Exists() {
		concept = r.Get("code")
	}
	names := []string{concept.Get("text").Text()}
	for c := range concept.Get("coding").Items() {
		coding := Coding{c.Get("system").Text(), c.Get("code").Text(), c.Get("display").Text()}
		o.codings = append(o.codings, coding)
		names = append(names, coding.Display)
	}
	if d := r.Get("medicationReference").Get("display").Text(); d != "" {
		names = append(names, d)
	}
	for _, n := range names {
		if o.Display == "" {
			o.Display = n
		}
		o.words = append(o.words, strings.FieldsFunc(strings.ToLower(n), func(r rune) bool { return !unicode.IsLetter(r) })...)
	}
	if o.Display == "" && len(o.codings) > 0 {
		o.Display = o.codings[0].Code
	}
	return o, o.Display != ""
}

func (m *Orders) matches(o *Order) bool {
	for _, c := range m.Codes {
		if slices.ContainsFunc(o.codings, func(x Coding) bool { return x.System == c.System && x.Code == c.Code }) {
			return true
		}
	}
	return slices.ContainsFunc(m.Words, func(w string) bool { return slices.Contains(o.words, w) })
}

// Finding is a rule that has something to say.
type Finding struct {
	Rule    *Rule
	Card    *Card  // the rule's card, or that for what is unknown
	Order   *Order // nil if it is about the patient
	Summary string // plain text
	Detail  string // Markdown, what comes from the record made safe
	Value   float64
	Models  []string // whose words it rests on
}

// Evaluate holds every rule against what is known and each order. safe makes
// text from a record safe for Markdown.
func (d *Definition) Evaluate(known Known, orders []Order, safe func(string) string) []Finding {
	values := map[string]Quantity{}
	for _, v := range d.Values {
		for _, from := range v.From {
			model, kind, name := split(from)
			if q, ok := known(model, kind, name); ok {
				q.Model = model
				values[v.Name] = q
				break
			}
		}
	}
	var out []Finding
	for i := range d.Rules {
		r := &d.Rules[i]
		if r.Orders == nil {
			if f, ok := d.apply(r, nil, values, safe); ok {
				out = append(out, f)
			}
			continue
		}
		for j := range orders {
			if r.Orders.matches(&orders[j]) {
				if f, ok := d.apply(r, &orders[j], values, safe); ok {
					out = append(out, f)
				}
			}
		}
	}
	return out
}

// apply decides one rule. A condition that fails decides even if another is not
// known.
func (d *Definition) apply(r *Rule, o *Order, values map[string]Quantity, safe func(string) string) (Finding, bool) {
	f := Finding{Rule: r, Card: &r.Card, Order: o}
	unknown := false
	for i := range r.When {
		q, ok := values[r.When[i].Value]
		switch {
		case !ok:
			unknown = true
		case !r.When[i].holds(q.Number):
			return f, false
		default:
			f.Value = q.Number
			if !slices.Contains(f.Models, q.Model) {
				f.Models = append(f.Models, q.Model)
			}
		}
	}
	if unknown {
		if f.Card = r.Unknown; f.Card == nil {
			return f, false
		}
	}
	f.Summary = d.fill(f.Card.Summary, o, values, func(s string) string { return s })
	f.Detail = d.fill(f.Card.Detail, o, values, safe)
	return f, true
}

func (d *Definition) fill(template string, o *Order, values map[string]Quantity, safe func(string) string) string {
	return placeholder.ReplaceAllStringFunc(template, func(m string) string {
		name := m[2 : len(m)-2]
		if name == "order" && o != nil {
			return safe(o.Display)
		}
		if q, ok := values[name]; ok {
			return safe(q.Text)
		}
		return "not known"
	})
}
