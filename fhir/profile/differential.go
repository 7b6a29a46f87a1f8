package profile

import (
	"context"
	"strings"

	"galen/fhir"
)

// differential is what the differential of a profile leaves unsaid: as R4 itself is
// checked by fhir/validate, and a profile that this one narrows is held against
// the resource too, all that must be found elsewhere is how values are sliced.
// No snapshot is made (https://hl7.org/fhir/R4/profiling.html#snapshot).
type differential struct {
	typ  string
	base *profile // nil for a type of R4, and for one that is not known
}

// sparse makes the builder take a differential, whose elements may lack parents. A
// base that is not known here is a finding when a resource is held against it.
func (b *builder) sparse(ctx context.Context, p *profile, above []string) error {
	b.diff = &differential{typ: p.typ}
	b.root = &element{id: p.typ, name: p.typ, max: -1}
	b.byID[p.typ] = b.root
	name, core := strings.CutPrefix(p.base, coreURL)
	if core && b.v.isR4(name, "") || p.base == "" {
		p.base = ""
		return nil
	}
	base, err := b.v.narrowing(ctx, p.base, above)
	if err != nil && fhir.KindOf(err) != fhir.NotFound {
		return err
	}
	b.diff.base = base
	return nil
}

// outline makes the elements above one that are not in the differential, without
// any rule of their own, and what a slice is a slice of.
func (b *builder) outline(id string) {
	dot := strings.LastIndexByte(id, '.')
	if dot < 0 {
		return
	}
	if above := id[:dot]; b.byID[above] == nil {
		b.outline(above)
		b.insert(above)
	}
	if name, _, sliced := strings.Cut(id[dot+1:], ":"); sliced {
		if of := id[:dot+1] + name; b.byID[of] == nil {
			b.insert(of)
		}
		if of := b.byID[id[:dot+1]+name]; of.slicing == nil {
			of.slicing = b.slicing(of)
		}
	}
}

// insert adds an element without rules below one that is there.
func (b *builder) insert(id string) {
	dot := strings.LastIndexByte(id, '.')
	last := id[dot+1:]
	name, _, sliced := strings.Cut(last, ":")
	e := &element{id: id, name: strings.TrimSuffix(name, "[x]"), max: -1, narrows: b.narrows(id)}
	b.byID[id] = e
	if of := b.byID[id[:dot+1]+name]; sliced && of != nil {
		of.slices = append(of.slices, e)
		return
	}
	if parent := b.byID[id[:dot]]; parent != nil {
		parent.children = append(parent.children, e)
	}
}

// slicing is how the values of an element are sliced where the differential does
// not say: extensions by their URL, all else as in the profile that is narrowed.
func (b *builder) slicing(e *element) *slicing {
	if e.name == "extension" || e.name == "modifierExtension" {
		return &slicing{by: []discriminator{{"value", "url"}}, rules: "open"}
	}
	if base := b.base(e.id); base != nil {
		return base.slicing
	}
	return nil
}

// narrows is the slice of that id in the profile that is narrowed, nil if there is
// none.
func (b *builder) narrows(id string) *element {
	if !strings.Contains(id[strings.LastIndexByte(id, '.')+1:], ":") {
		return nil
	}
	return b.base(id)
}

func (b *builder) base(id string) *element {
	if b.diff == nil || b.diff.base == nil {
		return nil
	}
	return b.diff.base.root.find(id)
}

// find is the element of an id, this one or below it, nil if there is none.
func (e *element) find(id string) *element {
	if e.id == id {
		return e
	}
	for _, list := range [][]*element{e.children, e.slices} {
		for _, below := range list {
			if !strings.HasPrefix(id, below.id) {
				continue
			}
			if found := below.find(id); found != nil {
				return found
			}
		}
	}
	return nil
}

// typed gives an element that is named by one type of a choice, as differentials
// may (Observation.valueQuantity), the id of that type's slice.
func (b *builder) typed(e *element) {
	above, last, _ := strings.Cut(e.id, ".")
	name, below, _ := strings.Cut(last, ".")
	t, ok := b.v.Defs.Type(b.diff.typ)
	if !ok || above != b.diff.typ {
		return
	}
	el, code, ok := t.Element(name)
	if !ok || !el.Choice || name == el.Name {
		return
	}
	e.id = above + "." + el.Name + "[x]:" + name
	if below != "" {
		e.id += "." + below
		return
	}
	e.name = el.Name
	if len(e.types) == 0 {
		e.types = []typeRef{{code: code}}
	}
}
