package spec

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// link joins the records once all are read: member names to elements, resource
// types to inherited parameters, components to parameters.
func (dec *decoder) link() error {
	d := dec.d
	slices.Sort(d.resources)
	for _, t := range d.types {
		if err := d.nameElements(t); err != nil {
			return err
		}
	}
	own := maps.Clone(d.params)
	for name, t := range d.types {
		if t.Kind == ResourceKind {
			d.params[name] = d.inheritParams(own, name)
			d.sorted[name] = byCode(d.params[name])
		}
	}
	for _, p := range d.byURL {
		for i := range p.Components {
			c := &p.Components[i]
			if c.Param = d.byURL[c.Definition]; c.Param == nil {
				return fmt.Errorf("%w: %s has no component %s", errRecord, p.URL, c.Definition)
			}
		}
	}
	return nil
}

// nameElements fills the index from JSON member names to elements.
func (d *Definitions) nameElements(t *Type) error {
	t.names = make(map[string]property, len(t.Elements))
	for i := range t.Elements {
		e := &t.Elements[i]
		switch {
		case e.ContentRef != "":
			if d.types[e.ContentRef] == nil {
				return fmt.Errorf("%w: %s refers to %s", errRecord, e.Path, e.ContentRef)
			}
			t.names[e.Name] = property{i, e.ContentRef}
		case d.types[e.Path] != nil:
			t.names[e.Name] = property{i, e.Path}
		default:
			for _, ref := range e.Types {
				if d.types[ref.Code] == nil {
					return fmt.Errorf("%w: %s has type %s", errRecord, e.Path, ref.Code)
				}
				t.names[e.JSONName(ref.Code)] = property{i, ref.Code}
			}
		}
	}
	return nil
}

// inheritParams collects the parameters of a resource type and its bases.
func (d *Definitions) inheritParams(own map[string]map[string]*SearchParam, name string) map[string]*SearchParam {
	all := make(map[string]*SearchParam, 32)
	for ; name != ""; name = d.types[name].Base {
		for code, p := range own[name] {
			if all[code] == nil {
				all[code] = p
			}
		}
	}
	return all
}

// With returns definitions that have further search parameters, listed by
// resource type; "Resource" is what a search over all types knows. R4's own stay
// as they are: a code that a type has is not replaced.
func (d *Definitions) With(more map[string][]*SearchParam) *Definitions {
	out := *d
	out.params, out.sorted, out.byURL = maps.Clone(d.params), maps.Clone(d.sorted), maps.Clone(d.byURL)
	for name, list := range more {
		own := maps.Clone(d.params[name])
		for _, p := range list {
			if own[p.Code] == nil {
				own[p.Code] = p
			}
			if out.byURL[p.URL] == nil {
				out.byURL[p.URL] = p
			}
		}
		out.params[name] = own
		out.sorted[name] = byCode(own)
	}
	return &out
}

func byCode(params map[string]*SearchParam) []*SearchParam {
	return slices.SortedFunc(maps.Values(params), func(a, b *SearchParam) int { return strings.Compare(a.Code, b.Code) })
}

// pick is the item of a numbered list that a reference names; "" names none.
func pick[T any](list []T, ref string) (item T, err error) {
	if ref == "" {
		return item, nil
	}
	n, err := strconv.Atoi(ref)
	if err != nil || n < 1 || n > len(list) {
		return item, fmt.Errorf("%w: reference %q", errRecord, ref)
	}
	return list[n-1], nil
}

func (dec *decoder) invariantList(refs string) ([]Invariant, error) {
	if refs == "" {
		return nil, nil
	}
	var list []Invariant
	for ref := range strings.SplitSeq(refs, ",") {
		v, err := pick(dec.invariants, ref)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

// typeList reads "Reference(Patient Group),Quantity<SimpleQuantity>".
func typeList(text string) []TypeRef {
	list := make([]TypeRef, 0, strings.Count(text, ",")+1)
	for item := range strings.SplitSeq(text, ",") {
		var t TypeRef
		item, t.Profile, _ = strings.Cut(strings.TrimSuffix(item, ">"), "<")
		code, targets, _ := strings.Cut(strings.TrimSuffix(item, ")"), "(")
		t.Code = code
		if targets != "" {
			t.Targets = strings.Fields(targets)
		}
		list = append(list, t)
	}
	return list
}

func severity(code string) string {
	if code == "w" {
		return "warning"
	}
	return "error"
}

func strength(code string) Strength {
	if code == "e" {
		return Extensible
	}
	return Required
}
