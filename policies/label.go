package policies

import (
	"regexp"
	"slices"
	"strings"

	"galen/fhir/search"
)

// clearance is an l line of policy.csv: who may see what bears a security label
// (https://hl7.org/fhir/R4/security-labels.html). A label that no line names
// restricts nothing; one that some line names is kept from all others.
type clearance struct {
	labels   []string // codes, of any system
	roles    []string // none for nobody
	purposes []string // nil for any
	id       string
}

var labelPattern = regexp.MustCompile(`^[A-Z][A-Z0-9-]{0,63}$`)

func (d *document) addClearance(f []string) string {
	c := clearance{labels: strings.Split(f[0], "|"), id: f[3]}
	if f[1] != "-" {
		c.roles = strings.Split(f[1], "|")
	}
	if f[2] != "*" {
		c.purposes = strings.Split(f[2], "|")
	}
	switch {
	case slices.ContainsFunc(c.labels, func(l string) bool { return !labelPattern.MatchString(l) }):
		return "a label is a code in capitals"
	case slices.ContainsFunc(c.roles, func(r string) bool { return !namePattern.MatchString(r) }):
		return "a role is lower case"
	case slices.ContainsFunc(c.purposes, func(p string) bool { return !slices.Contains(purposes(), p) }):
		return "a purpose is unknown"
	case !namePattern.MatchString(c.id) || d.used(c.id):
		return "the id is not lower case, or used twice"
	}
	d.clearances = append(d.clearances, c)
	return ""
}

// used reports whether a line has the id.
func (d *document) used(id string) bool {
	return slices.ContainsFunc(d.rows, func(o Row) bool { return o.ID == id }) ||
		slices.ContainsFunc(d.clearances, func(c clearance) bool { return c.id == id })
}

// withheld are the labels that the principal of a key is not cleared for, sorted.
func (s *rules) withheld(k key) []string {
	var all, cleared []string
	for _, c := range s.clearances {
		all = append(all, c.labels...)
		purpose := c.purposes == nil || slices.Contains(c.purposes, k.purpose)
		if purpose && slices.ContainsFunc(c.roles, func(role string) bool { return s.plays(role, k) }) {
			cleared = append(cleared, c.labels...)
		}
	}
	all = slices.DeleteFunc(all, func(l string) bool { return slices.Contains(cleared, l) })
	slices.Sort(all)
	return slices.Compact(all)
}

// withoutLabels is the condition that a resource bears none of the labels, of
// whatever code system: what says R in another system is kept too.
func withoutLabels(labels []string) search.Expr {
	tests := make([]search.Test, len(labels))
	for i, l := range labels {
		tests[i] = search.TokenTest{Code: l, AnySystem: true}
	}
	return search.Not{Of: search.Where{Param: "_security", Any: tests}}
}
