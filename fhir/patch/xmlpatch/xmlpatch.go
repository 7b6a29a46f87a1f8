// Package xmlpatch applies XML Patch (RFC 5261,
// https://www.rfc-editor.org/rfc/rfc5261) to resources, as FHIR's PATCH takes it
// (https://hl7.org/fhir/R4/http.html#patch).
//
// A resource is written as FHIR XML, changed there and read back, so the result
// is in the form that fhir/xml gives it: what the patch does not name keeps its
// values, decimals and narratives byte for byte, but not the JSON's white space
// and escapes.
//
// Selectors are RFC 5261's restricted XPath: steps by name with predicates on
// position, attributes and children (joined by "and"), ending in an element, an
// attribute, a text, a comment or an instruction. Anything else is refused.
package xmlpatch

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"galen/fhir"
	"galen/fhir/patch"
	"galen/fhir/xml"
	"galen/fhir/xmltree"
)

// MediaType is that of an XML Patch.
const MediaType = "application/xml-patch+xml"

// Bounds on what one patch may ask for: every operation reads the document anew.
const (
	maxOperations = 200
	maxDocument   = 16 << 20 // bytes
	maxDepth      = 500
)

// fhirXML is the media type of a FHIRPath Patch in XML.
const fhirXML = "application/fhir+xml"

// Add adds the formats in XML: XML Patch, and FHIRPath Patch whose Parameters
// are in XML, if the JSON of it is among the formats.
func Add(formats patch.Formats, codec *xml.Codec) {
	formats[MediaType] = reader(codec)
	if inJSON, ok := formats[patch.FHIRPathPatch]; ok {
		formats[fhirXML] = func(body []byte) (patch.Patch, error) {
			parameters, err := codec.ToJSON(body, maxDocument)
			if err != nil {
				return nil, err
			}
			return inJSON(parameters)
		}
	}
}

// reader reads XML Patches.
func reader(codec *xml.Codec) patch.Reader {
	return func(body []byte) (patch.Patch, error) {
		operations, err := read(body)
		if err != nil {
			return nil, err
		}
		return xmlPatch{codec, operations}, nil
	}
}

// xmlPatch is a diff document.
type xmlPatch struct {
	codec      *xml.Codec
	operations []operation
}

// operation is one add, replace or remove (RFC 5261, section 4).
type operation struct {
	at       string // "diff.add[0]", for errors
	kind     string
	selector selector
	pos      string       // of an add: "" for the last child, prepend, before, after
	typ      string       // of an add: "@name" or "namespace::prefix"
	ws       string       // of a remove: the white space to go with it
	content  xmltree.Node // the operation's element
}

// read reads a diff document, whatever its root element is named.
func read(body []byte) ([]operation, error) {
	const op = "xmlpatch.read"
	doc, err := xmltree.Parse(body, xmltree.Limits{Bytes: maxDocument, Depth: maxDepth})
	if err != nil {
		kind := fhir.Malformed
		var s *xmltree.SyntaxError
		if errors.As(err, &s) && s.Reason == xmltree.TooLong {
			kind = fhir.TooLong
		}
		return nil, &fhir.Error{Op: op, Kind: kind, Err: err}
	}
	var out []operation
	for n := range doc.Root().Children() {
		if n.Kind() != xmltree.Element {
			continue
		}
		o, err := readOperation(n, doc.Root().Name()+"."+n.Name()+"["+strconv.Itoa(len(out))+"]")
		if err != nil {
			return nil, err
		}
		if out = append(out, o); len(out) > maxOperations {
			return nil, fhir.E(op, fhir.TooLong, "", "the patch has more operations than allowed")
		}
	}
	if len(out) == 0 {
		return nil, fhir.E(op, fhir.Required, "", "the patch has no operations")
	}
	return out, nil
}

// options are the attributes of each operation beside sel, with the values they
// may have; none means that the operation checks it itself.
var options = map[string]map[string][]string{
	"add":     {"pos": {"prepend", "before", "after"}, "type": nil},
	"replace": {},
	"remove":  {"ws": {"before", "after", "both"}},
}

func readOperation(n xmltree.Node, at string) (operation, error) {
	const op = "xmlpatch.read"
	o := operation{at: at, kind: n.Name(), content: n}
	allowed, known := options[o.kind]
	if !known {
		return o, fhir.E(op, fhir.Invalid, at, "an operation is add, replace or remove")
	}
	sel := ""
	for a := range n.Attrs() {
		switch name := a.Name(); {
		case a.Declares():
		case name == "sel":
			sel = a.Value()
		case !oneOf(allowed, name, a.Value()):
			return o, fhir.E(op, fhir.Invalid, at+"."+name, "the operation has no such attribute or value")
		case name == "pos":
			o.pos = a.Value()
		case name == "type":
			o.typ = a.Value()
		case name == "ws":
			o.ws = a.Value()
		}
	}
	if sel == "" {
		return o, fhir.E(op, fhir.Required, at+".sel", "an operation needs a selector")
	}
	var err error
	if o.selector, err = parseSelector(sel, n); err != nil {
		return o, fhir.E(op, fhir.Invalid, at+".sel", err.Error())
	}
	return o, nil
}

