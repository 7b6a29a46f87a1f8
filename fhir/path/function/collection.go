package function

import (
	"slices"

	"galen/fhir/path/element"
	"galen/fhir/path/machine"
	"galen/fhir/path/parse"
	"galen/fhir/path/system"
)

// body is what a function does: see machine.Function.
type body = func(c *machine.Run, n *machine.Call, base int) error

const anyNumber = 1 << 10 // arguments

// collectionFunctions are N1, 5.1 to 5.4, 5.8 and 7, with sort of 2.1.
var collectionFunctions = map[string]machine.Function{
	"empty":    {Run: isEmpty},
	"count":    {Run: count},
	"exists":   {Max: 1, Run: exists},
	"all":      {Min: 1, Max: 1, Run: all},
	"allTrue":  {Run: quantifier(true, true)},
	"anyTrue":  {Run: quantifier(true, false)},
	"allFalse": {Run: quantifier(false, true)},
	"anyFalse": {Run: quantifier(false, false)},
	"not":      {Run: not},

	"subsetOf":   {Min: 1, Max: 1, Run: inclusion(false)},
	"supersetOf": {Min: 1, Max: 1, Run: inclusion(true)},
	"distinct":   {Run: distinct},
	"isDistinct": {Run: isDistinct},
	"intersect":  {Min: 1, Max: 1, Run: filter(true)},
	"exclude":    {Min: 1, Max: 1, Run: filter(false)},
	"combine":    {Min: 1, Max: 1, Run: combine},
	"union":      {Min: 1, Max: 1, Run: unite},

	"where":     {Min: 1, Max: 1, Run: where},
	"select":    {Min: 1, Max: 1, Run: selectEach},
	"repeat":    {Min: 1, Max: 1, Run: repeat},
	"aggregate": {Min: 1, Max: 2, Run: aggregate},
	"sort":      {Max: anyNumber, Run: sortItems, Prepare: descending, Sorts: true},
	"iif":       {Min: 2, Max: 3, Run: iif},
	"trace":     {Min: 1, Max: 2, Run: trace},

	"single": {Run: single},
	"first":  {Run: slice(func(int, int64) (int, int) { return 0, 1 })},
	"last":   {Run: slice(func(n int, _ int64) (int, int) { return n - 1, n })},
	"tail":   {Run: slice(func(n int, _ int64) (int, int) { return 1, n })},
	"skip":   {Min: 1, Max: 1, Run: slice(func(n int, by int64) (int, int) { return int(min(max(by, 0), int64(n))), n })},
	"take":   {Min: 1, Max: 1, Run: slice(func(n int, by int64) (int, int) { return 0, int(min(max(by, 0), int64(n))) })},

	"children":    {Run: childrenOf},
	"descendants": {Run: descendantsOf},
	"type":        {Run: typeOf},
}

func isEmpty(c *machine.Run, _ *machine.Call, base int) error {
	return c.Result(base, element.BoolItem(len(c.Items) == base))
}

func count(c *machine.Run, _ *machine.Call, base int) error {
	return c.Result(base, element.IntegerItem(int64(len(c.Items)-base)))
}

// trace lets its input through and writes nothing: logs would hold patient data.
func trace(*machine.Run, *machine.Call, int) error { return nil }

func exists(c *machine.Run, n *machine.Call, base int) error {
	if len(n.Args) == 0 {
		return c.Result(base, element.BoolItem(len(c.Items) > base))
	}
	found := false
	err := c.Each(n, base, 0, func(_, mark int) (bool, error) {
		v, _, err := machine.Truth(c.Above(mark), n.Offset)
		c.Cut(mark)
		found = found || v
		return !found, err
	})
	if err != nil {
		return err
	}
	return c.Result(base, element.BoolItem(found))
}

func all(c *machine.Run, n *machine.Call, base int) error {
	holds := true
	err := c.Each(n, base, 0, func(_, mark int) (bool, error) {
		v, known, err := machine.Truth(c.Above(mark), n.Offset)
		c.Cut(mark)
		holds = holds && known && v
		return holds, err
	})
	if err != nil {
		return err
	}
	return c.Result(base, element.BoolItem(holds))
}

// quantifier makes allTrue (true, true), anyTrue (true, false) and so on.
func quantifier(want, every bool) body {
	return func(c *machine.Run, n *machine.Call, base int) error {
		result := every
		for _, it := range c.Above(base) {
			v, ok := it.Bool()
			if !ok {
				return machine.Misfit(n.Offset, "expected only Booleans")
			}
			if (v == want) != every {
				result = !every
			}
		}
		return c.Result(base, element.BoolItem(result))
	}
}

