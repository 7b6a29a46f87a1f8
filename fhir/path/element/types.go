// Package element holds the items that FHIRPath computes with: elements of
// resources, typed by the definitions, and System values; and what needs to know
// how FHIR lies in JSON: navigation, equality, the resources around an element.
//
// Promises: an item is a view of the document's bytes and copies nothing; a
// choice element is found under its plain name and a primitive together with
// its _sibling (https://hl7.org/fhir/R4/json.html); all work is counted, so that
// the evaluator can stop it. Types is immutable and safe for concurrent use.
//
// It knows no expression: those are galen/fhir/path's.
package element

import (
	"maps"
	"slices"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path/system"
	"galen/fhir/spec"
	"galen/fhir/ucum"
)

// kind is the System type that a value is or converts to implicitly.
type kind uint8

const (
	none kind = iota
	boolean
	text
	integer
	number // System.Decimal
	date
	dateTime
	clock // System.Time
	quantity
)

var kindNames = [...]string{"", "Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time", "Quantity"}

// Type is a FHIR type or a System type.
type Type struct {
	name      string
	base      *Type
	kind      kind
	system    bool
	primitive bool // one JSON value, with id and extension beside it
	resource  bool
	members   map[string]*member // by FHIRPath name
	spec      *spec.Type
	owner     *Types // nil for System types and for those of items not yet adopted
}

// member is an element as a path names it.
type member struct {
	name, under string // in JSON: "birthDate", "_birthDate"
	typ         *Type  // nil for a choice
	choice      map[string]*Type
}

// systemTypes are the types of literals and computed values, by kind. They are
// never changed.
var systemTypes = func() (all [len(kindNames)]*Type) {
	for k, name := range kindNames {
		all[k] = &Type{name: "System." + name, kind: kind(k), system: true}
	}
	return all
}()

// reflection is the type of what type() returns.
var reflection = &Type{name: "System.SimpleTypeInfo", system: true}

// typeInfo is the value of such an item.
type typeInfo struct{ namespace, name string }

// Types are all types of the definitions, by name.
type Types struct {
	defs  *spec.Definitions
	units system.Converter // nil converts nothing
	table map[string]*Type
}

// NewTypes reads the definitions; units may be nil.
func NewTypes(defs *spec.Definitions, units *ucum.Table) *Types {
	e := &Types{defs: defs, table: make(map[string]*Type, 1024)}
	if units != nil { // a nil table is no nil interface
		e.units = units
	}
	e.build()
	return e
}

// Units converts quantities; nil if there are none.
func (e *Types) Units() system.Converter { return e.units }

// primitiveKinds are the implicit conversions of R4
// (https://hl7.org/fhir/R4/fhirpath.html#types); every other primitive is a
// String.
var primitiveKinds = map[string]kind{
	"boolean": boolean, "integer": integer, "positiveInt": integer, "unsignedInt": integer,
	"decimal": number, "date": date, "dateTime": dateTime, "instant": dateTime, "time": clock,
}

// rootTypes are what no resource refers to by an element, yet can be named.
var rootTypes = []string{"Element", "BackboneElement", "Resource", "DomainResource", "Extension", "SimpleQuantity", "MoneyQuantity"}

// build fills the table with all types reachable from the resources.
func (e *Types) build() {
	for _, name := range e.defs.ResourceTypes() {
		e.addType(name)
	}
	for _, name := range rootTypes {
		e.addType(name)
	}
	for _, t := range e.table {
		t.members = make(map[string]*member, len(t.spec.Elements))
		for i := range t.spec.Elements {
			el := &t.spec.Elements[i]
			t.members[el.Name] = e.newMember(t.spec, el)
		}
	}
}

// addType adds a type with its bases and, through its elements, all it needs.
// The recursion is as deep as the longest chain of types in the definitions.
func (e *Types) addType(name string) *Type {
	if t, ok := e.table[name]; ok {
		return t
	}
	s, ok := e.defs.Type(name)
	if !ok {
		return nil
	}
	t := &Type{name: name, spec: s, owner: e}
	e.table[name] = t
	if s.Base != "" {
		t.base = e.addType(s.Base)
	}
	t.primitive, t.resource = s.Kind == spec.Primitive, s.Kind == spec.ResourceKind
	switch {
	case t.primitive:
		t.kind = text
		if k, ok := primitiveKinds[name]; ok {
			t.kind = k
		}
	case name == "Quantity" || t.base != nil && t.base.kind == quantity:
		t.kind = quantity
	}
	for i := range s.Elements {
		for _, jsonName := range jsonNames(&s.Elements[i]) {
			if _, code, ok := s.Element(jsonName); ok {
				e.addType(code)
			}
		}
	}
	return t
}

