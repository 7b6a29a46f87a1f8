package jsontree

import "slices"

// Edit collects changes to a Doc and writes them out in one pass; every byte
// outside a change is copied as it is. The zero Edit is not usable: call
// Doc.Edit. It is not safe for concurrent use.
type Edit struct {
	doc  *Doc
	cuts []cut
	gone []gone
}

// cut replaces src[start:end] by text; a cut with start == end inserts.
type cut struct {
	start, end int
	text       []byte
}

// gone is a member to be deleted: the nodes of the object and of the value.
type gone struct{ object, value int32 }

// Edit starts a set of changes to the document, which itself never changes.
func (d *Doc) Edit() *Edit { return &Edit{doc: d} }

// Replace puts raw JSON in the place of a value; of two for one value the later
// counts. A change inside a value that is replaced or deleted as a whole is
// dropped.
func (e *Edit) Replace(n Node, raw []byte) {
	if !n.Exists() {
		return
	}
	c := cut{n.Offset(), n.End(), raw}
	for i := range e.cuts {
		if e.cuts[i].start == c.start && e.cuts[i].end == c.end {
			e.cuts[i] = c
			return
		}
	}
	e.cuts = append(e.cuts, c)
}

// Set gives an object's member a raw JSON value: in the member's place if it is
// there, else as a new member behind the one named after, or as the first
// member if there is none of that name. A new member may be set once in an
// Edit, not behind one that the same Edit deletes, and not at the front of an
// object that it empties.
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
		e.insert(object.Offset()+1, append(text, ','))
		return
	}
	e.insertOnly(object.Offset()+1, text)
}

// Append adds a raw JSON value at the end of an array.
func (e *Edit) Append(array Node, raw []byte) {
	if array.Len() > 0 {
		e.insert(array.End()-1, append([]byte{','}, raw...))
		return
	}
	e.insertOnly(array.End()-1, raw)
}

// Delete removes an object's member with its comma; no member of that name is
// no change.
func (e *Edit) Delete(object Node, name string) {
	if m := object.Get(name); m.Exists() {
		e.gone = append(e.gone, gone{object.at, m.at})
	}
}

func (e *Edit) insert(at int, text []byte) {
	e.cuts = append(e.cuts, cut{at, at, text})
}

// insertOnly inserts into an empty object or array: with a comma if it is not
// the first to do so.
func (e *Edit) insertOnly(at int, text []byte) {
	if slices.ContainsFunc(e.cuts, func(c cut) bool { return c.start == at && c.end == at }) {
		text = append([]byte{','}, text...)
	}
	e.insert(at, text)
}

// deletions are the cuts of all deleted members. A member goes with the comma
// before it; those at the front of an object, having none, with the one behind.
func (e *Edit) deletions() []cut {
	var cuts []cut
	nodes := e.doc.nodes
	for i, g := range e.gone {
		if slices.ContainsFunc(e.gone[:i], func(h gone) bool { return h.object == g.object }) {
			continue
		}
		front, before := true, int32(0)
		for name := g.object + 1; name < nodes[g.object].next; name = nodes[name+1].next {
			value := nodes[name+1]
			switch {
			case !slices.Contains(e.gone, gone{g.object, name + 1}):
				front = false
			case !front:
				cuts = append(cuts, cut{int(before), int(value.end), nil})
			case value.next < nodes[g.object].next:
				cuts = append(cuts, cut{int(nodes[name].start), int(nodes[value.next].start), nil})
			default:
				cuts = append(cuts, cut{int(nodes[name].start), int(value.end), nil})
			}
			before = value.end
		}
	}
	return cuts
}

// Bytes returns the changed document in a new slice. Insertions at one place
// stand in the order they were asked for.
func (e *Edit) Bytes() []byte {
	cuts := slices.Concat(e.cuts, e.deletions())
	slices.SortStableFunc(cuts, func(a, b cut) int { return a.start - b.start })
	size := len(e.doc.src)
	for _, c := range cuts {
		size += len(c.text)
	}
	out := make([]byte, 0, size)
	from := 0
	for _, c := range cuts {
		if c.start < from { // inside what is gone already
			continue
		}
		out = append(out, e.doc.src[from:c.start]...)
		out = append(out, c.text...)
		from = c.end
	}
	return append(out, e.doc.src[from:]...)
}
