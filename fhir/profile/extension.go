package profile

import (
	"strconv"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/spec"
)

// place is where an extension stands: the types and paths by which a definition
// may name it.
type place struct {
	names []string
	outer string // URL of the extension around it
	item  value
}

// extensions visits every extension below a value.
func (c *checker) extensions(n jsontree.Node, typ, at string, names []string) {
	t, ok := c.Defs.Type(typ)
	if !ok || n.Kind() != jsontree.Object {
		return
	}
	names = append(names, typ)
	here := place{names: names, item: value{node: n, typ: typ, at: at}}
	if typ == "Extension" {
		here.outer = n.Get("url").Text()
	}
	c.defined(n, at, here)
	if t.Kind == spec.Primitive {
		return
	}
	for name, member := range n.Members() {
		plain := strings.TrimPrefix(name, "_")
		el, code, ok := t.Element(plain)
		if !ok || plain == "extension" || plain == "modifierExtension" {
			continue
		}
		below := []string{typ + "." + el.Name}
		if el.Choice {
			below = append(below, typ+"."+el.Name+"[x]")
		}
		i := 0
		for item := range member.Items() {
			where := at + "." + plain
			if member.Kind() == jsontree.Array {
				where += "[" + strconv.Itoa(i) + "]"
				i++
			}
			if kind := item.Get("resourceType").Text(); kind != "" {
				c.extensions(item, kind, where, nil)
			} else {
				c.extensions(item, code, where, below)
			}
		}
	}
}

// defined holds the extensions of one value against their definitions.
func (c *checker) defined(n jsontree.Node, at string, here place) {
	for _, member := range []string{"extension", "modifierExtension"} {
		i := 0
		for x := range n.Get(member).Items() {
			c.extension(x, at+"."+member+"["+strconv.Itoa(i)+"]", here, member == "modifierExtension")
			i++
		}
	}
}

func (c *checker) extension(x jsontree.Node, at string, here place, modifier bool) {
	url := x.Get("url").Text()
	if here.outer != "" && !strings.Contains(url, ":") {
		c.extensions(x, "Extension", at, []string{"Extension.extension"})
		return // a part, which the definition of the whole describes
	}
	p, err := c.find(c.ctx, url)
	if err != nil {
		severity := fhir.Information
		switch {
		case modifier && strings.Contains(url, "://example.org/"): // reserved for examples (RFC 2606)
			severity = fhir.Warning
		case modifier:
			severity = fhir.SeverityError
		}
		c.add(severity, fhir.NotFound, at, "the definition of this extension is not known to this server")
		c.extensions(x, "Extension", at, nil)
		return
	}
	v := value{node: x, typ: "Extension", at: at}
	c.conform(v, p)
	if !c.allowed(p, here) {
		c.fail(fhir.Invalid, at, "the extension may not stand here by its definition")
	}
	c.extensions(x, "Extension", at, nil)
}

// allowed reports whether one context of an extension's definition is the place
// where it stands.
func (c *checker) allowed(p *profile, here place) bool {
	if len(p.contexts) == 0 {
		return true
	}
	for _, ec := range p.contexts {
		switch ec.kind {
		case "element":
			for _, name := range here.names {
				if name == ec.expression || c.Defs.IsA(name, ec.expression) || ec.expression == "Element" && here.item.typ != "" {
					return true
				}
			}
		case "extension":
			if here.outer != "" && strings.HasPrefix(ec.expression, here.outer) {
				return true
			}
		case "fhirpath":
			if ec.compiled == nil {
				continue
			}
			found, err := ec.compiled.Eval(c.ctx, path.Env{Resource: c.whole})
			if err != nil {
				return true // cannot be decided
			}
			for _, item := range found {
				if item.Node() == here.item.node {
					return true
				}
			}
		}
	}
	return false
}
