package path_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"galen/fhir/spec"
)

// jsonOf turns the FHIR XML of a test input into FHIR JSON
// (https://hl7.org/fhir/R4/xml.html). It does what the inputs need and no more.
func jsonOf(t *testing.T, defs *spec.Definitions, text []byte) []byte {
	t.Helper()
	x := &converter{t: t, defs: defs, dec: xml.NewDecoder(bytes.NewReader(text)), text: text}
	for {
		token, err := x.dec.Token()
		if err != nil {
			t.Fatal(err)
		}
		if start, ok := token.(xml.StartElement); ok {
			out, err := json.Marshal(x.resource(start))
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
	}
}

type converter struct {
	t    *testing.T
	defs *spec.Definitions
	dec  *xml.Decoder
	text []byte
}

func (x *converter) typ(name string) *spec.Type {
	t, ok := x.defs.Type(name)
	if !ok {
		x.t.Fatalf("no type %s", name)
	}
	return t
}

func (x *converter) resource(start xml.StartElement) map[string]any {
	out := x.object(start, x.typ(start.Name.Local))
	out["resourceType"] = start.Name.Local
	return out
}

// object reads the children of an element of a complex type.
func (x *converter) object(start xml.StartElement, t *spec.Type) map[string]any {
	out := map[string]any{}
	for _, a := range start.Attr {
		if a.Name.Local == "id" || a.Name.Local == "url" {
			out[a.Name.Local] = a.Value
		}
	}
	for {
		before := x.dec.InputOffset()
		token, err := x.dec.Token()
		if err != nil {
			x.t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.EndElement:
			return out
		case xml.StartElement:
			x.child(out, token, t, before)
		}
	}
}

func (x *converter) child(out map[string]any, start xml.StartElement, t *spec.Type, before int64) {
	name := start.Name.Local
	el, code, ok := t.Element(name)
	if !ok {
		x.t.Fatalf("%s has no element %s", t.Name, name)
	}
	var value, sibling any
	switch child := x.typ(code); {
	case code == "xhtml":
		if err := x.dec.Skip(); err != nil {
			x.t.Fatal(err)
		}
		value = strings.TrimSpace(string(x.text[before:x.dec.InputOffset()]))
	case code == "Resource":
		value = x.inner()
	case child.Kind == spec.Primitive:
		value, sibling = x.primitive(start, child)
	default:
		value = x.object(start, child)
	}
	if !el.Repeats() {
		out[name] = value
		if sibling != nil {
			out["_"+name] = sibling
		}
		return
	}
	list, _ := out[name].([]any)
	out[name] = append(list, value)
	siblings, _ := out["_"+name].([]any)
	if sibling != nil || siblings != nil {
		for len(siblings) < len(list) {
			siblings = append(siblings, nil)
		}
		out["_"+name] = append(siblings, sibling)
	}
}

func (x *converter) inner() any {
	var out any
	for {
		token, err := x.dec.Token()
		if errors.Is(err, io.EOF) || err != nil {
			x.t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			out = x.resource(token)
		case xml.EndElement:
			return out
		}
	}
}

func (x *converter) primitive(start xml.StartElement, t *spec.Type) (value, sibling any) {
	for _, a := range start.Attr {
		if a.Name.Local != "value" {
			continue
		}
		value = a.Value
		switch t.Name {
		case "boolean", "integer", "positiveInt", "unsignedInt", "decimal":
			value = json.RawMessage(a.Value)
		}
	}
	rest := x.object(start, t)
	if len(rest) > 0 {
		sibling = rest
	}
	return value, sibling
}
