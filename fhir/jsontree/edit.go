package jsontree

import (
	"bytes"
	"slices"
)

// Edit collects changes to a Doc and writes them out in one pass; every byte
// outside a change is copied as it is. The zero Edit is not usable: call
// Doc.Edit. It is not safe for concurrent use.
type Edit struct {
	doc  *Doc
	cuts []cut
}

// cut replaces src[start:end] by text; a cut with start == end inserts.
type cut struct {
	start, end int
	text       []byte
}

// Edit starts a set of changes to the document, which itself never changes.
func (d *Doc) Edit() *Edit { return &Edit{doc: d} }

// Replace puts raw JSON in the place of a value. Values that are replaced must
// not contain one another.
func (e *Edit) Replace(n Node, raw []byte) {
	e.cuts = append(e.cuts, cut{n.Offset(), n.End(), raw})
}

// Set gives an object's member a raw JSON value: in the member's place if it is
// there, else as a new member behind the one named after, or as the first
// member if there is none of that name.
func (e *Edit) Set(object Node, name string, raw []byte, after string) {
	if m := object.Get(name); m.Exists() {
		e.Replace(m, raw)
		return
	}
	text := append(AppendString(nil, name), ':')
	text = append(text, raw...)
	if m := object.Get(after); m.Exists() {
		e.insert(m.End(), append([]byte{','}, text...))
		return
	}
	if object.Len() > 0 {
		text = append(text, ',')
	}
	e.insert(object.Offset()+1, text)
}

// Append adds a raw JSON value at the end of an array.
func (e *Edit) Append(array Node, raw []byte) {
	text := raw
	if array.Len() > 0 {
		text = append([]byte{','}, raw...)
	}
	e.insert(array.End()-1, text)
}

// Delete removes an object's member with its comma; no member of that name is
// no change. Deleting two neighbouring members in one Edit is not supported.
func (e *Edit) Delete(object Node, name string) {
	m := object.Get(name)
	if !m.Exists() {
		return
	}
	src := e.doc.src
	start, end := int(e.doc.nodes[m.at-1].start), m.End()
	before := bytes.TrimRight(src[:start], " \n\t\r")
	if before[len(before)-1] == ',' {
		start = len(before) - 1
	} else if rest := bytes.TrimLeft(src[end:], " \n\t\r"); rest[0] == ',' {
		end = len(src) - len(rest) + 1
	}
	e.cuts = append(e.cuts, cut{start, end, nil})
}

func (e *Edit) insert(at int, text []byte) {
	e.cuts = append(e.cuts, cut{at, at, text})
}

// Bytes returns the changed document in a new slice. Insertions at one place
// stand in the order they were asked for.
func (e *Edit) Bytes() []byte {
	slices.SortStableFunc(e.cuts, func(a, b cut) int { return a.start - b.start })
	size := len(e.doc.src)
	for _, c := range e.cuts {
		size += len(c.text)
	}
	out := make([]byte, 0, size)
	from := 0
	for _, c := range e.cuts {
		out = append(out, e.doc.src[from:c.start]...)
		out = append(out, c.text...)
		from = c.end
	}
	return append(out, e.doc.src[from:]...)
}
