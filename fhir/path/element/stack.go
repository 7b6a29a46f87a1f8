package element

import (
	"strings"

	"galen/fhir/jsontree"
	"galen/fhir/path/system"
)

// Stack holds the collections of one evaluation, one upon the other, and counts
// the work done on them. What is pushed is the result of whoever remembered the
// height before.
type Stack struct {
	Items []Item
	Left  int // steps left; below zero the evaluator must stop
	Types *Types
	high  int // greatest height that was cut, to clear what is above
}

// Push adds an item.
func (c *Stack) Push(it Item) {
	c.Items = append(c.Items, it)
	c.Left--
}

// Height is where the next collection starts.
func (c *Stack) Height() int { return len(c.Items) }

// Cut lowers the stack.
func (c *Stack) Cut(to int) {
	c.high = max(c.high, len(c.Items))
	c.Items = c.Items[:to]
}

// Settle moves what lies from a height up down to base.
func (c *Stack) Settle(base, from int) {
	n := copy(c.Items[base:], c.Items[from:])
	c.Cut(base + n)
}

// Above is the collection that starts at base. It stays as it is while more is
// pushed.
func (c *Stack) Above(base int) []Item { return c.Items[base:len(c.Items):len(c.Items)] }

// Reset empties the stack and drops every reference to data.
func (c *Stack) Reset() {
	const keep = 4096 // items; a greater stack is left to the collector
	c.high = max(c.high, len(c.Items))
	if cap(c.Items) > keep {
		c.Items, c.high = nil, 0
	}
	clear(c.Items[:c.high])
	*c = Stack{Items: c.Items[:0]}
}

// Step is one name of a path with, where the compiler could tell it, the element
// meant.
type Step struct {
	name string
	on   *Type // hint: the type that elem belongs to
	elem *member
}

// Path prepares names for Follow; root is the type they start from, nil if that
// is not known.
func (e *Types) Path(root *Type, names []string) []Step {
	steps := make([]Step, len(names))
	for i, name := range names {
		steps[i].name = name
		if root == nil {
			continue
		}
		s := &steps[i]
		s.on, s.elem = root, root.members[name]
		if root = nil; s.elem != nil {
			root = s.elem.typ
		}
	}
	return steps
}

// Follow pushes what the names lead to from one item, depth first, which is the
// order FHIRPath asks for.
func (c *Stack) Follow(it Item, names []Step) {
	if len(names) == 0 {
		c.Push(it)
		return
	}
	s := &names[0]
	m := s.elem
	if m == nil || it.typ != s.on {
		if m = it.typ.members[s.name]; m == nil {
			c.followSystem(it, names)
			return
		}
	}
	from := it.node
	if it.typ.primitive { // only id and extension lie below
		from = it.sib
	}
	if m.choice == nil {
		v := from.Get(m.name)
		var sib jsontree.Node
		if m.typ.primitive {
			sib = from.Get(m.under)
		}
		c.branch(m.typ, v, sib, names[1:])
		return
	}
	for name, v := range from.Members() {
		if strings.HasPrefix(strings.TrimPrefix(name, "_"), m.name) {
			c.followChoice(m, from, name, v, names[1:])
		}
	}
}

// followChoice follows one JSON member if it is a form of the choice: the value
// with its sibling, or a sibling that has no value.
func (c *Stack) followChoice(m *member, from jsontree.Node, name string, v jsontree.Node, rest []Step) {
	if t := m.choice[name]; t != nil {
		var sib jsontree.Node
		if t.primitive {
			sib = from.Get("_" + name)
		}
		c.branch(t, v, sib, rest)
		return
	}
	if name != "" && name[0] == '_' {
		if t := m.choice[name[1:]]; t != nil && t.primitive && !from.Get(name[1:]).Exists() {
			c.branch(t, jsontree.Node{}, v, rest)
		}
	}
}

// followSystem takes the parts of System values that have some.
func (c *Stack) followSystem(it Item, names []Step) {
	var part Item
	switch v := it.sys.(type) {
	case typeInfo:
		switch names[0].name {
		case "namespace":
			part = StringItem(v.namespace)
		case "name":
			part = StringItem(v.name)
		}
	case system.Quantity:
		switch names[0].name {
		case "value":
			part = DecimalItem(v.Value)
		case "unit":
			part = StringItem(v.Unit)
		}
	}
	if part.typ != nil {
		c.Follow(part, names[1:])
	}
}

// branch follows the values of one element: the items of an array, or one.
func (c *Stack) branch(t *Type, v, sib jsontree.Node, rest []Step) {
	if sib.Exists() {
		c.branchPairs(t, v, sib, rest)
		return
	}
	if v.Kind() != jsontree.Array {
		c.enter(t, v, sib, rest)
		return
	}
	for n := range v.Items() {
		c.enter(t, n, sib, rest)
	}
}

// branchPairs pairs values with their siblings; in arrays null fills the gaps
// (https://hl7.org/fhir/R4/json.html#primitive).
func (c *Stack) branchPairs(t *Type, v, sib jsontree.Node, rest []Step) {
	if v.Kind() != jsontree.Array && sib.Kind() != jsontree.Array {
		c.enter(t, v, sib, rest)
		return
	}
	var siblings []jsontree.Node
	for s := range sib.Items() {
		siblings = append(siblings, s)
	}
	at := 0
	for n := range v.Items() {
		var s jsontree.Node
		if at < len(siblings) {
			s = siblings[at]
		}
		at++
		c.enter(t, n, s, rest)
	}
	for ; at < len(siblings); at++ {
		c.enter(t, jsontree.Node{}, siblings[at], rest)
	}
}

// enter goes on from one value, unless there is neither value nor sibling.
func (c *Stack) enter(t *Type, v, sib jsontree.Node, rest []Step) {
	if sib.Kind() != jsontree.Object {
		sib = jsontree.Node{}
	}
	if v.Kind() <= jsontree.Null {
		if v = (jsontree.Node{}); !sib.Exists() {
			return
		}
	}
	c.Left--
	c.Follow(Item{typ: c.Types.dynamic(t, v), node: v, sib: sib}, rest)
}

// Children pushes all elements directly below an item, in document order.
func (c *Stack) Children(it Item) {
	from := it.node
	if it.typ.primitive {
		from = it.sib
	}
	if it.typ.spec == nil {
		return
	}
	for name, v := range from.Members() {
		c.Left--
		if name != "" && name[0] == '_' {
			if plain := name[1:]; !from.Get(plain).Exists() {
				if _, code, ok := it.typ.spec.Element(plain); ok {
					c.branch(c.Types.table[code], jsontree.Node{}, v, nil)
				}
			}
			continue
		}
		_, code, ok := it.typ.spec.Element(name)
		if !ok {
			continue
		}
		t := c.Types.table[code]
		var sib jsontree.Node
		if t.primitive {
			sib = from.Get("_" + name)
		}
		c.branch(t, v, sib, nil)
	}
}
