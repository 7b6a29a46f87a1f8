package spec

import (
	"regexp"
	"strings"
)

// TypeKind is the sort of thing a type is.
type TypeKind uint8

// The kinds of type.
const (
	Primitive    TypeKind = iota // one JSON value: code, dateTime, xhtml
	Complex                      // a data type with elements: HumanName
	Backbone                     // elements nested in a type, named by path: Patient.contact
	ResourceKind                 // a resource type
	Profile                      // a constraint on a data type: SimpleQuantity
)

var kindNames = [...]string{"primitive", "complex", "backbone", "resource", "profile"}

// String names the kind in messages.
func (k TypeKind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// Type is one type of FHIR.
type Type struct {
	Name     string // "Patient", "HumanName", "Patient.contact"
	Base     string // the type it derives from; "" for Resource and Element
	Kind     TypeKind
	Abstract bool
	// Elements are all elements, inherited ones first, in the order of R4 (the
	// order XML requires). A primitive type has id and extension; its value is
	// not an element here.
	Elements []Element
	// Invariants must hold for every value of the type: own and inherited.
	Invariants []Invariant
	// Pattern is the official regular expression of a primitive type, anchored;
	// nil for others and for xhtml. ValidPrimitive is faster and stricter.
	Pattern *regexp.Regexp

	names map[string]property
}

// property is what a JSON member name of a type leads to.
type property struct {
	element  int
	typeCode string
}

// Element finds the element that a JSON member stands for, and the type of its
// value: "valueQuantity" is value[x] with type Quantity. The type code always
// names a Type: a backbone element gives its path, "Patient.contact", a content
// reference the path it refers to, "Questionnaire.item". The caller strips the
// "_" of primitive extensions first. Resource types have no element
// resourceType.
func (t *Type) Element(jsonName string) (el *Element, typeCode string, ok bool) {
	p, ok := t.names[jsonName]
	if !ok {
		return nil, "", false
	}
	return &t.Elements[p.element], p.typeCode, true
}

// Child finds an element by its name without type: "value" is value[x], as
// FHIRPath navigates.
func (t *Type) Child(name string) (*Element, bool) {
	for i := range t.Elements {
		if t.Elements[i].Name == name {
			return &t.Elements[i], true
		}
	}
	return nil, false
}

// Element is one element of a type (https://hl7.org/fhir/R4/elementdefinition.html).
type Element struct {
	Name   string // "value", without "[x]"
	Path   string // from the type: "Observation.value[x]", "Patient.id"
	Choice bool   // value[x]: the JSON name has the type appended
	Min    int
	Max    int // -1 is *
	// Types are the types allowed, as R4 names them: a backbone element has
	// BackboneElement or Element. Empty if ContentRef is set.
	Types   []TypeRef
	Binding *Binding // required or extensible; nil for weaker ones and for none
	// ContentRef is the path of the type an element repeats,
	// "Questionnaire.item", or "".
	ContentRef string
	Summary    bool // part of _summary=true
	Modifier   bool
	Attribute  bool // an attribute in XML
	// Invariants are those that the element adds to the ones of its type. A
	// backbone's are on the backbone type, so each is met exactly once.
	Invariants []Invariant
}

// Repeats reports whether the element may occur more than once, which makes it
// an array in JSON.
func (e *Element) Repeats() bool { return e.Max < 0 || e.Max > 1 }

// JSONName is the member name of the element with a value of the given type:
// "valueQuantity" for value[x], the plain name for any other.
func (e *Element) JSONName(typeCode string) string {
	if !e.Choice || typeCode == "" {
		return e.Name
	}
	return e.Name + strings.ToUpper(typeCode[:1]) + typeCode[1:]
}

// TypeRef is a type that an element allows.
type TypeRef struct {
	Code string
	// Targets are the resource types that a Reference or canonical may point to;
	// "Resource" or none is any.
	Targets []string
	// Profile names the constraint that the value must meet, "SimpleQuantity",
	// or "".
	Profile string
}

// Strength is how far a binding obliges (https://hl7.org/fhir/R4/terminologies.html#strength).
type Strength uint8

// The strengths held here; R4's preferred and example oblige nobody.
const (
	Required Strength = iota
	Extensible
)

// String is the code of the strength.
func (s Strength) String() string {
	if s == Required {
		return "required"
	}
	return "extensible"
}

// Binding ties a coded element to a value set.
type Binding struct {
	Strength Strength
	ValueSet string // canonical URL without version
}

// Invariant is a rule over an element, in FHIRPath, with the element (or the
// value of the type) as the context.
type Invariant struct {
	Key        string // "pat-1"
	Severity   string // "error" or "warning"
	Human      string
	Expression string
}
