// Package custom makes stored SearchParameters work
// (https://hl7.org/fhir/R4/searchparameter.html): it reads them, holds them
// against what there is, and tells the parser and the indexer as soon as a commit
// that writes one is durable.
//
// Promises: every resource written from then on is indexed by the parameter; it
// is searched by only when every resource is, and until then a search that names
// it is refused, so that none gives a part of the answer. Each entry set bears
// the marks of what it was made by, so that what is left to do is a search, and
// survives everything.
//
// It reindexes nothing; fhir/upkeep does. It sees the writes of one process.
package custom

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/search"
	"galen/fhir/search/index"
	"galen/fhir/search/parse"
	"galen/fhir/spec"
	"galen/store"
)

const paramType = "SearchParameter"

// Options are what a Registry needs; all but Packaged are required.
type Options struct {
	Defs     *spec.Definitions // R4's
	Engine   *path.Engine
	Indexer  *index.Indexer
	Parser   *parse.Parser
	Path     string          // of the file with the marks of what is indexed
	Packaged []fhir.Resource // SearchParameters beside the stored ones, which go first
}

// Registry is the search parameters of a server. It is safe for concurrent use.
type Registry struct {
	opts   Options
	driver store.Driver // the plain one

	gate    sync.RWMutex // held for reading by every commit, for writing where the parameters change
	stored  map[string]Definition
	indexed map[string]bool // by mark
	times   map[string]int  // how often a mark became one that is not indexed, in this process
	defs    atomic.Pointer[spec.Definitions]
}

// Open reads the parameters that a driver holds. The store must be built on
// Driver.
func Open(ctx context.Context, o Options, driver store.Driver) (*Registry, error) {
	r := &Registry{opts: o, driver: driver, stored: map[string]Definition{}, indexed: map[string]bool{}, times: map[string]int{}}
	r.defs.Store(o.Defs)
	if err := r.load(ctx); err != nil {
		return nil, err
	}
	if err := r.readMarks(); err != nil {
		return nil, err
	}
	next := r.combined(r.stored)
	if err := r.use(next); err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, settleTime) // for all: a start does not wait for many
	defer cancel()
	for mark := range marks(next) {
		if r.indexed[mark] {
			continue
		}
		if err := r.Settle(limited, mark); err != nil && limited.Err() == nil {
			return nil, err
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, &fhir.Error{Op: "custom.Open", Kind: fhir.Timeout, Err: err}
	}
	return r, r.writeMarks()
}

// load reads the stored parameters. One that would be refused today is passed
// over.
func (r *Registry) load(ctx context.Context) error {
	ask := store.Select{Query: &search.Query{Types: []string{paramType}}, Limit: 500}
	for {
		page, err := r.driver.Search(ctx, ask)
		if err != nil {
			return err
		}
		for _, rec := range page.Records {
			resource, err := fhir.Parse(rec.Body, jsontree.Limits{})
			if err != nil {
				continue
			}
			if d, ok, _ := Read(r.combined(r.stored), r.opts.Engine, resource); ok && r.clash(d, rec.ID, r.stored) == "" {
				r.stored[rec.ID] = d
			}
		}
		if ask.After = page.Next; ask.After == nil {
			return nil
		}
	}
}

// clash names a resource type on which another stored parameter has the code.
func (r *Registry) clash(d Definition, id string, stored map[string]Definition) string {
	for other, o := range stored {
		if other == id || o.Code != d.Code {
			continue
		}
		for typ := range d.Params {
			if o.Params[typ] != nil {
				return typ
			}
		}
	}
	return ""
}

