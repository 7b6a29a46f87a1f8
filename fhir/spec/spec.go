// Package spec is HL7 FHIR R4 4.0.1 as tables: what elements each type has,
// which codes a required binding allows, which search parameters and
// compartments there are, which invariants hold.
//
// Load decodes the tables, embedded in 80 KB, once; the caller shares the
// result, which never changes and is safe for concurrent use. Every pointer and
// slice handed out is part of it: read, do not write. The text is the official
// one but for the corrections that SOURCE.md lists.
//
// It holds no profiles beside the base definitions, no descriptions and no code
// system outside FHIR's own, and it evaluates nothing: expressions are text.
package spec

import (
	"maps"
	"slices"
)

//go:generate go run ./gen -out .

// Definitions are the tables. Get one from Load.
type Definitions struct {
	types        map[string]*Type
	resources    []string // concrete resource types, sorted
	params       map[string]map[string]*SearchParam
	sorted       map[string][]*SearchParam
	byURL        map[string]*SearchParam
	compartments map[string]*Compartment
	valueSets    map[string]*CodeSet
}

// ResourceTypes are the names of the 146 concrete resource types, sorted
// (https://hl7.org/fhir/R4/resourcelist.html).
func (d *Definitions) ResourceTypes() []string { return d.resources }

// IsResource reports whether name is a concrete resource type; Resource and
// DomainResource are not.
func (d *Definitions) IsResource(name string) bool {
	t, ok := d.types[name]
	return ok && t.Kind == ResourceKind && !t.Abstract
}

// TypeNames are the names of all types that Type finds, sorted.
func (d *Definitions) TypeNames() []string { return slices.Sorted(maps.Keys(d.types)) }

// Type finds a type by name: a resource type ("Patient"), a data type
// ("HumanName", "code"), a backbone by its path ("Patient.contact"), or one of
// the two profiles that R4 elements name (SimpleQuantity, MoneyQuantity).
func (d *Definitions) Type(name string) (*Type, bool) {
	t, ok := d.types[name]
	return t, ok
}

// IsA reports whether name is base or derives from it: "Age" is a "Quantity",
// "Patient" a "Resource", "code" a "string".
func (d *Definitions) IsA(name, base string) bool {
	for name != "" {
		if name == base {
			return true
		}
		t, ok := d.types[name]
		if !ok {
			return false
		}
		name = t.Base
	}
	return false
}

// Param finds the search parameter that a resource type answers to, its own or
// one of Resource or DomainResource ("_id"). Result parameters (_sort, _count)
// and the ones R4 has no SearchParameter for (_has, _list, _type, _filter) are
// not among them.
func (d *Definitions) Param(resourceType, code string) (*SearchParam, bool) {
	p, ok := d.params[resourceType][code]
	return p, ok
}

// Params are the search parameters of a resource type, own and inherited, sorted
// by code.
func (d *Definitions) Params(resourceType string) []*SearchParam { return d.sorted[resourceType] }

// ParamByURL finds a search parameter by its canonical URL.
func (d *Definitions) ParamByURL(url string) (*SearchParam, bool) {
	p, ok := d.byURL[url]
	return p, ok
}

// Compartment finds a compartment by its code, "Patient"
// (https://hl7.org/fhir/R4/compartmentdefinition.html).
func (d *Definitions) Compartment(code string) (*Compartment, bool) {
	c, ok := d.compartments[code]
	return c, ok
}

// CompartmentCodes are the five compartments, sorted.
func (d *Definitions) CompartmentCodes() []string {
	codes := make([]string, 0, len(d.compartments))
	for code := range d.compartments {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	return codes
}

// Codes finds the codes of a value set that a required binding names, if FHIR
// itself lists them all; a code outside may then be refused. The sets that lean
// on other standards (MIME types, UCUM, ISO 4217) are not listed.
func (d *Definitions) Codes(valueSet string) (*CodeSet, bool) {
	c, ok := d.valueSets[valueSet]
	if !ok || c.open {
		return nil, false
	}
	return c, true
}

// ImpliedSystem is the code system that a bare code gets from the value set its
// element is bound to by a required binding: "male" of administrative-gender is
// of http://hl7.org/fhir/administrative-gender
// (https://hl7.org/fhir/R4/search.html#token). It answers for open sets too.
func (d *Definitions) ImpliedSystem(valueSet, code string) (string, bool) {
	c, ok := d.valueSets[valueSet]
	if !ok {
		return "", false
	}
	return c.System(code)
}
