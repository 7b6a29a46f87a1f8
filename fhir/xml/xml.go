// Package xml turns FHIR XML into FHIR JSON and back
// (https://hl7.org/fhir/R4/xml.html, https://hl7.org/fhir/R4/json.html).
//
// Inside Galen a resource is its JSON bytes; XML is read and written at the
// edge. Nothing is lost on the way: decimals keep their digits, primitives
// their ids and extensions, narratives every byte. XML comes out in the order
// of the definitions and is always well-formed; XML that goes in may be in any
// order, and what FHIR does not define in it is refused with its line and
// FHIRPath.
//
// It checks what it must know to convert (names, namespaces, how often, the
// form of numbers) and leaves the rest to fhir/validate. Comments and
// processing instructions outside narratives are not kept.
package xml

import (
	"strconv"

	"galen/fhir/spec"
)

// The namespaces of FHIR XML.
const (
	Namespace      = "http://hl7.org/fhir"
	XHTMLNamespace = "http://www.w3.org/1999/xhtml"
	xsiNamespace   = "http://www.w3.org/2001/XMLSchema-instance"
)

// Codec converts by the definitions of R4. It is immutable and safe for
// concurrent use.
type Codec struct{ defs *spec.Definitions }

// New returns a Codec.
func New(defs *spec.Definitions) *Codec { return &Codec{defs} }

// resourceType finds a resource type that can have instances.
func (c *Codec) resourceType(name string) (*spec.Type, bool) {
	t, ok := c.defs.Type(name)
	return t, ok && t.Kind == spec.ResourceKind && !t.Abstract
}

// position is the place of an element in its type, which is the order of XML.
// Elements come in that order as a rule, so the search starts behind the last.
func position(t *spec.Type, e *spec.Element, last int) int {
	for i := last; i < len(t.Elements); i++ {
		if &t.Elements[i] == e {
			return i
		}
	}
	for i := range last {
		if &t.Elements[i] == e {
			return i
		}
	}
	return len(t.Elements)
}

// place is the FHIRPath of what is being converted; it is put together only for
// an error.
type place []step

type step struct {
	name  string
	index int // -1 for an element that does not repeat
}

func (p *place) push(name string, index int) { *p = append(*p, step{name, index}) }
func (p *place) pop()                        { *p = (*p)[:len(*p)-1] }

// String is the path, "Patient.name[0].family".
func (p place) String() string {
	var out []byte
	for i, s := range p {
		if i > 0 {
			out = append(out, '.')
		}
		out = append(out, s.name...)
		if s.index >= 0 {
			out = append(strconv.AppendInt(append(out, '['), int64(s.index), 10), ']')
		}
	}
	return string(out)
}