func jsonNames(el *spec.Element) []string {
	if !el.Choice {
		return []string{el.Name}
	}
	names := make([]string, len(el.Types))
	for i, t := range el.Types {
		names[i] = el.JSONName(t.Code)
	}
	return names
}

func (e *Types) newMember(s *spec.Type, el *spec.Element) *member {
	m := &member{name: el.Name, under: "_" + el.Name}
	if el.Choice {
		m.choice = make(map[string]*Type, len(el.Types))
	}
	for _, name := range jsonNames(el) {
		_, code, _ := s.Element(name)
		if el.Choice {
			m.choice[name] = e.table[code]
		} else {
			m.typ = e.table[code]
		}
	}
	return m
}

// IsA reports whether t is o or derives from it.
func (t *Type) IsA(o *Type) bool {
	for ; t != nil; t = t.base {
		if t == o {
			return true
		}
	}
	return false
}

// abstractResource reports whether values of the type say themselves which
// resource they are.
func (t *Type) abstractResource() bool { return t.resource && t.spec != nil && t.spec.Abstract }

// Lookup finds a FHIR type by name, nil if there is none.
func (e *Types) Lookup(name string) *Type { return e.table[name] }

// Named finds a type, or makes one without elements for a name that the
// definitions lack.
func (e *Types) Named(name string) *Type {
	if t, ok := e.table[name]; ok {
		return t
	}
	return &Type{name: name, owner: e}
}

// dynamic is the type of a value whose element has type t: of a resource, the
// one it names.
func (e *Types) dynamic(t *Type, n jsontree.Node) *Type {
	if !t.abstractResource() {
		return t
	}
	if name := n.Get("resourceType").Text(); name != "" {
		return e.Named(name)
	}
	return t
}

// Adopt gives an item that TypedItem made the type of that name.
func (e *Types) Adopt(it Item) Item {
	if it.typ == nil || it.typ.system || it.typ.owner == e {
		return it
	}
	it.typ = e.Named(it.typ.name)
	return it
}

// Find resolves a type specifier. Without a namespace a name may be both a FHIR
// and a System type: Quantity is.
func (e *Types) Find(namespace, name string) (fhirType, systemType *Type) {
	if namespace == "" || namespace == "FHIR" {
		fhirType = e.table[name]
		if fhirType != nil && strings.Contains(name, ".") {
			fhirType = nil // backbones have no name in FHIRPath
		}
	}
	if namespace == "" || namespace == "System" {
		systemType = System(name)
	}
	return fhirType, systemType
}

// Root is a whole resource as an item.
func (e *Types) Root(r fhir.Resource) Item {
	return Item{typ: e.Named(r.Type), node: r.Root()}
}

// Typed is a value of a named FHIR type.
func (e *Types) Typed(name string, n jsontree.Node) Item { return Item{typ: e.Named(name), node: n} }

// Member is what types an element of the type may have; ok is false if the type
// has no such element.
func (t *Type) Member(name string) (types []*Type, ok bool) {
	m, ok := t.members[name]
	switch {
	case !ok:
		return nil, false
	case m.typ != nil:
		return []*Type{m.typ}, true
	}
	return slices.Collect(maps.Values(m.choice)), true
}

// Open reports whether values of the type may be of types that it does not say:
// a contained resource, or a type the definitions lack.
func (t *Type) Open() bool { return t.abstractResource() || !t.system && t.spec == nil }

// Name is the type code, "System.Boolean" for a System type.
func (t *Type) Name() string { return t.name }

// Converts reports whether values of the type are or convert to that System type
// ("String", "Boolean").
func (t *Type) Converts(to string) bool { return kindNames[t.kind] == to }

// System is the System type of that name, nil if there is none.
func System(name string) *Type {
	for k := boolean; k <= quantity; k++ {
		if kindNames[k] == name {
			return systemTypes[k]
		}
	}
	return nil
}
