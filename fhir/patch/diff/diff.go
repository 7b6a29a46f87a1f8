// Package diff says how two versions of a resource differ, as a FHIRPath Patch
// (https://hl7.org/fhir/R4/fhirpatch.html) that makes the second of the first.
//
// Lists are compared from both ends; what is left in the middle is compared item
// by item, so an item that moves shows as changes. Values of types that a
// Parameters cannot hold as value[x] (backbones, extensions) are given as parts,
// a narrative as a string.
package diff

import (
	"slices"
	"strconv"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/spec"
)

// Options refine a comparison.
type Options struct {
	Meta bool // compare meta too, which the server changes with each version
}

// Parameters is the patch as a Parameters resource, without parameters if
// nothing differs. Both must be valid resources of one type, or the error is of
// Kind Invalid.
func Parameters(defs *spec.Definitions, from, to fhir.Resource, o Options) ([]byte, error) {
	t, ok := defs.Type(from.Type)
	if !ok || from.Type != to.Type {
		return nil, fhir.E("diff.Parameters", fhir.Invalid, "resourceType", "resources of different types are not compared")
	}
	d := &differ{defs: defs, out: []byte(`{"resourceType":"Parameters"`), plain: map[string]bool{}}
	if extension, ok := defs.Type("Extension"); ok {
		if value, ok := extension.Child("value"); ok {
			for _, ref := range value.Types {
				d.plain[ref.Code] = true
			}
		}
	}
	d.object(from.Type, t, from.Root(), to.Root(), func(name string) bool { return name == "meta" && !o.Meta })
	if d.count > 0 {
		d.out = append(d.out, ']')
	}
	return append(d.out, '}'), nil
}

type differ struct {
	defs  *spec.Definitions
	plain map[string]bool // the types that value[x] can have
	out   []byte
	count int
}

// item is one value of an element: the member without and the one with "_".
type item struct {
	code        string // type of the value
	value, twin jsontree.Node
}

func (i item) exists() bool { return i.value.Exists() || i.twin.Exists() }

func same(a, b item) bool {
	return a.code == b.code && jsontree.Equal(a.value, b.value) && jsontree.Equal(a.twin, b.twin)
}

// items are the values of an element of an object, null counting as absent.
func items(n jsontree.Node, el *spec.Element, t *spec.Type) []item {
	names := []string{el.Name}
	if el.Choice {
		names = names[:0]
		for _, ref := range el.Types {
			names = append(names, el.JSONName(ref.Code))
		}
	}
	var out []item
	for _, name := range names {
		_, code, _ := t.Element(name)
		values, twins := all(n.Get(name)), all(n.Get("_"+name))
		for i := range max(len(values), len(twins)) {
			out = append(out, item{code, at(values, i), at(twins, i)})
		}
	}
	return out
}

func all(n jsontree.Node) []jsontree.Node { return slices.Collect(n.Items()) }

func at(list []jsontree.Node, i int) jsontree.Node {
	if i >= len(list) || list[i].Kind() == jsontree.Null {
		return jsontree.Node{}
	}
	return list[i]
}

// object compares two objects element by element. Elements go last: an object
// that has none left would go with them.
func (d *differ) object(path string, t *spec.Type, a, b jsontree.Node, skip func(name string) bool) {
	var gone []string
	for i := range t.Elements {
		el := &t.Elements[i]
		if skip != nil && skip(el.Name) {
			continue
		}
		before, after := items(a, el, t), items(b, el, t)
		below := path + "." + identifier(el.Name)
		switch {
		case len(before)+len(after) == 0:
		case el.Repeats() && len(after) > 0:
			d.list(path, el, before, after)
		case len(after) == 0:
			for i := len(before) - 1; i >= 0; i-- {
				if el.Repeats() {
					gone = append(gone, below+"["+strconv.Itoa(i)+"]")
					continue
				}
				gone = append(gone, below)
			}
		case len(before) == 0:
			d.add(path, el, after[0])
		default:
			d.change(below, before[0], after[0])
		}
	}
	for _, place := range gone {
		d.delete(place)
	}
}

// keywords are element names that FHIRPath would read as operators.
var keywords = []string{"div", "mod", "and", "or", "xor", "implies", "true", "false"}

func identifier(name string) string {
	if slices.Contains(keywords, name) {
		return "`" + name + "`"
	}
	return name
}

