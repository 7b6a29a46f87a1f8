package patch

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/spec"
)

// fhirPath reads FHIRPath Patches.
type fhirPath struct {
	defs   *spec.Definitions
	engine *path.Engine
	now    func() time.Time
}

type fhirPathPatch struct {
	*fhirPath
	steps []step
}

// Apply performs the operations one after the other, each on the result of the
// one before.
func (p *fhirPathPatch) Apply(ctx context.Context, r fhir.Resource) ([]byte, error) {
	out := r.Bytes()
	for i := range p.steps {
		s := &p.steps[i]
		if err := late(ctx); err != nil {
			return nil, err
		}
		items, err := s.path.Eval(ctx, path.Env{Resource: r, Now: p.now()})
		if err != nil {
			if failed := late(ctx); failed != nil {
				return nil, failed
			}
			return nil, misfit(s.at, "the path could not be evaluated")
		}
		d := &document{fhirPath: p.fhirPath, root: leaf(r.Root()), source: r}
		if err := d.apply(ctx, s, items); err != nil {
			return nil, err
		}
		if d.root.size() > maxResult {
			return nil, fhir.E("patch.Apply", fhir.TooLong, s.at, "the patched resource is longer than allowed")
		}
		out = d.root.append(nil)
		if r, err = fhir.Parse(out, jsontree.Limits{}); err != nil {
			return nil, &fhir.Error{Op: "patch.Apply", Kind: fhir.Unprocessable, At: s.at, Err: err}
		}
	}
	return out, nil
}

// document is a resource in the middle of one operation.
type document struct {
	*fhirPath
	root   *value
	source fhir.Resource // what root was made of
}

func (d *document) apply(ctx context.Context, s *step, items []path.Item) error {
	switch s.kind {
	case "insert", "move":
		return d.inList(ctx, s, items)
	case "delete":
		if len(items) == 0 {
			return nil // as the standard says: no error
		}
	}
	if len(items) != 1 {
		return misfit(s.at, "path must select one element")
	}
	at, ok := d.locate(items[0])
	if !ok {
		return misfit(s.at, "path must select an element of the resource")
	}
	if s.kind == "add" {
		return d.add(s, at, items[0].Type())
	}
	if len(at) == 0 {
		return misfit(s.at, "path must not select the whole resource")
	}
	if s.kind == "delete" {
		d.delete(at)
		return nil
	}
	return d.replace(s, at, items[0].Type())
}

// add appends to a repeating element, or sets one that is not there.
func (d *document) add(s *step, at []token, typeName string) error {
	t, ok := d.defs.Type(typeName)
	if !ok {
		return misfit(s.at, "path must select an element of the resource")
	}
	el, code, ok := element(t, s.name)
	if !ok {
		return misfit(s.at, "the selected element has no element of this name")
	}
	c, err := d.content(s.value, code, s.at)
	if err != nil {
		return err
	}
	open := d.open
	if t.Kind == spec.Primitive {
		open = d.openTwin
	}
	parent := open(at)
	for _, ref := range el.Types {
		if el.Choice && slotOf(parent, el, el.JSONName(ref.Code)).filled() {
			return misfit(s.at, "the element is there already")
		}
	}
	slot := slotOf(parent, el, jsonName(el, s.name, c.suffix))
	if slot.filled() && !slot.repeats {
		return misfit(s.at, "the element is there already")
	}
	slot.list = append(slot.list, pair{c.value, c.twin})
	slot.store()
	return nil
}

// delete takes an element out, and what it leaves empty.
func (d *document) delete(at []token) {
	for len(at) > 0 {
		last := at[len(at)-1]
		parent := d.open(at[:len(at)-1])
		slot := slotOf(parent, nil, last.name)
		slot.repeats = last.index >= 0
		i := max(last.index, 0)
		if last.twin && !slot.list[i].value.isNull() { // a primitive without extensions is still one
			slot.list[i].twin = nil
		} else {
			slot.list = slices.Delete(slot.list, i, i+1)
		}
		slot.store()
		if len(parent.kids) > 0 {
			return
		}
		at = at[:len(at)-1]
	}
}

// replace puts a new value in the place of an element, extensions and all.
func (d *document) replace(s *step, at []token, typeName string) error {
	last := at[len(at)-1]
	c, err := d.content(s.value, typeName, s.at)
	if err != nil {
		return err
	}
	parent := d.open(at[:len(at)-1])
	name := last.name
	if el, suffix := d.choice(at); el != nil && suffix != c.suffix && c.suffix != "" {
		slotOf(parent, nil, name).clear()
		name = el.Name + c.suffix
	}
	slot := slotOf(parent, nil, name)
	slot.repeats = last.index >= 0
	if len(slot.list) == 0 {
		slot.list = []pair{{}}
	}
	slot.list[max(last.index, 0)] = pair{c.value, c.twin}
	slot.store()
	return nil
}

// choice is the element at a place if it is a choice, and the suffix of the type
// that stands there.
func (d *document) choice(at []token) (*spec.Element, string) {
	t, ok := d.typeAt(at[:len(at)-1])
	if !ok {
		return nil, ""
	}
	name := at[len(at)-1].name
	el, _, ok := t.Element(name)
	if !ok || !el.Choice {
		return nil, ""
	}
	return el, strings.TrimPrefix(name, el.Name)
}

