// Package xmltree is a strict index over the bytes of one XML 1.0 document with
// namespaces (https://www.w3.org/TR/xml/, https://www.w3.org/TR/xml-names/).
//
// Parse makes one pass, copies nothing and records where every element, text,
// comment and attribute starts and ends, so that any part can be taken out byte
// by byte: the XHTML of a narrative keeps its attribute order, its quotes and
// its character references. There is no DTD and so no entity but the five of
// XML itself: nothing is fetched and nothing expands. What is not well-formed,
// too long or too deep is refused with its line.
//
// It reads UTF-8 only, and knows nothing of FHIR.
package xmltree

import (
	"bytes"
	"iter"
	"unsafe"
)

// Kind is what a node is. The zero Kind is that of an absent node.
type Kind uint8

// The kinds of a node.
const (
	Absent Kind = iota
	Element
	Text // character data, references and CDATA sections in one run
	Comment
	Instruction // a processing instruction
)

// span is a part of the source.
type span struct{ start, end int32 }

// node is one node of the tree, in document order.
type node struct {
	span          // the whole node, an element's end tag included
	prefix  span  // of an element's name, without colon
	local   span  // an element's name without prefix; an instruction's target
	content span  // between an element's tags; the inside of the others
	space   int32 // index of an element's namespace
	next    int32 // index of the first node after the subtree
	parent  int32 // index of the element around it, -1 for the root
	attrs   int32 // index of the first attribute
	count   int32 // number of attributes, declarations included
	kind    Kind
	coded   bool // a Text that is not its own bytes: references, CDATA, carriage returns
}

// attribute is one attribute or namespace declaration.
type attribute struct {
	span          // name and value
	prefix  span  // without colon; "xmlns" for a declaration of a prefix
	local   span  // name without prefix
	value   span  // between the quotes
	space   int32 // index of the namespace
	coded   bool  // the value is not its own bytes
	declare bool  // xmlns="…" or xmlns:p="…"
}

// Doc is one parsed document. It is immutable and safe for concurrent use; the
// bytes it was made from must not change while it lives.
type Doc struct {
	src    []byte
	nodes  []node
	attrs  []attribute
	spaces []string // the namespaces in use; 0 is none
	root   int32
}

// Bytes returns the document as it was given to Parse. It must not be changed.
func (d *Doc) Bytes() []byte { return d.src }

// Root returns the document's one element.
func (d *Doc) Root() Node { return Node{d, d.root} }

// Line is the line, counted from 1, in which a byte of the document stands.
func (d *Doc) Line(offset int) int { return 1 + bytes.Count(d.src[:offset], []byte{'\n'}) }