func not(c *machine.Run, n *machine.Call, base int) error {
	v, known, err := machine.Truth(c.Above(base), n.Offset)
	if err != nil || !known {
		c.Cut(base)
		return err
	}
	return c.Result(base, element.BoolItem(!v))
}

// inclusion is subsetOf and, with the sides exchanged, supersetOf.
func inclusion(super bool) body {
	return func(c *machine.Run, n *machine.Call, base int) error {
		top := len(c.Items)
		if err := n.Args[0].Eval(c); err != nil {
			return err
		}
		part, whole := c.Items[base:top:top], c.Above(top)
		if super {
			part, whole = whole, part
		}
		in, s := true, c.NewSet(whole)
		for i := 0; i < len(part) && in; i++ {
			in = s.Has(part[i])
			if err := c.Spend(0, n.Offset); err != nil {
				return err
			}
		}
		return c.Result(base, element.BoolItem(in))
	}
}

func distinct(c *machine.Run, n *machine.Call, base int) error {
	c.Distinct(base)
	return c.Spend(0, n.Offset)
}

func isDistinct(c *machine.Run, n *machine.Call, base int) error {
	before := len(c.Items)
	if err := distinct(c, n, base); err != nil {
		return err
	}
	return c.Result(base, element.BoolItem(len(c.Items) == before))
}

// filter keeps the items that the argument holds (intersect, without
// duplicates) or does not (exclude, with them).
func filter(members bool) body {
	return func(c *machine.Run, n *machine.Call, base int) error {
		top := len(c.Items)
		if err := n.Args[0].Eval(c); err != nil {
			return err
		}
		s := c.NewSet(slices.Clone(c.Items[top:]))
		c.Cut(top)
		keep := base
		for i := base; i < top; i++ {
			if s.Has(c.Items[i]) == members {
				c.Items[keep] = c.Items[i]
				keep++
			}
			if err := c.Spend(0, n.Offset); err != nil {
				return err
			}
		}
		c.Cut(keep)
		if members {
			return distinct(c, n, base)
		}
		return nil
	}
}

func combine(c *machine.Run, n *machine.Call, _ int) error { return n.Args[0].Eval(c) }

func unite(c *machine.Run, n *machine.Call, base int) error {
	if err := n.Args[0].Eval(c); err != nil {
		return err
	}
	return distinct(c, n, base)
}

func where(c *machine.Run, n *machine.Call, base int) error {
	keep := base
	top := len(c.Items)
	err := c.Each(n, base, 0, func(at, mark int) (bool, error) {
		v, _, err := machine.Truth(c.Above(mark), n.Offset)
		c.Cut(mark)
		if v {
			c.Items[keep] = c.Items[at] // keep ≤ at: nothing unread is overwritten
			keep++
		}
		return true, err
	})
	if err != nil {
		return err
	}
	c.Cut(top)
	c.Cut(keep)
	return nil
}

func selectEach(c *machine.Run, n *machine.Call, base int) error {
	top := len(c.Items)
	if err := c.Each(n, base, 0, func(int, int) (bool, error) { return true, nil }); err != nil {
		return err
	}
	c.Settle(base, top)
	return nil
}

// repeat applies the argument to its own results until nothing new comes.
func repeat(c *machine.Run, n *machine.Call, base int) error {
	found := c.NewSet(nil)
	for round := base; ; {
		top := len(c.Items)
		if err := c.Each(n, round, 0, func(int, int) (bool, error) { return true, nil }); err != nil {
			return err
		}
		fresh := top
		for i := top; i < len(c.Items); i++ {
			if err := c.Spend(0, n.Offset); err != nil {
				return err
			}
			if it := c.Items[i]; !found.Has(it) {
				found.Add(it)
				c.Items[fresh] = it
				fresh++
			}
		}
		c.Cut(fresh)
		if fresh == top {
			break
		}
		round = top
	}
	c.Cut(base)
	c.Items = append(c.Items, found.Items...)
	return c.Spend(0, n.Offset)
}

func aggregate(c *machine.Run, n *machine.Call, base int) error {
	outer := c.Frame
	var sum []element.Item
	if len(n.Args) == 2 {
		mark := len(c.Items)
		if err := n.Args[1].Eval(c); err != nil {
			return err
		}
		sum = slices.Clone(c.Items[mark:])
		c.Cut(mark)
	}
	c.Frame.Total = sum
	err := c.Each(n, base, 0, func(_, mark int) (bool, error) {
		sum = slices.Clone(c.Items[mark:])
		c.Frame.Total = sum
		c.Cut(mark)
		return true, c.Spend(len(sum), n.Offset)
	})
	c.Frame = outer
	c.Cut(base)
	c.Items = append(c.Items, sum...)
	return err
}