// typeAt follows a place through the definitions.
func (d *document) typeAt(at []token) (*spec.Type, bool) {
	n := d.source.Root()
	t, ok := d.defs.Type(d.source.Type)
	for _, k := range at {
		if !ok {
			return nil, false
		}
		var code string
		if _, code, ok = t.Element(k.name); !ok {
			return nil, false
		}
		if n = n.Get(k.member()); k.index >= 0 {
			n = n.Item(k.index)
		}
		if kind := n.Get("resourceType"); kind.Exists() { // contained
			code = kind.Text()
		}
		t, ok = d.defs.Type(code)
	}
	return t, ok
}

// inList inserts into or reorders the whole list that path selects.
func (d *document) inList(ctx context.Context, s *step, items []path.Item) error {
	at, ok := d.list(items)
	if !ok && len(items) == 0 && s.kind == "insert" {
		at, ok = d.emptyList(ctx, s)
	}
	if !ok {
		return misfit(s.at, "path must select a whole list")
	}
	last := at[len(at)-1]
	parent := d.open(at[:len(at)-1])
	slot := slotOf(parent, nil, last.name)
	slot.repeats = true
	if s.kind == "move" {
		if s.source >= len(slot.list) || s.dest >= len(slot.list) {
			return misfit(s.at, "source or destination is beyond the end of the list")
		}
		moved := slot.list[s.source]
		slot.list = slices.Insert(slices.Delete(slot.list, s.source, s.source+1), s.dest, moved)
		slot.store()
		return nil
	}
	if s.index > len(slot.list) {
		return misfit(s.at, "index is beyond the end of the list")
	}
	code := ""
	if t, ok := d.typeAt(at[:len(at)-1]); ok {
		_, code, _ = t.Element(last.name)
	}
	c, err := d.content(s.value, code, s.at)
	if err != nil {
		return err
	}
	slot.list = slices.Insert(slot.list, s.index, pair{c.value, c.twin})
	slot.store()
	return nil
}

// list is the place of the list whose every item is selected, in its order.
func (d *document) list(items []path.Item) ([]token, bool) {
	var first []token
	for i, item := range items {
		at, ok := d.locate(item)
		if !ok || len(at) == 0 || at[len(at)-1].index != i || at[len(at)-1].twin {
			return nil, false
		}
		if i == 0 {
			first = at
		}
		if len(at) != len(first) || at[len(at)-1].name != first[len(first)-1].name || !slices.Equal(at[:len(at)-1], first[:len(first)-1]) {
			return nil, false
		}
	}
	if len(items) == 0 {
		return nil, false
	}
	n, last := d.source.Root(), first[len(first)-1]
	for _, k := range first[:len(first)-1] {
		if n = n.Get(k.member()); k.index >= 0 {
			n = n.Item(k.index)
		}
	}
	return first, max(n.Get(last.name).Len(), n.Get("_"+last.name).Len()) == len(items)
}

// emptyList is the place of a list that has no items yet: what stands before the
// last dot must select one element, which may have a repeating element of the
// name behind it.
func (d *document) emptyList(ctx context.Context, s *step) ([]token, bool) {
	text := s.path.String()
	dot := strings.LastIndexByte(text, '.')
	if dot < 0 {
		return nil, false
	}
	name := strings.TrimSpace(text[dot+1:])
	expr, err := d.engine.Compile(text[:dot])
	if err != nil {
		return nil, false
	}
	items, err := expr.Eval(ctx, path.Env{Resource: d.source, Now: d.now()})
	if err != nil || len(items) != 1 {
		return nil, false
	}
	t, ok := d.defs.Type(items[0].Type())
	if !ok {
		return nil, false
	}
	el, _, ok := t.Element(name)
	if !ok || !el.Repeats() || t.Kind == spec.Primitive {
		return nil, false
	}
	at, ok := d.locate(items[0])
	return append(at, token{name: name}), ok
}

// locate finds where an item of an evaluation stands in the source, by the
// offset of its value; false if it was computed.
func (d *document) locate(item path.Item) ([]token, bool) {
	n := item.Node()
	if n.Kind() == jsontree.Null || !n.Exists() {
		n = item.Sibling()
	}
	if !n.Exists() {
		return nil, false
	}
	var at []token
	here := d.source.Root()
	for here.Offset() != n.Offset() {
		var ok bool
		var k token
		if k, here, ok = towards(here, n.Offset()); !ok {
			return nil, false
		}
		at = append(at, k)
	}
	if !bytes.Equal(here.Raw(), n.Raw()) {
		return nil, false
	}
	if len(at) > 0 { // the element, not its "_" member
		at[len(at)-1].twin = false
	}
	return at, true
}

// towards is the step from an object to the member, or item of it, that holds
// the value at an offset.
func towards(n jsontree.Node, offset int) (token, jsontree.Node, bool) {
	for name, m := range n.Members() {
		if offset < m.Offset() || offset >= m.End() {
			continue
		}
		k := token{name: strings.TrimPrefix(name, "_"), index: -1, twin: name[0] == '_'}
		if m.Kind() != jsontree.Array {
			return k, m, true
		}
		i := 0
		for item := range m.Items() {
			if offset >= item.Offset() && offset < item.End() {
				k.index = i
				return k, item, true
			}
			i++
		}
	}
	return token{}, jsontree.Node{}, false
}
