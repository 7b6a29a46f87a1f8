package xml

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/spec"
	"galen/fhir/xmltree"
)

// maxDepth is how deep XML may nest. A resource is held to the limit of JSON
// afterwards; a narrative, which is one string there, needs room of its own.
const maxDepth = 500

// ToJSON reads one resource. The error is an *fhir.Error of Kind Malformed
// (not XML, or XML that FHIR forbids: a DTD), TooLong, Invalid or Value.
func (c *Codec) ToJSON(src []byte, longest int) ([]byte, error) {
	doc, err := xmltree.Parse(src, xmltree.Limits{Bytes: longest, Depth: maxDepth})
	if err != nil {
		return nil, syntaxError("xml.ToJSON", err)
	}
	r := reader{codec: c, doc: doc, out: make([]byte, 0, len(src))}
	if err := r.resource(doc.Root(), true); err != nil {
		return nil, err
	}
	return r.out, nil
}

func syntaxError(op string, err error) error {
	e := &fhir.Error{Op: op, Kind: fhir.Malformed, Err: err}
	var s *xmltree.SyntaxError
	if errors.As(err, &s) {
		e.At = "offset " + strconv.Itoa(s.Offset)
		if s.Reason == xmltree.TooLong {
			e.Kind = fhir.TooLong
		}
	}
	return e
}

// reader writes the JSON of one document.
type reader struct {
	codec *Codec
	doc   *xmltree.Doc
	out   []byte
	place place
	kids  []kid // of the objects being written, innermost last
}

// kid is a child element with what the definitions say of it.
type kid struct {
	node     xmltree.Node
	name     string
	code     string
	el       *spec.Element
	position int
}

func (r *reader) fail(kind fhir.Kind, offset int, message string) error {
	return fhir.E("xml.ToJSON", kind, r.place.String(), message+" (line "+strconv.Itoa(r.doc.Line(offset))+")")
}

func (r *reader) name(name string) {
	if last := r.out[len(r.out)-1]; last != '{' {
		r.out = append(r.out, ',')
	}
	r.out = append(append(append(r.out, '"'), name...), '"', ':')
}

// resource writes an element that is named by its resource type.
func (r *reader) resource(n xmltree.Node, root bool) error {
	t, ok := r.codec.resourceType(n.Name())
	switch {
	case n.Space() != Namespace:
		return r.fail(fhir.Invalid, n.Offset(), "the element is not in the namespace "+Namespace)
	case !ok:
		return r.fail(fhir.Invalid, n.Offset(), "the element is not named by a resource type of R4")
	}
	if root {
		r.place.push(t.Name, -1)
	}
	r.out = append(append(append(r.out, `{"resourceType":"`...), t.Name...), '"')
	if err := r.members(n, t); err != nil {
		return err
	}
	r.out = append(r.out, '}')
	return nil
}

// object writes an element of a complex type.
func (r *reader) object(n xmltree.Node, t *spec.Type) error {
	start := len(r.out)
	r.out = append(r.out, '{')
	if err := r.members(n, t); err != nil {
		return err
	}
	if len(r.out) == start+1 {
		return r.fail(fhir.Invalid, n.Offset(), "an element needs a value or children")
	}
	r.out = append(r.out, '}')
	return nil
}

// members writes the attributes and children of an element.
func (r *reader) members(n xmltree.Node, t *spec.Type) error {
	if err := r.attributes(n, t); err != nil {
		return err
	}
	from := len(r.kids)
	if err := r.gather(n, t); err != nil {
		return err
	}
	for i := from; i < len(r.kids); {
		j := i + 1
		for j < len(r.kids) && r.kids[j].position == r.kids[i].position && r.kids[j].name == r.kids[i].name {
			j++
		}
		if err := r.group(i, j); err != nil {
			return err
		}
		i = j
	}
	r.kids = r.kids[:from]
	return nil
}

