// Package path evaluates FHIRPath 2.0 (https://hl7.org/fhirpath/N1/) with the
// functions of R4 (https://hl7.org/fhir/R4/fhirpath.html) on resources as they
// are: over the jsontree index of their bytes, never decoded or copied.
//
// Promises: an expression is compiled once and evaluated by any number of
// goroutines; no expression panics or runs without bound (steps, collection
// size, text size and nesting are limited and the context is watched); decimals
// are exact, dates keep their precision, quantities convert by UCUM. Errors name
// an offset in the expression and never a value of the data.
//
// It is no validator and no terminology server: conformsTo, memberOf and
// subsumes ask what the caller supplies. It changes nothing.
package path

import (
	"context"
	"errors"
	"sync"

	"galen/fhir"
	"galen/fhir/decimal"
	"galen/fhir/jsontree"
	"galen/fhir/path/element"
	"galen/fhir/path/machine"
	"galen/fhir/path/parse"
	"galen/fhir/spec"
	"galen/fhir/ucum"
)

// The vocabulary of package machine and element, under the names that callers
// use.
type (
	// Item is one value of a collection: an element of a resource or a System
	// value.
	Item = element.Item
	// Env is what an evaluation sees.
	Env = machine.Env
	// Error is why an expression does not compile or could not be evaluated.
	Error = machine.Error
	// Terminology answers what needs code systems.
	Terminology = machine.Terminology
)

// DefaultSteps is the limit of an evaluation whose Env names none.
const DefaultSteps = machine.DefaultSteps

// Engine compiles expressions for one set of definitions. It is immutable and
// safe for concurrent use.
type Engine struct {
	types *element.Types
	runs  *sync.Pool // of *machine.Run: stacks to use again
}

// New makes an engine. units may be nil: then only quantities of equal units
// compare.
func New(defs *spec.Definitions, units *ucum.Table) *Engine {
	return &Engine{element.NewTypes(defs, units), new(sync.Pool)}
}

// Expr is a compiled expression, immutable and safe for concurrent use.
type Expr struct {
	engine *Engine
	text   string
	tree   *parse.Node
	root   machine.Node
}

// Compile reads an expression and binds its types and functions. The error is an
// *Error of Kind Invalid.
func (e *Engine) Compile(text string) (*Expr, error) {
	tree, err := parse.Parse(text)
	if err != nil {
		var p *parse.Error
		if errors.As(err, &p) {
			return nil, &Error{Offset: p.Offset, Kind: fhir.Invalid, Msg: p.Msg}
		}
		return nil, err
	}
	c := compiler{types: e.types}
	root := c.compile(tree)
	if c.err != nil {
		return nil, c.err
	}
	return &Expr{e, text, tree, root}, nil
}

// String returns the source.
func (x *Expr) String() string { return x.text }

// Eval evaluates the expression. The items hold views of the resource's bytes.
// The error is an *Error.
func (x *Expr) Eval(ctx context.Context, env Env) ([]Item, error) {
	run, ok := x.engine.runs.Get().(*machine.Run)
	if !ok {
		run = new(machine.Run)
	}
	items, err := run.Eval(ctx, x.engine.types, x.root, env)
	x.engine.runs.Put(run)
	return items, err
}

// Truth reads a collection as a Boolean (N1, 4.5: singleton evaluation): one
// Boolean is its value, any other single item true. ok is false for an empty
// collection, which is neither, and for several items, which is an error.
func Truth(items []Item) (value, ok bool) {
	value, ok, err := machine.Truth(items, 0)
	return value, ok && err == nil
}

// ResourceItem is a whole resource as an item.
func ResourceItem(r fhir.Resource) Item { return element.TypedItem(r.Type, r.Root()) }

// TypedItem is a value of the FHIR type with that name ("Patient", "Coding"). n
// may be absent: such an item has its type and no elements.
func TypedItem(typeName string, n jsontree.Node) Item { return element.TypedItem(typeName, n) }

// StringItem is a System.String.
func StringItem(s string) Item { return element.StringItem(s) }

// BoolItem is a System.Boolean.
func BoolItem(b bool) Item { return element.BoolItem(b) }

// IntegerItem is a System.Integer.
func IntegerItem(n int64) Item { return element.IntegerItem(n) }

// DecimalItem is a System.Decimal.
func DecimalItem(d decimal.Decimal) Item { return element.DecimalItem(d) }

// QuantityItem is a System.Quantity with a UCUM unit.
func QuantityItem(v decimal.Decimal, unit string) Item { return element.QuantityItem(v, unit) }
