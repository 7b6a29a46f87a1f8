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
	"maps"
	"slices"
	"sync"
	"sync/atomic"
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

// Indexer makes entries. It is safe for concurrent use.
type Indexer struct {
	engine *path.Engine
	units  *ucum.Table
	opts   Options
	known  atomic.Pointer[known]
	walks  *sync.Pool // of *walk: scratch memory to use again
}

// known is what an Indexer goes by at one moment.
type known struct {
	defs  *spec.Definitions
	plans map[string]*plan
}

// New compiles the search parameters of every resource type. The error (Kind
// Internal) means that an expression of the definitions is neither a path nor
// FHIRPath, which the tests exclude.
func New(defs *spec.Definitions, engine *path.Engine, units *ucum.Table, opts Options) (*Indexer, error) {
	if opts.Zone == nil {
		opts.Zone = time.UTC
	}
	x := &Indexer{engine: engine, units: units, opts: opts}
	x.walks = &sync.Pool{New: func() any { return &walk{Indexer: x} }}
	return x, x.Use(defs)
}

// Use makes the Indexer go by other definitions from now on; it compiles what
// they changed. After an error (Kind Internal: an expression that does not
// compile) it goes by the old ones.
func (x *Indexer) Use(defs *spec.Definitions) error {
	next := &known{defs, make(map[string]*plan, 160)}
	old := x.known.Load()
	if old != nil {
		maps.Copy(next.plans, old.plans)
	}
	for _, name := range defs.ResourceTypes() {
		if old != nil && slices.Equal(old.defs.Params(name), defs.Params(name)) {
			continue
		}
		p, err := compile(defs, x.engine, name, x.opts.FullText)
		if err != nil {
			return &fhir.Error{Op: "index.Use", Kind: fhir.Internal, At: name, Err: err}
		}
		next.plans[name] = p
	}
	x.known.Store(next)
	return nil
}

// Index returns what the resource is found by, sorted by parameter. The error is
// an *fhir.Error of Kind TooCostly (a composite parameter multiplies out beyond
// the limit, or an expression does), or NotSupported for a type that is not R4's.
func (x *Indexer) Index(r fhir.Resource) ([]search.Entry, error) {
	const op = "index.Index"
	p, ok := x.known.Load().plans[r.Type]
	if !ok {
		return nil, fhir.E(op, fhir.NotSupported, "resourceType", "no such resource type in R4")
	}
	w := x.walks.Get().(*walk)
	defer w.done()
	w.resource = r
	w.node(p.root, r.Root())
	for i := range p.computed {
		if err := w.compute(&p.computed[i], path.Item{}); err != nil {
			return nil, err
		}
	}
	w.texts(p.fullText)
	for _, m := range p.marks {
		w.add(&emit{param: p.mark}, search.Token{Code: m})
	}
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
	// The parts of a plan cannot fail.
	_ = w.product(e, len(e.composite), func(i int) error {
		if part := e.composite[i]; part.fromRoot {
			w.node(part.node, w.resource.Root())
		} else {
			w.node(part.node, v)
		}
		return nil
	})
}

// product adds each combination of what the parts find.
func (w *walk) product(e *emit, parts int, find func(part int) error) error {
	combined := []search.Composite{{}}
	w.composing = true
	defer func() { w.composing = false }()
	for i := range parts {
		start := len(w.found)
		if err := find(i); err != nil {
			return err
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
	for _, c := range combined {
		w.add(e, c)
	}
	return nil
}

// Marked reports whether the entries of a resource bear the marks of just the
// parameters that the Indexer goes by now.
func (x *Indexer) Marked(resourceType string, entries []search.Entry) bool {
	p, ok := x.known.Load().plans[resourceType]
	if !ok {
		return true
	}
	n := 0
	for _, e := range entries {
		if e.Param != search.IndexedParam {
			continue
		}
		if t, ok := e.Value.(search.Token); !ok || !slices.Contains(p.marks, t.Code) {
			return false
		}
		n++
	}
	return n == len(p.marks)
}