// combined is R4 with the stored parameters and those of packages.
func (r *Registry) combined(stored map[string]Definition) *spec.Definitions {
	more := map[string][]*spec.SearchParam{}
	taken := map[string]bool{}
	add := func(d Definition) {
		for typ := range d.Params {
			if taken[typ+" "+d.Code] {
				return
			}
		}
		for typ, p := range d.Params {
			taken[typ+" "+d.Code] = true
			p := *p
			p.Pending = !r.indexed[d.Mark]
			more[typ] = append(more[typ], &p)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(stored)) {
		add(stored[id])
	}
	for _, d := range r.packaged(stored) {
		add(d)
	}
	return r.opts.Defs.With(more)
}

// packaged are the parameters of packages, in the order of their URLs; a
// composite may have parts among those before it.
func (r *Registry) packaged(stored map[string]Definition) (out []Definition) {
	list := slices.SortedFunc(slices.Values(r.opts.Packaged), func(a, b fhir.Resource) int {
		return strings.Compare(a.Root().Get("url").Text(), b.Root().Get("url").Text())
	})
	own := map[string]bool{}
	for _, d := range stored {
		own[d.URL] = true
	}
	for _, resource := range list {
		if d, ok, _ := Read(r.opts.Defs, r.opts.Engine, resource); ok && !own[d.URL] {
			out = append(out, d)
		}
	}
	return out
}

// marks are those of definitions, each with the types that bear it.
func marks(defs *spec.Definitions) map[string][]string {
	out := map[string][]string{}
	for _, typ := range defs.ResourceTypes() {
		for _, p := range defs.Params(typ) {
			if p.Mark != "" {
				out[p.Mark] = append(out[p.Mark], typ)
			}
		}
	}
	return out
}

// use makes parser and indexer go by definitions.
func (r *Registry) use(defs *spec.Definitions) error {
	if err := r.opts.Indexer.Use(defs); err != nil {
		return err
	}
	r.opts.Parser.Use(defs)
	r.defs.Store(defs)
	return nil
}

// References are the reference parameters of a type that are fit for a wildcard
// of _include and _revinclude.
func (r *Registry) References(resourceType string) (codes []string) {
	for _, p := range r.defs.Load().Params(resourceType) {
		if p.Type == spec.Reference && !p.Pending {
			codes = append(codes, p.Code)
		}
	}
	return codes
}

// Pending are the marks of parameters that are not indexed for every resource,
// each with the types concerned.
func (r *Registry) Pending() map[string][]string {
	out := marks(r.defs.Load())
	maps.DeleteFunc(out, func(mark string, types []string) bool {
		p := r.param(types[0], mark)
		return p == nil || !p.Pending
	})
	return out
}

func (r *Registry) param(typ, mark string) *spec.SearchParam {
	for _, p := range r.defs.Load().Params(typ) {
		if p.Mark == mark {
			return p
		}
	}
	return nil
}

// Mark is that of the active parameter that the SearchParameter with the id
// defines; false if there is none.
func (r *Registry) Mark(id string) (mark string, ok bool) {
	r.gate.RLock()
	defer r.gate.RUnlock()
	d, ok := r.stored[id]
	return d.Mark, ok
}

// Types are the resource types that bear a mark.
func (r *Registry) Types(mark string) []string { return marks(r.defs.Load())[mark] }

// Unmarked is the search for resources that are not indexed by a parameter though
// they are of a type that it is on; marks are mapped to these types.
func Unmarked(marks map[string][]string) *search.Query {
	lacks := search.Any{}
	q := &search.Query{}
	for _, m := range slices.Sorted(maps.Keys(marks)) {
		bears := search.Where{Param: search.IndexedParam, Any: []search.Test{search.TokenTest{AnySystem: true, Code: m}}}
		lacks = append(lacks, search.All{search.HasType{Types: marks[m]}, search.Not{Of: bears}})
		q.Types = append(q.Types, marks[m]...)
	}
	slices.Sort(q.Types)
	q.Types, q.Where = slices.Compact(q.Types), lacks
	return q
}

// settleTime bounds how long a commit waits to learn that nothing is to be
// indexed.
const settleTime = 2 * time.Second

// Settle looks whether every resource bears a mark, and if so lets searches use
// the parameter. What takes too long is left to $reindex.
func (r *Registry) Settle(ctx context.Context, mark string) error {
	types, times := r.Types(mark), r.Times(mark)
	if len(types) == 0 {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	page, err := r.driver.Search(limited, store.Select{Query: Unmarked(map[string][]string{mark: types}), Limit: 1})
	switch kind := fhir.KindOf(err); {
	case err != nil && (kind == fhir.Timeout || kind == fhir.TooCostly) && ctx.Err() == nil:
		return nil
	case err != nil:
		return err
	case len(page.Records) > 0:
		return nil
	}
	return r.Done(mark, times)
}

// Times tells a parameter from the same one after it was taken away and brought
// back, when what was written in between does not bear its mark.
func (r *Registry) Times(mark string) int {
	r.gate.RLock()
	defer r.gate.RUnlock()
	return r.times[mark]
}

// Done says that every resource bears a mark: searches may use the parameter.
// times is what Times said before the resources were looked at.
func (r *Registry) Done(mark string, times int) error {
	r.gate.Lock()
	defer r.gate.Unlock()
	if len(r.Types(mark)) == 0 || r.times[mark] != times {
		return nil
	}
	r.indexed[mark] = true
	if err := r.writeMarks(); err != nil {
		delete(r.indexed, mark)
		return err
	}
	return r.use(r.combined(r.stored))
}

// readMarks reads which parameters are indexed. Without the file each is looked
// up in the store.
func (r *Registry) readMarks() error {
	text, err := os.ReadFile(r.opts.Path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	var list []string
	if err == nil {
		err = json.Unmarshal(text, &list)
	}
	if err != nil {
		return &fhir.Error{Op: "custom.Open", Kind: fhir.Unavailable, Err: err}
	}
	for _, mark := range list {
		r.indexed[mark] = true
	}
	return nil
}

// writeMarks forgets the parameters that are not in use: resources written from
// now on do not bear their marks.
func (r *Registry) writeMarks() error {
	used := marks(r.defs.Load())
	maps.DeleteFunc(r.indexed, func(mark string, _ bool) bool { return used[mark] == nil })
	text, err := json.Marshal(slices.Sorted(maps.Keys(r.indexed)))
	if err == nil {
		err = replace(r.opts.Path, text)
	}
	if err != nil {
		return &fhir.Error{Op: "custom.writeMarks", Kind: fhir.Unavailable, Err: err}
	}
	return nil
}

// replace puts a file in the place of another, durably and whole.
func replace(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".marks")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
