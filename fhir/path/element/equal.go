package element

import (
	"galen/fhir/decimal"
	"galen/fhir/jsontree"
	"galen/fhir/path/system"
)

// Equal compares two items (N1, 6.1.1); whether two dates of different precision
// are equal may be unknown.
func (c *Stack) Equal(a, b Item) system.Logic {
	c.Left--
	if s, ok := a.Str(); ok {
		t, ok := b.Str()
		return system.Known(ok && s == t) // lengths that differ end it at once
	}
	va, vb := a.Value(), b.Value()
	switch v := va.(type) {
	case bool:
		w, ok := vb.(bool)
		return system.Known(ok && v == w)
	case typeInfo:
		return system.Known(va == vb)
	case nil:
		if vb != nil {
			return system.False
		}
		return system.Known(a.typ == b.typ && c.sameNode(a.node, b.node) && c.sameNode(a.sib, b.sib))
	}
	o, sameKind := system.Compare(va, vb, c.Types.units)
	if sameKind && o == system.Uncertain {
		return system.Unknown
	}
	return system.Known(o == system.Equal)
}

// sameNode compares two values by content: numbers by value, members in any
// order.
func (c *Stack) sameNode(a, b jsontree.Node) bool {
	c.Left--
	if a.Kind() != b.Kind() {
		return false
	}
	switch a.Kind() {
	case jsontree.String:
		return a.Text() == b.Text()
	case jsontree.Number:
		return a.Text() == b.Text() || sameNumber(a.Text(), b.Text())
	case jsontree.Array:
		others := items(b)
		at := 0
		for n := range a.Items() {
			if at == len(others) || !c.sameNode(n, others[at]) {
				return false
			}
			at++
		}
		return at == len(others)
	case jsontree.Object:
		if a.Len() != b.Len() {
			return false
		}
		for name, n := range a.Members() {
			if !c.sameNode(n, b.Get(name)) {
				return false
			}
		}
	}
	return true
}

func items(n jsontree.Node) []jsontree.Node {
	var all []jsontree.Node
	for v := range n.Items() {
		all = append(all, v)
	}
	return all
}

func sameNumber(a, b string) bool {
	x, errX := decimal.Parse(a)
	y, errY := decimal.Parse(b)
	return errX == nil && errY == nil && x.Equal(y)
}

const textPerStep = 64 // bytes

// Equivalent is equality but for case, white space, order and precision
// (N1, 6.1.2).
func (c *Stack) Equivalent(a, b Item) bool {
	if s, ok := a.Str(); ok {
		t, ok := b.Str()
		c.Left -= (len(s) + len(t)) / textPerStep
		return ok && system.SameText(s, t)
	}
	va, vb := a.Value(), b.Value()
	switch va.(type) {
	case nil:
		return vb == nil && a.typ == b.typ && c.alike(a.node, b.node)
	case typeInfo:
		return va == vb
	}
	return system.Equivalent(va, vb, c.Types.units)
}

// alike is equivalence of elements: their values equivalent, lists in any order.
func (c *Stack) alike(a, b jsontree.Node) bool {
	c.Left--
	if a.Kind() != b.Kind() || c.Left < 0 {
		return false
	}
	switch a.Kind() {
	case jsontree.String:
		c.Left -= (len(a.Text()) + len(b.Text())) / textPerStep
		return system.SameText(a.Text(), b.Text())
	case jsontree.Number:
		x, errX := decimal.Parse(a.Text())
		y, errY := decimal.Parse(b.Text())
		return errX == nil && errY == nil && system.EquivalentDecimal(x, y)
	case jsontree.Array:
		return c.alikeLists(items(a), items(b))
	case jsontree.Object:
		if a.Len() != b.Len() {
			return false
		}
		for name, n := range a.Members() {
			if !c.alike(n, b.Get(name)) {
				return false
			}
		}
	}
	return true
}

func (c *Stack) alikeLists(a, b []jsontree.Node) bool {
	if len(a) != len(b) {
		return false
	}
	for _, n := range a {
		found := false
		for j, m := range b {
			if found = c.alike(n, m); found {
				b = append(b[:j], b[j+1:]...)
				break
			}
		}
		if !found {
			return false
		}
	}
	return true
}
