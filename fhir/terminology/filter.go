package terminology

import (
	"regexp"
	"slices"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
)

// test decides on one concept.
type test func(*concept) bool

// maxPattern is the longest regular expression; RE2 takes no exponential time.
const maxPattern = 1000

// compileFilter reads ValueSet.compose.include.filter
// (https://hl7.org/fhir/R4/valueset-filter-operator.html). The error is of Kind
// NotSupported or Value.
func compileFilter(cs *codeSystem, n jsontree.Node) (test, error) {
	const op = "terminology.filter"
	property, operator, value := n.Get("property").Text(), n.Get("op").Text(), n.Get("value").Text()
	switch operator {
	case "is-a", "descendent-of", "is-not-a", "generalizes":
		return hierarchyFilter(cs, operator, value)
	case "=":
		return func(c *concept) bool { return slices.Contains(cs.values(c, property), value) }, nil
	case "in", "not-in":
		list := strings.Split(value, ",")
		for i := range list {
			list[i] = strings.TrimSpace(list[i])
		}
		want := operator == "in"
		return func(c *concept) bool {
			return want == slices.ContainsFunc(cs.values(c, property), func(v string) bool { return slices.Contains(list, v) })
		}, nil
	case "exists":
		want := value != "false"
		return func(c *concept) bool { return want == (len(cs.values(c, property)) > 0) }, nil
	case "regex":
		if len(value) > maxPattern {
			return nil, fhir.E(op, fhir.TooCostly, "filter", "the regular expression is too long")
		}
		pattern, err := regexp.Compile(`^(?:` + value + `)$`)
		if err != nil {
			return nil, fhir.E(op, fhir.Value, "filter", "not a regular expression")
		}
		return func(c *concept) bool { return slices.ContainsFunc(cs.values(c, property), pattern.MatchString) }, nil
	}
	return nil, fhir.E(op, fhir.NotSupported, "filter", "the filter's operator is not known")
}

func hierarchyFilter(cs *codeSystem, operator, value string) (test, error) {
	top := cs.concept(value)
	if top == nil {
		return nil, fhir.E("terminology.filter", fhir.Value, "filter", "the code system does not define the code of a filter")
	}
	switch operator {
	case "is-a":
		return func(c *concept) bool { return c.isA(top) }, nil
	case "descendent-of":
		return func(c *concept) bool { return c.below(top) }, nil
	case "is-not-a":
		return func(c *concept) bool { return !c.isA(top) }, nil
	}
	return top.isA, nil
}

// values are what a concept has under a property
// (https://hl7.org/fhir/R4/codesystem.html#defined-props).
func (cs *codeSystem) values(c *concept, property string) []string {
	switch property {
	case "code", "concept":
		return []string{c.code}
	case "display":
		return []string{c.display}
	case "parent":
		return codes(c.parents)
	case "child":
		return codes(c.children)
	case "inactive":
		if c.inactive {
			return []string{"true"}
		}
		return []string{"false"}
	}
	var out []string
	if c.row != nil {
		for _, p := range c.row.Properties {
			if p.Code == property {
				out = append(out, p.Value)
			}
		}
	}
	for p := range c.node.Get("property").Items() {
		if p.Get("code").Text() == property {
			out = append(out, propertyText(p))
		}
	}
	return out
}

func codes(list []*concept) []string {
	out := make([]string, len(list))
	for i, c := range list {
		out[i] = c.code
	}
	return out
}
