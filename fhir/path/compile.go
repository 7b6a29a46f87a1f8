package path

import (
	"slices"
	"strings"

	"galen/fhir"
	"galen/fhir/path/element"
	"galen/fhir/path/function"
	"galen/fhir/path/machine"
	"galen/fhir/path/parse"
	"galen/fhir/path/system"
)

// compiler turns the syntax tree into nodes. The first error stays.
type compiler struct {
	types *element.Types
	err   error
}

func (c *compiler) fail(offset int, msg string) machine.Node {
	if c.err == nil {
		c.err = &Error{Offset: offset, Kind: fhir.Invalid, Msg: msg}
	}
	return machine.Empty{}
}

// optional compiles a left side, which may be absent.
func (c *compiler) optional(n *parse.Node) machine.Node {
	if n == nil {
		return nil
	}
	return c.compile(n)
}

func (c *compiler) compile(n *parse.Node) machine.Node {
	switch n.Kind {
	case parse.Empty:
		return machine.Empty{}
	case parse.This:
		return machine.This{}
	case parse.Index:
		return machine.Index{}
	case parse.Total:
		return machine.Total{}
	case parse.External:
		return c.external(n)
	case parse.Name:
		return c.path(n)
	case parse.Call:
		return c.call(n)
	case parse.Subscript:
		return &machine.Subscript{Left: c.compile(n.Left), At: c.compile(n.Args[0]), Offset: n.Offset}
	case parse.Unary:
		return c.unary(n)
	case parse.Binary:
		return c.binary(n)
	case parse.TypeOf:
		return c.typeOperator(n, n.Left, n.Text, n.Type)
	}
	return c.literal(n)
}

func (c *compiler) literal(n *parse.Node) machine.Node {
	it, ok := literalItem(n)
	if !ok {
		return c.fail(n.Offset, "a literal out of range")
	}
	return &machine.Literal{Item: it}
}

var temporalKinds = map[parse.Kind]system.Kind{
	parse.Date: system.Date, parse.DateTime: system.DateTime, parse.Time: system.Time,
}

func literalItem(n *parse.Node) (element.Item, bool) {
	switch n.Kind {
	case parse.Boolean:
		return element.BoolItem(n.Text == "true"), true
	case parse.String:
		return element.StringItem(n.Text), true
	case parse.Number:
		d, ok := system.ParseDecimal(n.Text)
		if strings.Contains(n.Text, ".") {
			return element.DecimalItem(d), ok
		}
		v, whole := d.Int64()
		return element.IntegerItem(v), ok && whole && system.InRange(v)
	case parse.Quantity:
		d, ok := system.ParseDecimal(n.Text)
		return element.FromQuantity(system.Quantity{Value: d, Unit: n.Unit, Calendar: n.Calendar}), ok
	}
	t, ok := system.Parse(temporalKinds[n.Kind], n.Text)
	return element.FromTemporal(t), ok
}

// path joins a chain of names into one node.
func (c *compiler) path(n *parse.Node) machine.Node {
	p := &machine.Path{Offset: n.Offset}
	var names []string
	for ; n != nil && n.Kind == parse.Name; n = n.Left {
		names = append(names, n.Text)
	}
	slices.Reverse(names)
	p.Left = c.optional(n)
	// No element's name starts with a capital, so such a name is a type.
	if first := names[0]; p.Left == nil && first != "" && 'A' <= first[0] && first[0] <= 'Z' {
		p.Root, names = c.types.Named(first), names[1:]
	}
	p.Steps = c.types.Path(p.Root, names)
	return p
}

func (c *compiler) typeOperator(at, left *parse.Node, op string, name parse.TypeName) machine.Node {
	fhirType, syst := c.types.Find(name.Namespace, name.Name)
	if fhirType == nil && syst == nil && name.Namespace != "System" {
		return c.fail(at.Offset, "no such type")
	}
	operand := c.optional(left)
	if operand == nil {
		operand = machine.This{}
	}
	if op == "is" {
		return &machine.TypeTest{Left: operand, FHIR: fhirType, System: syst, Offset: at.Offset}
	}
	return &machine.TypeCast{Left: operand, FHIR: fhirType, System: syst}
}

func (c *compiler) call(n *parse.Node) machine.Node {
	if len(n.Args) == 1 && (n.Text == "is" || n.Text == "as" || n.Text == "ofType") {
		name, ok := n.Args[0].AsType()
		if !ok {
			return c.fail(n.Args[0].Offset, "expected the name of a type")
		}
		return c.typeOperator(n, n.Left, n.Text, name)
	}
	fn, ok := function.Table[n.Text]
	if !ok {
		return c.fail(n.Offset, "no such function")
	}
	if len(n.Args) < fn.Min || len(n.Args) > fn.Max {
		return c.fail(n.Offset, "wrong number of arguments")
	}
	out := &machine.Call{Left: c.optional(n.Left), Fn: &fn, Offset: n.Offset}
	if fn.Prepare != nil {
		var msg string
		if out.State, msg = fn.Prepare(n); msg != "" {
			return c.fail(n.Offset, msg)
		}
	}
	for _, a := range n.Args {
		if fn.Sorts && a.Kind == parse.Unary {
			a = a.Args[0]
		}
		out.Args = append(out.Args, c.compile(a))
	}
	return out
}

func (c *compiler) unary(n *parse.Node) machine.Node {
	operand := n.Args[0]
	// -2147483648 is in range although 2147483648 is not.
	if operand.Kind == parse.Number && n.Text == "-" {
		negative := *operand
		negative.Text = "-" + operand.Text
		return c.literal(&negative)
	}
	return &machine.Sign{Operand: c.compile(operand), Minus: n.Text == "-", Offset: n.Offset}
}

func (c *compiler) binary(n *parse.Node) machine.Node {
	return machine.NewBinary(n.Text, c.compile(n.Left), c.compile(n.Args[0]), n.Offset)
}

// constants are the variables whose value is fixed
// (https://hl7.org/fhir/R4/fhirpath.html#variables).
var constants = map[string]string{
	"ucum": element.UCUM, "sct": "http://snomed.info/sct", "loinc": "http://loinc.org",
}

func (c *compiler) external(n *parse.Node) machine.Node {
	switch n.Text {
	case "resource", "rootResource", "context":
		return &machine.Surroundings{Name: n.Text}
	}
	value, ok := constants[n.Text]
	if rest, found := strings.CutPrefix(n.Text, "vs-"); found && !ok {
		value, ok = "http://hl7.org/fhir/ValueSet/"+rest, true
	}
	if rest, found := strings.CutPrefix(n.Text, "ext-"); found && !ok {
		value, ok = "http://hl7.org/fhir/StructureDefinition/"+rest, true
	}
	if ok {
		return &machine.Literal{Item: element.StringItem(value)}
	}
	return &machine.Variable{Name: n.Text, Offset: n.Offset}
}
