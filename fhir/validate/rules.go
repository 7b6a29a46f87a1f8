package validate

import (
	"slices"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/spec"
)

// bound checks a code against a required binding whose codes R4 itself lists
// (https://hl7.org/fhir/R4/terminologies.html#required).
func (c *checker) bound(n jsontree.Node, e *spec.Element, code, at string) {
	if e.Binding.Strength != spec.Required || code != "code" && code != "uri" && code != "string" {
		return
	}
	set, ok := c.defs.Codes(e.Binding.ValueSet)
	if ok && !set.HasCode(n.Text()) {
		c.fail(fhir.CodeInvalid, at, "is not one of the codes that R4 requires here")
	}
}

// complex checks what a complex value must hold beyond its elements.
func (c *checker) complex(n jsontree.Node, e *spec.Element, code, at string) {
	switch code {
	case "Extension":
		c.extension(n, at)
	case "Reference":
		c.reference(n, e, at)
	case "Coding":
		c.coding(n, e, at)
	case "CodeableConcept":
		c.concept(n, e, at)
	}
}

// extension: a value or nested extensions, never both and never neither
// (https://hl7.org/fhir/R4/extensibility.html#Extension, ext-1).
func (c *checker) extension(n jsontree.Node, at string) {
	nested, value := n.Get("extension").Exists(), false
	for name := range n.Members() {
		value = value || len(name) > 5 && name[:5] == "value" || len(name) > 6 && name[:6] == "_value"
	}
	if nested == value {
		c.fail(fhir.Invalid, at, "an extension has a value or nested extensions")
	}
}

// tolerated is the severity of what R4's own examples break.
func (c *checker) tolerated() fhir.Severity {
	if c.level == Strict {
		return fhir.SeverityError
	}
	return fhir.Warning
}

// narrative keeps txt-1 and txt-2: HTML that neither runs nor loads, with
// content (https://hl7.org/fhir/R4/narrative.html).
func (c *checker) narrative(n jsontree.Node, at string) {
	if ok, known := path.TypedItem("xhtml", n).Narrative(); known && !ok {
		c.add(c.tolerated(), fhir.Invariant, at, "txt-1, txt-2: a narrative is HTML formatting with content, without scripts, forms, frames or events")
	}
}

// reference: a literal reference should name a type that the element allows
// (https://hl7.org/fhir/R4/references.html). An official example breaks it:
// DeviceMetric.parent refers to a DeviceDefinition.
func (c *checker) reference(n jsontree.Node, e *spec.Element, at string) {
	ref := fhir.ParseReference(n.Get("reference").Text())
	c.literal(n, ref, at)
	if ref.Key.Type == "" || ref.Base != "" || !c.defs.IsResource(ref.Key.Type) {
		return
	}
	for _, t := range e.Types {
		if t.Code != "Reference" {
			continue
		}
		if len(t.Targets) == 0 || slices.Contains(t.Targets, "Resource") || slices.Contains(t.Targets, ref.Key.Type) {
			return
		}
	}
	c.add(c.tolerated(), fhir.Value, at+".reference", "refers to a type that R4 does not allow here")
}

// coding: under a required binding, a code of a system that R4 lists must be in
// the value set.
func (c *checker) coding(n jsontree.Node, e *spec.Element, at string) {
	if !c.required(e) {
		return
	}
	set, ok := c.defs.Codes(e.Binding.ValueSet)
	if code := n.Get("code"); ok && code.Exists() && !set.Has(n.Get("system").Text(), code.Text()) {
		c.fail(fhir.CodeInvalid, at, "is not one of the codes that R4 requires here")
	}
}

// concept: under a required binding one coding must be in the value set; a
// concept with only text has none to check.
func (c *checker) concept(n jsontree.Node, e *spec.Element, at string) {
	if !c.required(e) {
		return
	}
	set, ok := c.defs.Codes(e.Binding.ValueSet)
	codings := n.Get("coding")
	if !ok || !codings.Exists() {
		return
	}
	for coding := range codings.Items() {
		if set.Has(coding.Get("system").Text(), coding.Get("code").Text()) {
			return
		}
	}
	c.fail(fhir.CodeInvalid, at, "has no coding of those that R4 requires here")
}

func (c *checker) required(e *spec.Element) bool {
	return e.Binding != nil && e.Binding.Strength == spec.Required
}
