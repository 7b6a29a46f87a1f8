package capability

import (
	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/spec"
)

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
	w.raw(`,"rest":[{"mode":"server"`)
	w.member("documentation", s.Notes)
	w.security(s.SMART)
	w.raw(`,"resource":[`)
	for i, r := range s.Resources {
		if i > 0 {
			w.raw(",")
		}
		w.resource(r)
	}
	w.raw(`]`)
	w.codes("interaction", s.Interactions)
	w.params(s.Params)
	w.operations(s.Operations)
	w.raw(`}]}`)
	return w.out
}

// security says that tokens are needed, and where SMART apps get them.
func (w *writer) security(s SMART) {
	w.raw(`,"security":{`)
	sep := `"extension":[{"url":"http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris","extension":[`
	for _, e := range []struct{ name, url string }{
		{"authorize", s.Authorize},
		{"token", s.Token},
		{"register", s.Register},
		{"manage", s.Manage},
		{"introspect", s.Introspect},
		{"revoke", s.Revoke},
	} {
		if e.url == "" {
			continue
		}
		w.raw(sep + `{"url":"` + e.name + `","valueUri":`)
		w.text(e.url)
		w.raw("}")
		sep = ","
	}
	if sep == "," {
		w.raw(`]}],`)
	}
	w.raw(`"cors":false`)
	if s != (SMART{}) {
		w.raw(`,"service":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/restful-security-service","code":"SMART-on-FHIR"}]}]`)
	}
	w.member("description", "Bearer tokens; roles, SMART scopes and the patient compartment decide.")
	w.raw("}")
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
	w.list("searchRevInclude", r.RevIncludes)
	w.params(r.Params)
	w.operations(r.Operations)
	w.raw("}")
}

func (w *writer) params(list []*spec.SearchParam) {
	sep := `,"searchParam":[{"name":`
	for _, p := range list {
		w.raw(sep)
		w.text(p.Code)
		w.member("definition", p.URL)
		w.member("type", p.Type.String())
		w.raw("}")
		sep = `,{"name":`
	}
	if len(list) > 0 {
		w.raw("]")
	}
}

func (w *writer) operations(list []Operation) {
	sep := `,"operation":[{"name":`
	for _, o := range list {
		w.raw(sep)
		w.text(o.Name)
		w.member("definition", o.URL)
		w.raw("}")
		sep = `,{"name":`
	}
	if len(list) > 0 {
		w.raw("]")
	}
}
