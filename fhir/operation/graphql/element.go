package graphql

import (
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/spec"
)

// element answers a field that is an element of the value's type; with "_" the
// id and extensions of a primitive.
func (r *run) element(out *object, f *field, s scope) error {
	name, twin := strings.CutPrefix(f.Name, "_")
	el, code, ok := s.typ.Element(name)
	t, known := r.rest.Defs.Type(code)
	if !ok || !known || twin && t.Kind != spec.Primitive {
		return r.fail(fhir.Invalid, f.Field, "R4 has no such element here")
	}
	if twin {
		t, _ = r.rest.Defs.Type("Element")
	}
	list := f.Directives.ForName("first") == nil && el.Repeats()
	if scalar := t.Kind == spec.Primitive; scalar != (len(f.set) == 0) {
		return r.fail(fhir.Invalid, f.Field, "a primitive has no fields, anything else needs some")
	}
	items, err := r.items(f, s.node.Get(f.Name), el)
	if err != nil {
		return err
	}
	if f.Directives.ForName("flatten") != nil {
		return r.flatten(out, f, s, t, items)
	}
	if f.Directives.ForName("singleton") != nil {
		out.single = append(out.single, f.Alias)
	}
	values := make([]any, len(items))
	for i, item := range items {
		if values[i], err = r.value(f, s, t, item); err != nil {
			return err
		}
	}
	switch {
	case len(values) == 0:
		out.set(f.Alias, nil)
	case list:
		out.set(f.Alias, values)
	default:
		out.set(f.Alias, values[0])
	}
	return nil
}

// value answers one value of an element.
func (r *run) value(f *field, s scope, t *spec.Type, item jsontree.Node) (any, error) {
	if t.Kind == spec.Primitive {
		return item.Raw(), nil
	}
	if item.Kind() == jsontree.Null {
		return nil, nil
	}
	if t.Kind == spec.ResourceKind { // contained, or in a Bundle
		var ok bool
		if t, ok = r.rest.Defs.Type(item.Get("resourceType").Text()); !ok {
			return nil, r.fail(fhir.Invalid, f.Field, "not a resource of R4")
		}
	}
	return r.object(f.set, scope{item, t, s.in})
}

// flatten puts the fields of the values into the object around them
// (https://hl7.org/fhir/R4/graphql.html#flatten); with @slice each under a name
// of its own.
func (r *run) flatten(out *object, f *field, s scope, t *spec.Type, items []jsontree.Node) error {
	if t.Kind == spec.Primitive {
		return r.fail(fhir.Invalid, f.Field, "@flatten is for what has fields")
	}
	for i, item := range items {
		value, err := r.value(f, s, t, item)
		if err != nil {
			return err
		}
		from, ok := value.(*object)
		if !ok {
			continue
		}
		suffix, err := r.slice(f, item, i)
		if err != nil {
			return err
		}
		if out.promote(from, suffix) {
			return r.fail(fhir.Invalid, f.Field, "a field marked @singleton has more than one value")
		}
	}
	return nil
}

// slice is what @slice(path: "use") adds to the names: the value of an element,
// or with "$index" the position.
func (r *run) slice(f *field, item jsontree.Node, i int) (string, error) {
	d := f.Directives.ForName("slice")
	if d == nil {
		return "", nil
	}
	text, err := r.argument(d.Arguments, "path")
	if err != nil || text == "" {
		return "", r.fail(fhir.Required, f.Field, "@slice needs the argument path")
	}
	if text == "$index" {
		return "." + strconv.Itoa(i), nil
	}
	for name := range strings.SplitSeq(text, ".") {
		if item = item.Get(name); item.Kind() == jsontree.Array {
			item = item.Item(0)
		}
	}
	if item.Text() == "" {
		return "", nil
	}
	return "." + item.Text(), nil
}

// items are the values of an element that its arguments let through
// (https://hl7.org/fhir/R4/graphql.html#list).
func (r *run) items(f *field, n jsontree.Node, el *spec.Element) ([]jsontree.Node, error) {
	var all []jsontree.Node
	for item := range n.Items() {
		all = append(all, item)
	}
	if len(f.Arguments) > 0 && !el.Repeats() {
		return nil, r.fail(fhir.Invalid, f.Field, "only a list takes arguments")
	}
	offset, count := 0, len(all)
	for _, a := range f.Arguments {
		texts, err := r.texts(a)
		if err != nil {
			return nil, err
		}
		switch a.Name {
		case "_offset", "_count":
			n, err := strconv.ParseUint(texts[0], 10, 31)
			if err != nil || len(texts) > 1 {
				return nil, r.fail(fhir.Value, f.Field, a.Name+" is a number of at least 0")
			}
			if a.Name == "_count" {
				count = int(n)
			} else {
				offset = int(n)
			}
		case "fhirpath":
			return nil, r.fail(fhir.NotSupported, f.Field, "the argument fhirpath is not offered")
		default:
			all = slices.DeleteFunc(all, func(item jsontree.Node) bool { return !has(item.Get(a.Name), texts) })
		}
	}
	all = all[min(offset, len(all)):]
	all = all[:min(count, len(all))]
	if f.Directives.ForName("first") != nil {
		all = all[:min(1, len(all))]
	}
	return all, nil
}

// has reports whether an element has one of the values.
func has(n jsontree.Node, texts []string) bool {
	for item := range n.Items() {
		if item.Kind() != jsontree.Null && slices.Contains(texts, item.Text()) {
			return true
		}
	}
	return false
}

// argument is the text of an argument, "" if it is not given.
func (r *run) argument(list ast.ArgumentList, name string) (string, error) {
	a := list.ForName(name)
	if a == nil {
		return "", nil
	}
	texts, err := r.texts(a)
	if err != nil {
		return "", err
	}
	if len(texts) > 1 {
		return "", r.fail(fhir.Value, nil, "the argument "+name+" takes one value")
	}
	return texts[0], nil
}

// texts are the values of an argument as they stand in a URL; at least one.
func (r *run) texts(a *ast.Argument) ([]string, error) {
	value, err := a.Value.Value(r.variables)
	if err != nil {
		return nil, r.fail(fhir.Value, nil, "the argument "+a.Name+" cannot be read")
	}
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	var texts []string
	for _, v := range list {
		text, ok := text(v)
		if !ok {
			return nil, r.fail(fhir.Value, nil, "the argument "+a.Name+" takes texts, numbers and booleans")
		}
		texts = append(texts, text)
	}
	if len(texts) == 0 {
		return nil, r.fail(fhir.Value, nil, "the argument "+a.Name+" needs a value")
	}
	return texts, nil
}
