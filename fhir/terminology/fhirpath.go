package terminology

import (
	"context"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
)

// ForPath lets FHIRPath expressions ask the Service: memberOf() and subsumes()
// (https://hl7.org/fhir/R4/fhirpath.html#functions).
type ForPath struct{ *Service }

var _ path.Terminology = ForPath{}

// MemberOf reports whether a code, Coding or CodeableConcept is in a value set;
// known is false if the value set, or a code system it needs, is not here.
func (f ForPath) MemberOf(ctx context.Context, coded path.Item, valueSet string) (member, known bool, err error) {
	for _, c := range codingsOf(coded) {
		ok, err := f.Contains(ctx, valueSet, c)
		if undecidable(err) {
			return false, false, nil
		}
		if ok || err != nil {
			return ok, err == nil, err
		}
	}
	return false, true, nil
}

// Subsumes reports whether a is b or an ancestor of it: of CodeableConcepts, any
// coding of a.
func (f ForPath) Subsumes(ctx context.Context, a, b path.Item) (subsumes, known bool, err error) {
	known = true
	for _, x := range codingsOf(a) {
		for _, y := range codingsOf(b) {
			if x.System != y.System {
				continue
			}
			relation, err := f.Service.Subsumes(ctx, x, y)
			switch {
			case undecidable(err):
				known = false
			case err != nil:
				return false, false, err
			case relation == Equivalent || relation == Subsumes:
				return true, true, nil
			}
		}
	}
	return false, known, nil
}

func undecidable(err error) bool {
	kind := fhir.KindOf(err)
	return err != nil && (kind == fhir.NotFound || kind == fhir.NotSupported)
}

// codingsOf are the codes of an item.
func codingsOf(item path.Item) []Coding {
	n := item.Node()
	switch {
	case item.Type() == "CodeableConcept":
		var out []Coding
		for c := range n.Get("coding").Items() {
			out = append(out, CodingOf(c))
		}
		return out
	case n.Kind() == jsontree.Object:
		return []Coding{CodingOf(n)}
	}
	return []Coding{{Code: item.Text()}}
}