// attributes writes id, and the url of an extension.
func (r *reader) attributes(n xmltree.Node, t *spec.Type) error {
	for a := range n.Attrs() {
		if a.Declares() || a.Space() == xsiNamespace && a.Name() == "schemaLocation" || t.Kind == spec.Primitive && a.Space() == "" && a.Name() == "value" {
			continue
		}
		el, _, ok := t.Element(a.Name())
		if !ok || !el.Attribute || a.Space() != "" {
			return r.fail(fhir.Invalid, a.Offset(), "an attribute that R4 does not define here")
		}
		value := a.Value()
		if value == "" {
			return r.fail(fhir.Value, a.Offset(), "an attribute must not be empty")
		}
		r.name(el.Name)
		r.out = jsontree.AppendString(r.out, value)
	}
	return nil
}

// gather lists the children of an element in the order of the definitions.
func (r *reader) gather(n xmltree.Node, t *spec.Type) error {
	from, last := len(r.kids), 0
	for child := range n.Children() {
		switch child.Kind() {
		case xmltree.Text:
			if !child.Blank() {
				return r.fail(fhir.Invalid, child.Offset(), "text is not allowed here: FHIR values are attributes")
			}
			continue
		case xmltree.Element:
		default:
			continue
		}
		el, code, ok := t.Element(child.Name())
		space := Namespace
		if code == "xhtml" {
			space = XHTMLNamespace
		}
		switch {
		case !ok || el.Attribute || el.Max == 0:
			return r.fail(fhir.Invalid, child.Offset(), "an element that R4 does not define here")
		case child.Space() != space:
			return r.fail(fhir.Invalid, child.Offset(), "an element that is not in the namespace "+space)
		}
		last = position(t, el, last)
		r.kids = append(r.kids, kid{child, child.Name(), code, el, last})
	}
	kids := r.kids[from:]
	inOrder := func(a, b kid) int {
		return cmp.Or(cmp.Compare(a.position, b.position), strings.Compare(a.name, b.name))
	}
	if !slices.IsSortedFunc(kids, inOrder) {
		slices.SortStableFunc(kids, inOrder)
	}
	return nil
}

// group writes the children i to j, which have one name.
func (r *reader) group(i, j int) error {
	first := r.kids[i]
	repeats := first.el.Repeats()
	if !repeats && j-i > 1 {
		r.place.push(first.name, -1)
		return r.fail(fhir.Invalid, r.kids[i+1].node.Offset(), "the element may occur once only")
	}
	t, ok := r.codec.defs.Type(first.code)
	if !ok {
		return r.fail(fhir.Invalid, first.node.Offset(), "an element without a type in R4")
	}
	if t.Kind == spec.Primitive && first.code != "xhtml" {
		return r.primitives(i, j, t)
	}
	r.name(first.name)
	open := ""
	if repeats {
		open = "["
	}
	for k := i; k < j; k++ {
		r.out = append(r.out, open...)
		open = ","
		r.step(k, i)
		if err := r.complex(r.kids[k], t); err != nil {
			return err
		}
		r.place.pop()
	}
	if repeats {
		r.out = append(r.out, ']')
	}
	return nil
}

// step goes to child k of a group that starts at i.
func (r *reader) step(k, i int) {
	index := -1
	if r.kids[k].el.Repeats() {
		index = k - i
	}
	r.place.push(r.kids[k].name, index)
}

func (r *reader) complex(k kid, t *spec.Type) error {
	switch {
	case k.code == "xhtml":
		return r.narrative(k.node)
	case t.Kind == spec.ResourceKind:
		return r.wrapped(k.node)
	}
	return r.object(k.node, t)
}

