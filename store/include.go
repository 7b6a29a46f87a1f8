package store

import (
	"context"
	"maps"
	"slices"

	"galen/fhir"
	"galen/fhir/search"
)

// walk follows _include and _revinclude from one page of matches
// (https://hl7.org/fhir/R4/search.html#include). References come from indexing
// the bodies again, which costs microseconds each and keeps drivers ignorant of
// them. Every round asks the driver once per target type for what is included,
// and once per _revinclude; the rounds end when one brings nothing new, so a
// cycle ends too.
type walk struct {
	store     *Store
	in        SearchInput
	seen      map[fhir.Key]bool // all of records, and what was asked for in vain
	matches   int               // the first so many of records are the page's matches
	records   []Record
	truncated bool
}

func newWalk(s *Store, in SearchInput, matches []Record) *walk {
	w := &walk{store: s, in: in, seen: make(map[fhir.Key]bool, 2*len(matches)), matches: len(matches)}
	for _, r := range matches {
		w.seen[r.Key] = true
	}
	w.records = append(w.records, matches...)
	return w
}

func (w *walk) run(ctx context.Context) error {
	for start, again := 0, false; start < len(w.records); again = true {
		sources := w.records[start:]
		start = len(w.records)
		if err := w.forward(ctx, sources, again); err != nil {
			return err
		}
		if err := w.backward(ctx, sources, again); err != nil {
			return err
		}
	}
	return nil
}

// forward collects what the sources refer to and reads it type by type.
func (w *walk) forward(ctx context.Context, sources []Record, again bool) error {
	if !slices.ContainsFunc(w.in.Include, func(i search.Include) bool { return i.Iterate || !again }) {
		return nil
	}
	wanted := make(map[string][]fhir.Key)
	for _, r := range sources {
		resource, err := fhir.Parse(r.Body, w.store.opts.Limits)
		if err != nil {
			return &fhir.Error{Op: "store.Search", Err: err}
		}
		entries, err := w.store.opts.Indexer.Index(resource)
		if err != nil {
			return err
		}
		for _, e := range entries {
			ref, ok := e.Value.(search.Reference)
			if ok && ref.ID != "" && !w.seen[ref.Key] && w.asked(r.Type, e.Param, ref.Type, again) {
				w.seen[ref.Key] = true
				wanted[ref.Type] = append(wanted[ref.Type], ref.Key)
			}
		}
	}
	for _, typ := range slices.Sorted(maps.Keys(wanted)) {
		if err := w.read(ctx, typ, wanted[typ]); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) asked(source, param, target string, again bool) bool {
	return slices.ContainsFunc(w.in.Include, func(i search.Include) bool {
		return (i.Iterate || !again) && (i.Source == "" || i.Source == source) &&
			(i.Param == "*" || i.Param == param) && (i.Target == "" || i.Target == target)
	})
}

// read includes the resources of one type that exist and may be seen.
func (w *walk) read(ctx context.Context, typ string, keys []fhir.Key) error {
	where, ok := w.visible(typ)
	if !ok {
		return nil
	}
	var records []Record
	var err error
	if where == nil {
		records, err = w.store.driver.Read(ctx, keys...)
	} else {
		ids := make([]string, len(keys))
		for i, k := range keys {
			ids[i] = k.ID
		}
		q := &search.Query{Types: []string{typ}, Where: search.All{search.HasID{IDs: ids}, where}}
		var page Page
		page, err = w.store.driver.Search(ctx, Select{Query: q, Limit: len(keys)})
		records = page.Records
	}
	w.add(records)
	return err
}

// backward searches for what refers to the sources.
func (w *walk) backward(ctx context.Context, sources []Record, again bool) error {
	for _, i := range w.in.RevInclude {
		if again && !i.Iterate {
			continue
		}
		params, where, err := w.referring(i)
		if err != nil {
			return err
		}
		var targets []search.Test
		for _, r := range sources {
			if i.Target == "" || i.Target == r.Type {
				targets = append(targets, search.ReferenceTest{Key: r.Key})
			}
		}
		if len(targets) == 0 || len(params) == 0 {
			continue
		}
		refers := make(search.Any, len(params))
		for n, p := range params {
			refers[n] = search.Where{Param: p, Any: targets}
		}
		if err := w.find(ctx, i.Source, search.And(refers, where)); err != nil {
			return err
		}
	}
	return nil
}

// referring are the parameters that a _revinclude follows, and what may be seen
// of the types that have them; none if nothing may be.
func (w *walk) referring(i search.Include) (params []string, where search.Expr, err error) {
	if i.Source != "" {
		where, ok := w.visible(i.Source)
		switch {
		case !ok:
			return nil, nil, nil
		case i.Param != "*":
			return []string{i.Param}, where, nil
		case w.store.opts.ReferenceParams != nil:
			return w.store.opts.ReferenceParams(i.Source), where, nil
		}
	}
	if w.store.opts.ReferenceParams == nil || len(w.store.opts.Types) == 0 {
		return nil, nil, fhir.E("store.Search", fhir.NotSupported, "_revinclude", "a wildcard is not supported here")
	}
	var ways search.Any
	var free []string
	known := map[string]bool{}
	for _, t := range w.store.opts.Types {
		where, ok := w.visible(t)
		switch {
		case !ok:
			continue
		case where == nil:
			free = append(free, t)
		default:
			ways = append(ways, search.All{search.HasType{Types: []string{t}}, where})
		}
		for _, p := range w.store.opts.ReferenceParams(t) {
			known[p] = true
		}
	}
	if len(ways) > 0 || len(free) < len(w.store.opts.Types) {
		where = append(ways, search.HasType{Types: free})
	}
	return slices.Sorted(maps.Keys(known)), where, nil
}

// find includes what a condition finds, as far as there is room.
func (w *walk) find(ctx context.Context, source string, where search.Expr) error {
	q := &search.Query{Where: where}
	if source != "" {
		q.Types = []string{source}
	}
	limit := w.store.opts.MaxIncludes + len(w.seen) // what was seen may come again
	page, err := w.store.driver.Search(ctx, Select{Query: q, Limit: limit})
	if err != nil {
		return err
	}
	fresh := slices.DeleteFunc(page.Records, func(r Record) bool { return w.seen[r.Key] })
	for _, r := range fresh {
		w.seen[r.Key] = true
	}
	w.truncated = w.truncated || page.Next != nil
	w.add(fresh)
	return nil
}

func (w *walk) visible(typ string) (search.Expr, bool) {
	if w.in.Visible == nil {
		return nil, true
	}
	return w.in.Visible(typ)
}

func (w *walk) add(records []Record) {
	for _, r := range records {
		if !r.Exists() || r.Deleted {
			continue
		}
		if len(w.records)-w.matches >= w.store.opts.MaxIncludes {
			w.truncated = true
			return
		}
		w.records = append(w.records, r)
	}
}