// list compares the values of an element that repeats.
func (d *differ) list(path string, el *spec.Element, before, after []item) {
	start, ends := 0, 0
	for start < min(len(before), len(after)) && same(before[start], after[start]) {
		start++
	}
	for ends < min(len(before), len(after))-start && same(before[len(before)-1-ends], after[len(after)-1-ends]) {
		ends++
	}
	below := path + "." + identifier(el.Name)
	place := func(i int) string { return below + "[" + strconv.Itoa(i) + "]" }
	both := start
	for ; both < min(len(before), len(after))-ends; both++ {
		d.change(place(both), before[both], after[both])
	}
	for i := len(before) - ends - 1; i >= both; i-- {
		d.delete(place(i))
	}
	for i := both; i < len(after)-ends; i++ {
		if len(before) == 0 {
			d.add(path, el, after[i])
			continue
		}
		d.insert(below, i, el, after[i])
	}
}

// change compares two values that are both there.
func (d *differ) change(path string, a, b item) {
	if same(a, b) {
		return
	}
	t, _ := d.defs.Type(a.code)
	switch {
	case a.code != b.code || t == nil:
		d.replace(path, b)
	case t.Kind == spec.Primitive && !jsontree.Equal(a.value, b.value):
		d.replace(path, b)
	case t.Kind == spec.Primitive:
		d.object(path, t, a.twin, b.twin, nil)
	case t.Kind == spec.ResourceKind:
		kind := a.value.Get("resourceType").Text()
		if inner, ok := d.defs.Type(kind); ok && kind == b.value.Get("resourceType").Text() {
			d.object(path, inner, a.value, b.value, nil)
			return
		}
		d.replace(path, b)
	default:
		d.object(path, t, a.value, b.value, nil)
	}
}

func (d *differ) replace(path string, to item) {
	d.operation("replace", path)
	d.value(to)
	d.close()
}

func (d *differ) delete(path string) {
	d.operation("delete", path)
	d.close()
}

func (d *differ) add(path string, el *spec.Element, to item) {
	d.operation("add", path)
	d.out = append(d.out, `,{"name":"name","valueString":"`+el.Name+`"}`...)
	d.value(to)
	d.close()
}

func (d *differ) insert(path string, index int, el *spec.Element, to item) {
	d.operation("insert", path)
	d.out = append(d.out, `,{"name":"index","valueInteger":`+strconv.Itoa(index)+`}`...)
	d.value(to)
	d.close()
}

// operation begins an operation, close ends it.
func (d *differ) operation(kind, path string) {
	separator := `,`
	if d.count == 0 {
		separator = `,"parameter":[`
	}
	d.count++
	d.out = append(d.out, separator+`{"name":"operation","part":[{"name":"type","valueCode":"`+kind+`"},{"name":"path","valueString":`...)
	d.out = append(jsontree.AppendString(d.out, path), '}')
}

func (d *differ) close() { d.out = append(d.out, `]}`...) }

// value writes the part with the new value.
func (d *differ) value(to item) {
	d.out = append(d.out, ',')
	d.part("value", to)
}

// part writes a value as a part of that name.
func (d *differ) part(name string, v item) {
	t, _ := d.defs.Type(v.code)
	d.out = append(d.out, `{"name":"`+name+`"`...)
	switch {
	case t == nil || t.Kind == spec.ResourceKind:
		d.out = append(append(d.out, `,"resource":`...), v.value.Raw()...)
	case v.code == "xhtml":
		d.out = append(append(d.out, `,"valueString":`...), v.value.Raw()...)
	case d.plain[v.code]:
		suffix := string(v.code[0]&^0x20) + v.code[1:]
		if v.value.Exists() {
			d.out = append(append(d.out, `,"value`+suffix+`":`...), v.value.Raw()...)
		}
		if v.twin.Exists() {
			d.out = append(append(d.out, `,"_value`+suffix+`":`...), v.twin.Raw()...)
		}
	default:
		d.parts(t, v.value)
	}
	d.out = append(d.out, '}')
}

// parts writes a value that value[x] cannot have, an element a part.
func (d *differ) parts(t *spec.Type, n jsontree.Node) {
	separator := `,"part":[`
	for i := range t.Elements {
		el := &t.Elements[i]
		for _, v := range items(n, el, t) {
			if !v.exists() {
				continue
			}
			d.out = append(d.out, separator...)
			separator = `,`
			d.part(el.Name, v)
		}
	}
	if separator == `,` {
		d.out = append(d.out, ']')
	}
}
