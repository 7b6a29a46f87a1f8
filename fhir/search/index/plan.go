package index

import (
	"slices"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/search"
	"galen/fhir/spec"
)

// plan is all search parameters of one resource type as one tree over its JSON.
type plan struct {
	codes    []string // of the parameters, sorted; numbers below mean their place
	root     *node
	computed []computed
	fullText []fullText
	mark     int32    // the number of search.IndexedParam
	marks    []string // its values
}

// fullText is _text or _content.
type fullText struct {
	param int32
	words func(fhir.Resource) string
}

// node is one element of the tree.
type node struct {
	typ     string // FHIR type of the value
	binding string // value set of a required binding, of a code
	guard   guard
	edges   map[string][]*node // by JSON member
	emits   []emit
}

// guard is where(member='value').
type guard struct{ member, value string }

// emit says that the value of a node belongs to a parameter.
type emit struct {
	param     int32
	resolve   string // only references to this resource type
	convert   func(*walk, *emit, jsontree.Node)
	implied   func(code string) (system string) // of a code
	composite []component
}

// component is one part of a composite: a tree of its own, over the value of the
// composite or over the whole resource.
type component struct {
	node     *node
	fromRoot bool
}

// compiler makes the plan of one type.
type compiler struct {
	defs *spec.Definitions
	typ  string
}

// compile makes the plan of a resource type.
func compile(defs *spec.Definitions, engine *path.Engine, typ string, amount search.FullText) (*plan, error) {
	c := compiler{defs, typ}
	p := &plan{root: &node{typ: typ}}
	for _, param := range c.params() {
		if param.Code == search.IndexedParam {
			p.mark = int32(len(p.codes))
			p.codes = append(p.codes, param.Code)
			continue
		}
		if param.Mark != "" {
			p.marks = append(p.marks, param.Mark)
		}
		if words := fullTexts(param.Code); words != nil && amount >= search.FullTextOf(param.Code) {
			p.fullText = append(p.fullText, fullText{int32(len(p.codes)), words})
			p.codes = append(p.codes, param.Code)
			continue
		}
		text := param.ExpressionFor(typ)
		if param.Code == "_id" || param.Code == "_lastUpdated" || text == "" {
			continue
		}
		number := int32(len(p.codes))
		p.codes = append(p.codes, param.Code)
		if c.add(p.root, text, param, number) {
			continue
		}
		expr, err := c.compute(engine, param, text, number)
		if err != nil {
			return nil, err
		}
		p.computed = append(p.computed, expr)
	}
	return p, nil
}

// params are the parameters of the type, with search.IndexedParam in its place
// if some are not R4's.
func (c compiler) params() []*spec.SearchParam {
	list := c.defs.Params(c.typ)
	if !slices.ContainsFunc(list, func(p *spec.SearchParam) bool { return p.Mark != "" }) {
		return list
	}
	i, _ := slices.BinarySearchFunc(list, search.IndexedParam, func(p *spec.SearchParam, code string) int { return strings.Compare(p.Code, code) })
	return slices.Insert(slices.Clone(list), i, &spec.SearchParam{Code: search.IndexedParam})
}

// add hangs a parameter into the tree; false if its expression is more than a
// union of paths.
func (c compiler) add(root *node, text string, param *spec.SearchParam, number int32) bool {
	if param.Type == spec.Composite && param.Mark != "" {
		return false // its parts may be more than paths
	}
	var terms [][]step
	for text := range strings.SplitSeq(text, " | ") {
		steps, ok := parsePath(text)
		if !ok {
			return false
		}
		terms = append(terms, steps[1:]) // the first is the type itself
	}
	return c.union(root, terms, param, number)
}

// union hangs the terms of one expression below a node. Nothing of them is
// wrong, or nothing is added.
func (c compiler) union(from *node, terms [][]step, param *spec.SearchParam, number int32) bool {
	for _, steps := range terms {
		if !c.exists(from.typ, steps) {
			return false
		}
	}
	for _, steps := range terms {
		resolve := ""
		if len(steps) > 0 {
			resolve = steps[len(steps)-1].resolve
		}
		for _, n := range c.descend(from, steps) {
			if e, ok := c.emit(n, param); ok {
				e.param, e.resolve = number, resolve
				n.emits = append(n.emits, e)
			}
		}
	}
	return true
}

// exists reports whether the path leads through elements of R4, on a tree thrown
// away; a resolve() before the end is more than a path.
func (c compiler) exists(typ string, steps []step) bool {
	for i, s := range steps {
		if s.resolve != "" && i < len(steps)-1 {
			return false
		}
	}
	return len(c.descend(&node{typ: typ}, steps)) > 0
}

