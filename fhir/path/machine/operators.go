package machine

import (
	"galen/fhir/decimal"
	"galen/fhir/path/element"
	"galen/fhir/path/system"
)

// Operator is a binary operator on two whole collections.
type Operator func(c *Run, left, right []element.Item, offset int) error

// Binary applies an Operator.
type Binary struct {
	Op          Operator
	Left, Right Node
	Offset      int
}

// Eval evaluates both sides and applies the operator.
func (n *Binary) Eval(c *Run) error {
	base := len(c.Items)
	if err := n.Left.Eval(c); err != nil {
		return err
	}
	mid := len(c.Items)
	if err := n.Right.Eval(c); err != nil {
		return err
	}
	if err := c.Spend(0, n.Offset); err != nil {
		return err
	}
	top := len(c.Items)
	if err := n.Op(c, c.Items[base:mid:mid], c.Items[mid:top:top], n.Offset); err != nil {
		return err
	}
	c.Settle(base, top)
	return nil
}

// operators are all but and, or, xor, implies and |. The table is never changed.
var operators = map[string]Operator{
	"=":  func(c *Run, l, r []element.Item, at int) error { return c.equal(l, r, at, true) },
	"!=": func(c *Run, l, r []element.Item, at int) error { return c.equal(l, r, at, false) },
	"~":  func(c *Run, l, r []element.Item, at int) error { return c.equivalent(l, r, at, true) },
	"!~": func(c *Run, l, r []element.Item, at int) error { return c.equivalent(l, r, at, false) },
	"<":  ordering(func(o system.Order) bool { return o == system.Less }),
	"<=": ordering(func(o system.Order) bool { return o != system.Greater }),
	">":  ordering(func(o system.Order) bool { return o == system.Greater }),
	">=": ordering(func(o system.Order) bool { return o != system.Less }),

	"in":       func(c *Run, l, r []element.Item, at int) error { return c.member(l, r, at) },
	"contains": func(c *Run, l, r []element.Item, at int) error { return c.member(r, l, at) },

	"&":   concatenate,
	"+":   arithmetic(system.Add),
	"-":   arithmetic(system.Subtract),
	"*":   arithmetic(system.Multiply),
	"/":   arithmetic(system.Divide),
	"div": arithmetic(system.Div),
	"mod": arithmetic(system.Mod),
}

// NewBinary makes the node of a binary operator that parse knows.
func NewBinary(op string, left, right Node, offset int) Node {
	if table, ok := logics[op]; ok {
		return &logic{table, left, right, offset}
	}
	if op == "|" {
		return &union{left, right, offset}
	}
	return &Binary{operators[op], left, right, offset}
}

// logic is and, or, xor, implies. The right side is evaluated only if it can
// matter.
type logic struct {
	table       truthTable
	left, right Node
	offset      int
}

// truthTable is the result by left then right value.
type truthTable [3][3]system.Logic

const no, unknown, yes = system.False, system.Unknown, system.True

// logics are the truth tables of N1, 6.5.
var logics = map[string]truthTable{
	"and":     {{no, no, no}, {no, unknown, unknown}, {no, unknown, yes}},
	"or":      {{no, unknown, yes}, {unknown, unknown, yes}, {yes, yes, yes}},
	"xor":     {{no, unknown, yes}, {unknown, unknown, unknown}, {yes, unknown, no}},
	"implies": {{yes, yes, yes}, {unknown, unknown, yes}, {no, unknown, yes}},
}

func (n *logic) Eval(c *Run) error {
	l, err := c.threeValued(n.left, n.offset)
	if err != nil {
		return err
	}
	row := n.table[l]
	v := row[no]
	if row[unknown] != v || row[yes] != v {
		r, err := c.threeValued(n.right, n.offset)
		if err != nil {
			return err
		}
		v = row[r]
	}
	if v != unknown {
		c.Push(element.BoolItem(v == yes))
	}
	return c.Spend(0, n.offset)
}

func (c *Run) threeValued(n Node, offset int) (system.Logic, error) {
	mark := len(c.Items)
	if err := n.Eval(c); err != nil {
		return unknown, err
	}
	v, known, err := Truth(c.Above(mark), offset)
	c.Cut(mark)
	if !known {
		return unknown, err
	}
	return system.Known(v), nil
}

