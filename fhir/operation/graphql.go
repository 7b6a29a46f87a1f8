package operation

import (
	"bytes"
	"context"
	"encoding/json"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/operation/graphql"
)

// graphql answers $graphql (https://hl7.org/fhir/R4/graphql.html): the query
// stands in the URL, is the body (application/graphql), or is in JSON beside its
// variables.
func (s *Set) graphql(ctx context.Context, c *call) (Result, error) {
	q := graphql.Query{Text: c.text("query"), Operation: c.text("operationName")}
	var err error
	if text := c.text("variables"); text != "" {
		if q.Variables, err = variables([]byte(text)); err != nil {
			return Result{}, err
		}
	}
	if len(c.Body) > 0 {
		if q, err = posted(c); err != nil {
			return Result{}, err
		}
	}
	if q.Text == "" {
		return Result{}, fhir.E("operation.graphql", fhir.Required, "query", "a query is needed")
	}
	body, err := graphql.New(s.rest).Execute(ctx, c.Caller, q, c.key())
	return Result{Kind: "application/json; charset=utf-8", Body: body}, err
}

// posted reads a query from a body.
func posted(c *call) (graphql.Query, error) {
	const op = "operation.graphql"
	switch c.ContentType {
	case "application/graphql":
		return graphql.Query{Text: string(c.Body)}, nil
	case "application/json", "application/fhir+json", "application/graphql+json":
	default:
		return graphql.Query{}, fhir.E(op, fhir.MediaUnknown, "Content-Type", "a query is application/graphql or application/json")
	}
	doc, err := jsontree.Parse(c.Body, jsontree.Limits{})
	if err != nil {
		return graphql.Query{}, fhir.E(op, fhir.Malformed, "", "the body is not JSON")
	}
	root := doc.Root()
	q := graphql.Query{Text: root.Get("query").Text(), Operation: root.Get("operationName").Text()}
	for p := range root.Get("parameter").Items() { // of a Parameters resource
		if p.Get("name").Text() == "query" {
			q.Text = p.Get("valueString").Text()
		}
	}
	if v := root.Get("variables"); v.Kind() == jsontree.Object {
		q.Variables, err = variables(v.Raw())
	}
	return q, err
}

// variables decodes a JSON object, numbers as their text.
func variables(raw []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		return nil, fhir.E("operation.graphql", fhir.Malformed, "variables", "a JSON object is needed")
	}
	return v, nil
}
