// Package coded holds the codes of a resource against what a terminology
// service knows: that a code system defines them, that they bear their
// displays, that bindings of R4 which list no codes of their own are kept, and
// that units are UCUM (https://hl7.org/fhir/R4/terminologies.html).
//
// A code that its system does not define, or that a required binding excludes,
// is an error; a wrong display, a wrong unit (HL7's own examples have tablets in
// UCUM) and a code outside an extensible binding are warnings. What cannot be decided here is said once for each code system and
// never counts against a resource. Findings name elements, never their values.
//
// It takes a resource of R4 for granted (fhir/validate) and knows no profiles
// (fhir/profile).
package coded

import (
	"context"
	"strconv"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/spec"
	"galen/fhir/terminology"
)

// Terminology decides on codes; terminology.Service does.
type Terminology interface {
	Contains(ctx context.Context, valueSet string, c terminology.Coding) (bool, error)
	Validate(ctx context.Context, in terminology.ValidateIn) (terminology.Verdict, error)
}

// Checker holds resources against a Terminology; without one it finds nothing. It
// is immutable and as safe for concurrent use as that is.
type Checker struct {
	Defs        *spec.Definitions
	Terminology Terminology
}

// maxIssues is how many findings are listed.
const maxIssues = 100

// Validate lists what is wrong with the codes of a resource, contained ones and
// entries of Bundles included. Kinds are CodeInvalid, and NotFound for what
// cannot be decided.
func (c Checker) Validate(ctx context.Context, r fhir.Resource) fhir.Issues {
	if c.Terminology == nil {
		return nil
	}
	w := walk{Checker: c, ctx: ctx, unknown: map[string]bool{}}
	w.object(r.Root(), r.Type, r.Type)
	return w.issues
}

// walk is one validation.
type walk struct {
	Checker
	ctx     context.Context
	unknown map[string]bool // code systems already named as unknown
	issues  fhir.Issues
}

func (w *walk) add(severity fhir.Severity, kind fhir.Kind, at, message string) {
	if len(w.issues) < maxIssues {
		w.issues = append(w.issues, fhir.Issue{Severity: severity, Kind: kind, At: at, Diagnostics: message})
	}
}

// object visits the members of a value, "_" twins of primitives included, since
// their extensions may hold codes.
func (w *walk) object(n jsontree.Node, typ, at string) {
	t, ok := w.Defs.Type(typ)
	if !ok || n.Kind() != jsontree.Object {
		return
	}
	for name, member := range n.Members() {
		plain, twin := strings.CutPrefix(name, "_")
		e, code, ok := t.Element(plain)
		if !ok {
			continue
		}
		if twin {
			code = "Element"
		}
		where, i := at+"."+plain, 0
		if member.Kind() != jsontree.Array {
			w.value(member, e, code, where)
			continue
		}
		for item := range member.Items() {
			w.value(item, e, code, where+"["+strconv.Itoa(i)+"]")
			i++
		}
	}
}

// value checks one value and goes on below it.
func (w *walk) value(n jsontree.Node, e *spec.Element, code, at string) {
	if kind := n.Get("resourceType").Text(); kind != "" {
		code = kind
	}
	switch code {
	case "Coding":
		w.defined(n, at)
		w.bound([]terminology.Coding{terminology.CodingOf(n)}, e, at)
	case "CodeableConcept":
		var all []terminology.Coding
		for coding := range n.Get("coding").Items() {
			all = append(all, terminology.CodingOf(coding))
		}
		w.bound(all, e, at)
	case "Quantity", "Age", "Duration", "Distance", "Count", "SimpleQuantity":
		w.unit(n, at)
	case "code":
		if n.Kind() == jsontree.String {
			w.bound([]terminology.Coding{{Code: n.Text()}}, e, at)
		}
	}
	w.object(n, code, at)
}

// defined: a code must be one of its own code system, under one of its displays.
func (w *walk) defined(n jsontree.Node, at string) {
	c := terminology.CodingOf(n)
	if c.System == "" || c.Code == "" {
		return
	}
	verdict, err := w.Terminology.Validate(w.ctx, terminology.ValidateIn{Codings: []terminology.Coding{c}, InSystem: true})
	switch {
	case err != nil:
		w.undecided(c.System, at)
	case verdict.Result:
	case verdict.Code != "" && c.Display != "" && w.withoutDisplay(c):
		w.add(fhir.Warning, fhir.CodeInvalid, at+".display", "is not a display of this code in its code system")
	default:
		w.add(fhir.SeverityError, fhir.CodeInvalid, at+".code", "the code system does not define this code")
	}
}

// withoutDisplay reports whether a code is defined, whatever it is called.
func (w *walk) withoutDisplay(c terminology.Coding) bool {
	c.Display = ""
	verdict, err := w.Terminology.Validate(w.ctx, terminology.ValidateIn{Codings: []terminology.Coding{c}, InSystem: true})
	return err == nil && verdict.Result
}

// unit: the coded unit of a quantity must be one of its system, most often UCUM.
// Its text is for people and may be anything.
func (w *walk) unit(n jsontree.Node, at string) {
	c := terminology.Coding{System: n.Get("system").Text(), Code: n.Get("code").Text()}
	if c.System == "" || c.Code == "" {
		return
	}
	verdict, err := w.Terminology.Validate(w.ctx, terminology.ValidateIn{Codings: []terminology.Coding{c}, InSystem: true})
	switch {
	case err != nil:
		w.undecided(c.System, at)
	case !verdict.Result:
		w.add(fhir.Warning, fhir.CodeInvalid, at+".code", "the system of the unit does not define this code")
	}
}

// formats are the short names that stand for MIME types where FHIR names its own
// formats (https://hl7.org/fhir/R4/capabilitystatement-definitions.html#CapabilityStatement.format).
var formats = map[string]bool{"xml": true, "json": true, "ttl": true}

const mimeTypes = "http://hl7.org/fhir/ValueSet/mimetypes"

// undecided says once that codes of a system cannot be checked.
func (w *walk) undecided(system, at string) {
	if !w.unknown[system] {
		w.unknown[system] = true
		w.add(fhir.Information, fhir.NotFound, at, "codes of this code system cannot be checked here: it is not known to this server")
	}
}

// bound holds codes against an extensible binding, and against a required one
// whose codes R4's tables do not list; those that they list are the business of
// fhir/validate. One code in the value set is enough; a concept without codes
// has only text, which may stand for what no code says.
func (w *walk) bound(codings []terminology.Coding, e *spec.Element, at string) {
	if e.Binding == nil || len(codings) == 0 {
		return
	}
	required := e.Binding.Strength == spec.Required
	if e.Binding.ValueSet == mimeTypes && formats[codings[0].Code] {
		return
	}
	if _, listed := w.Defs.Codes(e.Binding.ValueSet); listed && required {
		return
	}
	for _, c := range codings {
		if c.Code == "" {
			return
		}
		ok, err := w.Terminology.Contains(w.ctx, e.Binding.ValueSet, c)
		if ok || err != nil {
			return
		}
	}
	if required {
		w.add(fhir.SeverityError, fhir.CodeInvalid, at, "is not in the value set "+e.Binding.ValueSet+" that R4 requires here")
		return
	}
	w.add(fhir.Warning, fhir.CodeInvalid, at, "is not in the value set "+e.Binding.ValueSet+", whose codes are to be used if one fits")
}
