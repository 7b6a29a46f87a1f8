// Package validate says whether a resource is FHIR R4: known elements, JSON
// shapes, cardinality, primitive formats, required codes, reference targets and
// invariants (https://hl7.org/fhir/R4/validation.html).
//
// Findings name the element by its FHIRPath and never repeat a value. Their
// number is bounded, and so is the time: every part is visited once, every
// invariant has limited steps.
//
// It knows no profiles, resolves no references outside the resource and looks
// nothing up in external code systems.
package validate

import (
	"slices"
	"strconv"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/spec"
)

// maxIssues is how many findings are listed: enough to act on.
const maxIssues = 100

// Level is how much is asked of a resource.
type Level uint8

// The levels. What R4's own examples break is an error from Strict on, and a
// warning below: references to other types than an element names, and
// narratives beyond the rules (txt-1, txt-2).
const (
	Base   Level = iota // structure, formats, required codes, invariants that are errors
	Strict              // and the warnings of R4: invariants of that severity
	None                // nothing but a resource type of R4
)

// ParseLevel reads "none", "base" or "strict".
func ParseLevel(name string) (Level, bool) {
	i := slices.Index([]string{"base", "strict", "none"}, name)
	return Level(max(i, 0)), i >= 0
}

// Validator holds the definitions and the compiled invariants. It is immutable
// and safe for concurrent use.
type Validator struct {
	defs  *spec.Definitions
	level Level
	rules map[string]typeRules // by type name
}

// New returns a Validator against R4. The error, of Kind Internal, means that
// the definitions hold an invariant that does not compile.
func New(defs *spec.Definitions, engine *path.Engine, level Level) (*Validator, error) {
	rules, err := compile(defs, engine, level)
	if err != nil {
		return nil, err
	}
	return &Validator{defs, level, rules}, nil
}

// Validate lists what is wrong with a resource, nil if nothing is. Kinds are
// Invalid (structure), Required (cardinality), Value (format), CodeInvalid
// (required bindings) and Invariant; a Warning does not make it invalid.
func (v *Validator) Validate(r fhir.Resource) fhir.Issues {
	c := checker{Validator: v, whole: r}
	if v.level == None {
		c.resourceType(r.Root(), r.Type)
	} else {
		c.resource(r.Root(), r.Type)
	}
	return c.issues
}

// checker is one validation.
type checker struct {
	*Validator
	whole  fhir.Resource
	names  names // of the resource that is being visited
	issues fhir.Issues
}

func (c *checker) fail(kind fhir.Kind, at, message string) {
	c.add(fhir.SeverityError, kind, at, message)
}

func (c *checker) add(severity fhir.Severity, kind fhir.Kind, at, message string) {
	if len(c.issues) < maxIssues {
		c.issues = append(c.issues, fhir.Issue{Severity: severity, Kind: kind, At: at, Diagnostics: message})
	}
}

// resource checks a resource, contained ones and entries of Bundles included.
func (c *checker) resource(n jsontree.Node, at string) {
	if n.Kind() != jsontree.Object {
		c.fail(fhir.Invalid, at, "a resource must be an object")
		return
	}
	outer := c.names
	c.names = names{}
	defer func() { c.names = outer }()
	if t, ok := c.resourceType(n, at); ok && c.object(n, t, at, true) {
		c.hold(n, t.Name, c.rules[t.Name].own, at)
	}
}

func (c *checker) resourceType(n jsontree.Node, at string) (*spec.Type, bool) {
	name := n.Get("resourceType")
	t, ok := c.defs.Type(name.Text())
	if name.Kind() != jsontree.String || !ok || t.Kind != spec.ResourceKind || t.Abstract {
		c.fail(fhir.Invalid, at+".resourceType", "not a resource type of R4")
		return nil, false
	}
	return t, true
}

// object checks the members of a resource or complex value and reports whether
// they are as R4 asks: only then rules that relate them have a meaning.
func (c *checker) object(n jsontree.Node, t *spec.Type, at string, isResource bool) bool {
	before := len(c.issues)
	if n.Kind() != jsontree.Object {
		c.fail(fhir.Invalid, at, "must be an object")
		return false
	}
	if n.Len() == 0 {
		c.fail(fhir.Invalid, at, "an object must not be empty")
		return false
	}
	seen := make([]uint8, len(t.Elements))
	for name, member := range n.Members() {
		if isResource && name == "resourceType" {
			continue
		}
		c.member(n, name, member, t, at, seen)
	}
	for i := range t.Elements {
		if e := &t.Elements[i]; e.Min > 0 && seen[i] == 0 {
			c.fail(fhir.Required, at+"."+e.Name, "is required")
		}
	}
	return !slices.ContainsFunc(c.issues[before:], func(i fhir.Issue) bool { return i.Severity <= fhir.SeverityError && i.Kind != fhir.Invariant })
}

// member checks one member of an object. A primitive and its "_" twin count as
// one element.
func (c *checker) member(owner jsontree.Node, name string, n jsontree.Node, t *spec.Type, at string, seen []uint8) {
	twin := len(name) > 1 && name[0] == '_'
	plain := name
	if twin {
		plain = name[1:]
	}
	e, code, ok := t.Element(plain)
	if !ok {
		c.fail(fhir.Invalid, at, "has an element that R4 does not define")
		return
	}
	vt, known := c.defs.Type(code)
	primitive := known && vt.Kind == spec.Primitive
	at += "." + plain
	if twin && (!primitive || e.Attribute || code == "xhtml") {
		c.fail(fhir.Invalid, at, "only a primitive element has a member with _")
		return
	}
	if !twin || !owner.Get(plain).Exists() {
		c.count(e, t, at, seen)
	}
	if twin {
		c.twin(owner.Get(plain), n, e, at)
		return
	}
	c.values(owner, n, t, e, code, at)
}

