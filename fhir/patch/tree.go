package patch

import (
	"slices"

	"galen/fhir/decimal"
	"galen/fhir/jsontree"
)

// value is a JSON value under change. It is as it came (node) until it is
// opened; then its members or items are values themselves. Only what a change
// must go through is opened, so the rest is written out as it came.
type value struct {
	node  jsontree.Node
	open  bool
	array bool
	names []string // of an open object's members
	kids  []*value // members' values or items
}

func leaf(n jsontree.Node) *value { return &value{node: n} }

// parsed is a value of JSON text that is known to be well-formed.
func parsed(raw []byte) *value {
	doc, err := jsontree.Parse(raw, jsontree.Limits{})
	if err != nil {
		return &value{} // written out as null
	}
	return leaf(doc.Root())
}

func (v *value) isArray() bool {
	return v != nil && (v.open && v.array || !v.open && v.node.Kind() == jsontree.Array)
}

func (v *value) isObject() bool {
	return v != nil && (v.open && !v.array || !v.open && v.node.Kind() == jsontree.Object)
}

func (v *value) isNull() bool {
	return v == nil || !v.open && (v.node.Kind() == jsontree.Null || !v.node.Exists())
}

// expand opens an object or array.
func (v *value) expand() *value {
	if v.open {
		return v
	}
	v.open, v.array = true, v.node.Kind() == jsontree.Array
	if v.array {
		for item := range v.node.Items() {
			v.kids = append(v.kids, leaf(item))
		}
		return v
	}
	for name, m := range v.node.Members() {
		v.names, v.kids = append(v.names, name), append(v.kids, leaf(m))
	}
	return v
}

// member is an object's member, nil if there is none. It opens nothing: what it
// returns of a closed object is a copy.
func (v *value) member(name string) *value {
	if !v.isObject() {
		return nil
	}
	if !v.open {
		if m := v.node.Get(name); m.Exists() {
			return leaf(m)
		}
		return nil
	}
	if i := slices.Index(v.names, name); i >= 0 {
		return v.kids[i]
	}
	return nil
}

// items are an array's items, as member.
func (v *value) items() []*value {
	if !v.isArray() {
		return nil
	}
	if v.open {
		return v.kids
	}
	var out []*value
	for item := range v.node.Items() {
		out = append(out, leaf(item))
	}
	return out
}

// set gives an object's member a value, in its place or as the last.
func (v *value) set(name string, m *value) {
	v.expand()
	if i := slices.Index(v.names, name); i >= 0 {
		v.kids[i] = m
		return
	}
	v.names, v.kids = append(v.names, name), append(v.kids, m)
}

// remove takes an object's member out; false if there is none.
func (v *value) remove(name string) bool {
	v.expand()
	i := slices.Index(v.names, name)
	if i < 0 {
		return false
	}
	v.names, v.kids = slices.Delete(v.names, i, i+1), slices.Delete(v.kids, i, i+1)
	return true
}

// clone shares nothing that can change.
func (v *value) clone() *value {
	out := *v
	out.names = slices.Clone(v.names)
	out.kids = make([]*value, len(v.kids))
	for i, kid := range v.kids {
		out.kids[i] = kid.clone()
	}
	return &out
}

// size is about how long the value is when written, in bytes.
func (v *value) size() int {
	if v == nil {
		return len("null")
	}
	if !v.open {
		return max(v.node.End()-v.node.Offset(), len("null"))
	}
	n := 2
	for i, kid := range v.kids {
		if !v.array {
			n += len(v.names[i]) + 3
		}
		n += kid.size() + 1
	}
	return n
}

// append writes the value.
func (v *value) append(dst []byte) []byte {
	if v == nil || !v.open && !v.node.Exists() {
		return append(dst, "null"...)
	}
	if !v.open {
		return append(dst, v.node.Raw()...)
	}
	brackets := "{}"
	if v.array {
		brackets = "[]"
	}
	dst = append(dst, brackets[0])
	for i, kid := range v.kids {
		if i > 0 {
			dst = append(dst, ',')
		}
		if !v.array {
			dst = append(jsontree.AppendString(dst, v.names[i]), ':')
		}
		dst = kid.append(dst)
	}
	return append(dst, brackets[1])
}

// equal compares as RFC 6902, section 4.6: members in any order, numbers by
// their value.
func equal(a, b jsontree.Node) bool {
	if a.Kind() != b.Kind() {
		return false
	}
	switch a.Kind() {
	case jsontree.Number:
		return sameNumber(a.Text(), b.Text())
	case jsontree.String:
		return a.Text() == b.Text()
	case jsontree.Array:
		if a.Len() != b.Len() {
			return false
		}
		i := 0
		for item := range a.Items() {
			if !equal(item, b.Item(i)) {
				return false
			}
			i++
		}
	case jsontree.Object:
		if a.Len() != b.Len() {
			return false
		}
		for name, m := range a.Members() {
			if !equal(m, b.Get(name)) {
				return false
			}
		}
	}
	return true
}

// sameNumber falls back to the text for numbers beyond the range of decimals.
func sameNumber(a, b string) bool {
	x, errX := decimal.Parse(a)
	y, errY := decimal.Parse(b)
	if errX != nil || errY != nil {
		return a == b
	}
	return x.Cmp(y) == 0
}