// descend finds or makes the nodes that a path leads to.
func (c compiler) descend(from *node, steps []step) []*node {
	nodes := []*node{from}
	for _, s := range steps {
		var next []*node
		for _, n := range nodes {
			next = append(next, c.children(n, s)...)
		}
		nodes = next
	}
	return nodes
}

// children are the nodes of one step: one for each type the element may have.
func (c compiler) children(n *node, s step) []*node {
	t, ok := c.defs.Type(n.typ)
	if !ok {
		return nil
	}
	e, ok := t.Child(s.name)
	if !ok {
		return nil
	}
	members := []string{e.Name}
	if e.Choice {
		members = members[:0]
		for _, ref := range e.Types {
			if s.cast == "" || strings.EqualFold(ref.Code, s.cast) {
				members = append(members, e.JSONName(ref.Code))
			}
		}
	}
	var list []*node
	for _, member := range members {
		if _, code, ok := t.Element(member); ok {
			list = append(list, n.child(member, code, e, s.guard))
		}
	}
	return list
}

// child finds or makes the node below n.
func (n *node) child(member, typ string, e *spec.Element, g guard) *node {
	for _, child := range n.edges[member] {
		if child.guard == g {
			return child
		}
	}
	child := &node{typ: typ, guard: g}
	if e.Binding != nil && e.Binding.Strength == spec.Required {
		child.binding = e.Binding.ValueSet
	}
	if n.edges == nil {
		n.edges = make(map[string][]*node)
	}
	n.edges[member] = append(n.edges[member], child)
	return child
}

// emit says how values of the node become entries of the parameter; false if
// values of its type never do.
func (c compiler) emit(n *node, param *spec.SearchParam) (emit, bool) {
	if param.Type == spec.Composite {
		parts, ok := c.components(n.typ, param)
		return emit{composite: parts}, ok
	}
	convert := converters[param.Type][n.typ]
	if n.typ == "Location.position" && param.Type == spec.Special {
		convert = position
	}
	set := n.binding
	return emit{convert: convert, implied: func(code string) string {
		system, _ := c.defs.ImpliedSystem(set, code)
		return system
	}}, convert != nil
}

// components compiles the parts of a composite over values of a type.
func (c compiler) components(typ string, param *spec.SearchParam) ([]component, bool) {
	parts := make([]component, len(param.Components))
	for i, part := range param.Components {
		text, fromRoot := strings.CutPrefix(part.Expression, "%resource.")
		focus := typ
		if fromRoot {
			focus = c.typ
		}
		parts[i] = component{&node{typ: focus}, fromRoot}
		var terms [][]step
		for term := range strings.SplitSeq(text, " | ") {
			steps, ok := parsePath(term)
			if !ok {
				return nil, false
			}
			if c.exists(focus, steps) { // value.as(Range) is not of every focus
				terms = append(terms, steps)
			}
		}
		if len(terms) == 0 || !c.union(parts[i].node, terms, part.Param, 0) {
			return nil, false
		}
	}
	return parts, true
}

// step is one step of a path.
type step struct {
	name, cast string // cast is the type in "as"
	guard      guard
	resolve    string // the type in where(resolve() is …), applied after it
}

// parsePath reads the part of FHIRPath that nearly all R4 search parameters
// keep to: names with dots, as, where(member='value'), where(resolve() is Type).
func parsePath(text string) ([]step, bool) {
	r := &reader{rest: text, ok: true}
	steps := r.path()
	return steps, r.ok && r.rest == ""
}

type reader struct {
	rest string
	ok   bool
}

func (r *reader) skip(s string) bool {
	rest, ok := strings.CutPrefix(r.rest, s)
	r.rest = rest
	return ok
}

func (r *reader) need(s string) { r.ok = r.skip(s) && r.ok }

// name reads letters and digits; none is an error.
func (r *reader) name() string {
	end := strings.IndexFunc(r.rest, func(c rune) bool {
		return (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9')
	})
	if end < 0 {
		end = len(r.rest)
	}
	name := r.rest[:end]
	r.rest = r.rest[end:]
	r.ok = r.ok && name != ""
	return name
}

func (r *reader) path() []step {
	var steps []step
	if r.skip("(") {
		steps = r.path()
		if r.skip(" as ") {
			steps[len(steps)-1].cast = r.name()
		}
		r.need(")")
	} else {
		steps = []step{{name: r.name()}}
	}
	for r.ok && r.skip(".") {
		last := &steps[len(steps)-1]
		switch {
		case r.skip("as("):
			last.cast = r.name()
			r.need(")")
		case r.skip("where(resolve() is "):
			last.resolve = r.name()
			r.need(")")
		case r.skip("where("):
			last.guard.member = r.name()
			r.need("='")
			var found bool
			last.guard.value, r.rest, found = strings.Cut(r.rest, "'")
			r.ok = r.ok && found
			r.need(")")
		default:
			steps = append(steps, step{name: r.name()})
		}
	}
	return steps
}
