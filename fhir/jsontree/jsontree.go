// Package jsontree is a strict, lossless index over the bytes of one JSON
// document (RFC 8259, https://www.rfc-editor.org/rfc/rfc8259).
//
// Parse makes one pass, copies nothing and records where every value starts and
// ends, so that a document can be read, walked and edited while every byte that
// nobody touched stays as it came: decimals keep their digits, members their
// order, strings their escapes. What is doubtful is refused with the byte
// offset: duplicate member names, invalid UTF-8, lone surrogates, trailing
// data, too many bytes, too deep a nesting.
//
// It is not a decoder into Go structs and knows nothing of FHIR.
package jsontree

import (
	"iter"
	"unsafe"
)

// Kind is what a value is. The zero Kind is that of an absent value.
type Kind uint8

// The kinds of a JSON value.
const (
	Absent Kind = iota
	Null
	False
	True
	Number
	String
	Array
	Object
)

var kindNames = [...]string{"absent", "null", "false", "true", "number", "string", "array", "object"}

// String names the kind in JSON's own words.
func (k Kind) String() string { return kindNames[k] }

// node is one value or one member name. A member's name is a String node
// directly before its value.
type node struct {
	start, end int32 // span in the source, quotes and brackets included
	next       int32 // index of the first node after this one's subtree
	kind       Kind
	esc        bool // a String with a backslash in it
}

// Doc is one parsed document. It is immutable and safe for concurrent use; the
// bytes it was made from must not change while it lives.
type Doc struct {
	src   []byte
	nodes []node
}

// Bytes returns the document as it was given to Parse. It must not be changed.
func (d *Doc) Bytes() []byte { return d.src }

// Root returns the document's one value.
func (d *Doc) Root() Node { return Node{d, 0} }

// Node is one value of a Doc. The zero Node is an absent value: every method
// works on it, so a path can be walked without a check at each step.
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

// Kind tells what the value is; Absent for the zero Node.
func (n Node) Kind() Kind { return n.node().kind }

// Exists reports whether there is a value, JSON null included.
func (n Node) Exists() bool { return n.d != nil }

// Offset is where the value starts in the document, in bytes.
func (n Node) Offset() int { return int(n.node().start) }

// End is the offset just after the value, in bytes.
func (n Node) End() int { return int(n.node().end) }

// Raw returns the value's exact bytes (a view: not to be changed), nil if absent.
func (n Node) Raw() []byte {
	if n.d == nil {
		return nil
	}
	v := n.d.nodes[n.at]
	return n.d.src[v.start:v.end:v.end]
}

// Text returns a string's decoded value, any other scalar's source text, and ""
// for arrays, objects, null and absent values. Without escapes it is a view of
// the document and allocates nothing.
func (n Node) Text() string {
	v := n.node()
	switch v.kind {
	case String:
		return n.d.text(v)
	case Number, True, False:
		return view(n.d.src[v.start:v.end])
	}
	return ""
}

// Len is the number of an array's items or an object's members, else 0. It
// walks the children.
func (n Node) Len() int {
	count := 0
	v := n.node()
	step := int32(0)
	switch v.kind {
	case Array:
	case Object:
		step = 1
	default:
		return 0
	}
	for i := n.at + 1; i < v.next; i = n.d.nodes[i+step].next {
		count++
	}
	return count
}

// Get returns the object's member of that name, or an absent Node.
func (n Node) Get(name string) Node {
	v := n.node()
	if v.kind != Object {
		return Node{}
	}
	for i := n.at + 1; i < v.next; i = n.d.nodes[i+1].next {
		if n.d.nameIs(n.d.nodes[i], name) {
			return Node{n.d, i + 1}
		}
	}
	return Node{}
}

// Item returns the array's i-th item, counted from 0, or an absent Node.
func (n Node) Item(i int) Node {
	v := n.node()
	if v.kind != Array || i < 0 {
		return Node{}
	}
	for at := n.at + 1; at < v.next; at = n.d.nodes[at].next {
		if i == 0 {
			return Node{n.d, at}
		}
		i--
	}
	return Node{}
}

// Items yields the items of an array in order. A value that is no array yields
// itself once and an absent one nothing, as FHIR elements that repeat and those
// that do not are read alike.
func (n Node) Items() iter.Seq[Node] {
	return func(yield func(Node) bool) {
		v := n.node()
		if v.kind != Array {
			if n.d != nil {
				yield(n)
			}
			return
		}
		for at := n.at + 1; at < v.next; at = n.d.nodes[at].next {
			if !yield(Node{n.d, at}) {
				return
			}
		}
	}
}

// Members yields the members of an object in order, their names decoded.
func (n Node) Members() iter.Seq2[string, Node] {
	return func(yield func(string, Node) bool) {
		v := n.node()
		if v.kind != Object {
			return
		}
		for at := n.at + 1; at < v.next; at = n.d.nodes[at+1].next {
			if !yield(n.d.text(n.d.nodes[at]), Node{n.d, at + 1}) {
				return
			}
		}
	}
}

// Walk yields every string value below n (n included, member names not), depth
// first in document order.
func (n Node) Walk() iter.Seq[Node] {
	return func(yield func(Node) bool) {
		v := n.node()
		if v.kind == Absent {
			return
		}
		n.d.walk(n.at, yield)
	}
}

func (d *Doc) walk(at int32, yield func(Node) bool) bool {
	v := d.nodes[at]
	switch v.kind {
	case String:
		return yield(Node{d, at})
	case Array:
		for i := at + 1; i < v.next; i = d.nodes[i].next {
			if !d.walk(i, yield) {
				return false
			}
		}
	case Object:
		for i := at + 1; i < v.next; i = d.nodes[i+1].next {
			if !d.walk(i+1, yield) {
				return false
			}
		}
	}
	return true
}

// Equal reports whether two values mean the same JSON: the members' order,
// escapes and white space do not count; numbers must have the same text, since
// 1.0 and 1.00 differ in FHIR (https://hl7.org/fhir/R4/datatypes.html#decimal).
func Equal(a, b Node) bool {
	va, vb := a.node(), b.node()
	if va.kind != vb.kind {
		return false
	}
	switch va.kind {
	case Number, String:
		return a.Text() == b.Text()
	case Array:
		i, j := a.at+1, b.at+1
		for ; i < va.next && j < vb.next; i, j = a.d.nodes[i].next, b.d.nodes[j].next {
			if !Equal(Node{a.d, i}, Node{b.d, j}) {
				return false
			}
		}
		return i >= va.next && j >= vb.next
	case Object:
		if a.Len() != b.Len() {
			return false
		}
		for name, m := range a.Members() {
			if !Equal(m, b.Get(name)) {
				return false
			}
		}
	}
	return true
}

func (d *Doc) nameIs(v node, name string) bool {
	if !v.esc {
		return string(d.src[v.start+1:v.end-1]) == name
	}
	return d.text(v) == name
}

func (d *Doc) text(v node) string {
	inner := d.src[v.start+1 : v.end-1]
	if !v.esc {
		return view(inner)
	}
	return view(unescape(inner))
}

// view is a string over bytes that nobody changes.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
