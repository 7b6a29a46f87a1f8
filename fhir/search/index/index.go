// Package index makes the search.Entries of a resource: the values that the R4
// search parameters of its type select, in the form that searching needs
// (https://hl7.org/fhir/R4/search.html).
//
// The parameters of a type are compiled into one plan, so that a single walk
// over the resource serves them all; the few expressions that are more than a
// path go to the FHIRPath engine. Promises: time is linear in the resource, the
// result is in a fixed order without duplicates, _id and _lastUpdated are left
// to the Header. What is not of its element's form (a bad date) has no entry:
// checking it is validation's affair.
//
// It stores nothing and changes nothing.
package index

import (
	"context"
	"sync"
	"time"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/search"
	"galen/fhir/spec"
	"galen/fhir/ucum"
)

// maxCombinations bounds what composite parameters make of one resource.
const maxCombinations = 10_000

// Options are what an Indexer needs to know of its server: the same as the
// parser's, or queries will miss.
type Options struct {
	Base string         // base URL with its last slash; an absolute reference under it is a relative one
	Zone *time.Location // of dates without an offset; nil is UTC
	// FullText is what is put under _text and _content.
	FullText search.FullText
}

// Indexer makes entries. It is immutable and safe for concurrent use.
type Indexer struct {
	units *ucum.Table
	opts  Options
	plans map[string]*plan
	walks *sync.Pool // of *walk: scratch memory to use again
}

// New compiles the search parameters of every resource type. The error (Kind
// Internal) means that an expression of the definitions is neither a path nor
// FHIRPath, which the tests exclude.
func New(defs *spec.Definitions, engine *path.Engine, units *ucum.Table, opts Options) (*Indexer, error) {
	if opts.Zone == nil {
		opts.Zone = time.UTC
	}
	x := &Indexer{units: units, opts: opts, plans: make(map[string]*plan, 160)}
	x.walks = &sync.Pool{New: func() any { return &walk{Indexer: x} }}
	for _, name := range defs.ResourceTypes() {
		p, err := compile(defs, engine, name, opts.FullText)
		if err != nil {
			return nil, &fhir.Error{Op: "index.New", Kind: fhir.Internal, At: name, Err: err}
		}
		x.plans[name] = p
	}
	return x, nil
}

// Index returns what the resource is found by, sorted by parameter. The error is
// an *fhir.Error of Kind TooCostly (a composite parameter multiplies out beyond
// the limit, or an expression does), or NotSupported for a type that is not R4's.
func (x *Indexer) Index(r fhir.Resource) ([]search.Entry, error) {
	const op = "index.Index"
	p, ok := x.plans[r.Type]
	if !ok {
		return nil, fhir.E(op, fhir.NotSupported, "resourceType", "no such resource type in R4")
	}
	w := x.walks.Get().(*walk)
	defer w.done()
	w.resource = r
	w.node(p.root, r.Root())
	for i := range p.computed {
		if err := w.compute(&p.computed[i]); err != nil {
			return nil, err
		}
	}
	w.texts(p.fullText)
	if w.combinations > maxCombinations {
		return nil, fhir.E(op, fhir.TooCostly, r.Type, "the components of a composite search parameter have too many combinations")
	}
	return w.entries(p.codes), nil
}

// walk is one indexing under way.
type walk struct {
	*Indexer
	resource     fhir.Resource
	found        []found
	counts       []int32 // of found, by parameter
	composing    bool    // components have no part that only a modifier asks for
	combinations int
	contained    map[string]string // types of contained resources by id, once needed
}

// found is a value of the parameter with that number in the plan.
type found struct {
	param int32
	value search.Value
}

// done gives the scratch memory back, without what it referred to.
func (w *walk) done() {
	const keep = 512
	if cap(w.found) > keep {
		w.found = nil
	}
	clear(w.found[:cap(w.found)])
	w.found, w.resource, w.contained, w.combinations = w.found[:0], fhir.Resource{}, nil, 0
	w.walks.Put(w)
}

// node serves a value that the plan's node stands for, and what is below it.
func (w *walk) node(n *node, v jsontree.Node) {
	if n.guard.member != "" && v.Get(n.guard.member).Text() != n.guard.value {
		return
	}
	for i := range n.emits {
		w.emit(&n.emits[i], v)
	}
	if n.edges == nil {
		return
	}
	for name, m := range v.Members() {
		for _, child := range n.edges[name] {
			if m.Kind() != jsontree.Array {
				w.node(child, m)
				continue
			}
			for item := range m.Items() {
				w.node(child, item)
			}
		}
	}
}

func (w *walk) emit(e *emit, v jsontree.Node) {
	switch {
	case e.resolve != "" && w.target(v) != e.resolve:
	case e.composite != nil:
		w.combine(e, v)
	default:
		e.convert(w, e, v)
	}
}

func (w *walk) add(e *emit, v search.Value) { w.found = append(w.found, found{e.param, v}) }

// combine adds the product of the values of a composite's components.
func (w *walk) combine(e *emit, v jsontree.Node) {
	combined := []search.Composite{{}}
	w.composing = true
	for _, part := range e.composite {
		start := len(w.found)
		if part.fromRoot {
			w.node(part.node, w.resource.Root())
		} else {
			w.node(part.node, v)
		}
		var next []search.Composite
		for _, c := range combined {
			for _, f := range w.found[start:] {
				if w.combinations++; w.combinations <= maxCombinations {
					next = append(next, search.Composite{Parts: append(c.Parts[:len(c.Parts):len(c.Parts)], f.value)})
				}
			}
		}
		combined, w.found = next, w.found[:start]
	}
	w.composing = false
	for _, c := range combined {
		w.add(e, c)
	}
}

// compute serves an expression that only the FHIRPath engine can read.
func (w *walk) compute(c *computed) error {
	items, err := c.expr.Eval(context.Background(), path.Env{Resource: w.resource, Resolve: resolveType})
	switch fhir.KindOf(err) {
	case fhir.TooCostly, fhir.Timeout:
		return &fhir.Error{Op: "index.Index", Kind: fhir.TooCostly, At: c.code, Err: err}
	}
	// An expression that does not fit the data selects nothing.
	for _, item := range items {
		if b, ok := item.Bool(); ok && c.kind == spec.Token {
			w.add(&emit{param: c.param}, boolean(b))
		} else if convert := converters[c.kind][item.Type()]; convert != nil {
			convert(w, &emit{param: c.param}, item.Node())
		}
	}
	return nil
}

// resolveType is resolve() for "resolve() is Patient": the type that a reference
// names, with nothing in it.
func resolveType(_ context.Context, reference string) (path.Item, bool) {
	key := fhir.ParseReference(reference).Key
	return path.TypedItem(key.Type, jsontree.Node{}), key.Type != ""
}
