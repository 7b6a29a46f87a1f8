// Package graphql answers queries over FHIR resources
// (https://hl7.org/fhir/R4/graphql.html, read only).
//
// The schema is R4 itself: fields are elements by their JSON names, Type,
// TypeList and TypeConnection read and search, resource follows a Reference,
// and TypeList(_reference: param) finds what refers to a resource. Lists take
// _offset, _count and the values of their children as arguments; @flatten,
// @first, @singleton and @slice shape the answer.
//
// Every resource comes through rest, so that policies and audit hold for each.
// A query that is wrong or too costly fails as a whole; a resource that cannot
// be read is null, with an entry in errors. There is no introspection, no
// mutation and no fhirpath argument.
package graphql

import (
	"context"
	"errors"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"

	"galen/fhir"
	"galen/fhir/rest"
)

// What one query may ask for.
const (
	maxTokens    = 15_000  // of its text
	maxDepth     = 30      // of its selections
	maxFields    = 200_000 // that are answered
	maxResources = 5_000   // that are read
)

// Engine executes queries. It is immutable and safe for concurrent use.
type Engine struct{ rest *rest.Service }

// New returns an Engine over a Service.
func New(service *rest.Service) *Engine { return &Engine{service} }

// Query is what a client asks.
type Query struct {
	Text      string
	Operation string         // the one to execute, "" if the text has only one
	Variables map[string]any // as encoding/json decodes them
}

// Execute answers a query on the system, or on one resource if key is not zero:
// {"data":…,"errors":…}. Errors: Malformed, Invalid, Value, NotSupported and
// TooCostly for the query, and those of rest.
func (e *Engine) Execute(ctx context.Context, c rest.Caller, q Query, key fhir.Key) ([]byte, error) {
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: q.Text}, maxTokens)
	if err != nil {
		return nil, syntaxError(err)
	}
	operation, err := pick(doc, q.Operation)
	if err != nil {
		return nil, err
	}
	r := &run{Engine: e, ctx: ctx, caller: c, fragments: doc.Fragments, read: map[fhir.Key]*resource{}}
	if r.variables, err = variables(operation, q.Variables); err != nil {
		return nil, err
	}
	at := scope{}
	if key != (fhir.Key{}) {
		res, err := r.resource(key)
		if err != nil {
			return nil, err
		}
		at = res.scope()
	}
	data, err := r.object(operation.SelectionSet, at)
	if err != nil {
		return nil, err
	}
	return r.answer(data), nil
}

const op = "graphql.Execute"

// syntaxError keeps the place of a mistake and not its text, which may hold a
// patient's values.
func syntaxError(err error) error {
	at := ""
	var g *gqlerror.Error
	if errors.As(err, &g) && len(g.Locations) > 0 {
		at = "line " + strconv.Itoa(g.Locations[0].Line) + ", column " + strconv.Itoa(g.Locations[0].Column)
	}
	return fhir.E(op, fhir.Malformed, at, "not a GraphQL query, or one that is too long")
}

func pick(doc *ast.QueryDocument, name string) (*ast.OperationDefinition, error) {
	operation := doc.Operations.ForName(name)
	switch {
	case operation == nil && name == "":
		return nil, fhir.E(op, fhir.Required, "operationName", "the query has several operations, or none")
	case operation == nil:
		return nil, fhir.E(op, fhir.Value, "operationName", "the query has no such operation")
	case operation.Operation != ast.Query:
		return nil, fhir.E(op, fhir.NotSupported, "", "only queries are answered: nothing can be changed or subscribed to here")
	}
	return operation, nil
}

// variables are the given ones with the defaults of the operation.
func variables(operation *ast.OperationDefinition, given map[string]any) (map[string]any, error) {
	all := map[string]any{}
	for _, v := range operation.VariableDefinitions {
		value, ok := given[v.Variable]
		if !ok && v.DefaultValue != nil {
			var err error
			if value, err = v.DefaultValue.Value(nil); err != nil {
				return nil, fhir.E(op, fhir.Value, v.Variable, "a default value that cannot be read")
			}
			ok = true
		}
		if v.Type.NonNull && value == nil {
			return nil, fhir.E(op, fhir.Required, v.Variable, "the variable needs a value")
		}
		if ok {
			all[v.Variable] = value
		}
	}
	return all, nil
}
