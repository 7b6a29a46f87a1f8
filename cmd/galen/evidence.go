package main

import (
	"context"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/search/parse"
	"galen/hooks"
	"galen/hooks/prefetch"
	"galen/store"
)

// localEvidence answers what a hook call left out from the own store. The call
// itself is what the policies permit and the audit records.
type localEvidence struct {
	store  *store.Store
	parser *parse.Parser
}

var _ hooks.Sources = localEvidence{}

// Local is the Source for any caller.
func (l localEvidence) Local(hooks.Caller) prefetch.Source { return l }

// Fetch reads one resource or runs one search.
func (l localEvidence) Fetch(ctx context.Context, query string) ([]prefetch.Item, error) {
	path, criteria, isSearch := strings.Cut(query, "?")
	if !isSearch {
		ref := fhir.ParseReference(path)
		rec, err := l.store.Read(ctx, ref.Key)
		if err != nil {
			return nil, err
		}
		return items(rec)
	}
	req, err := l.parser.Parse(path, criteria, parse.Strict)
	if err != nil {
		return nil, err
	}
	result, err := l.store.Search(ctx, store.SearchInput{Query: &req.Query, Count: max(req.Count, 1)})
	if err != nil {
		return nil, err
	}
	return items(result.Matches...)
}

func items(records ...store.Record) ([]prefetch.Item, error) {
	out := make([]prefetch.Item, len(records))
	for i, rec := range records {
		r, err := fhir.Parse(rec.Body, jsontree.Limits{})
		if err != nil {
			return nil, err
		}
		out[i] = prefetch.Item{Resource: r, Citation: fhir.VersionedReference(rec.Key, rec.Version)}
	}
	return out, nil
}