// count notes that an element is there; two types of one choice are too many.
func (c *checker) count(e *spec.Element, t *spec.Type, at string, seen []uint8) {
	for i := range t.Elements {
		if &t.Elements[i] != e {
			continue
		}
		if seen[i]++; seen[i] == 2 {
			c.fail(fhir.Invalid, at, "only one type of a choice may be present")
		}
		return
	}
}

// values checks an element's value, or each value of one that repeats.
func (c *checker) values(owner, n jsontree.Node, t *spec.Type, e *spec.Element, code, at string) {
	if !e.Repeats() {
		c.value(n, t, e, code, at)
		return
	}
	if n.Kind() != jsontree.Array {
		c.fail(fhir.Invalid, at, "must be an array")
		return
	}
	if n.Len() == 0 {
		c.fail(fhir.Invalid, at, "an array must not be empty")
	}
	i := 0
	for item := range n.Items() {
		where := at + "[" + strconv.Itoa(i) + "]"
		if item.Kind() == jsontree.Null {
			c.null(owner, e, i, where)
		} else {
			c.value(item, t, e, code, where)
		}
		i++
	}
}

// null stands only in an array of primitives, where the twin has extensions
// (https://hl7.org/fhir/R4/json.html#primitive).
func (c *checker) null(owner jsontree.Node, e *spec.Element, i int, at string) {
	if owner.Get("_"+e.Name).Item(i).Kind() != jsontree.Object {
		c.fail(fhir.Invalid, at, "null may only stand for a primitive that has extensions")
	}
}

// value checks one value of a type.
func (c *checker) value(n jsontree.Node, owner *spec.Type, e *spec.Element, code, at string) {
	t, ok := c.defs.Type(code)
	if !ok {
		c.fail(fhir.Invalid, at, "has no type in R4")
		return
	}
	sound := true
	switch t.Kind {
	case spec.Primitive:
		if sound = c.primitive(n, code, at); sound && e.Binding != nil {
			c.bound(n, e, code, at)
		}
		if sound {
			c.text(n, e, code, at)
		}
	case spec.ResourceKind:
		if e.Name == "contained" && n.Kind() == jsontree.Object {
			c.containedID(n, at)
		}
		c.resource(n, at)
	default:
		if sound = c.object(n, t, at, false); sound {
			c.complex(n, e, code, at)
			if t.Name == "Bundle.entry" {
				c.entry(n, at)
			}
			c.hold(n, t.Name, c.rules[t.Name].own, at)
		}
	}
	if rules := c.rules[owner.Name].elements[e.Name]; sound && rules != nil {
		c.hold(n, t.Name, rules, at)
	}
}

// text checks what a sound primitive must hold beyond its format.
func (c *checker) text(n jsontree.Node, e *spec.Element, code, at string) {
	switch {
	case code == "xhtml":
		c.narrative(n, at)
	case code == "uri":
		c.urn(n.Text(), at)
	case e.Attribute && e.Name == "id":
		c.elementID(n, at)
	}
}

// jsonKinds are the types that are not JSON strings.
var jsonKinds = map[string]jsontree.Kind{
	"decimal": jsontree.Number, "integer": jsontree.Number, "positiveInt": jsontree.Number, "unsignedInt": jsontree.Number,
}

// primitive checks the JSON kind and the format
// (https://hl7.org/fhir/R4/datatypes.html#primitive).
func (c *checker) primitive(n jsontree.Node, code, at string) bool {
	kind := n.Kind()
	want, ok := jsonKinds[code]
	switch {
	case code == "boolean":
		if kind != jsontree.True && kind != jsontree.False {
			c.fail(fhir.Invalid, at, "must be true or false")
			return false
		}
		return true
	case !ok:
		want = jsontree.String
	}
	if kind != want {
		c.fail(fhir.Invalid, at, "must be a JSON "+want.String()+", not "+kind.String())
		return false
	}
	if code != "xhtml" && !spec.ValidPrimitive(code, n.Text()) {
		c.fail(fhir.Value, at, "is not a valid "+code)
		return false
	}
	return true
}

// twin checks the "_" member of a primitive: an id and extensions, or an array
// of them beside the values.
func (c *checker) twin(value, n jsontree.Node, e *spec.Element, at string) {
	t, _ := c.defs.Type("Element")
	if !e.Repeats() {
		c.object(n, t, at, false)
		return
	}
	if n.Kind() != jsontree.Array {
		c.fail(fhir.Invalid, at, "must be an array beside the values")
		return
	}
	if value.Exists() && value.Len() != n.Len() {
		c.fail(fhir.Invalid, at, "must have as many items as the values")
	}
	for item := range n.Items() {
		switch {
		case item.Kind() != jsontree.Null:
			c.object(item, t, at, false)
		case !value.Exists():
			c.fail(fhir.Invalid, at, "null may only stand for a primitive that has a value")
		}
	}
}
