// Package prefetch is what a CDS service asks to be sent along and how it fills
// what was not: templates, their tokens, and the reading of each key of a call
// (https://cds-hooks.hl7.org/2.0/#prefetch-template).
//
// A key can be given, given as "no data" (null), answered with an
// OperationOutcome, or absent; only an absent one is fetched, from a Source.
//
// It does not know where a Source gets its data or what the data mean.
package prefetch

import (
	"net/url"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
)

// Template is one prefetch entry of a service: a FHIR read or search relative
// to the client's server, with tokens such as {{context.patientId}}.
type Template struct {
	Key      string
	Query    string
	Required bool // without it the call is refused with 412
}

// Tokens lists what stands between {{ and }}.
func (t Template) Tokens() []string {
	var out []string
	rest := t.Query
	for {
		_, after, found := strings.Cut(rest, "{{")
		if !found {
			return out
		}
		token, tail, _ := strings.Cut(after, "}}")
		out = append(out, strings.TrimSpace(token))
		rest = tail
	}
}

// Resolve puts the context's values in the place of the tokens, escaped for a
// URL. The error is of Kind Required and names the token.
func (t Template) Resolve(context jsontree.Node) (string, error) {
	out, rest := "", t.Query
	for {
		before, after, found := strings.Cut(rest, "{{")
		out += before
		if !found {
			return out, nil
		}
		token, tail, _ := strings.Cut(after, "}}")
		value := context.Get(strings.TrimPrefix(strings.TrimSpace(token), "context.")).Text()
		if value == "" {
			return "", fhir.E("prefetch.Resolve", fhir.Required, strings.TrimSpace(token), "the context lacks what prefetch "+t.Key+" needs")
		}
		out += url.QueryEscape(value)
		rest = tail
	}
}