func oneOf(allowed map[string][]string, name, value string) bool {
	values, ok := allowed[name]
	if !ok || values == nil {
		return ok
	}
	for _, v := range values {
		if v == value {
			return true
		}
	}
	return false
}

// Apply changes the resource's XML and reads it back.
func (p xmlPatch) Apply(ctx context.Context, r fhir.Resource) ([]byte, error) {
	text, err := p.codec.ToXML(r.Root(), xml.Compact)
	if err != nil {
		return nil, err
	}
	if text, err = apply(ctx, text, p.operations); err != nil {
		return nil, err
	}
	out, err := p.codec.ToJSON(text, maxDocument)
	return out, patch.Misfit(err)
}

// apply performs the operations one after the other; the first that fails ends
// it.
func apply(ctx context.Context, text []byte, operations []operation) ([]byte, error) {
	for _, o := range operations {
		if err := ctx.Err(); err != nil {
			return nil, &fhir.Error{Op: "xmlpatch.Apply", Kind: fhir.Timeout, Err: err}
		}
		doc, err := xmltree.Parse(text, xmltree.Limits{Bytes: maxDocument, Depth: maxDepth})
		if err != nil {
			return nil, o.misfit("the operation before made a document that is no XML")
		}
		if text, err = o.apply(doc); err != nil {
			return nil, err
		}
		if len(text) > maxDocument {
			return nil, fhir.E("xmlpatch.Apply", fhir.TooLong, o.at, "the patched resource is longer than allowed")
		}
	}
	return text, nil
}

// misfit is the error of an operation that does not fit the resource.
func (o operation) misfit(message string) error {
	return fhir.E("xmlpatch.Apply", fhir.Unprocessable, o.at, message)
}

func (o operation) apply(doc *xmltree.Doc) ([]byte, error) {
	found := o.selector.find(doc)
	if len(found) != 1 {
		return nil, o.misfit(fmt.Sprintf("the selector must find one node and finds %d", len(found)))
	}
	at := found[0]
	switch o.kind {
	case "add":
		return o.add(doc, at)
	case "replace":
		return o.replace(doc, at)
	}
	return o.remove(doc, at)
}

// splice replaces a range of the document.
func splice(doc *xmltree.Doc, start, end int, with []byte) []byte {
	src := doc.Bytes()
	out := make([]byte, 0, len(src)+len(with))
	out = append(append(out, src[:start]...), with...)
	return append(out, src[end:]...)
}

// add performs RFC 5261, section 4.3.
func (o operation) add(doc *xmltree.Doc, at node) ([]byte, error) {
	if at.isAttr {
		return nil, o.misfit("nothing can be added to an attribute")
	}
	n := at.Node
	if o.typ != "" {
		return o.addAttribute(doc, n)
	}
	switch o.pos {
	case "before", "after":
		if n.Parent().Kind() == xmltree.Absent {
			return nil, o.misfit("nothing can stand beside the resource")
		}
		content, err := o.inner(n.Parent())
		if err != nil {
			return nil, err
		}
		place := n.Offset()
		if o.pos == "after" {
			place = n.End()
		}
		return splice(doc, place, place, content), nil
	}
	if n.Kind() != xmltree.Element {
		return nil, o.misfit("only an element can have children")
	}
	content, err := o.inner(n)
	if err != nil {
		return nil, err
	}
	start, end := n.Content()
	if doc.Bytes()[n.End()-2] == '/' { // <a/> becomes <a>…</a>
		name := doc.Bytes()[n.Offset()+1 : n.NameEnd()]
		content = append(append([]byte{'>'}, content...), "</"...)
		return splice(doc, start, n.End(), append(append(content, name...), '>')), nil
	}
	if o.pos == "prepend" {
		end = start
	}
	return splice(doc, end, end, content), nil
}

