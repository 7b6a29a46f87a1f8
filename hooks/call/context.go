package call

import (
	"slices"
	"strconv"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/hooks/prefetch"
)

// field is one member of a hook's context.
type field struct {
	name     string
	kind     fieldKind
	required bool
	token    bool     // may be a prefetch token
	types    []string // of a resource or reference; none for any
	// also are other names under which the standard's own samples and older
	// versions of the hook have it.
	also []string
}

// fieldKind is the shape of a context member.
type fieldKind uint8

const (
	id         fieldKind = iota // a logical id without a type
	reference                   // "Type/id"
	references                  // an array of them
	resource                    // a FHIR resource
	resources                   // an array of them
)

var (
	userTypes = []string{"Practitioner", "PractitionerRole", "Patient", "RelatedPerson"}
	user      = field{name: "userId", kind: reference, required: true, token: true, types: userTypes}
	anyUser   = field{name: "userId", kind: reference, token: true, types: userTypes}
	patient   = field{name: "patientId", kind: id, required: true, token: true}
	encounter = field{name: "encounterId", kind: id, token: true}
	inside    = field{name: "encounterId", kind: id, required: true, token: true}
)

func bundleOf(name string) field {
	return field{name: name, kind: resource, required: true, types: []string{"Bundle"}}
}

// hookTable is the standard's hooks with their contexts
// (https://cds-hooks.hl7.org/hooks/).
var hookTable = map[string][]field{
	"patient-view": {user, patient, encounter},
	"order-select": {user, patient, encounter, {name: "selections", kind: references, required: true}, bundleOf("draftOrders")},
	"order-sign":   {user, patient, encounter, bundleOf("draftOrders")},
	"order-dispatch": {
		patient,
		{name: "dispatchedOrders", kind: references, required: true, token: true, also: []string{"order"}},
		{name: "performer", kind: reference, required: true, token: true},
		{name: "fulfillmentTasks", kind: resources, types: []string{"Task"}, also: []string{"fulfillment-tasks"}},
	},
	"encounter-start":     {user, patient, inside},
	"encounter-discharge": {user, patient, inside},
	"appointment-book":    {user, patient, encounter, bundleOf("appointments")},
	"allergyintolerance-create": {
		user, patient, encounter,
		{name: "allergyIntolerance", kind: resource, required: true, types: []string{"AllergyIntolerance"}},
	},
	"medication-refill":        {anyUser, patient, encounter, bundleOf("medications")},
	"problem-list-item-create": {user, patient, encounter, bundleOf("conditions")},
	"medication-verify":        {user, patient, encounter, {name: "medication", kind: resource, required: true, also: []string{"order"}}},
	"medication-prescribe":     {user, patient, encounter, bundleOf("medications")},
	"order-review":             {user, patient, encounter, bundleOf("orders")},
}

// Version is the version of a hook's definition whose context is checked here
// (https://cds-hooks.hl7.org/hooks/), hookVersion of CDS Hooks 3.0.
func Version(hook string) string {
	switch hook {
	case "order-dispatch":
		return "1.1"
	case "allergyintolerance-create", "medication-refill", "problem-list-item-create", "medication-verify":
		return "0.1.0"
	}
	return "1.0"
}

// Known reports whether a hook is one of the standard's.
func Known(hook string) bool { return hookTable[hook] != nil }

// Rules are what the prefetch templates of a hook may hold.
func Rules(hook string) prefetch.Rules {
	var r prefetch.Rules
	for _, f := range hookTable[hook] {
		if f.token {
			r.Fields = append(r.Fields, f.name)
		}
		if f.kind == resource || f.kind == resources {
			r.Resources = append(r.Resources, f.name)
		}
	}
	return r
}

// Context is the context of a call, read by the names of its hook's table.
type Context struct {
	node jsontree.Node
	hook string
}

// Member is the value of a member, absent if there is none; null counts as
// none. A resource that stands as {"resource": …} is taken out.
func (c Context) Member(name string) jsontree.Node {
	for _, f := range hookTable[c.hook] {
		if f.name == name {
			return f.find(c.node)
		}
	}
	return jsontree.Node{}
}

func (f *field) find(context jsontree.Node) jsontree.Node {
	for _, name := range append([]string{f.name}, f.also...) {
		node := context.Get(name)
		if node.Kind() == jsontree.Absent || node.Kind() == jsontree.Null {
			continue
		}
		if inner := node.Get("resource"); f.kind == resource && inner.Exists() && !node.Get("resourceType").Exists() {
			return inner
		}
		return node
	}
	return jsontree.Node{}
}

