package search

import (
	"galen/fhir"
	"galen/fhir/spec"
)

// And joins conditions into one: nil and empty ones fall away, an All is taken
// apart, a single one stays itself. It is nil if nothing is left. A policy's
// filter is added to a query by it.
func And(conditions ...Expr) Expr {
	var all All
	for _, e := range conditions {
		switch e := e.(type) {
		case nil:
		case All:
			if inner, ok := And(e...).(All); ok {
				all = append(all, inner...)
			} else if one := And(e...); one != nil {
				all = append(all, one)
			}
		default:
			all = append(all, e)
		}
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return all
}

// Compartment is the condition that a resource of a type lies in a compartment
// (https://hl7.org/fhir/R4/compartmentdefinition.html), such as Patient/1's: some
// parameter that R4 lists leads to its centre, or it is the centre. It reports
// false if no resource of the type ever does, or there is no such compartment.
func Compartment(defs *spec.Definitions, centre fhir.Key, resourceType string) (Expr, bool) {
	c, ok := defs.Compartment(centre.Type)
	if !ok {
		return nil, false
	}
	var ways Any
	if c.Self(resourceType) {
		ways = append(ways, HasID{[]string{centre.ID}})
	}
	for _, code := range c.Params(resourceType) {
		ways = append(ways, Where{code, []Test{ReferenceTest{Key: centre}}})
	}
	switch len(ways) {
	case 0:
		return nil, false
	case 1:
		return ways[0], true
	}
	return ways, true
}