// iif evaluates only the branch taken. With one input item that is $this; with
// none, $this stays; several are an error.
func iif(c *machine.Run, n *machine.Call, base int) error {
	it, ok, err := machine.One(c.Above(base), n.Offset)
	if err != nil {
		return err
	}
	c.Cut(base)
	saved := c.Frame
	if ok && n.Left != nil {
		c.Frame.This = it
	}
	v, err := c.Holds(n.Args[0], n.Offset)
	switch {
	case err != nil:
	case v:
		err = n.Args[1].Eval(c)
	case len(n.Args) == 3:
		err = n.Args[2].Eval(c)
	}
	c.Frame = saved
	return err
}

func single(c *machine.Run, n *machine.Call, base int) error {
	if len(c.Items)-base > 1 {
		return machine.Misfit(n.Offset, "expected one item, got several")
	}
	return nil
}

// slice makes a function that keeps a range of the input; pick gets the number
// of items and the argument.
func slice(pick func(n int, by int64) (from, to int)) body {
	return func(c *machine.Run, n *machine.Call, base int) error {
		by := int64(0)
		if len(n.Args) == 1 {
			it, _, err := c.Arg(n, 0)
			if err != nil {
				return err
			}
			var ok bool
			if by, ok = it.Integer(); !ok {
				return machine.Misfit(n.Offset, "expected an Integer")
			}
		}
		size := len(c.Items) - base
		if size == 0 {
			return nil
		}
		from, to := pick(size, by)
		c.Cut(base + to)
		c.Settle(base, base+from)
		return nil
	}
}

func childrenOf(c *machine.Run, n *machine.Call, base int) error {
	top := len(c.Items)
	for i := base; i < top; i++ {
		c.Children(c.Items[i])
		if err := c.Spend(0, n.Offset); err != nil {
			return err
		}
	}
	c.Settle(base, top)
	return nil
}

// descendantsOf gives all elements below the input, parents before children.
func descendantsOf(c *machine.Run, n *machine.Call, base int) error {
	top := len(c.Items)
	for i := base; i < len(c.Items); i++ {
		c.Children(c.Items[i])
		if err := c.Spend(0, n.Offset); err != nil {
			return err
		}
	}
	c.Settle(base, top)
	return nil
}

func typeOf(c *machine.Run, _ *machine.Call, base int) error {
	for i := base; i < len(c.Items); i++ {
		c.Items[i] = c.Items[i].Info()
	}
	return nil
}

// descending notes which sort keys have a minus before them.
func descending(n *parse.Node) (any, string) {
	flags := make([]bool, len(n.Args))
	for i, a := range n.Args {
		flags[i] = a.Kind == parse.Unary && a.Text == "-"
	}
	return flags, ""
}

// sortItems sorts by keys, each at most one item; without keys by the items
// themselves. A missing key comes first, up or down. The order is stable.
func sortItems(c *machine.Run, n *machine.Call, base int) error {
	flags, _ := n.State.([]bool)
	type row struct {
		item element.Item
		keys []element.Item
	}
	rows := make([]row, 0, len(c.Items)-base)
	for _, it := range c.Above(base) {
		rows = append(rows, row{item: it})
	}
	for k := range n.Args {
		err := c.Each(n, base, k, func(at, mark int) (bool, error) {
			key, _, err := machine.One(c.Above(mark), n.Offset)
			c.Cut(mark)
			rows[at-base].keys = append(rows[at-base].keys, key)
			return true, err
		})
		if err != nil {
			return err
		}
	}
	if len(n.Args) == 0 {
		flags = []bool{false}
		for i := range rows {
			rows[i].keys = []element.Item{rows[i].item}
		}
	}
	unordered := false
	slices.SortStableFunc(rows, func(a, b row) int {
		for k := range flags {
			o, ok := sortOrder(c, a.keys[k], b.keys[k])
			unordered = unordered || !ok
			if flags[k] && !a.keys[k].IsZero() && !b.keys[k].IsZero() {
				o = -o
			}
			if o != 0 {
				return o
			}
		}
		return 0
	})
	if unordered {
		return machine.Misfit(n.Offset, "the sort keys have no order among them")
	}
	for i, r := range rows {
		c.Items[base+i] = r.item
	}
	return c.Spend(0, n.Offset)
}

func sortOrder(c *machine.Run, a, b element.Item) (int, bool) {
	c.Left--
	switch {
	case a.IsZero() && b.IsZero():
		return 0, true
	case a.IsZero():
		return -1, true
	case b.IsZero():
		return 1, true
	}
	o, ok := system.Compare(a.Value(), b.Value(), c.Types.Units())
	if o == system.Uncertain || o == system.Incomparable {
		return 0, ok && o == system.Uncertain
	}
	return int(o) - int(system.Equal), ok
}
