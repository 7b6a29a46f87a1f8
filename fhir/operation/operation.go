// Package operation performs the FHIR operations that Galen offers
// (https://hl7.org/fhir/R4/operations.html), on top of fhir/rest.
//
// One table says for each operation its name, where it can be called, whether it
// changes anything and what parameters it takes; the router and the
// CapabilityStatement read that table, so neither can drift. Everything an
// operation reads or writes goes through rest: policies decide, what is hidden
// looks absent, and the record names the operation.
//
// Parameters come from the URL or from a Parameters resource and mean the same
// (https://hl7.org/fhir/R4/operations.html#request); one that an operation does
// not have is refused.
package operation

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"galen/fhir"
	"galen/fhir/rest"
)

// Param is an input parameter.
type Param struct {
	Name    string
	Type    string // of the value: "string", "Meta"; "Resource" for any resource
	Repeats bool
}

// Definition is one operation.
type Definition struct {
	Name   string // without "$"
	URL    string // canonical of its OperationDefinition
	Types  []string
	Params []Param

	// Where it can be called: [base]/$name, [base]/[type]/$name,
	// [base]/[type]/[id]/$name. Types are the resource types of the last two; none
	// means every type.
	System, Type, Instance bool
	// Changes says that it changes something, so that only POST will do.
	Changes bool
	// Searches says that all further parameters are those of a search.
	Searches bool
	// Raw says that its body is not a resource but whatever it reads itself.
	Raw bool

	handle func(*Set, context.Context, *call) (Result, error)
}

// On reports whether the operation can be called on a resource type ("" for the
// system), with an id or without.
func (d *Definition) On(resourceType, id string) bool {
	if resourceType == "" {
		return d.System
	}
	if len(d.Types) > 0 && !slices.Contains(d.Types, resourceType) {
		return false
	}
	return id == "" && d.Type || id != "" && d.Instance
}

// Request is a call of an operation as it came.
type Request struct {
	rest.Caller
	Name     string // without "$"
	Type, ID string // "" where there is none
	Method   string // of HTTP
	Query    string // raw, of the URL
	// Body is FHIR JSON, or for a Raw operation anything, of ContentType.
	Body        []byte
	ContentType string // without parameters
}

// Result is the answer: a resource as FHIR JSON, or something else of Kind.
type Result struct {
	Status int    // 0 means 200
	Kind   string // Content-Type; "" for a resource
	Body   []byte
	Header http.Header // nil for none
}

// Set is the operations of a server. It is immutable and safe for concurrent
// use.
type Set struct {
	rest      *rest.Service
	knowledge Knowledge
	list      []Definition
}

// New returns the operations over a Service.
func New(service *rest.Service, k Knowledge) *Set {
	list := definitions()
	if k.Terminology != nil {
		list = append(list, terminologyDefinitions()...)
	}
	for _, x := range k.Extensions {
		list = append(list, x.definition())
	}
	if k.Validator == nil {
		k.Validator = service.Validator
	}
	slices.SortStableFunc(list, func(a, b Definition) int { return strings.Compare(a.Name, b.Name) })
	return &Set{rest: service, knowledge: k, list: list}
}

// Definitions are the operations, sorted by name; not to be changed.
func (s *Set) Definitions() []Definition { return s.list }

// Invoke performs an operation. Errors: NotFound for an operation or a resource
// type that is not there, MethodUnknown for a GET that would change something,
// those of rest, and for parameters Invalid, Required, Value and NotSupported.
func (s *Set) Invoke(ctx context.Context, r Request) (Result, error) {
	const op = "operation.Invoke"
	if r.Type != "" && !s.rest.Defs.IsResource(r.Type) {
		return Result{}, fhir.E(op, fhir.NotFound, "", "there is no such resource type in FHIR R4")
	}
	i := slices.IndexFunc(s.list, func(d Definition) bool { return d.Name == r.Name && d.On(r.Type, r.ID) })
	if i < 0 {
		return Result{}, fhir.E(op, fhir.NotFound, "", "there is no such operation here")
	}
	d := &s.list[i]
	if d.Changes && r.Method != http.MethodPost {
		return Result{}, fhir.E(op, fhir.MethodUnknown, "", "an operation that changes something takes POST")
	}
	r.Operation = "$" + d.Name
	c := &call{Request: r, def: d}
	if err := c.read(); err != nil {
		return Result{}, err
	}
	return d.handle(s, ctx, c)
}

func (r *Request) key() fhir.Key { return fhir.Key{Type: r.Type, ID: r.ID} }

// definitions is the table.
func definitions() []Definition {
	const (
		r4  = "http://hl7.org/fhir/OperationDefinition/"
		own = "http://galen.health/fhir/OperationDefinition/"
	)
	meta := []Param{{"meta", "Meta", false}}
	window := []Param{{"start", "date", false}, {"end", "date", false}}
	pages := []Param{{"_since", "instant", false}, {"_type", "code", true}, {"_count", "integer", false}, {rest.PageParam, "string", false}}
	return []Definition{
		{
			Name: "diff", URL: own + "diff", System: true, Params: []Param{{"from", "uri", false}, {"to", "uri", false}, {"includeMeta", "boolean", false}},
			handle: (*Set).diff,
		},
		{
			Name: "diff", URL: own + "diff", Instance: true,
			Params: []Param{{"fromVersion", "id", false}, {"toVersion", "id", false}, {"includeMeta", "boolean", false}}, handle: (*Set).diff,
		},
		{
			Name: "document", URL: r4 + "Composition-document", Types: []string{"Composition"}, Instance: true,
			Params: []Param{{"persist", "boolean", false}}, handle: (*Set).document,
		},
		{
			Name: "everything", URL: r4 + "Encounter-everything", Types: []string{"Encounter"}, Instance: true,
			Params: pages, handle: (*Set).everything,
		},
		{
			Name: "everything", URL: r4 + "Patient-everything", Types: []string{"Patient"}, Instance: true,
			Params: append(window, pages...), handle: (*Set).everything,
		},
		{
			Name: "graphql", URL: r4 + "Resource-graphql", System: true, Instance: true, Raw: true,
			Params: []Param{{"query", "string", false}, {"operationName", "string", false}, {"variables", "string", false}}, handle: (*Set).graphql,
		},
		{
			Name: "lastn", URL: r4 + "Observation-lastn", Types: []string{"Observation"}, Type: true,
			Params: []Param{{"max", "positiveInt", false}}, Searches: true, handle: (*Set).lastn,
		},
		{Name: "meta", URL: r4 + "Resource-meta", System: true, Type: true, Instance: true, handle: (*Set).meta},
		{Name: "meta-add", URL: r4 + "Resource-meta-add", Instance: true, Changes: true, Params: meta, handle: (*Set).metaAdd},
		{Name: "meta-delete", URL: r4 + "Resource-meta-delete", Instance: true, Changes: true, Params: meta, handle: (*Set).metaDelete},
		{
			Name: "validate", URL: r4 + "Resource-validate", Type: true, Instance: true,
			Params: []Param{{"resource", "Resource", false}, {"mode", "code", false}, {"profile", "uri", false}}, handle: (*Set).validate,
		},
	}
}
