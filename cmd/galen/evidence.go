package main

import (
	"context"
	"slices"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/search"
	"galen/fhir/search/parse"
	"galen/hooks"
	"galen/hooks/prefetch"
	"galen/policies"
	"galen/store"
)

// localEvidence answers what a hook call left out from the own store. The call
// itself is what the policies permit and the audit records; what the patient
// withholds from the caller, and what labels protect, is left out.
type localEvidence struct {
	store  *store.Store
	parser *parse.Parser
	engine *policies.Engine
	caller *policies.Principal // nil for evidence that nobody asked for
}

var (
	_ hooks.Local    = localEvidence{}
	_ hooks.Personal = localEvidence{}
)

// For is the evidence that a caller may use.
func (l localEvidence) For(p policies.Principal) prefetch.Source {
	l.caller = &p
	return l
}

// protect is what limits the caller's use of a type, nil for nothing.
func (l localEvidence) protect(resourceType string) search.Expr {
	if l.caller == nil {
		return nil
	}
	return l.engine.Protect(*l.caller, resourceType)
}

// read reads one resource unless it is protected: then it is not there.
func (l localEvidence) read(ctx context.Context, key fhir.Key) ([]prefetch.Item, error) {
	filter := l.protect(key.Type)
	if filter == nil {
		rec, err := l.store.Read(ctx, key)
		if err != nil {
			return nil, err
		}
		return items(nil, rec)
	}
	q := &search.Query{Types: []string{key.Type}, Where: search.And(search.HasID{IDs: []string{key.ID}}, filter)}
	result, err := l.store.Search(ctx, store.SearchInput{Query: q, Count: 1})
	switch {
	case err != nil:
		return nil, err
	case len(result.Matches) == 0:
		return nil, fhir.E("evidence.read", fhir.NotFound, key.Type, "there is no such resource")
	}
	return items(nil, result.Matches...)
}

// readBatch is how many resources are read at once.
const readBatch = 200

// maxEvidence is how many resources one query may bring.
const maxEvidence = 2000

// Fetch reads one resource, or runs one search and reads its pages.
func (l localEvidence) Fetch(ctx context.Context, query string) ([]prefetch.Item, error) {
	path, criteria, isSearch := strings.Cut(query, "?")
	if !isSearch {
		return l.read(ctx, fhir.ParseReference(path).Key)
	}
	req, err := l.parser.Parse(path, criteria, parse.Strict)
	if err != nil {
		return nil, err
	}
	req.Where = search.And(req.Where, l.protect(path))
	var out []prefetch.Item
	in := store.SearchInput{Query: &req.Query, Count: readBatch}
	if req.HasCount {
		in.Count = max(req.Count, 1)
	}
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
	var current []store.Record
	for batch := range slices.Chunk(keys, readBatch) {
		records, err := l.store.ReadMany(ctx, batch...)
		if err != nil {
			return nil, err
		}
		current = append(current, records...)
	}
	for i, r := range resources {
		rec := current[i]
		if r.ID == "" || r.Version == 0 || rec.Version < r.Version || rec.Type != r.Type {
			continue
		}
		if rec.Version != r.Version {
			var err error
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
