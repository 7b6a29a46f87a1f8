// Package machine runs compiled FHIRPath: the tree of nodes that an expression
// is compiled to, the stack they work on, what $this and the %variables mean,
// the operators, and the limits of an evaluation.
//
// Promises: a simple path costs one allocation, for its result; every loop counts
// its steps, so that no expression runs without bound; a tree is immutable and
// may be run by any number of goroutines, each with a Run of its own.
//
// It reads no text (see parse) and knows no function by name (see function).
package machine

import (
	"context"
	"errors"
	"strconv"
	"time"

	"galen/fhir"
	"galen/fhir/path/element"
)

// Limits of one evaluation.
const (
	DefaultSteps = 4_000_000 // about 0.1 s
	MaxText      = 1 << 20   // bytes of one computed string
	maxItems     = 1 << 19   // of all collections alive at one time
)

// Error is why an expression does not compile or could not be evaluated. It
// unwraps to a *fhir.Error of its Kind. Kinds: Invalid (not FHIRPath, or an
// unknown function or type), Unprocessable (the expression does not fit the
// data), NotSupported (a service the Env lacks), TooCostly (a limit), Timeout
// (the context ended), or that of what a service of the Env returned.
type Error struct {
	Offset int // in the expression, in bytes
	Kind   fhir.Kind
	Msg    string
	Cause  error // of a Timeout or a service's failure, else nil
}

// Error says what is wrong and where in the expression.
func (e *Error) Error() string { return "offset " + strconv.Itoa(e.Offset) + ": " + e.Msg }

// Unwrap returns the error as a *fhir.Error.
func (e *Error) Unwrap() error {
	cause := e.Cause
	if cause == nil {
		cause = errors.New(e.Msg)
	}
	return &fhir.Error{Op: "path.Eval", Kind: e.Kind, At: "offset " + strconv.Itoa(e.Offset), Err: cause}
}

// Misfit is an Unprocessable error.
func Misfit(offset int, msg string) error {
	return &Error{Offset: offset, Kind: fhir.Unprocessable, Msg: msg}
}

// Env is what an evaluation sees. Resource or Focus should be set; all else is
// optional.
type Env struct {
	Resource fhir.Resource // the focus unless Focus is set; %resource and %rootResource are found in it
	Focus    element.Item  // $this at the top and %context
	Vars     map[string][]element.Item
	// Resolve finds what a reference points to for resolve(), after contained
	// resources and Bundle entries were tried; nil resolves nothing.
	Resolve     func(ctx context.Context, reference string) (element.Item, bool)
	Now         time.Time // now(), today(), timeOfDay(); in the zone to show
	Terminology Terminology
	// Conforms decides conformsTo(); nil knows R4's own types only.
	Conforms func(ctx context.Context, it element.Item, profile string) (bool, error)
	MaxSteps int // 0 is DefaultSteps
}

// Terminology answers what needs code systems. known is false where the code
// system or value set is not, which makes the function's result empty.
type Terminology interface {
	// MemberOf reports whether a code, Coding or CodeableConcept is in a value set.
	MemberOf(ctx context.Context, coded element.Item, valueSet string) (member, known bool, err error)
	// Subsumes reports whether concept a is b or an ancestor of it.
	Subsumes(ctx context.Context, a, b element.Item) (subsumes, known bool, err error)
}

// Node is one compiled step. Eval pushes its result on the stack and leaves all
// below as it was.
type Node interface {
	Eval(c *Run) error
}

// Run is one evaluation at a time; it may be used again.
type Run struct {
	element.Stack
	Ctx   context.Context // of this evaluation only
	Env   Env
	Frame Frame
	Place element.Place
	input element.Item // the focus of the whole expression
	watch int          // look at the context when Left falls below
}

// Frame is what $this, $index and $total mean.
type Frame struct {
	This  element.Item
	Index int
	Total []element.Item
}

// Eval runs a tree and returns a copy of its result. The run then holds no
// reference to the data any more.
func (c *Run) Eval(ctx context.Context, types *element.Types, root Node, env Env) ([]element.Item, error) {
	c.start(ctx, types, env)
	defer c.stop()
	if err := root.Eval(c); err != nil {
		return nil, err
	}
	if err := c.Spend(0, 0); err != nil || len(c.Items) == 0 {
		return nil, err
	}
	out := make([]element.Item, len(c.Items))
	copy(out, c.Items)
	return out, nil
}

func (c *Run) start(ctx context.Context, types *element.Types, env Env) {
	c.Ctx, c.Types, c.Env = ctx, types, env
	if c.Left = env.MaxSteps; c.Left <= 0 {
		c.Left = DefaultSteps
	}
	c.watch = c.Left // the first step looks
	c.Place.Start(types)
	c.input = types.Adopt(env.Focus)
	if env.Resource.Type != "" {
		root := types.Root(env.Resource)
		c.Place.Add(root)
		if c.input.IsZero() {
			c.input = root
		}
	}
	c.Frame = Frame{This: c.input}
}

func (c *Run) stop() {
	c.Reset()
	c.Place.Start(nil)
	c.Ctx, c.Env, c.Frame, c.input = nil, Env{}, Frame{}, element.Item{}
}

// Spend counts work and checks the limits; offset is the place to blame.
func (c *Run) Spend(n, offset int) error {
	c.Left -= n + 1
	if c.Left >= c.watch && len(c.Items) <= maxItems {
		return nil
	}
	if c.Left < 0 || len(c.Items) > maxItems {
		return TooCostly(offset)
	}
	const often = 1 << 12
	c.watch = max(c.Left-often, 0)
	if err := c.Ctx.Err(); err != nil {
		return &Error{Offset: offset, Kind: fhir.Timeout, Msg: "the evaluation was stopped", Cause: err}
	}
	return nil
}

// TooCostly is the error for work beyond a limit.
func TooCostly(offset int) error {
	return &Error{Offset: offset, Kind: fhir.TooCostly, Msg: "the expression takes more work than allowed"}
}

// Result replaces everything above base by one item.
func (c *Run) Result(base int, it element.Item) error {
	c.Cut(base)
	c.Push(it)
	return nil
}

// PushText pushes a computed string, counting its length as work.
func (c *Run) PushText(s string, offset int) error {
	const perStep = 64 // bytes
	if len(s) > MaxText {
		return TooCostly(offset)
	}
	c.Push(element.StringItem(s))
	return c.Spend(len(s)/perStep, offset)
}

// Holds evaluates a criterion: an empty result is false.
func (c *Run) Holds(n Node, offset int) (bool, error) {
	mark := len(c.Items)
	if err := n.Eval(c); err != nil {
		return false, err
	}
	v, _, err := Truth(c.Above(mark), offset)
	c.Cut(mark)
	return v, err
}

// Truth is singleton evaluation as a Boolean (N1, 4.5): one Boolean is its
// value, any other single item true; known is false for none.
func Truth(items []element.Item, offset int) (value, known bool, err error) {
	switch len(items) {
	case 0:
		return false, false, nil
	case 1:
		if v, ok := items[0].Bool(); ok {
			return v, true, nil
		}
		return true, true, nil
	}
	return false, false, Misfit(offset, "expected one Boolean, got several items")
}

// One is the only item of a collection; ok is false if it is empty.
func One(items []element.Item, offset int) (it element.Item, ok bool, err error) {
	switch len(items) {
	case 0:
		return element.Item{}, false, nil
	case 1:
		return items[0], true, nil
	}
	return element.Item{}, false, Misfit(offset, "expected one item, got several")
}
