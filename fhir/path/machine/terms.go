package machine

import (
	"galen/fhir/decimal"
	"galen/fhir/path/element"
	"galen/fhir/path/parse"
	"galen/fhir/path/system"
)

// Literal is a value in the text, or a %variable of fixed value.
type Literal struct{ Item element.Item }

// Eval pushes the value.
func (n *Literal) Eval(c *Run) error {
	c.Push(n.Item)
	return nil
}

// Empty is {}.
type Empty struct{}

// Eval pushes nothing.
func (Empty) Eval(*Run) error { return nil }

// This is $this.
type This struct{}

// Eval pushes the item in focus.
func (This) Eval(c *Run) error {
	if !c.Frame.This.IsZero() {
		c.Push(c.Frame.This)
	}
	return nil
}

// Index is $index.
type Index struct{}

// Eval pushes the position of the item in focus.
func (Index) Eval(c *Run) error {
	c.Push(element.IntegerItem(int64(c.Frame.Index)))
	return nil
}

// Total is $total.
type Total struct{}

// Eval pushes what aggregate() has so far.
func (Total) Eval(c *Run) error {
	for _, it := range c.Frame.Total {
		c.Push(it)
	}
	return c.Spend(0, 0)
}

// Variable is a %name from Env.Vars.
type Variable struct {
	Name   string
	Offset int
}

// Eval pushes the variable's items; an unknown one is an error.
func (n *Variable) Eval(c *Run) error {
	items, ok := c.Env.Vars[n.Name]
	if !ok {
		return Misfit(n.Offset, "no such variable")
	}
	for _, it := range items {
		if it = c.Types.Adopt(it); !it.IsZero() {
			c.Push(it)
		}
	}
	return c.Spend(0, n.Offset)
}

// Surroundings is %context, %resource or %rootResource. The latter two are found
// by where the focus lies: the innermost resource around it, and for a contained
// resource its container (https://hl7.org/fhir/R4/fhirpath.html#variables).
type Surroundings struct{ Name string }

// Eval pushes the resource.
func (n *Surroundings) Eval(c *Run) error {
	it := c.input
	if n.Name != "context" {
		inner, outer := c.Place.Around(c.input)
		if it = inner; n.Name == "rootResource" {
			it = outer
		}
	}
	if !it.IsZero() {
		c.Push(it)
	}
	return nil
}

// Path is a.b.c from $this or from what Left gives. With Root set it starts at a
// type name, which is $this if that is of the type and nothing otherwise
// (N1, 3.1).
type Path struct {
	Left   Node
	Root   *element.Type
	Steps  []element.Step
	Offset int
}

// Eval follows the names.
func (n *Path) Eval(c *Run) error {
	if n.Left == nil {
		if it := &c.Frame.This; !it.IsZero() && (n.Root == nil || it.Is(n.Root)) {
			c.Follow(*it, n.Steps)
		}
		return c.Spend(0, n.Offset)
	}
	base := len(c.Items)
	if err := n.Left.Eval(c); err != nil {
		return err
	}
	top := len(c.Items)
	for i := base; i < top; i++ {
		c.Follow(c.Items[i], n.Steps)
		if err := c.Spend(0, n.Offset); err != nil {
			return err
		}
	}
	c.Settle(base, top)
	return nil
}

// Subscript is Left[At].
type Subscript struct {
	Left, At Node
	Offset   int
}

// Eval pushes the item at the position, counted from 0, if there is one.
func (n *Subscript) Eval(c *Run) error {
	base := len(c.Items)
	if err := n.Left.Eval(c); err != nil {
		return err
	}
	top := len(c.Items)
	if err := n.At.Eval(c); err != nil {
		return err
	}
	it, ok, err := One(c.Above(top), n.Offset)
	if err != nil || !ok {
		c.Cut(base)
		return err
	}
	i, ok := it.Integer()
	if !ok {
		return Misfit(n.Offset, "an index must be an Integer")
	}
	if i < 0 || i >= int64(top-base) {
		c.Cut(base)
		return nil
	}
	return c.Result(base, c.Items[base+int(i)])
}

// TypeTest is is.
type TypeTest struct {
	Left         Node
	FHIR, System *element.Type // nil where the name means no such type
	Offset       int
}

