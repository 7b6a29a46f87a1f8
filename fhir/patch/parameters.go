package patch

import (
	"fmt"
	"strconv"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/spec"
)

// step is one operation of a FHIRPath Patch
// (https://hl7.org/fhir/R4/fhirpatch.html).
type step struct {
	at   string // "Parameters.parameter[0]", for errors
	kind string // add, insert, delete, replace or move
	path *path.Expr
	name string // of add: the element's
	// value is the part that holds the new content, as value[x], resource or parts.
	value               jsontree.Node
	index, source, dest int
}

// takes lists the parts that each type of operation must have beside type.
var takes = map[string][]string{
	"add": {"path", "name", "value"}, "insert": {"path", "index", "value"}, "delete": {"path"},
	"replace": {"path", "value"}, "move": {"path", "source", "destination"},
}

// read reads a Parameters resource.
func (e *fhirPath) read(body []byte) (Patch, error) {
	const op = "patch.readParameters"
	r, err := fhir.Parse(body, jsontree.Limits{})
	if err != nil {
		return nil, err
	}
	if r.Type != "Parameters" {
		return nil, fhir.E(op, fhir.Invalid, "resourceType", "a FHIRPath Patch is a Parameters resource")
	}
	list := r.Root().Get("parameter")
	if list.Exists() && list.Kind() != jsontree.Array {
		return nil, fhir.E(op, fhir.Invalid, "Parameters.parameter", "must be an array")
	}
	if list.Len() > maxOperations {
		return nil, fhir.E(op, fhir.TooLong, "Parameters.parameter", "the patch has more operations than allowed")
	}
	p := &fhirPathPatch{fhirPath: e}
	for n := range list.Items() {
		s, err := e.step(n, fmt.Sprintf("Parameters.parameter[%d]", len(p.steps)))
		if err != nil {
			return nil, err
		}
		p.steps = append(p.steps, s)
	}
	return p, nil
}

// step reads one operation.
func (e *fhirPath) step(n jsontree.Node, at string) (step, error) {
	const op = "patch.readParameters"
	s := step{at: at}
	if n.Get("name").Text() != "operation" {
		return s, fhir.E(op, fhir.Invalid, at+".name", "every parameter of a FHIRPath Patch is named operation")
	}
	parts := map[string]jsontree.Node{}
	for part := range n.Get("part").Items() {
		name := part.Get("name").Text()
		if _, twice := parts[name]; twice {
			return s, fhir.E(op, fhir.Invalid, at+".part", "a part is given twice")
		}
		parts[name] = part
	}
	s.kind = text(parts["type"])
	needed, known := takes[s.kind]
	if !known {
		return s, fhir.E(op, fhir.Value, at+".part", "type must be add, insert, delete, replace or move")
	}
	for _, name := range needed {
		if !parts[name].Exists() {
			return s, fhir.E(op, fhir.Required, at+".part", s.kind+" needs the part "+name)
		}
	}
	if len(parts) != len(needed)+1 {
		return s, fhir.E(op, fhir.Invalid, at+".part", s.kind+" has a part that it does not take")
	}
	s.name, s.value = text(parts["name"]), parts["value"]
	for name, to := range map[string]*int{"index": &s.index, "source": &s.source, "destination": &s.dest} {
		if part := parts[name]; part.Exists() {
			i, err := strconv.Atoi(part.Get("valueInteger").Text())
			if err != nil || i < 0 {
				return s, fhir.E(op, fhir.Value, at+".part", name+" must be a valueInteger that is not negative")
			}
			*to = i
		}
	}
	var err error
	if s.path, err = e.engine.Compile(text(parts["path"])); err != nil {
		return s, fhir.E(op, fhir.Invalid, at+".part", "path must be a valueString with a FHIRPath expression")
	}
	return s, nil
}

// text is the string of a part, whatever string type it has.
func text(part jsontree.Node) string {
	for _, name := range []string{"valueString", "valueCode"} {
		if v := part.Get(name); v.Kind() == jsontree.String {
			return v.Text()
		}
	}
	return ""
}

// content is a new value as it goes into JSON: the member without and the one
// with "_"; nil for none.
type content struct {
	value, twin *value
	suffix      string // of value[x]: "Quantity"; "" for parts and resources
}

// content takes the new value out of a part. For a type that value[x] does not
// have, such as Patient.contact, it is given as parts, one for each element.
func (e *fhirPath) content(part jsontree.Node, typeCode, at string) (content, error) {
	if r := part.Get("resource"); r.Exists() {
		return content{value: leaf(r)}, nil
	}
	var c content
	for name, m := range part.Members() {
		twin := name != "" && name[0] == '_'
		if twin {
			name = name[1:]
		}
		suffix, ok := cutPrefix(name, "value")
		switch {
		case !ok:
			continue
		case c.suffix != "" && c.suffix != suffix:
			return c, fhir.E("patch.Apply", fhir.Invalid, at+".part", "a part has more than one value")
		case twin:
			c.twin = leaf(m)
		default:
			c.value = leaf(m)
		}
		c.suffix = suffix
	}
	if c.suffix != "" {
		return c, nil
	}
	if !part.Get("part").Exists() {
		return c, fhir.E("patch.Apply", fhir.Required, at+".part", "the part value has no value")
	}
	object, err := e.object(part.Get("part"), typeCode, at)
	return content{value: object}, err
}

func cutPrefix(s, prefix string) (string, bool) {
	if len(s) <= len(prefix) || s[:len(prefix)] != prefix {
		return "", false
	}
	return s[len(prefix):], true
}

// object builds a value of a backbone type from the parts for its elements.
func (e *fhirPath) object(parts jsontree.Node, typeCode, at string) (*value, error) {
	t, ok := e.defs.Type(typeCode)
	if !ok || t.Kind == spec.Primitive {
		return nil, misfit(at, "the element has no parts")
	}
	out := &value{open: true}
	for part := range parts.Items() {
		name := part.Get("name").Text()
		el, child, ok := element(t, name)
		if !ok {
			return nil, misfit(at, "the type has no element of this name")
		}
		c, err := e.content(part, child, at)
		if err != nil {
			return nil, err
		}
		slot := slotOf(out, el, jsonName(el, name, c.suffix))
		if len(slot.list) > 0 && !slot.repeats {
			return nil, misfit(at, "an element that does not repeat is given twice")
		}
		slot.list = append(slot.list, pair{c.value, c.twin})
		slot.store()
	}
	return out, nil
}

// element finds an element of a type by its FHIRPath name ("value") or its JSON
// name ("valueQuantity"), and the type of its value, "" for a choice by its
// FHIRPath name.
func element(t *spec.Type, name string) (*spec.Element, string, bool) {
	if el, code, ok := t.Element(name); ok {
		return el, code, true
	}
	el, ok := t.Child(name)
	return el, "", ok
}

// jsonName is the member name for a value of that value[x] suffix.
func jsonName(el *spec.Element, name, suffix string) string {
	if el.Choice && name == el.Name {
		return name + suffix
	}
	return name
}