// view is a string over bytes that nobody changes.
func (d *Doc) view(s span) string {
	b := d.src[s.start:s.end]
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// Node is one node of a Doc. The zero Node is an absent one: every method works
// on it.
type Node struct {
	d  *Doc
	at int32
}

func (n Node) node() node {
	if n.d == nil {
		return node{}
	}
	return n.d.nodes[n.at]
}

// Kind tells what the node is; Absent for the zero Node.
func (n Node) Kind() Kind { return n.node().kind }

// Name is an element's name without its prefix, or an instruction's target.
func (n Node) Name() string {
	if n.d == nil {
		return ""
	}
	return n.d.view(n.node().local)
}

// Prefix is the prefix of an element's name as it was written, "" for none.
func (n Node) Prefix() string {
	if n.d == nil {
		return ""
	}
	return n.d.view(n.node().prefix)
}

// Space is an element's namespace, "" for none.
func (n Node) Space() string {
	if n.d == nil {
		return ""
	}
	return n.d.spaces[n.node().space]
}

// Offset is where the node starts in the document, in bytes.
func (n Node) Offset() int { return int(n.node().start) }

// End is the offset just after the node, in bytes.
func (n Node) End() int { return int(n.node().end) }

// Content is the range of bytes between an element's tags, start == end just
// before the end of the tag if it has none (<a/>).
func (n Node) Content() (start, end int) {
	c := n.node().content
	return int(c.start), int(c.end)
}

// NameEnd is the offset just after the name in an element's start tag.
func (n Node) NameEnd() int { return int(n.node().local.end) }

// Line is the line on which the node starts, counted from 1. It walks the
// document: it is for messages.
func (n Node) Line() int {
	if n.d == nil {
		return 0
	}
	return n.d.Line(n.Offset())
}

// Raw returns the node's exact bytes, not to be changed; nil if absent.
func (n Node) Raw() []byte {
	if n.d == nil {
		return nil
	}
	v := n.node()
	return n.d.src[v.start:v.end:v.end]
}

// Value is what a Text, Comment or Instruction holds, references and line ends
// resolved; "" for an element.
func (n Node) Value() string {
	v := n.node()
	switch {
	case n.d == nil || v.kind == Element:
		return ""
	case v.coded:
		return n.d.decodeText(v.content)
	}
	return n.d.view(v.content)
}

// Blank reports whether a Text is nothing but white space.
func (n Node) Blank() bool {
	v := n.node()
	if v.kind != Text {
		return false
	}
	for _, c := range n.d.src[v.start:v.end] {
		if !isSpace(c) {
			return false
		}
	}
	return true
}

// Parent is the element around the node, absent for the root.
func (n Node) Parent() Node {
	if n.d == nil || n.node().parent < 0 {
		return Node{}
	}
	return Node{n.d, n.node().parent}
}

// Children yields the nodes directly in an element.
func (n Node) Children() iter.Seq[Node] {
	return func(yield func(Node) bool) {
		v := n.node()
		if v.kind != Element {
			return
		}
		for at := n.at + 1; at < v.next; at = n.d.nodes[at].next {
			if !yield(Node{n.d, at}) {
				return
			}
		}
	}
}

// Subtree yields the node and all below it in document order.
func (n Node) Subtree() iter.Seq[Node] {
	return func(yield func(Node) bool) {
		if n.d == nil {
			return
		}
		for at := n.at; at < n.d.nodes[n.at].next; at++ {
			if !yield(Node{n.d, at}) {
				return
			}
		}
	}
}

// Attr is one attribute of an element.
type Attr struct {
	d *Doc
	a *attribute
}

// Attrs yields an element's attributes as they were written, namespace
// declarations included.
func (n Node) Attrs() iter.Seq[Attr] {
	return func(yield func(Attr) bool) {
		v := n.node()
		for i := v.attrs; i < v.attrs+v.count; i++ {
			if !yield(Attr{n.d, &n.d.attrs[i]}) {
				return
			}
		}
	}
}

// Attr finds an attribute that has no prefix and is no namespace declaration.
func (n Node) Attr(name string) (Attr, bool) {
	for a := range n.Attrs() {
		if !a.a.declare && a.a.prefix.start == a.a.prefix.end && n.d.view(a.a.local) == name {
			return a, true
		}
	}
	return Attr{}, false
}

// Name is the attribute's name without prefix; for a namespace declaration the
// prefix it declares, "" for the default namespace.
func (a Attr) Name() string {
	if a.a.declare && a.a.prefix.start == a.a.prefix.end {
		return ""
	}
	return a.d.view(a.a.local)
}

// Prefix is the prefix of the name as it was written.
func (a Attr) Prefix() string { return a.d.view(a.a.prefix) }

// Space is the attribute's namespace, "" for none.
func (a Attr) Space() string { return a.d.spaces[a.a.space] }

// Declares reports whether it is a namespace declaration: xmlns="…".
func (a Attr) Declares() bool { return a.a.declare }

// Offset is where the attribute's name starts, in bytes.
func (a Attr) Offset() int { return int(a.a.start) }

// End is the offset just after the closing quote.
func (a Attr) End() int { return int(a.a.end) }

// Value is the attribute's value: references resolved, white space written as
// such turned into spaces (https://www.w3.org/TR/xml/#AVNormalize).
func (a Attr) Value() string {
	if a.a.coded {
		return a.d.decodeValue(a.a.value)
	}
	return a.d.view(a.a.value)
}
