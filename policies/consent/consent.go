// Package consent reads FHIR Consent resources
// (https://hl7.org/fhir/R4/consent.html) into conditions that hide what patients
// withhold.
//
// It promises: deny wins over permit, between consents and between provisions of
// one level, while a nested provision is an exception to the one around it; a
// part that it cannot check counts as met in a deny and as not met in a permit;
// a consent that was written or withdrawn counts from the next question on. A
// purpose that a token does not state counts as treatment. Consents about
// treatment or directives (scope treatment, adr) say nothing here.
//
// It hides neither the Consent itself nor the audit, and nothing from the patient.
package consent

import (
	"slices"
	"strings"
	"time"

	"galen/fhir"
	"galen/fhir/jsontree"
)

// effect is what a provision says.
type effect uint8

const (
	silent effect = iota
	permit
	deny
)

// code is a Coding; System "" is none.
type code struct{ system, code string }

// actor is one of provision.actor.
type actor struct {
	key        fhir.Key
	identifier string
}

// data is one of provision.data.
type data struct {
	meaning string
	key     fhir.Key
}

// provision is Consent.provision: conditions that must all hold, each of which
// holds if one of its values does.
type provision struct {
	effect     effect
	period     *fhir.Period
	dataPeriod *fhir.Period
	actors     []actor
	actions    []string
	labels     []code
	purposes   []string
	classes    []code
	codes      []code
	data       []data
	nested     []provision
}

// rule is one Consent that is in force.
type rule struct {
	patient string // logical id
	root    provision
}

// parse reads a Consent; false if it says nothing about privacy, or is not in
// force.
func parse(r fhir.Resource) (rule, bool) {
	root := r.Root()
	patient := fhir.ParseReference(root.Get("patient").Get("reference").Text()).Key
	if root.Get("status").Text() != "active" || patient.Type != "Patient" || !privacy(root) {
		return rule{}, false
	}
	p := parseProvision(root.Get("provision"), maxDepth)
	if p.effect == silent {
		p.effect = base(root)
	}
	return rule{patient.ID, p}, true
}

// privacy reports whether the scope is one of privacy: all but treatment and
// advance directives, since what is unknown must not be passed over.
func privacy(root jsontree.Node) bool {
	for _, c := range codings(root.Get("scope")) {
		if c.code == "treatment" || c.code == "adr" {
			return false
		}
	}
	return true
}

// base is what policyRule says where the provision has no type of its own.
func base(root jsontree.Node) effect {
	for _, c := range codings(root.Get("policyRule")) {
		switch {
		case strings.HasPrefix(c.code, "OPTOUT"):
			return deny
		case strings.HasPrefix(c.code, "OPTIN"):
			return permit
		}
	}
	return silent
}

// maxDepth is how deep provisions may be nested; what is deeper counts as denied
// with the one around it.
const maxDepth = 8

func parseProvision(n jsontree.Node, depth int) provision {
	p := provision{period: period(n.Get("period")), dataPeriod: period(n.Get("dataPeriod"))}
	switch n.Get("type").Text() {
	case "permit":
		p.effect = permit
	case "deny":
		p.effect = deny
	}
	for a := range n.Get("actor").Items() {
		ref := a.Get("reference")
		p.actors = append(p.actors, actor{
			fhir.ParseReference(ref.Get("reference").Text()).Key, ref.Get("identifier").Get("value").Text(),
		})
	}
	for a := range n.Get("action").Items() {
		for _, c := range codings(a) {
			p.actions = append(p.actions, c.code)
		}
	}
	p.labels, p.classes = coded(n.Get("securityLabel")), coded(n.Get("class"))
	for _, c := range coded(n.Get("purpose")) {
		p.purposes = append(p.purposes, c.code)
	}
	for c := range n.Get("code").Items() {
		p.codes = append(p.codes, codings(c)...)
	}
	for d := range n.Get("data").Items() {
		key := fhir.ParseReference(d.Get("reference").Get("reference").Text()).Key
		p.data = append(p.data, data{d.Get("meaning").Text(), key})
	}
	for inner := range n.Get("provision").Items() {
		if depth == 0 {
			p.effect = deny
			break
		}
		p.nested = append(p.nested, parseProvision(inner, depth-1))
	}
	return p
}

// codings are the codings of a CodeableConcept.
func codings(n jsontree.Node) []code { return coded(n.Get("coding")) }

func coded(n jsontree.Node) []code {
	var list []code
	for c := range n.Items() {
		list = append(list, code{c.Get("system").Text(), c.Get("code").Text()})
	}
	return list
}

// period reads a Period; an end includes the whole day or second that it names.
func period(n jsontree.Node) *fhir.Period {
	if !n.Exists() {
		return nil
	}
	whole := fhir.Period{Low: fhir.InstantOf(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)), High: fhir.InstantOf(time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC))}
	if start, _, err := fhir.ParseDateTime(n.Get("start").Text(), time.UTC); err == nil {
		whole.Low = start.Low
	}
	if end, _, err := fhir.ParseDateTime(n.Get("end").Text(), time.UTC); err == nil {
		whole.High = end.High
	}
	return &whole
}

// accesses reports whether a provision is about getting at data, not only about
// collecting or correcting them.
func (p *provision) accesses() bool {
	return len(p.actions) == 0 || slices.ContainsFunc(p.actions, func(a string) bool { return a != "collect" && a != "correct" })
}
