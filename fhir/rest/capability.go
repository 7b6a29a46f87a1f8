package rest

import (
	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/spec"
)

// interactions of every resource type and of the system
// (https://hl7.org/fhir/R4/valueset-type-restful-interaction.html).
var (
	readOnly   = []string{"read", "vread", "search-type"}
	everything = []string{"read", "vread", "update", "delete", "history-instance", "history-type", "create", "search-type"}
	system     = []string{"transaction", "batch", "search-system", "history-system"}
)

// Capabilities is the CapabilityStatement (https://hl7.org/fhir/R4/capabilitystatement.html),
// made of the tables that the parser and this package use.
func (s *Service) Capabilities(base string) []byte {
	out := []byte(`{"resourceType":"CapabilityStatement","status":"active","date":"`)
	out = append(out, fhir.FormatInstant(s.Started)...)
	out = append(out, `","publisher":"Galen","kind":"instance","software":{"name":"Galen","version":`...)
	out = jsontree.AppendString(out, s.Version)
	out = append(out, `},"implementation":{"description":"Galen","url":`...)
	out = jsontree.AppendString(out, base)
	out = append(out, `},"fhirVersion":"4.0.1","format":["application/fhir+json","json"],"rest":[{"mode":"server",`...)
	out = append(out, `"security":{"cors":false,"description":"Bearer tokens; roles, SMART scopes and the patient compartment decide."},"resource":[`...)
	for i, name := range s.Defs.ResourceTypes() {
		if i > 0 {
			out = append(out, ',')
		}
		out = s.appendResource(out, name)
	}
	out = append(out, `],"interaction":`...)
	return append(appendCodes(out, system), `}]}`...)
}

func (s *Service) appendResource(out []byte, name string) []byte {
	out = append(append(append(out, `{"type":"`...), name...), `","interaction":`...)
	if name == auditType {
		out = appendCodes(out, readOnly)
	} else {
		out = appendCodes(out, everything)
		out = append(out, `,"updateCreate":true,"conditionalCreate":true`...)
	}
	out = append(out, `,"versioning":"versioned","readHistory":true,"searchInclude":["*"],"searchParam":[`...)
	first := true
	for _, p := range s.Defs.Params(name) {
		if p.Expression == "" || p.Type == spec.Special {
			continue
		}
		if !first {
			out = append(out, ',')
		}
		first = false
		out = append(append(append(out, `{"name":"`...), p.Code...), `","definition":"`...)
		out = append(append(append(out, p.URL...), `","type":"`...), p.Type.String()...)
		out = append(out, `"}`...)
	}
	return append(out, `]}`...)
}

func appendCodes(out []byte, codes []string) []byte {
	for i, code := range codes {
		sep := `,{"code":"`
		if i == 0 {
			sep = `[{"code":"`
		}
		out = append(append(append(out, sep...), code...), `"}`...)
	}
	return append(out, ']')
}
