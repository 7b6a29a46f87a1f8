// Package capability writes the CapabilityStatement of a server
// (https://hl7.org/fhir/R4/capabilitystatement.html) from what the server says
// of itself. It adds nothing: what is not in a Statement is not declared.
package capability

import (
	"slices"
	"time"

	"galen/fhir/spec"
)

// Statement is what a server declares. Codes are those of the standard.
type Statement struct {
	Version string    // of the software
	URL     string    // absolute FHIR base, no slash at its end
	Date    time.Time // since when it holds
	Formats []string  // "application/fhir+json", "json"
	Patches []string  // media types of patches; none means that there is no patch
	// Interactions are those of the system
	// (https://hl7.org/fhir/R4/valueset-system-restful-interaction.html).
	Interactions []string
	Resources    []Resource
	Params       []*spec.SearchParam // of a search over all types
	Operations   []Operation         // of the system
	// Notes say what a CapabilityStatement has no element for.
	Notes string
	SMART SMART
}

// Operation is an operation that is offered, by its name without "$".
type Operation struct{ Name, URL string }

// SMART is where apps get their tokens; the zero SMART declares nothing
// (https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html#declaring-support-for-oauth2-endpoints).
type SMART struct{ Authorize, Token, Register, Manage, Introspect, Revoke string }

// Resource is what a server declares of one resource type.
type Resource struct {
	Type string
	// Interactions are those of the type
	// (https://hl7.org/fhir/R4/valueset-type-restful-interaction.html).
	Interactions []string
	Read         string // conditionalRead: "full-support", …; "" leaves it out
	Delete       string // conditionalDelete: "single", …; "" leaves it out
	Writes       bool   // update-as-create, conditional create and update
	Includes     []string
	RevIncludes  []string
	Params       []*spec.SearchParam
	Operations   []Operation
}

// Search says what searches take: the parser itself.
type Search interface {
	// Offers are the parameters of a type; Includes what _include takes on it.
	Offers(resourceType string) []*spec.SearchParam
	Includes(resourceType string) []string
	// RevIncludes are what _revinclude takes, by type.
	RevIncludes() map[string][]string
}

// Options are what varies between servers.
type Options struct {
	Patch    bool // resources can be patched
	Multiple bool // a conditional delete may remove several
	// AppendOnly are the types that are created and never changed.
	AppendOnly []string
	Search     Search
}

// Resources declares every type of R4 alike.
func Resources(defs *spec.Definitions, o Options) []Resource {
	var out []Resource
	reverse := o.Search.RevIncludes()
	for _, name := range defs.ResourceTypes() {
		r := Resource{
			Type: name, Interactions: []string{"read", "vread", "search-type", "create"}, Read: "full-support",
			Includes: o.Search.Includes(name), RevIncludes: reverse[name], Params: o.Search.Offers(name),
		}
		if !slices.Contains(o.AppendOnly, name) {
			r.writable(o)
		}
		out = append(out, r)
	}
	return out
}

func (r *Resource) writable(o Options) {
	r.Interactions = append(r.Interactions, "update", "delete", "history-instance", "history-type")
	if o.Patch {
		r.Interactions = append(r.Interactions, "patch")
	}
	r.Writes, r.Delete = true, "single"
	if o.Multiple {
		r.Delete = "multiple"
	}
}