// union is |: both sides without duplicates.
type union struct {
	left, right Node
	offset      int
}

func (n *union) Eval(c *Run) error {
	base := len(c.Items)
	if err := n.left.Eval(c); err != nil {
		return err
	}
	if err := n.right.Eval(c); err != nil {
		return err
	}
	c.Distinct(base)
	return c.Spend(0, n.offset)
}

func (c *Run) equal(l, r []element.Item, at int, want bool) error {
	if len(l) == 0 || len(r) == 0 {
		return nil
	}
	result := system.Known(len(l) == len(r))
	for i := 0; i < len(l) && result != no; i++ {
		if v := c.Equal(l[i], r[i]); v != yes {
			result = v
		}
		if err := c.Spend(0, at); err != nil {
			return err
		}
	}
	if result != unknown {
		c.Push(element.BoolItem((result == yes) == want))
	}
	return nil
}

// equivalent is ~ (N1, 6.1.2): collections in any order.
func (c *Run) equivalent(l, r []element.Item, at int, want bool) error {
	same := len(l) == len(r)
	used := make([]bool, len(r))
	for i := 0; i < len(l) && same; i++ {
		same = false
		for j := range r {
			if err := c.Spend(0, at); err != nil {
				return err
			}
			if !used[j] && c.Equivalent(l[i], r[j]) {
				used[j], same = true, true
				break
			}
		}
	}
	c.Push(element.BoolItem(same == want))
	return nil
}

// member is item in collection.
func (c *Run) member(item, collection []element.Item, at int) error {
	it, ok, err := One(item, at)
	if err != nil || !ok {
		return err
	}
	found := false
	for i := 0; i < len(collection) && !found; i++ {
		found = c.Equal(it, collection[i]) == yes
		if err := c.Spend(0, at); err != nil {
			return err
		}
	}
	c.Push(element.BoolItem(found))
	return nil
}

// ordering makes a comparison: empty where the order is uncertain or a side is
// empty, an error for types that have no order.
func ordering(fits func(system.Order) bool) Operator {
	return func(c *Run, l, r []element.Item, at int) error {
		a, okA, err := One(l, at)
		if err != nil {
			return err
		}
		b, okB, err := One(r, at)
		if err != nil || !okA || !okB || a.Vague() || b.Vague() {
			return err
		}
		o, sameKind := system.Compare(a.Value(), b.Value(), c.Types.Units())
		switch {
		case o == system.Less || o == system.Equal || o == system.Greater:
			c.Push(element.BoolItem(fits(o)))
		case !sameKind:
			return Misfit(at, "values of these types have no order")
		}
		return nil
	}
}

func concatenate(c *Run, l, r []element.Item, at int) error {
	text := ""
	for _, side := range [...][]element.Item{l, r} {
		it, ok, err := One(side, at)
		if err != nil {
			return err
		}
		s, isText := it.Str()
		if ok && !isText && !it.Vague() {
			return Misfit(at, "& joins Strings")
		}
		text += s
	}
	return c.PushText(text, at)
}

// arithmetic lifts an operation on two values to collections: empty if one of
// them is. No operation for the types is an error.
func arithmetic(op func(a, b any, units system.Converter) (result any, fits bool)) Operator {
	return func(c *Run, l, r []element.Item, at int) error {
		a, okA, err := One(l, at)
		if err != nil {
			return err
		}
		b, okB, err := One(r, at)
		if err != nil || !okA || !okB || a.Vague() || b.Vague() {
			return err
		}
		v, fits := op(a.Value(), b.Value(), c.Types.Units())
		if !fits {
			return Misfit(at, "the operator does not fit values of these types")
		}
		return c.PushValue(v, at)
	}
}

// PushValue pushes a computed System value; nil and an Integer out of range are
// empty (N1, 6.6: overflow).
func (c *Run) PushValue(v any, at int) error {
	const perStep = 64 // digits
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return c.PushText(v, at)
	case int64:
		if !system.InRange(v) {
			return nil
		}
	case decimal.Decimal:
		c.Left -= v.Digits() / perStep
	}
	if it, ok := element.FromValue(v); ok {
		c.Push(it)
	}
	return nil
}