// wrapped writes the one resource inside contained, entry.resource and the like.
func (r *reader) wrapped(n xmltree.Node) error {
	for a := range n.Attrs() {
		if !a.Declares() {
			return r.fail(fhir.Invalid, a.Offset(), "an attribute that R4 does not define here")
		}
	}
	var inner xmltree.Node
	for child := range n.Children() {
		switch {
		case child.Kind() == xmltree.Text && !child.Blank():
			return r.fail(fhir.Invalid, child.Offset(), "text is not allowed here")
		case child.Kind() != xmltree.Element:
		case inner.Kind() != xmltree.Absent:
			return r.fail(fhir.Invalid, child.Offset(), "only one resource may stand here")
		default:
			inner = child
		}
	}
	if inner.Kind() == xmltree.Absent {
		return r.fail(fhir.Invalid, n.Offset(), "a resource must stand here")
	}
	return r.resource(inner, false)
}

// primitives writes the values of a primitive element and, under the name with
// "_", their ids and extensions (https://hl7.org/fhir/R4/json.html#primitive).
func (r *reader) primitives(i, j int, t *spec.Type) error {
	values, twins := false, false
	for _, k := range r.kids[i:j] {
		_, valued := k.node.Attr("value")
		twin := hasTwin(k.node)
		values, twins = values || valued, twins || twin
		if !valued && !twin {
			r.place.push(k.name, -1)
			return r.fail(fhir.Invalid, k.node.Offset(), "an element needs a value or children")
		}
	}
	if values {
		r.name(r.kids[i].name)
		if err := r.list(i, j, func(n xmltree.Node) (bool, error) { return r.value(n, t.Name) }); err != nil {
			return err
		}
	}
	if !twins {
		return r.checkAttributes(i, j, t)
	}
	r.name("_" + r.kids[i].name)
	return r.list(i, j, func(n xmltree.Node) (bool, error) {
		if !hasTwin(n) {
			return false, nil
		}
		return true, r.object(n, t)
	})
}

// checkAttributes looks for attributes of primitives that have nothing else.
func (r *reader) checkAttributes(i, j int, t *spec.Type) error {
	for k := i; k < j; k++ {
		r.step(k, i)
		for a := range r.kids[k].node.Attrs() {
			if !a.Declares() && (a.Space() != "" || a.Name() != "value") {
				return r.fail(fhir.Invalid, a.Offset(), "an attribute that R4 does not define here")
			}
		}
		if err := r.gather(r.kids[k].node, t); err != nil {
			return err
		}
		r.place.pop()
	}
	return nil
}

// hasTwin reports whether a primitive has an id or an extension.
func hasTwin(n xmltree.Node) bool {
	if _, ok := n.Attr("id"); ok {
		return true
	}
	for child := range n.Children() {
		if child.Kind() == xmltree.Element {
			return true
		}
	}
	return false
}

// list writes one value, or an array of them if the element repeats; null
// stands for those that write reports not to be there.
func (r *reader) list(i, j int, write func(xmltree.Node) (bool, error)) error {
	repeats := r.kids[i].el.Repeats()
	open := ""
	if repeats {
		open = "["
	}
	for k := i; k < j; k++ {
		r.out = append(r.out, open...)
		open = ","
		r.step(k, i)
		there, err := write(r.kids[k].node)
		if err != nil {
			return err
		}
		if !there {
			r.out = append(r.out, "null"...)
		}
		r.place.pop()
	}
	if repeats {
		r.out = append(r.out, ']')
	}
	return nil
}

// value writes the value attribute of a primitive.
func (r *reader) value(n xmltree.Node, code string) (bool, error) {
	a, ok := n.Attr("value")
	if !ok {
		return false, nil
	}
	text := a.Value()
	switch code {
	case "boolean", "decimal", "integer", "positiveInt", "unsignedInt":
		if code != "decimal" && len(text) > 1 && text[0] == '+' && text[1] != '-' {
			text = text[1:] // R4's integers may have a sign that JSON does not have
		}
		if !spec.ValidPrimitive(code, text) {
			return true, r.fail(fhir.Value, a.Offset(), "not a valid "+code)
		}
		r.out = append(r.out, text...)
	default:
		if text == "" {
			return true, r.fail(fhir.Value, a.Offset(), "a value must not be empty")
		}
		r.out = jsontree.AppendString(r.out, text)
	}
	return true, nil
}
