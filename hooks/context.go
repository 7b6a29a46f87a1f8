package hooks

import (
	"slices"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
)

// field is one member of a hook's context.
type field struct {
	name     string
	kind     fieldKind
	required bool
}

// fieldKind is the shape of a context member.
type fieldKind uint8

const (
	id         fieldKind = iota // a logical id without a type
	userRef                     // "Practitioner/1" of one of the user types
	reference                   // "Type/id"
	references                  // an array of them
	resource                    // a FHIR resource
	resources                   // an array of them
)

// hookSpec is one line of the table of hooks.
type hookSpec struct {
	version string
	context []field
}

var (
	user      = field{"userId", userRef, true}
	patient   = field{"patientId", id, true}
	encounter = field{"encounterId", id, false}
	inside    = field{"encounterId", id, true}
)

// hookTable is the standard's hooks with their contexts
// (https://cds-hooks.hl7.org/hooks/). The version is the hook's own.
var hookTable = map[string]hookSpec{
	"patient-view":              {"1.0", []field{user, patient, encounter}},
	"order-select":              {"1.0", []field{user, patient, encounter, {"selections", references, true}, {"draftOrders", resource, true}}},
	"order-sign":                {"1.0", []field{user, patient, encounter, {"draftOrders", resource, true}}},
	"order-dispatch":            {"1.1", []field{patient, {"dispatchedOrders", references, true}, {"performer", reference, true}, {"fulfillmentTasks", resources, false}}},
	"encounter-start":           {"1.0", []field{user, patient, inside}},
	"encounter-discharge":       {"1.0", []field{user, patient, inside}},
	"appointment-book":          {"1.0", []field{user, patient, encounter, {"appointments", resource, true}}},
	"allergyintolerance-create": {"0.1.0", []field{user, patient, encounter, {"allergyIntolerance", resource, true}}},
	"medication-refill":         {"0.1.0", []field{{"userId", userRef, false}, patient, encounter, {"medications", resource, true}}},
	"problem-list-item-create":  {"0.1.0", []field{user, patient, encounter, {"conditions", resource, true}}},
	"medication-prescribe":      {"1.0", []field{user, patient, encounter, {"medications", resource, true}}},
	"order-review":              {"1.0", []field{user, patient, encounter, {"orders", resource, true}}},
}

var userTypes = []string{"Practitioner", "PractitionerRole", "Patient", "RelatedPerson"}

// checkContext holds a call's context against the hook's table. The error is of
// Kind Required or Value and names the member.
func checkContext(hook string, context jsontree.Node) error {
	const op = "hooks.checkContext"
	if context.Kind() != jsontree.Object {
		return fhir.E(op, fhir.Required, "context", "context must be an object")
	}
	for _, f := range hookTable[hook].context {
		at := "context." + f.name
		node := context.Get(f.name)
		switch {
		case !node.Exists() && f.required:
			return fhir.E(op, fhir.Required, at, "hook "+hook+" needs "+at)
		case node.Exists() && !f.kind.holds(node):
			return fhir.E(op, fhir.Value, at, at+" must be "+f.kind.String())
		}
	}
	return nil
}

// String says what the member must be.
func (k fieldKind) String() string {
	return [...]string{
		"a logical id without a type", "a reference to a Practitioner, PractitionerRole, Patient or RelatedPerson",
		"a reference of the form Type/id", "an array of references of the form Type/id",
		"a FHIR resource", "an array of FHIR resources",
	}[k]
}

func (k fieldKind) holds(node jsontree.Node) bool {
	switch k {
	case id:
		return node.Kind() == jsontree.String && fhir.ValidID(node.Text())
	case userRef:
		return slices.Contains(userTypes, relative(node).Type)
	case reference:
		return relative(node).Type != ""
	case references:
		return every(node, reference)
	case resource:
		return node.Kind() == jsontree.Object && fhir.ValidTypeName(node.Get("resourceType").Text())
	default:
		return every(node, resource)
	}
}

func every(node jsontree.Node, k fieldKind) bool {
	if node.Kind() != jsontree.Array {
		return false
	}
	for item := range node.Items() {
		if !k.holds(item) {
			return false
		}
	}
	return true
}

// relative reads a reference of the form Type/id; a zero Key for any other.
func relative(node jsontree.Node) fhir.Key {
	if node.Kind() != jsontree.String || strings.Count(node.Text(), "/") != 1 {
		return fhir.Key{}
	}
	return fhir.ParseReference(node.Text()).Key
}
