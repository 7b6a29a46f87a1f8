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

var _ hooks.Local = localEvidence{}

// maxEvidence is how many resources one query may bring.
const maxEvidence = 2000

// Fetch reads one resource, or runs one search and reads its pages.
func (l localEvidence) Fetch(ctx context.Context, query string) ([]prefetch.Item, error) {
	path, criteria, isSearch := strings.Cut(query, "?")
	if !isSearch {
		ref := fhir.ParseReference(path)
		rec, err := l.store.Read(ctx, ref.Key)
		if err != nil {
			return nil, err
		}
		return items(nil, rec)
	}
	req, err := l.parser.Parse(path, criteria, parse.Strict)
	if err != nil {
		return nil, err
	}
	var out []prefetch.Item
	in := store.SearchInput{Query: &req.Query, Count: max(req.Count, 1)}
	for len(out) < maxEvidence {
		result, err := l.store.Search(ctx, in)
		if err != nil {
			return nil, err
		}
		if out, err = items(out, result.Matches...); err != nil || result.Next == "" {
			return out, err
		}
		in.After = result.Next
	}
	return out, nil
}

// Holds looks for the very version of each resource, with the same content.
func (l localEvidence) Holds(ctx context.Context, resources []fhir.Resource) ([]bool, error) {
	keys := make([]fhir.Key, len(resources))
	for i, r := range resources {
		keys[i] = r.Key
	}
	out := make([]bool, len(resources))
	current, err := l.store.ReadMany(ctx, keys...)
	if err != nil {
		return nil, err
	}
	for i, r := range resources {
		rec := current[i]
		if r.ID == "" || r.Version == 0 || rec.Version < r.Version || rec.Type != r.Type {
			continue
		}
		if rec.Version != r.Version {
			if rec, err = l.store.ReadVersion(ctx, r.Key, r.Version); err != nil {
				continue // deleted at that version: it is not held
			}
		}
		own, err := fhir.Parse(rec.Body, jsontree.Limits{})
		out[i] = err == nil && jsontree.Equal(own.Root(), r.Root())
	}
	return out, nil
}

func items(out []prefetch.Item, records ...store.Record) ([]prefetch.Item, error) {
	for _, rec := range records {
		r, err := fhir.Parse(rec.Body, jsontree.Limits{})
		if err != nil {
			return nil, err
		}
		out = append(out, prefetch.Item{Resource: r, Citation: fhir.VersionedReference(rec.Key, rec.Version)})
	}
	return out, nil
}
