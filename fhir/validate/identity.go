package validate

import (
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/spec"
)

// names are the ids within one resource: those of its elements, and of what it
// contains.
type names struct{ elements, contained map[string]bool }

// own notes an id and reports whether it is the first of its kind.
func own(ids *map[string]bool, id string) bool {
	if *ids == nil {
		*ids = map[string]bool{}
	}
	if (*ids)[id] {
		return false
	}
	(*ids)[id] = true
	return true
}

// elementID: an element's id is unique within its resource
// (https://hl7.org/fhir/R4/element.html#id).
func (c *checker) elementID(n jsontree.Node, at string) {
	if !own(&c.names.elements, n.Text()) {
		c.add(c.tolerated(), fhir.Invalid, at, "another element of the resource has the same id")
	}
}

// containedID: what is contained has an id, its own
// (https://hl7.org/fhir/R4/references.html#contained).
func (c *checker) containedID(n jsontree.Node, at string) {
	switch id := n.Get("id"); {
	case !id.Exists():
		c.add(c.tolerated(), fhir.Required, at+".id", "a contained resource needs an id, or nothing can refer to it")
	case !own(&c.names.contained, id.Text()):
		c.fail(fhir.Invalid, at+".id", "another contained resource has the same id")
	}
}

// urn: OIDs and UUIDs as URIs keep their own grammars
// (https://hl7.org/fhir/R4/datatypes.html#oid, #uuid; RFC 4122: any case); a
// version may follow, as in a canonical.
func (c *checker) urn(text, at string) {
	text, _, _ = strings.Cut(text, "|")
	switch {
	case strings.HasPrefix(text, "urn:oid:") && !spec.ValidPrimitive("oid", text):
		c.add(c.tolerated(), fhir.Value, at, "is not a valid OID")
	case strings.HasPrefix(text, "urn:uuid:") && !spec.ValidPrimitive("uuid", strings.ToLower(text)):
		c.add(c.tolerated(), fhir.Value, at, "is not a valid UUID")
	}
}

// literal: a literal reference is a URL: of a resource, within a resource (#), a
// URN, any absolute one, or, in what is still to be stored, a search
// (https://hl7.org/fhir/R4/references.html#literal). Its type, if given, is that
// of what it refers to.
func (c *checker) literal(n jsontree.Node, ref fhir.Reference, at string) {
	if ref.Text == "" {
		return
	}
	c.urn(ref.Text, at+".reference")
	absolute := strings.Contains(ref.Text, ":")
	search := strings.Contains(ref.Text, "?")
	if ref.Key.Type == "" && ref.Text[0] != '#' && !absolute && !search {
		c.add(c.tolerated(), fhir.Value, at+".reference", "is no reference to a resource: Type/id, #id, a URN or an absolute URL is needed")
		return
	}
	if ref.Key.Type != "" && ref.Base == "" && !c.defs.IsResource(ref.Key.Type) {
		c.add(c.tolerated(), fhir.Value, at+".reference", "refers to a type that R4 does not have")
	}
	if t := n.Get("type").Text(); t != "" && ref.Key.Type != "" && c.defs.IsResource(t) && t != ref.Key.Type {
		c.add(c.tolerated(), fhir.Value, at+".type", "is not the type of what the reference names")
	}
}

// entry: the fullUrl of an entry says the same id as its resource, and is absent
// only in what is sent for processing or shown as history
// (https://hl7.org/fhir/R4/bundle-definitions.html#Bundle.entry.fullUrl).
func (c *checker) entry(n jsontree.Node, at string) {
	full, id := n.Get("fullUrl").Text(), n.Get("resource").Get("id").Text()
	ref := fhir.ParseReference(full)
	if ref.Key.Type == "" || id == "" || n.Get("request").Exists() {
		return
	}
	if ref.Key.ID != id || ref.Key.Type != n.Get("resource").Get("resourceType").Text() {
		c.add(c.tolerated(), fhir.Value, at+".fullUrl", "names another resource than the one of the entry")
	}
}
