package spec

import (
	"slices"
	"strings"
)

// ParamType is the type of a search parameter (https://hl7.org/fhir/R4/search.html#ptypes).
type ParamType uint8

// The types of search parameter.
const (
	Number ParamType = iota
	Date
	String
	Token
	Reference
	Composite
	Quantity
	URI
	Special
)

// paramTypes are the codes of http://hl7.org/fhir/search-param-type, by ParamType.
var paramTypes = [...]string{"number", "date", "string", "token", "reference", "composite", "quantity", "uri", "special"}

// String is the code of the type, "token".
func (t ParamType) String() string {
	if int(t) < len(paramTypes) {
		return paramTypes[t]
	}
	return "unknown"
}

// Ordered reports whether values of the type take a comparison prefix (gt, le).
// In R4 all parameters of a type state the same comparators.
func (t ParamType) Ordered() bool { return t == Number || t == Date || t == Quantity }

// SearchParam is a search parameter (https://hl7.org/fhir/R4/searchparameter.html).
type SearchParam struct {
	Code string // the name in a query
	URL  string // canonical
	Name string
	Type ParamType
	Base []string // the resource types it is defined on
	// Expression is the official FHIRPath for all bases together; "" for _text,
	// _content and _query, which R4 leaves to the server.
	Expression string
	Targets    []string // resource types that a reference may point to
	Components []Component
	// MultipleOr is false where R4 says that a query may not list alternatives
	// (every composite parameter), MultipleAnd where it may not repeat the
	// parameter (none).
	MultipleOr  bool
	MultipleAnd bool

	// Mark is a digest of the definition of a parameter that is not R4's, "" for
	// one that is: every resource indexed by it bears the mark.
	Mark string
	// Pending says that some stored resources are not indexed by it yet, so that
	// it cannot be searched by.
	Pending bool
}

// Component is one part of a composite parameter.
type Component struct {
	Definition string       // URL of the parameter whose type it has
	Expression string       // relative to what the composite's expression selects
	Param      *SearchParam // what Definition names; never nil in these tables
}

// ExpressionFor is the part of Expression that applies to a resource type: the
// terms of the top-level union that start at the type or at a base of it. It is
// "" if none does.
func (p *SearchParam) ExpressionFor(resourceType string) string {
	if len(p.Base) == 1 && p.Base[0] == resourceType {
		return p.Expression
	}
	var keep []string
	for term := range terms(p.Expression) {
		root := root(term)
		if root == resourceType || (abstract(root) && slices.Contains(p.Base, root)) {
			keep = append(keep, term)
		}
	}
	return strings.Join(keep, " | ")
}

func abstract(name string) bool { return name == "Resource" || name == "DomainResource" }

// terms yields the members of the top-level union of a FHIRPath expression:
// bars within parentheses or strings do not count.
func terms(expression string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		depth, quoted, start := 0, false, 0
		for i := 0; i < len(expression); i++ {
			switch c := expression[i]; {
			case quoted && c == '\\':
				i++
			case c == '\'':
				quoted = !quoted
			case quoted:
			case c == '(':
				depth++
			case c == ')':
				depth--
			case c == '|' && depth == 0:
				if !yield(strings.TrimSpace(expression[start:i])) {
					return
				}
				start = i + 1
			}
		}
		if last := strings.TrimSpace(expression[start:]); last != "" {
			yield(last)
		}
	}
}

// root is the first name of an expression: "Patient" of "(Patient.deceased as boolean)".
func root(term string) string {
	term = strings.TrimLeft(term, "( ")
	if i := strings.IndexAny(term, ".) "); i >= 0 {
		return term[:i]
	}
	return term
}

// Compartment says which search parameters make a resource part of the
// compartment of one Patient, Encounter, RelatedPerson, Practitioner or Device.
type Compartment struct {
	Code string // the resource type at its centre
	URL  string // canonical

	params map[string][]string
}

// Params are the codes of the search parameters that link a resource of the
// given type to the compartment: any one suffices. None means that resources of
// the type are never in it by a link. R4's "{def}" is not among them: see Self.
func (c *Compartment) Params(resourceType string) []string { return c.params[resourceType] }

// ResourceTypes are the types that can be in the compartment, sorted; the centre
// is among them.
func (c *Compartment) ResourceTypes() []string {
	list := []string{c.Code}
	for name := range c.params {
		if name != c.Code {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// Self reports whether a resource of the given type is itself a compartment, so
// that the one with the compartment's id belongs to it: Patient/1 is in the
// compartment of Patient 1. R4 marks three of the five with "{def}" and leaves
// Patient and Device unmarked, though a compartment without its centre serves
// nobody; Self holds for all five.
func (c *Compartment) Self(resourceType string) bool { return resourceType == c.Code }