// addAttribute performs sections 4.3.2 and 4.3.3.
func (o operation) addAttribute(doc *xmltree.Doc, n xmltree.Node) ([]byte, error) {
	name, ok := attributeName(o.typ)
	if !ok || n.Kind() != xmltree.Element {
		return nil, o.misfit("type is @name or namespace::prefix, on an element")
	}
	for a := range n.Attrs() {
		if qualified(a) == name {
			return nil, o.misfit("the attribute is there already")
		}
	}
	text, err := o.text()
	if err != nil {
		return nil, err
	}
	out := append([]byte{' '}, name...)
	out = append(xmltree.AppendValue(append(out, `="`...), text), '"')
	return splice(doc, n.NameEnd(), n.NameEnd(), out), nil
}

// replace performs section 4.4.
func (o operation) replace(doc *xmltree.Doc, at node) ([]byte, error) {
	switch {
	case at.isAttr:
		text, err := o.text()
		if err != nil {
			return nil, err
		}
		value := []byte(qualified(at.attr) + `="`)
		return splice(doc, at.attr.Offset(), at.attr.End(), append(xmltree.AppendValue(value, text), '"')), nil
	case at.Kind() == xmltree.Text:
		text, err := o.text()
		return splice(doc, at.Offset(), at.End(), xmltree.AppendText(nil, text)), err
	}
	var one xmltree.Node
	for child := range o.content.Children() {
		switch {
		case child.Kind() == xmltree.Text && child.Blank():
		case child.Kind() != at.Kind() || one.Kind() != xmltree.Absent:
			return nil, o.misfit("one node of the same kind is needed")
		default:
			one = child
		}
	}
	if one.Kind() == xmltree.Absent {
		return nil, o.misfit("one node of the same kind is needed")
	}
	out, err := appendNode(nil, one, at.Parent().Space())
	if err != nil {
		return nil, o.misfit(err.Error())
	}
	return splice(doc, at.Offset(), at.End(), out), nil
}

// remove performs section 4.5.
func (o operation) remove(doc *xmltree.Doc, at node) ([]byte, error) {
	if at.isAttr {
		return splice(doc, at.attr.Offset(), at.attr.End(), nil), nil
	}
	if at.Parent().Kind() == xmltree.Absent {
		return nil, o.misfit("the resource itself cannot be removed")
	}
	start, end := at.Offset(), at.End()
	before, after := siblings(at.Node)
	if o.ws == "before" || o.ws == "both" {
		if !before.Blank() {
			return nil, o.misfit("there is no white space before the node")
		}
		start = before.Offset()
	}
	if o.ws == "after" || o.ws == "both" {
		if !after.Blank() {
			return nil, o.misfit("there is no white space after the node")
		}
		end = after.End()
	}
	return splice(doc, start, end, nil), nil
}

// siblings are the nodes beside a node.
func siblings(n xmltree.Node) (before, after xmltree.Node) {
	found := false
	for child := range n.Parent().Children() {
		switch {
		case child == n:
			found = true
		case found:
			return before, child
		default:
			before = child
		}
	}
	return before, after
}

// text is the content of an operation that must be text.
func (o operation) text() (string, error) {
	out := ""
	for child := range o.content.Children() {
		if child.Kind() != xmltree.Text {
			return "", o.misfit("only text can stand here")
		}
		out += child.Value()
	}
	return out, nil
}

// inner is the content of an operation, fit to stand inside an element.
func (o operation) inner(parent xmltree.Node) ([]byte, error) {
	var out []byte
	for child := range o.content.Children() {
		var err error
		if out, err = appendNode(out, child, parent.Space()); err != nil {
			return nil, o.misfit(err.Error())
		}
	}
	if len(out) == 0 {
		return nil, o.misfit("there is nothing to add")
	}
	return out, nil
}

var errPrefix = errors.New("an attribute with a prefix cannot be added")

// appendNode writes a node without prefixes: a namespace is declared where it
// is not that of the element around.
func appendNode(out []byte, n xmltree.Node, around string) ([]byte, error) {
	switch n.Kind() {
	case xmltree.Element:
	case xmltree.Text:
		return xmltree.AppendText(out, n.Value()), nil
	default:
		return append(out, n.Raw()...), nil
	}
	out = append(append(out, '<'), n.Name()...)
	if n.Space() != around {
		out = append(xmltree.AppendValue(append(out, ` xmlns="`...), n.Space()), '"')
	}
	for a := range n.Attrs() {
		switch {
		case a.Declares():
			continue
		case a.Prefix() != "" && a.Prefix() != "xml":
			return nil, errPrefix
		}
		out = append(append(append(out, ' '), qualified(a)...), `="`...)
		out = append(xmltree.AppendValue(out, a.Value()), '"')
	}
	out = append(out, '>')
	for child := range n.Children() {
		var err error
		if out, err = appendNode(out, child, n.Space()); err != nil {
			return nil, err
		}
	}
	return append(append(append(out, "</"...), n.Name()...), '>'), nil
}
