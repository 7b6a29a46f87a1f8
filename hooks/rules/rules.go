// Package rules is CDS services that are defined by a configuration file and not
// by code: hook → models → thresholds → card.
//
// A definition names the hooks it answers and the models it runs, gives names to
// their outputs or inputs, and says which card is shown when those lie within
// limits, for the patient or for each draft order that matches. It is checked as
// a whole when it is read: a model, output, feature or hook that does not exist
// is an error with its place. What a rule needs and nobody knows is unknown, and
// the rule may have a card for that; it is never taken as normal.
//
// It runs no models and knows nothing of HTTP.
package rules

import (
	"bytes"
	_ "embed" // the shipped definitions
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"galen/fhir"
	"galen/models"
)

// Definition is one service under one or more hooks.
type Definition struct {
	ID          string   `json:"id"`
	Title       string   `json:"title"`
	Description string   `json:"description"`
	Hooks       []string `json:"hooks"`
	// Models are run, by name. Without Rules their own cards are shown.
	Models []string `json:"models"`
	Values []Value  `json:"values"`
	Rules  []Rule   `json:"rules"`
}

// Value names what the models or the record say: the first of From that is
// known.
type Value struct {
	Name  string `json:"name"`
	Label string `json:"label"` // for people
	// From are "model.output.name" or "model.feature.name".
	From []string `json:"from"`
}

// Rule shows a card when all conditions hold, for the patient or, with Orders,
// for each draft order that matches.
type Rule struct {
	Name   string      `json:"name"`
	Orders *Orders     `json:"orders"`
	When   []Condition `json:"when"`
	Card   Card        `json:"card"`
	// Unknown is shown when a value of When is not known; nil shows nothing then.
	Unknown *Card `json:"unknown"`
}

// Orders match draft orders by a code, or by a word in what the order is called:
// prescriptions are coded by product, of which there are too many to list.
type Orders struct {
	Codes []Coding `json:"codes"`
	Words []string `json:"words"`
}

// Coding is a code in a code system.
type Coding struct {
	System  string `json:"system"`
	Code    string `json:"code"`
	Display string `json:"display"`
}

// Condition holds when a value lies within every limit that is given.
type Condition struct {
	Value string   `json:"value"`
	GE    *float64 `json:"ge"`
	GT    *float64 `json:"gt"`
	LE    *float64 `json:"le"`
	LT    *float64 `json:"lt"`
}

// holds reports whether a number lies within the limits.
func (c *Condition) holds(x float64) bool {
	return (c.GE == nil || x >= *c.GE) && (c.GT == nil || x > *c.GT) && (c.LE == nil || x <= *c.LE) && (c.LT == nil || x < *c.LT)
}

// Card is the template of a card. {{order}} and {{name of a value}} in Summary
// and Detail are filled in; Detail is Markdown.
type Card struct {
	Summary     string       `json:"summary"`
	Detail      string       `json:"detail"`
	Indicator   string       `json:"indicator"`
	Source      Source       `json:"source"`
	Suggestions []Suggestion `json:"suggestions"`
}

// Source is whom the guidance is from.
type Source struct {
	Label string `json:"label"`
	URL   string `json:"url"`
}

// Suggestion is a choice that the card offers.
type Suggestion struct {
	Label       string `json:"label"`
	Recommended bool   `json:"recommended"`
	Cancel      bool   `json:"cancel_order"` // deletes the draft order
	Request     Coding `json:"request"`      // orders a service, such as a laboratory test
}

//go:embed shipped.json
var shipped []byte

// Shipped are the definitions that come with the server. Those of models that
// are not served are left out.
func Shipped(zoo []*models.Info, known func(hook string) bool) ([]Definition, error) {
	all, err := decode(shipped)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(d Definition) bool {
		return slices.ContainsFunc(d.Models, func(name string) bool { return find(zoo, name) == nil })
	})
	return all, check(all, zoo, known)
}

// Parse reads definitions: a JSON array, an unknown member in which is an error.
// The error is of Kind Invalid and names the place.
func Parse(text []byte, zoo []*models.Info, known func(hook string) bool) ([]Definition, error) {
	all, err := decode(text)
	if err != nil {
		return nil, err
	}
	return all, check(all, zoo, known)
}

func decode(text []byte) ([]Definition, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var all []Definition
	if err := d.Decode(&all); err != nil {
		return nil, &fhir.Error{Op: "rules.Parse", Kind: fhir.Invalid, At: "offset " + strconv.FormatInt(d.InputOffset(), 10), Err: err}
	}
	if d.More() {
		return nil, fhir.E("rules.Parse", fhir.Invalid, "", "something follows the array of services")
	}
	return all, nil
}

func find(zoo []*models.Info, name string) *models.Info {
	for _, info := range zoo { // by name and newest first
		if info.Ref.Name == name {
			return info
		}
	}
	return nil
}

