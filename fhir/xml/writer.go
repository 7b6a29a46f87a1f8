package xml

import (
	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/spec"
	"galen/fhir/xmltree"
)

// Style is how XML is laid out.
type Style uint8

// The styles.
const (
	Compact Style = iota
	Pretty        // an element a line, two spaces a level; narratives as they are
)

const header = `<?xml version="1.0" encoding="UTF-8"?>`

// ToXML writes a resource's JSON as a document in UTF-8. It expects what
// fhir/validate accepts; what cannot stand in XML (an unknown element, an array
// where one value belongs) is an *fhir.Error of Kind NotAcceptable.
func (c *Codec) ToXML(resource jsontree.Node, style Style) ([]byte, error) {
	w := writer{codec: c, style: style, out: make([]byte, 0, len(header)+64+(resource.End()-resource.Offset())*5/4)}
	w.out = append(w.out, header...)
	w.line()
	if err := w.resource(resource, true); err != nil {
		return nil, err
	}
	return w.out, nil
}

type writer struct {
	codec *Codec
	style Style
	out   []byte
	depth int
	place place
	slots []slot // of the objects being written, innermost last
}

// slot is a member of an object with what the definitions say of it.
type slot struct {
	name        string
	code        string
	el          *spec.Element
	position    int
	value, twin jsontree.Node
}

func (w *writer) fail(message string) error {
	return fhir.E("xml.ToXML", fhir.NotAcceptable, w.place.String(), "cannot be written as XML: "+message)
}

func (w *writer) line() {
	if w.style != Pretty {
		return
	}
	w.out = append(w.out, '\n')
	for range w.depth {
		w.out = append(w.out, ' ', ' ')
	}
}

func (w *writer) attr(name, value string) {
	w.out = append(append(append(w.out, ' '), name...), '=', '"')
	w.out = append(xmltree.AppendValue(w.out, value), '"')
}

func (w *writer) end(name string) {
	w.out = append(append(append(w.out, '<', '/'), name...), '>')
}

func (w *writer) resource(n jsontree.Node, root bool) error {
	name := n.Get("resourceType").Text()
	t, ok := w.codec.resourceType(name)
	if !ok {
		return w.fail("not a resource of R4")
	}
	w.out = append(append(w.out, '<'), name...)
	if root {
		w.place.push(name, -1)
		w.attr("xmlns", Namespace)
	}
	return w.inside(name, n, t, nil)
}

// inside writes the attributes and children of an object whose tag is begun,
// and ends the element. A primitive has a value beside its id and extensions.
func (w *writer) inside(name string, n jsontree.Node, t *spec.Type, value *string) error {
	from := len(w.slots)
	if n.Exists() {
		if err := w.collect(n, t); err != nil {
			return err
		}
	}
	i := from
	for ; i < len(w.slots) && w.slots[i].el.Attribute; i++ {
		s := w.slots[i]
		if s.twin.Exists() || s.value.Kind() != jsontree.String {
			return w.fail("an attribute is one string")
		}
		w.attr(s.name, s.value.Text())
	}
	if value != nil {
		w.attr("value", *value)
	}
	if i == len(w.slots) {
		w.out = append(w.out, '/', '>')
		w.slots = w.slots[:from]
		return nil
	}
	w.out = append(w.out, '>')
	w.depth++
	for ; i < len(w.slots); i++ {
		if err := w.member(w.slots[i]); err != nil {
			return err
		}
	}
	w.depth--
	w.line()
	w.end(name)
	w.slots = w.slots[:from]
	return nil
}

// collect lists the members of an object in the order of the definitions,
// attributes first.
func (w *writer) collect(n jsontree.Node, t *spec.Type) error {
	if n.Kind() != jsontree.Object {
		return w.fail("an object belongs here")
	}
	from, last := len(w.slots), 0
	for name, member := range n.Members() {
		if name == "resourceType" && t.Kind == spec.ResourceKind {
			continue
		}
		plain, twin := name, false
		if len(name) > 1 && name[0] == '_' {
			plain, twin = name[1:], true
		}
		el, code, ok := t.Element(plain)
		if !ok {
			return w.fail("an element that R4 does not define")
		}
		last = position(t, el, last)
		s := w.slot(from, slot{name: plain, code: code, el: el, position: last})
		if twin {
			s.twin = member
		} else {
			s.value = member
		}
	}
	return nil
}