// Check holds a call's context against the hook's table. The error is of Kind
// Required or Value and names the member.
func (c Context) Check() error {
	const op = "call.Check"
	if c.node.Kind() != jsontree.Object {
		return fhir.E(op, fhir.Required, "context", "context must be an object")
	}
	for _, f := range hookTable[c.hook] {
		at := "context." + f.name
		node := f.find(c.node)
		if !node.Exists() {
			if f.required {
				return fhir.E(op, fhir.Required, at, "hook "+c.hook+" needs "+at)
			}
			continue
		}
		if place, ok := f.holds(node); !ok {
			return fhir.E(op, fhir.Value, at+place, at+place+" must be "+f.String())
		}
	}
	return nil
}

// String says what the member must be.
func (f *field) String() string {
	types := strings.Join(f.types, " or ")
	switch f.kind {
	case id:
		return "a logical id without a type"
	case reference:
		return strings.TrimSpace("a reference of the form Type/id " + types)
	case references:
		return "an array of references of the form Type/id"
	case resource:
		return strings.TrimSpace("a FHIR resource " + types)
	}
	return strings.TrimSpace("an array of FHIR resources " + types)
}

// holds checks a value; where it does not hold, place is within the member.
func (f *field) holds(node jsontree.Node) (place string, ok bool) {
	switch f.kind {
	case id:
		return "", node.Kind() == jsontree.String && fhir.ValidID(node.Text())
	case reference:
		return "", f.allows(relative(node).Type)
	case references:
		return each(node, func(n jsontree.Node) bool { return f.allows(relative(n).Type) })
	case resource:
		return f.resource(node)
	}
	return each(node, func(n jsontree.Node) bool { _, ok := f.resource(n); return ok })
}

func (f *field) allows(resourceType string) bool {
	return resourceType != "" && (len(f.types) == 0 || slices.Contains(f.types, resourceType))
}

// resource checks a resource and, of a Bundle, that its entries hold some.
func (f *field) resource(node jsontree.Node) (place string, ok bool) {
	kind := node.Get("resourceType")
	if node.Kind() != jsontree.Object || kind.Kind() != jsontree.String || !fhir.ValidTypeName(kind.Text()) || !f.allows(kind.Text()) {
		return "", false
	}
	if kind.Text() != "Bundle" {
		return "", true
	}
	n := 0
	for entry := range node.Get("entry").Items() {
		if r := entry.Get("resource"); r.Exists() && !fhir.ValidTypeName(r.Get("resourceType").Text()) {
			return ".entry[" + strconv.Itoa(n) + "].resource", false
		}
		n++
	}
	return "", true
}

// each checks the items of an array that must not be empty. A value that stands
// alone counts as an array of one: order-dispatch 1.0 had it so.
func each(node jsontree.Node, holds func(jsontree.Node) bool) (place string, ok bool) {
	n := 0
	for item := range node.Items() {
		if !holds(item) {
			return "[" + strconv.Itoa(n) + "]", false
		}
		n++
	}
	return "", n > 0
}

// Find is the resource of the context that a reference means: by the fullUrl of
// its Bundle entry or by type and id; absent if there is none.
func (c Context) Find(reference string) jsontree.Node {
	want := fhir.ParseReference(reference).Key
	for _, f := range hookTable[c.hook] {
		for n := range f.find(c.node).Items() {
			for entry := range n.Get("entry").Items() {
				r := entry.Get("resource")
				own := fhir.Key{Type: r.Get("resourceType").Text(), ID: r.Get("id").Text()}
				if reference != "" && (entry.Get("fullUrl").Text() == reference || want.ID != "" && own == want) {
					return r
				}
			}
		}
	}
	return jsontree.Node{}
}

// Resources are the resources in the context, those of Bundles one by one. Where
// the call says which of the orders are selected, they are those.
func (c Context) Resources() []jsontree.Node {
	var out []jsontree.Node
	selected := map[fhir.Key]bool{}
	for s := range c.Member("selections").Items() {
		selected[relative(s)] = true
	}
	add := func(n jsontree.Node) {
		key := fhir.Key{Type: n.Get("resourceType").Text(), ID: n.Get("id").Text()}
		if key.Type != "" && (len(selected) == 0 || selected[key]) {
			out = append(out, n)
		}
	}
	for _, f := range hookTable[c.hook] {
		if f.kind != resource && f.kind != resources {
			continue
		}
		for n := range f.find(c.node).Items() {
			if n.Get("resourceType").Text() != "Bundle" {
				add(n)
				continue
			}
			for entry := range n.Get("entry").Items() {
				add(entry.Get("resource"))
			}
		}
	}
	return out
}

// relative reads a reference of the form Type/id (ord-1 of HL7's logical
// model); a zero Key for any other.
func relative(node jsontree.Node) fhir.Key {
	if node.Kind() != jsontree.String || strings.Count(node.Text(), "/") != 1 {
		return fhir.Key{}
	}
	return fhir.ParseReference(node.Text()).Key
}
