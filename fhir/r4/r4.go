// Package r4 writes the resources that Galen authors itself: OperationOutcome,
// RiskAssessment, Provenance and Device of FHIR R4 (https://hl7.org/fhir/R4/).
//
// It is the only importer of samply's generated structs and shows none of them:
// callers fill plain structs that hold just what Galen says. The structs are
// for writing only. They lose contained resources and primitive extensions in a
// round trip, so nothing that a client sent ever goes through them.
package r4

import (
	"encoding/json"
	"time"

	samply "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"galen/fhir"
	"galen/fhir/jsontree"
)

// Coding is a code in a code system.
type Coding struct{ System, Code, Display string }

// Concept is a CodeableConcept; the zero Concept is none.
type Concept struct {
	Codings []Coding
	Text    string
}

// Identifier is a business identifier.
type Identifier struct{ System, Value string }

// Period is a span of time; a zero end is open.
type Period struct{ Start, End time.Time }

// Code systems and codes that several resources use.
var (
	// AIAST marks content that an artificial intelligence asserted
	// (https://terminology.hl7.org/CodeSystem-v3-ObservationValue.html).
	AIAST = Coding{"http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "AIAST", "Artificial Intelligence asserted"}
)

// ExtensionBase is where Galen's own extensions are named; docs/design.md says
// what each means.
const ExtensionBase = "http://galen.health/fhir/StructureDefinition/"

// OperationOutcome writes the issues (https://hl7.org/fhir/R4/operationoutcome.html),
// by hand, for every error of a busy server comes through here. No issues at all
// make one that says so, as the element is required.
func OperationOutcome(issues fhir.Issues) []byte {
	if len(issues) == 0 {
		issues = fhir.Issues{{Severity: fhir.Information, Diagnostics: "no issues"}}
	}
	out := append(make([]byte, 0, 256), `{"resourceType":"OperationOutcome","issue":[`...)
	for i, issue := range issues {
		if i > 0 {
			out = append(out, ',')
		}
		code := issue.Kind.Code()
		if issue.Severity == fhir.Information {
			code = "informational"
		}
		out = append(append(append(out, `{"severity":"`...), issue.Severity.String()...), `","code":"`...)
		out = append(append(out, code...), '"')
		if issue.Diagnostics != "" {
			out = jsontree.AppendString(append(out, `,"diagnostics":`...), issue.Diagnostics)
		}
		if issue.At != "" {
			out = append(jsontree.AppendString(append(out, `,"expression":[`...), issue.At), ']')
		}
		out = append(out, '}')
	}
	return append(out, `]}`...)
}

func marshal(op string, v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, &fhir.Error{Op: op, Err: err}
	}
	return b, nil
}

// opt is nil for an empty string: FHIR has no empty values.
func opt(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func moment(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return opt(fhir.FormatInstant(t))
}

func number(text string) *json.Number {
	if text == "" {
		return nil
	}
	n := json.Number(text)
	return &n
}

func coding(c Coding) samply.Coding {
	return samply.Coding{System: opt(c.System), Code: opt(c.Code), Display: opt(c.Display)}
}

func codings(list []Coding) []samply.Coding {
	var out []samply.Coding
	for _, c := range list {
		out = append(out, coding(c))
	}
	return out
}

func concept(c Concept) *samply.CodeableConcept {
	if len(c.Codings) == 0 && c.Text == "" {
		return nil
	}
	return &samply.CodeableConcept{Coding: codings(c.Codings), Text: opt(c.Text)}
}

func concepts(list []Concept) []samply.CodeableConcept {
	var out []samply.CodeableConcept
	for _, c := range list {
		if v := concept(c); v != nil {
			out = append(out, *v)
		}
	}
	return out
}

func reference(text string) samply.Reference { return samply.Reference{Reference: opt(text)} }

func optReference(text string) *samply.Reference {
	if text == "" {
		return nil
	}
	r := reference(text)
	return &r
}

func references(list []string) []samply.Reference {
	var out []samply.Reference
	for _, text := range list {
		out = append(out, reference(text))
	}
	return out
}

func identifiers(list []Identifier) []samply.Identifier {
	var out []samply.Identifier
	for _, i := range list {
		out = append(out, samply.Identifier{System: opt(i.System), Value: opt(i.Value)})
	}
	return out
}

func notes(texts []string) []samply.Annotation {
	var out []samply.Annotation
	for _, t := range texts {
		out = append(out, samply.Annotation{Text: t})
	}
	return out
}

func security(labels []Coding) *samply.Meta {
	if len(labels) == 0 {
		return nil
	}
	return &samply.Meta{Security: codings(labels)}
}
