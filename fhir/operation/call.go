package operation

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/rest"
)

// call is a Request whose parameters are read.
type call struct {
	Request
	def  *Definition
	args []arg
}

// arg is one value of a parameter.
type arg struct {
	name string
	text string        // of a primitive
	node jsontree.Node // of a resource or a complex value, absent for one of the URL
}

// formats are the parameters that any request may have.
var formats = []string{"_format", "_pretty"}

// read takes the parameters from the URL and from the body.
func (c *call) read() error {
	const op = "operation.parameters"
	query, err := url.ParseQuery(c.Query)
	if err != nil {
		return fhir.E(op, fhir.Malformed, "", "the query is not URL-encoded")
	}
	for name, values := range query {
		if slices.Contains(formats, name) {
			continue
		}
		for _, v := range values {
			c.args = append(c.args, arg{name: name, text: v})
		}
	}
	slices.SortStableFunc(c.args, func(a, b arg) int { return strings.Compare(a.name, b.name) })
	if err := c.readBody(); err != nil {
		return err
	}
	return c.check()
}

func (c *call) readBody() error {
	if len(c.Body) == 0 || c.def.Raw {
		return nil
	}
	doc, err := fhir.Parse(c.Body, jsontree.Limits{})
	if err != nil {
		return err
	}
	if doc.Type != "Parameters" {
		if !slices.ContainsFunc(c.def.Params, func(p Param) bool { return p.Name == "resource" }) {
			return fhir.E("operation.parameters", fhir.Invalid, "resourceType", "a Parameters resource is needed")
		}
		c.args = append(c.args, arg{name: "resource", node: doc.Root()})
		return nil
	}
	i := 0
	for p := range doc.Root().Get("parameter").Items() {
		a, err := argOf(p, "Parameters.parameter["+strconv.Itoa(i)+"]")
		if err != nil {
			return err
		}
		if i++; !slices.Contains(formats, a.name) {
			c.args = append(c.args, a)
		}
	}
	return nil
}

func argOf(p jsontree.Node, at string) (arg, error) {
	const op = "operation.parameters"
	a := arg{name: p.Get("name").Text()}
	if a.name == "" {
		return a, fhir.E(op, fhir.Required, at+".name", "a parameter needs a name")
	}
	for name, value := range p.Members() {
		switch {
		case name == "resource", strings.HasPrefix(name, "value") && value.Kind() == jsontree.Object:
			a.node = value
		case strings.HasPrefix(name, "value"):
			a.text = value.Text()
		}
	}
	if a.text == "" && !a.node.Exists() {
		return a, fhir.E(op, fhir.Required, at, "a parameter needs a value or a resource")
	}
	return a, nil
}

// check refuses parameters that the operation does not have, or not so often.
func (c *call) check() error {
	const op = "operation.parameters"
	count := map[string]int{}
	for _, a := range c.args {
		i := slices.IndexFunc(c.def.Params, func(p Param) bool { return p.Name == a.name })
		if i < 0 {
			if c.def.Searches && !a.node.Exists() {
				continue
			}
			return fhir.E(op, fhir.NotSupported, shown(a.name), "the operation has no such parameter")
		}
		if count[a.name]++; count[a.name] > 1 && !c.def.Params[i].Repeats {
			return fhir.E(op, fhir.Invalid, a.name, "given more than once")
		}
	}
	return nil
}

// shown is a parameter's name fit for an error.
func shown(name string) string { return strings.ToValidUTF8(name[:min(len(name), 100)], "?") }

// text is the value of a parameter, "" if it is not given.
func (c *call) text(name string) string {
	for _, a := range c.args {
		if a.name == name {
			return a.text
		}
	}
	return ""
}

// list is every value of a parameter, alternatives taken apart.
func (c *call) list(name string) []string {
	var out []string
	for _, a := range c.args {
		if a.name != name {
			continue
		}
		for part := range strings.SplitSeq(a.text, ",") {
			if part != "" && !slices.Contains(out, part) {
				out = append(out, part)
			}
		}
	}
	return out
}

// node is the complex value or resource of a parameter.
func (c *call) node(name string) (jsontree.Node, error) {
	for _, a := range c.args {
		if a.name == name && a.node.Exists() {
			return a.node, nil
		}
	}
	return jsontree.Node{}, fhir.E("operation.parameters", fhir.Required, name, "the parameter is required")
}

// resources are the resources of a parameter that repeats.
func (c *call) resources(name string, limits jsontree.Limits) ([]fhir.Resource, error) {
	var out []fhir.Resource
	for _, a := range c.args {
		if a.name != name {
			continue
		}
		if !a.node.Exists() {
			return nil, fhir.E("operation.parameters", fhir.Invalid, name, "a resource is needed")
		}
		r, err := fhir.Parse(a.node.Raw(), limits)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// flag is the value of a boolean parameter.
func (c *call) flag(name string) (bool, error) {
	switch c.text(name) {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, fhir.E("operation.parameters", fhir.Value, name, "true or false is needed")
}

// whole is the value of a parameter that is a number of at least least, or
// otherwise if it is not given.
func (c *call) whole(name string, least, otherwise int) (int, error) {
	text := c.text(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || int(n) < least {
		return 0, fhir.E("operation.parameters", fhir.Value, name, "a whole number of at least "+strconv.Itoa(least)+" is needed")
	}
	return int(n), nil
}

// self is the URL of the call with its parameters but for the page.
func (c *call) self() string {
	out := c.Base
	for _, part := range []string{c.Type, c.ID, "$" + c.def.Name} {
		if part != "" {
			out += "/" + part
		}
	}
	separator := "?"
	for _, a := range c.args {
		if a.name == rest.PageParam || a.node.Exists() {
			continue
		}
		out += separator + url.QueryEscape(a.name) + "=" + url.QueryEscape(a.text)
		separator = "&"
	}
	return out
}

// page is the URL of another page.
func (c *call) page(cursor string) string {
	self := c.self()
	if strings.Contains(self, "?") {
		return self + "&" + rest.PageParam + "=" + url.QueryEscape(cursor)
	}
	return self + "?" + rest.PageParam + "=" + url.QueryEscape(cursor)
}
