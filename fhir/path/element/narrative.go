package element

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"galen/fhir/jsontree"
)

// What a narrative may hold (https://hl7.org/fhir/R4/narrative.html#rules):
// HTML 4.0 chapters 7 to 11 and 15, links, images and style attributes; nothing
// that runs, loads, asks or leaves the page.
const (
	htmlElements = " a abbr acronym b big blockquote br caption cite code col colgroup dd dfn div dl dt em h1 h2 h3 h4 h5 h6 hr i img " +
		"li ol p pre q samp small span strong sub sup table tbody td tfoot th thead tr tt ul var kbd ins del bdo address center u s strike font map area "
	htmlAttributes = " abbr accept accesskey align alt axis bgcolor border cellhalign cellpadding cellspacing cellvalign char charoff charset cite " +
		"class clear color colspan compact coords dir face frame headers height href hreflang hspace id lang longdesc name nowrap noshade rel rev rowspan rules " +
		"scope shape size span src start style summary tabindex title type valign value vspace width xmlns xml:lang "
)

const xhtmlNamespace = "http://www.w3.org/1999/xhtml"

// Narrative reports whether an xhtml value keeps the rules of narratives (txt-1)
// and has content (txt-2); ok is false for any other item.
func (i Item) Narrative() (valid, ok bool) {
	if i.typ == nil || i.typ.name != "xhtml" || i.node.Kind() != jsontree.String {
		return false, false
	}
	return validNarrative(i.node.Text()), true
}

func validNarrative(text string) bool {
	d := xml.NewDecoder(strings.NewReader(text))
	d.Entity = xml.HTMLEntity
	depth, roots, content := 0, 0, false
	for {
		token, err := d.Token()
		if err != nil {
			return errors.Is(err, io.EOF) && roots == 1 && content
		}
		switch t := token.(type) {
		case xml.StartElement:
			if depth == 0 {
				if roots++; t.Name.Local != "div" {
					return false
				}
			}
			depth++
			if !allowedElement(t) {
				return false
			}
			content = content || t.Name.Local == "img"
		case xml.EndElement:
			depth--
		case xml.CharData:
			content = content || strings.TrimSpace(string(t)) != ""
		case xml.Directive, xml.ProcInst:
			return false
		}
	}
}

func allowedElement(t xml.StartElement) bool {
	if t.Name.Space != xhtmlNamespace || !strings.Contains(htmlElements, " "+t.Name.Local+" ") {
		return false
	}
	for _, a := range t.Attr {
		name := a.Name.Local
		if a.Name.Space == "xml" || a.Name.Space == "http://www.w3.org/XML/1998/namespace" {
			name = "xml:" + name
		}
		if !strings.Contains(htmlAttributes, " "+name+" ") || runs(name, a.Value) {
			return false
		}
	}
	return true
}

// runs reports whether the value of a link or image is a script.
func runs(name, value string) bool {
	scheme, _, found := strings.Cut(strings.ToLower(strings.TrimSpace(value)), ":")
	return found && (name == "href" || name == "src") && (scheme == "javascript" || scheme == "vbscript")
}