// slot finds or makes the slot of an element among those behind from, which
// stay in order.
func (w *writer) slot(from int, s slot) *slot {
	order := func(s slot) int {
		if s.el.Attribute {
			return s.position - 1000
		}
		return s.position
	}
	at := len(w.slots)
	for at > from && order(w.slots[at-1]) >= order(s) {
		if w.slots[at-1].name == s.name {
			return &w.slots[at-1]
		}
		at--
	}
	w.slots = append(w.slots, slot{})
	copy(w.slots[at+1:], w.slots[at:])
	w.slots[at] = s
	return &w.slots[at]
}

// member writes all elements of one name.
func (w *writer) member(s slot) error {
	t, ok := w.codec.defs.Type(s.code)
	if !ok {
		return w.fail("an element without a type")
	}
	if !s.el.Repeats() {
		w.place.push(s.name, -1)
		if err := w.element(s, t, s.value, s.twin); err != nil {
			return err
		}
		w.place.pop()
		return nil
	}
	if s.value.Exists() && s.value.Kind() != jsontree.Array || s.twin.Exists() && s.twin.Kind() != jsontree.Array {
		w.place.push(s.name, -1)
		return w.fail("an array belongs here")
	}
	values, twins := items(s.value), items(s.twin)
	for i := range max(len(values), len(twins)) {
		w.place.push(s.name, i)
		if err := w.element(s, t, at(values, i), at(twins, i)); err != nil {
			return err
		}
		w.place.pop()
	}
	return nil
}

// items lists an array: Node.Item would walk it anew for each.
func items(n jsontree.Node) []jsontree.Node {
	if !n.Exists() {
		return nil
	}
	out := make([]jsontree.Node, 0, n.Len())
	for item := range n.Items() {
		out = append(out, item)
	}
	return out
}

// at is the i-th of the items, absent if there is none or it is null.
func at(list []jsontree.Node, i int) jsontree.Node {
	if i >= len(list) || list[i].Kind() == jsontree.Null {
		return jsontree.Node{}
	}
	return list[i]
}

// element writes one element of a type.
func (w *writer) element(s slot, t *spec.Type, value, twin jsontree.Node) error {
	w.line()
	switch {
	case s.code == "xhtml":
		if value.Kind() != jsontree.String || twin.Exists() {
			return w.fail("a narrative is one string")
		}
		w.out = appendNarrative(w.out, value.Text())
		return nil
	case t.Kind == spec.Primitive:
		return w.primitive(s.name, t, value, twin)
	case twin.Exists():
		return w.fail("only a primitive has a member with _")
	}
	w.out = append(append(w.out, '<'), s.name...)
	if t.Kind != spec.ResourceKind {
		return w.inside(s.name, value, t, nil)
	}
	w.out = append(w.out, '>')
	w.depth++
	w.line()
	if err := w.resource(value, false); err != nil {
		return err
	}
	w.depth--
	w.line()
	w.end(s.name)
	return nil
}

// primitive writes a value as an attribute, its id before and its extensions
// inside.
func (w *writer) primitive(name string, t *spec.Type, value, twin jsontree.Node) error {
	w.out = append(append(w.out, '<'), name...)
	switch value.Kind() {
	case jsontree.String, jsontree.Number, jsontree.True, jsontree.False:
		text := value.Text()
		return w.inside(name, twin, t, &text)
	case jsontree.Absent:
		if !twin.Exists() {
			return w.fail("neither a value nor an extension")
		}
		return w.inside(name, twin, t, nil)
	}
	return w.fail("a primitive value belongs here")
}
