package path

import (
	"slices"

	"galen/fhir"
	"galen/fhir/path/element"
	"galen/fhir/path/parse"
)

// Check reports what can be told to be wrong without data when the expression is
// evaluated on values of a FHIR type: an element that the type lacks, a path that
// starts at another type, a cast that can never hold, a criterion that is no
// Boolean, a function of order on children(), which have none. It is for those
// who write expressions; Eval, which must serve a union over many types, takes
// all that as empty. The error is an *Error of Kind Invalid.
func (x *Expr) Check(typeName string) error {
	c := checker{types: x.engine.types}
	this := shape{}
	if t := c.types.Lookup(typeName); t != nil {
		this.types = []*element.Type{t}
	}
	c.infer(x.tree, this)
	if c.err != nil {
		return c.err
	}
	return nil
}

// shape is what is known of a collection: the types it may have, none if any.
type shape struct {
	types     []*element.Type
	unordered bool
}

type checker struct {
	types *element.Types
	err   *Error
}

func (c *checker) fail(n *parse.Node, msg string) shape {
	if c.err == nil {
		c.err = &Error{Offset: n.Offset, Kind: fhir.Invalid, Msg: msg}
	}
	return shape{}
}

func value(name string) shape { return shape{types: []*element.Type{element.System(name)}} }

var literalTypes = map[parse.Kind]string{
	parse.Boolean: "Boolean", parse.String: "String", parse.Quantity: "Quantity",
	parse.Date: "Date", parse.DateTime: "DateTime", parse.Time: "Time",
}

// infer finds the shape of a term with this in focus.
func (c *checker) infer(n *parse.Node, this shape) shape {
	switch n.Kind {
	case parse.This:
		return this
	case parse.Name:
		return c.name(n, this)
	case parse.Call:
		return c.call(n, this)
	case parse.Subscript:
		c.infer(n.Args[0], this)
		return c.ordered(n, c.infer(n.Left, this))
	case parse.Unary:
		return c.infer(n.Args[0], this)
	case parse.Binary:
		return c.binary(n, this)
	case parse.TypeOf:
		return c.cast(n, n.Text, c.infer(n.Left, this), n.Type)
	}
	if name, ok := literalTypes[n.Kind]; ok {
		return value(name)
	}
	return shape{}
}

func (c *checker) binary(n *parse.Node, this shape) shape {
	left, right := c.infer(n.Left, this), c.infer(n.Args[0], this)
	switch n.Text {
	case "|":
		if left.types == nil || right.types == nil {
			return shape{unordered: left.unordered || right.unordered}
		}
		return shape{types: slices.Concat(left.types, right.types)}
	case "&":
		return value("String")
	case "+", "-", "*", "/", "div", "mod":
		return shape{}
	}
	return value("Boolean")
}

func (c *checker) name(n *parse.Node, this shape) shape {
	if n.Left == nil && n.Text != "" && 'A' <= n.Text[0] && n.Text[0] <= 'Z' {
		root := c.types.Lookup(n.Text)
		if root == nil {
			return c.fail(n, "no such type")
		}
		fits := func(t *element.Type) bool { return t.Open() || t.IsA(root) || root.IsA(t) }
		if this.types != nil && !slices.ContainsFunc(this.types, fits) {
			return c.fail(n, "the path starts at a type that is not in focus")
		}
		return shape{types: []*element.Type{root}}
	}
	if n.Left != nil {
		this = c.infer(n.Left, this)
	}
	out := shape{unordered: this.unordered}
	if this.types == nil {
		return out
	}
	found, open := false, false
	for _, t := range this.types {
		members, ok := t.Member(n.Text)
		found, open = found || ok, open || t.Open()
		out.types = append(out.types, members...)
	}
	if !found && !open {
		return c.fail(n, "the type has no such element")
	}
	if open || slices.ContainsFunc(out.types, (*element.Type).Open) {
		out.types = nil
	}
	return out
}

// cast is is, as and ofType.
func (c *checker) cast(n *parse.Node, op string, of shape, name parse.TypeName) shape {
	fhirType, syst := c.types.Find(name.Namespace, name.Name)
	if op == "is" {
		return value("Boolean")
	}
	out := shape{unordered: of.unordered}
	for _, t := range []*element.Type{fhirType, syst} {
		fits := func(o *element.Type) bool { return o.Open() || o.IsA(t) || t.IsA(o) }
		if t != nil && (of.types == nil || slices.ContainsFunc(of.types, fits)) {
			out.types = append(out.types, t)
		}
	}
	if out.types == nil {
		return c.fail(n, "the value can never be of this type")
	}
	return out
}

func (c *checker) ordered(n *parse.Node, of shape) shape {
	if of.unordered {
		return c.fail(n, "children have no order to count by")
	}
	return of
}

// What functions make of their input: sameItems hand on a part of it, orderly
// ones need its order, iterators evaluate their arguments on its items.
var (
	sameItems = []string{"where", "first", "last", "tail", "skip", "take", "single", "distinct", "trace", "intersect", "exclude", "sort", "checkModifiers"}
	orderly   = []string{"first", "last", "tail", "skip", "take"}
	iterators = []string{"where", "exists", "all", "select", "repeat", "sort", "trace", "aggregate"}
	onTexts   = []string{"startsWith", "endsWith", "contains", "matches", "matchesFull", "replace", "replaceMatches", "length", "indexOf", "substring", "upper", "lower", "toChars"}
	results   = map[string]string{
		"exists": "Boolean", "empty": "Boolean", "all": "Boolean", "not": "Boolean", "hasValue": "Boolean", "isDistinct": "Boolean",
		"startsWith": "Boolean", "endsWith": "Boolean", "contains": "Boolean", "matches": "Boolean", "count": "Integer",
		"toString": "String", "join": "String", "replace": "String", "substring": "String", "length": "Integer",
	}
)

func (c *checker) call(n *parse.Node, this shape) shape {
	input := this
	if n.Left != nil {
		input = c.infer(n.Left, this)
	}
	if len(n.Args) == 1 && (n.Text == "is" || n.Text == "as" || n.Text == "ofType") {
		name, _ := n.Args[0].AsType()
		return c.cast(n, n.Text, input, name)
	}
	if slices.Contains(orderly, n.Text) {
		c.ordered(n, input)
	}
	isText := func(t *element.Type) bool { return t.Open() || t.Converts("String") }
	if slices.Contains(onTexts, n.Text) && input.types != nil && !slices.ContainsFunc(input.types, isText) {
		return c.fail(n, "the function needs a String")
	}
	focus := this
	if slices.Contains(iterators, n.Text) || n.Text == "iif" && n.Left != nil {
		focus = shape{types: input.types}
	}
	args := make([]shape, len(n.Args))
	for i, a := range n.Args {
		args[i] = c.infer(a, focus)
	}
	return c.callResult(n, input, args)
}

func (c *checker) callResult(n *parse.Node, input shape, args []shape) shape {
	switch name := n.Text; {
	case slices.Contains(sameItems, name):
		return input
	case name == "select" && len(args) == 1:
		return args[0]
	case name == "children" || name == "descendants":
		return shape{unordered: true}
	case name == "extension":
		return shape{types: []*element.Type{c.types.Lookup("Extension")}}
	case name == "iif":
		isBoolean := func(t *element.Type) bool { return t.Open() || t.Converts("Boolean") }
		if criterion := args[0].types; criterion != nil && !slices.ContainsFunc(criterion, isBoolean) {
			return c.fail(n, "the criterion is no Boolean")
		}
	case results[name] != "":
		return value(results[name])
	}
	return shape{}
}