// serviceID is what an id may be: it stands in URLs.
var serviceID = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)

// checker holds definitions against the catalog.
type checker struct {
	zoo   []*models.Info
	known func(hook string) bool
	err   error
}

func check(all []Definition, zoo []*models.Info, known func(hook string) bool) error {
	c := &checker{zoo: zoo, known: known}
	for i := range all {
		c.definition(&all[i], fmt.Sprintf("[%d]", i))
	}
	return c.err
}

func (c *checker) need(ok bool, at, message string) {
	if !ok && c.err == nil {
		c.err = fhir.E("rules.Parse", fhir.Invalid, at, at+": "+message)
	}
}

func (c *checker) definition(d *Definition, at string) {
	c.need(serviceID.MatchString(d.ID), at+".id", "must be lower-case letters, digits and hyphens")
	c.need(d.Description != "", at+".description", "must be there")
	c.need(len(d.Hooks) > 0, at+".hooks", "must name a hook")
	c.need(len(d.Models) > 0, at+".models", "must name a model")
	for _, h := range d.Hooks {
		c.need(c.known(h), at+".hooks", "names a hook that is not of the standard")
	}
	for _, m := range d.Models {
		c.need(find(c.zoo, m) != nil, at+".models", "names a model that is not served")
	}
	names := map[string]bool{"order": true}
	for i, v := range d.Values {
		place := fmt.Sprintf("%s.values[%d]", at, i)
		c.need(serviceID.MatchString(v.Name) && !names[v.Name], place+".name", "must be a name of its own")
		names[v.Name] = true
		c.need(len(v.From) > 0, place+".from", "must name where it is from")
		for _, from := range v.From {
			c.need(c.exists(d, from), place+".from", "must be model.output.name or model.feature.name of a model of this service")
		}
	}
	for i := range d.Rules {
		c.rule(&d.Rules[i], fmt.Sprintf("%s.rules[%d]", at, i), names)
	}
}

func (c *checker) exists(d *Definition, from string) bool {
	model, kind, name := split(from)
	info := find(c.zoo, model)
	if info == nil || !slices.Contains(d.Models, model) {
		return false
	}
	if kind == "feature" {
		_, ok := info.Manifest.Feature(name)
		return ok
	}
	_, _, ok := info.Manifest.Output(name)
	return ok && kind == "output"
}

func split(from string) (model, kind, name string) {
	model, rest, _ := strings.Cut(from, ".")
	kind, name, _ = strings.Cut(rest, ".")
	return model, kind, name
}

func (c *checker) rule(r *Rule, at string, names map[string]bool) {
	c.need(serviceID.MatchString(r.Name), at+".name", "must be lower-case letters, digits and hyphens")
	if r.Orders != nil {
		c.need(len(r.Orders.Codes)+len(r.Orders.Words) > 0, at+".orders", "must name codes or words")
		for _, w := range r.Orders.Words {
			c.need(len(w) >= 3 && strings.ToLower(w) == w, at+".orders.words", "a word is in lower case and has three letters or more")
		}
	}
	c.need(len(r.When) > 0, at+".when", "must have a condition")
	for i, w := range r.When {
		place := fmt.Sprintf("%s.when[%d]", at, i)
		c.need(w.Value != "order" && names[w.Value], place+".value", "is none of the values")
		c.need(w.GE != nil || w.GT != nil || w.LE != nil || w.LT != nil, place, "must have a limit")
	}
	c.card(&r.Card, at+".card", r, names)
	if r.Unknown != nil {
		c.card(r.Unknown, at+".unknown", r, names)
	}
}

var placeholder = regexp.MustCompile(`\{\{([^{}]*)\}\}`)

func (c *checker) card(k *Card, at string, r *Rule, names map[string]bool) {
	c.need(k.Summary != "", at+".summary", "must be there")
	c.need(slices.Contains([]string{"info", "warning", "critical"}, k.Indicator), at+".indicator", "must be info, warning or critical")
	c.need(k.Source.Label != "", at+".source.label", "must be there")
	for _, m := range placeholder.FindAllStringSubmatch(k.Summary+k.Detail, -1) {
		c.need(names[m[1]] && (m[1] != "order" || r.Orders != nil), at, "{{"+m[1]+"}} is nothing that can be filled in")
	}
	recommended := 0
	for i, s := range k.Suggestions {
		place := fmt.Sprintf("%s.suggestions[%d]", at, i)
		c.need(s.Label != "", place+".label", "must be there")
		c.need(s.Cancel != (s.Request.Code != ""), place, "must either cancel_order or request something")
		c.need(!s.Cancel || r.Orders != nil, place, "cancel_order is for rules about orders")
		if s.Recommended {
			recommended++
		}
	}
	c.need(recommended <= 1, at+".suggestions", "at most one can be recommended")
}
