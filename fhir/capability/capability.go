// Package capability writes the CapabilityStatement of a server
// (https://hl7.org/fhir/R4/capabilitystatement.html) from what the server says
// of itself. It adds nothing: what is not in a Statement is not declared.
package capability

import (
	"slices"
	"time"

	"galen/fhir"
	"galen/fhir/jsontree"
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
}

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
	Params       []*spec.SearchParam
}

// Options are what varies between servers.
type Options struct {
	Patch    bool // resources can be patched
	Multiple bool // a conditional delete may remove several
	// AppendOnly are the types that are created and never changed.
	AppendOnly []string
}

// Resources declares every type of R4 alike.
func Resources(defs *spec.Definitions, o Options) []Resource {
	var out []Resource
	for _, name := range defs.ResourceTypes() {
		r := Resource{
			Type: name, Interactions: []string{"read", "vread", "search-type", "create"}, Read: "full-support", Includes: []string{"*"},
		}
		for _, p := range defs.Params(name) {
			if p.Expression != "" && p.Type != spec.Special {
				r.Params = append(r.Params, p)
			}
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

// JSON is the CapabilityStatement.
func (s Statement) JSON() []byte {
	w := writer{out: make([]byte, 0, 256<<10)}
	w.raw(`{"resourceType":"CapabilityStatement","status":"active","date":"` + fhir.FormatInstant(s.Date))
	w.raw(`","publisher":"Galen","kind":"instance","software":{"name":"Galen","version":`)
	w.text(s.Version)
	w.raw(`},"implementation":{"description":"Galen","url":`)
	w.text(s.URL)
	w.raw(`},"fhirVersion":"4.0.1"`)
	w.list("format", s.Formats)
	w.list("patchFormat", s.Patches)
	w.raw(`,"rest":[{"mode":"server","security":{"cors":false,"description":"Bearer tokens; roles, SMART scopes and the patient compartment decide."},"resource":[`)
	for i, r := range s.Resources {
		if i > 0 {
			w.raw(",")
		}
		w.resource(r)
	}
	w.raw(`]`)
	w.codes("interaction", s.Interactions)
	w.raw(`}]}`)
	return w.out
}

// writer appends JSON.
type writer struct{ out []byte }

func (w *writer) raw(s string)  { w.out = append(w.out, s...) }
func (w *writer) text(s string) { w.out = jsontree.AppendString(w.out, s) }

// member writes a string member that is not the first, unless it is empty.
func (w *writer) member(name, value string) {
	if value != "" {
		w.raw(`,"` + name + `":`)
		w.text(value)
	}
}

// list writes a member with strings, unless there are none.
func (w *writer) list(name string, values []string) {
	sep := `,"` + name + `":[`
	for _, v := range values {
		w.raw(sep)
		w.text(v)
		sep = ","
	}
	if len(values) > 0 {
		w.raw("]")
	}
}

// codes writes a member with objects that have a code.
func (w *writer) codes(name string, codes []string) {
	sep := `,"` + name + `":[{"code":`
	for _, code := range codes {
		w.raw(sep)
		w.text(code)
		w.raw("}")
		sep = `,{"code":`
	}
	if len(codes) > 0 {
		w.raw("]")
	}
}

func (w *writer) resource(r Resource) {
	w.raw(`{"type":`)
	w.text(r.Type)
	w.codes("interaction", r.Interactions)
	w.raw(`,"versioning":"versioned","readHistory":true`) // old versions can be read (vread)
	if r.Writes {
		w.raw(`,"updateCreate":true,"conditionalCreate":true,"conditionalUpdate":true`)
	}
	w.member("conditionalRead", r.Read)
	w.member("conditionalDelete", r.Delete)
	w.list("searchInclude", r.Includes)
	sep := `,"searchParam":[{"name":`
	for _, p := range r.Params {
		w.raw(sep)
		w.text(p.Code)
		w.member("definition", p.URL)
		w.member("type", p.Type.String())
		w.raw("}")
		sep = `,{"name":`
	}
	if len(r.Params) > 0 {
		w.raw("]")
	}
	w.raw("}")
}
