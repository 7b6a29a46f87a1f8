package element

import (
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
)

// Place knows the documents of one evaluation, to tell what lies around an
// element. The zero Place knows none.
type Place struct {
	types *Types
	roots []Item
}

// Start forgets all documents.
func (p *Place) Start(types *Types) {
	clear(p.roots)
	p.types, p.roots = types, p.roots[:0]
}

// Add adds the document that an item is the root of, unless it is known.
func (p *Place) Add(root Item) {
	if _, known := p.rootOf(root); !known && root.node.Exists() {
		p.roots = append(p.roots, root)
	}
}

// rootOf is the document that an item lies in: one of those that were added.
func (p *Place) rootOf(it Item) (Item, bool) {
	n := it.node
	if !n.Exists() {
		n = it.sib
	}
	raw := n.Raw()
	if len(raw) == 0 {
		return Item{}, false
	}
	for _, root := range p.roots {
		whole := root.node.Raw()
		at := n.Offset() - root.node.Offset()
		if at >= 0 && at < len(whole) && &whole[at] == &raw[0] { // one document, not merely one offset
			return root, true
		}
	}
	return Item{}, false
}

// Around finds the innermost resource that holds an item, and that or its
// container. An item of no known document is surrounded by the first resource.
func (p *Place) Around(it Item) (inner, outer Item) {
	root, ok := p.rootOf(it)
	if !ok {
		if len(p.roots) > 0 {
			return p.roots[0], p.roots[0]
		}
		return it, it
	}
	at := it.node.Offset()
	if !it.node.Exists() {
		at = it.sib.Offset()
	}
	inner, outer = root, root
	n, name := root.node, ""
	for n.Exists() {
		if kind := n.Get("resourceType"); kind.Exists() && n != root.node {
			inner = Item{typ: p.types.Named(kind.Text()), node: n}
			if name != "contained" {
				outer = inner
			}
		}
		n, name = childAt(n, name, at)
	}
	return inner, outer
}

// childAt is the child value that covers an offset, and the name of the member
// it came by.
func childAt(n jsontree.Node, name string, at int) (jsontree.Node, string) {
	covers := func(v jsontree.Node) bool { return v.Offset() <= at && at < v.End() }
	switch n.Kind() {
	case jsontree.Object:
		for member, v := range n.Members() {
			if covers(v) {
				return v, member
			}
		}
	case jsontree.Array:
		for v := range n.Items() {
			if covers(v) {
				return v, name
			}
		}
	}
	return jsontree.Node{}, ""
}

// Target finds what a reference in an item points to among the resources that
// came with it: contained ones and entries of the same Bundle.
func (p *Place) Target(from Item, ref string) Item {
	if id, local := strings.CutPrefix(ref, "#"); local {
		_, outer := p.Around(from)
		if id == "" {
			return outer
		}
		for n := range outer.node.Get("contained").Items() {
			if n.Get("id").Text() == id {
				return p.types.Resource(n)
			}
		}
		return Item{}
	}
	return p.entry(from, ref)
}

// Resource is the resource that an object holds, zero if it names no type.
func (e *Types) Resource(n jsontree.Node) Item {
	kind := n.Get("resourceType").Text()
	if kind == "" {
		return Item{}
	}
	return Item{typ: e.Named(kind), node: n}
}

// entry finds a reference in the Bundle around it by fullUrl
// (https://hl7.org/fhir/R4/bundle.html#references). A relative reference counts
// from the fullUrl of its own entry.
func (p *Place) entry(from Item, ref string) Item {
	root, ok := p.rootOf(from)
	if !ok || root.typ.name != "Bundle" {
		return Item{}
	}
	r := fhir.ParseReference(ref)
	want := ref
	if r.Key.Type != "" {
		want = r.Base + r.Key.String()
	}
	if r.Key.Type != "" && r.Base == "" {
		own := fhir.ParseReference(p.fullURL(root, from))
		want = own.Base + want
	}
	for e := range root.node.Get("entry").Items() {
		if e.Get("fullUrl").Text() == want {
			return p.types.Resource(e.Get("resource"))
		}
	}
	return Item{}
}

// fullURL is that of the entry which holds an item.
func (p *Place) fullURL(bundle, it Item) string {
	for e := range bundle.node.Get("entry").Items() {
		if e.Offset() <= it.node.Offset() && it.node.Offset() < e.End() {
			return e.Get("fullUrl").Text()
		}
	}
	return ""
}
