package view

import (
	"bytes"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/spec"
)

// subsetted is the tag of a resource that is not whole
// (https://hl7.org/fhir/R4/search.html#summary).
const subsetted = `{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}`

// Apply returns the part of a resource that the view wants, the bytes
// themselves if it wants all. The error is that of fhir.Parse.
func Apply(defs *spec.Definitions, v View, body []byte) ([]byte, error) {
	if v.Whole() {
		return body, nil
	}
	r, err := fhir.Parse(body, jsontree.Limits{})
	if err != nil {
		return nil, err
	}
	t, ok := defs.Type(r.Type)
	if !ok {
		return body, nil
	}
	c := cutter{defs: defs, view: v, want: tree(r.Type, v.Elements)}
	c.out = make([]byte, 0, len(body)/2+len(subsetted)+64)
	c.resource(t, r.Root())
	return c.out, nil
}

// cutter writes one resource.
type cutter struct {
	defs *spec.Definitions
	view View
	want kept
	out  []byte
}

// resource writes the members at the root.
func (c *cutter) resource(t *spec.Type, root jsontree.Node) {
	c.out = append(c.out, `{"resourceType":`...)
	c.out = append(c.out, root.Get("resourceType").Raw()...)
	inside := c.needsContained(t, root)
	tagged := false
	for name, m := range root.Members() {
		e, code, ok := t.Element(strings.TrimPrefix(name, "_"))
		if !ok || !c.view.wants(e, c.want) && (e.Name != "contained" || !inside) {
			continue
		}
		c.name(name)
		switch {
		case name == "meta":
			c.meta(m)
			tagged = true
		case name[0] == '_' || e.Name == "contained":
			c.out = append(c.out, m.Raw()...)
		default:
			c.value(e, code, m, c.want[e.Name])
		}
	}
	if !tagged {
		c.out = append(append(append(c.out, `,"meta":{"tag":[`...), subsetted...), `]}`...)
	}
	c.out = append(c.out, '}')
}

// needsContained reports whether something wanted refers to a contained
// resource: without it the rest would not be valid (invariant ref-1).
func (c *cutter) needsContained(t *spec.Type, root jsontree.Node) bool {
	if !root.Get("contained").Exists() {
		return false
	}
	for name, m := range root.Members() {
		e, _, ok := t.Element(strings.TrimPrefix(name, "_"))
		if !ok || e.Name == "contained" || !c.view.wants(e, c.want) {
			continue
		}
		for text := range m.Walk() {
			if raw := text.Raw(); len(raw) > 3 && bytes.HasPrefix(raw, []byte(`"#`)) {
				return true
			}
		}
	}
	return false
}

func (c *cutter) name(name string) {
	if c.out[len(c.out)-1] != '{' {
		c.out = append(c.out, ',')
	}
	c.out = append(jsontree.AppendString(c.out, name), ':')
}

func (c *cutter) meta(m jsontree.Node) {
	if m.Kind() != jsontree.Object {
		c.out = append(c.out, m.Raw()...)
		return
	}
	c.out = append(c.out, '{')
	tagged := false
	for name, part := range m.Members() {
		if name != "tag" {
			c.name(name)
			c.out = append(c.out, part.Raw()...)
		} else if part.Kind() == jsontree.Array && part.Len() > 0 {
			tagged = true
			c.name(name)
			raw := part.Raw()
			c.out = append(append(append(append(c.out, raw[:len(raw)-1]...), ','), subsetted...), ']')
		}
	}
	if !tagged {
		c.name("tag")
		c.out = append(append(append(c.out, '['), subsetted...), ']')
	}
	c.out = append(c.out, '}')
}

// value writes a wanted element: whole, unless the view goes deeper.
func (c *cutter) value(e *spec.Element, code string, v jsontree.Node, below kept) {
	t, ok := c.defs.Type(code)
	deep := below != nil || !c.view.whole(e)
	if !ok || !deep || t.Kind == spec.Primitive || t.Kind == spec.ResourceKind {
		c.out = append(c.out, v.Raw()...)
		return
	}
	if v.Kind() != jsontree.Array {
		c.object(t, v, below)
		return
	}
	c.out = append(c.out, '[')
	for item := range v.Items() {
		if c.out[len(c.out)-1] != '[' {
			c.out = append(c.out, ',')
		}
		c.object(t, item, below)
	}
	c.out = append(c.out, ']')
}

// object writes what is wanted below the root: of a summary what the standard
// marks there too, of _elements what the path names. An object of which nothing
// is left stays whole, for an empty one would not be FHIR.
func (c *cutter) object(t *spec.Type, v jsontree.Node, below kept) {
	start := len(c.out)
	c.out = append(c.out, '{')
	for name, m := range v.Members() {
		e, code, ok := t.Element(strings.TrimPrefix(name, "_"))
		if !ok {
			continue
		}
		deeper, named := below[e.Name]
		if e.Min == 0 && !e.Modifier && !named && (below != nil || !e.Summary) {
			continue
		}
		c.name(name)
		if name[0] == '_' {
			c.out = append(c.out, m.Raw()...)
		} else {
			c.value(e, code, m, deeper)
		}
	}
	if len(c.out) == start+1 {
		c.out = append(c.out[:start], v.Raw()...)
		return
	}
	c.out = append(c.out, '}')
}
