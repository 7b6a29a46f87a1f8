package operation

import "context"

// Extension is an operation that another package performs: one that needs what
// lies above FHIR, such as models. It stands in the table beside the others.
type Extension struct {
	Definition
	// Perform answers a call; arguments are the values of the parameters that are
	// primitives, by name.
	Perform func(ctx context.Context, r Request, arguments map[string][]string) (Result, error)
}

// definition is the extension as a line of the table.
func (x Extension) definition() Definition {
	d := x.Definition
	d.handle = func(_ *Set, ctx context.Context, c *call) (Result, error) {
		arguments := map[string][]string{}
		for _, a := range c.args {
			arguments[a.name] = append(arguments[a.name], a.text)
		}
		return x.Perform(ctx, c.Request, arguments)
	}
	return d
}
