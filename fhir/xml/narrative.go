package xml

import (
	"encoding/xml"
	"slices"
	"strconv"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/xmltree"
)

// narrative writes an XHTML div as the JSON string of its very bytes, so that
// attribute order, quotes and references survive
// (https://hl7.org/fhir/R4/narrative.html). Only a div that leans on namespace
// prefixes of the elements around it is written anew.
func (r *reader) narrative(n xmltree.Node) error {
	raw := string(n.Raw())
	switch {
	case prefixed(n):
		var b strings.Builder
		if err := r.plain(&b, n, true); err != nil {
			return err
		}
		raw = b.String()
	case !declaresXHTML(n):
		name := n.NameEnd() - n.Offset()
		raw = raw[:name] + ` xmlns="` + XHTMLNamespace + `"` + raw[name:]
	}
	r.out = jsontree.AppendString(r.out, raw)
	return nil
}

// declaresXHTML reports whether the div itself says what it is.
func declaresXHTML(n xmltree.Node) bool {
	for a := range n.Attrs() {
		if a.Declares() && a.Name() == "" {
			return true
		}
	}
	return false
}

// prefixed reports whether names in the div have a prefix other than xml.
func prefixed(n xmltree.Node) bool {
	for node := range n.Subtree() {
		if node.Kind() != xmltree.Element {
			continue
		}
		if node.Prefix() != "" {
			return true
		}
		for a := range node.Attrs() {
			if a.Prefix() != "" && a.Prefix() != "xml" && !a.Declares() {
				return true
			}
		}
	}
	return false
}

// plain writes XHTML without prefixes.
func (r *reader) plain(b *strings.Builder, n xmltree.Node, root bool) error {
	switch n.Kind() {
	case xmltree.Element:
	case xmltree.Text:
		b.Write(xmltree.AppendText(nil, n.Value()))
		return nil
	default:
		b.Write(n.Raw())
		return nil
	}
	if n.Space() != XHTMLNamespace {
		return r.fail(fhir.Invalid, n.Offset(), "a narrative holds XHTML only")
	}
	b.WriteString("<" + n.Name())
	if root {
		b.WriteString(` xmlns="` + XHTMLNamespace + `"`)
	}
	for a := range n.Attrs() {
		switch {
		case a.Declares():
			continue
		case a.Prefix() == "xml":
			b.WriteString(" xml:" + a.Name())
		case a.Prefix() == "":
			b.WriteString(" " + a.Name())
		default:
			return r.fail(fhir.Invalid, a.Offset(), "a narrative holds XHTML only")
		}
		b.WriteString(`="` + string(xmltree.AppendValue(nil, a.Value())) + `"`)
	}
	b.WriteString(">")
	for child := range n.Children() {
		if err := r.plain(b, child, false); err != nil {
			return err
		}
	}
	b.WriteString("</" + n.Name() + ">")
	return nil
}

// appendNarrative writes the text of a JSON div as an element: verbatim if it
// is well-formed, with HTML's named characters (&nbsp;) as numbers if that is
// what stands in the way, and else as text in a div, so that nothing a clinician
// wrote is hidden and the document stays well-formed.
func appendNarrative(dst []byte, text string) []byte {
	text = strings.TrimSpace(text)
	for _, candidate := range []func(string) string{func(s string) string { return s }, numbered} {
		s := candidate(text)
		doc, err := xmltree.Parse([]byte(s), xmltree.Limits{Depth: maxDepth / 2})
		if err != nil || doc.Root().Name() != "div" || doc.Root().Prefix() != "" || doc.Root().Offset() != 0 || doc.Root().End() != len(s) {
			continue
		}
		switch root := doc.Root(); root.Space() {
		case XHTMLNamespace:
			return append(dst, s...)
		case "":
			dst = append(dst, s[:root.NameEnd()]...)
			dst = append(append(append(dst, ` xmlns="`...), XHTMLNamespace...), '"')
			return append(dst, s[root.NameEnd():]...)
		}
	}
	dst = append(append(append(dst, `<div xmlns="`...), XHTMLNamespace...), `">`...)
	return append(xmltree.AppendText(dst, text), "</div>"...)
}

// xmlNames are the references that XML knows.
var xmlNames = []string{"lt", "gt", "amp", "quot", "apos"}

// numbered replaces the named characters of HTML, which XML does not know
// without a DTD, by their numbers.
func numbered(text string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "&")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, _, closed := strings.Cut(after, ";")
		char, known := xml.HTMLEntity[name]
		if !closed || !known || slices.Contains(xmlNames, name) {
			b.WriteString("&")
			text = after
			continue
		}
		for _, r := range char {
			b.WriteString("&#" + strconv.Itoa(int(r)) + ";")
		}
		text = after[len(name)+1:]
	}
}