// Eval pushes whether the one item is of a type.
func (n *TypeTest) Eval(c *Run) error {
	base := len(c.Items)
	if err := n.Left.Eval(c); err != nil {
		return err
	}
	it, ok, err := One(c.Above(base), n.Offset)
	if err != nil || !ok {
		c.Cut(base)
		return err
	}
	return c.Result(base, element.BoolItem(it.Matches(n.FHIR, n.System, false)))
}

// TypeCast is as and ofType. Both let several items through, since R4's own
// expressions use as so: "Observation.component.value as Quantity".
type TypeCast struct {
	Left         Node
	FHIR, System *element.Type
}

// Eval keeps the items of a type.
func (n *TypeCast) Eval(c *Run) error {
	base := len(c.Items)
	if err := n.Left.Eval(c); err != nil {
		return err
	}
	keep := base
	for i := base; i < len(c.Items); i++ {
		if c.Items[i].Matches(n.FHIR, n.System, true) {
			c.Items[keep] = c.Items[i]
			keep++
		}
	}
	c.Cut(keep)
	return nil
}

// Sign is + or - before an operand.
type Sign struct {
	Operand Node
	Minus   bool
	Offset  int
}

// Eval negates a number or quantity.
func (n *Sign) Eval(c *Run) error {
	base := len(c.Items)
	if err := n.Operand.Eval(c); err != nil {
		return err
	}
	it, ok, err := One(c.Above(base), n.Offset)
	if err != nil || !ok {
		return err
	}
	var out element.Item
	switch v := it.Value().(type) {
	case int64:
		out = element.IntegerItem(-v)
	case decimal.Decimal:
		out = element.DecimalItem(v.Neg())
	case system.Quantity:
		v.Value = v.Value.Neg()
		out = element.FromQuantity(v)
	default:
		return Misfit(n.Offset, "a sign needs a number or a quantity")
	}
	if !n.Minus {
		return nil
	}
	return c.Result(base, out)
}

// Function is one function of the language. Run finds the input collection above
// base on the stack and leaves its result there.
type Function struct {
	Min, Max int // arguments
	Run      func(c *Run, n *Call, base int) error
	// Prepare checks and readies literal arguments at compile time; a message
	// that is not empty refuses the expression.
	Prepare func(n *parse.Node) (state any, msg string)
	Sorts   bool // a minus before an argument means descending
}

// Call is a function with its arguments. Left is nil where the function stands
// alone: it then takes $this.
type Call struct {
	Left   Node
	Fn     *Function
	Args   []Node
	State  any // what Prepare made
	Offset int
}

// Eval evaluates the input and runs the function.
func (n *Call) Eval(c *Run) error {
	base := len(c.Items)
	var err error
	if n.Left == nil {
		err = This{}.Eval(c)
	} else {
		err = n.Left.Eval(c)
	}
	if err == nil {
		err = c.Spend(0, n.Offset)
	}
	if err != nil {
		return err
	}
	return n.Fn.Run(c, n, base)
}

// Arg evaluates an argument in the frame of the call and takes its single item.
func (c *Run) Arg(n *Call, i int) (it element.Item, ok bool, err error) {
	mark := len(c.Items)
	if err := n.Args[i].Eval(c); err != nil {
		return element.Item{}, false, err
	}
	it, ok, err = One(c.Above(mark), n.Offset)
	c.Cut(mark)
	return it, ok, err
}

// Each evaluates an argument once for every item above base, as $this, and hands
// on where the item and the result lie; it stops when then says no.
func (c *Run) Each(n *Call, base, arg int, then func(at, mark int) (more bool, err error)) error {
	saved := c.Frame
	top := len(c.Items)
	for i := base; i < top; i++ {
		if err := c.Spend(1, n.Offset); err != nil {
			return err
		}
		c.Frame.This, c.Frame.Index = c.Items[i], i-base
		mark := len(c.Items)
		if err := n.Args[arg].Eval(c); err != nil {
			return err
		}
		if more, err := then(i, mark); err != nil {
			return err
		} else if !more {
			break
		}
	}
	c.Frame = saved
	return nil
}
