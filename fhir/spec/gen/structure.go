package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const definitionURL = "http://hl7.org/fhir/StructureDefinition/"

// structure is the part of a StructureDefinition that the tables hold.
type structure struct {
	Name, Kind, Derivation, BaseDefinition string
	Abstract                               bool
	Snapshot                               struct{ Element []*element }
}

type element struct {
	Path, Max, ContentReference string
	Min                         int
	IsSummary, IsModifier       bool
	Representation              []string
	Type                        []elementType
	Binding                     *struct{ Strength, ValueSet string }
	Constraint                  []constraint
}

type elementType struct {
	Code                   string
	Profile, TargetProfile []string
	Extension              []struct{ URL, ValueURL, ValueString string }
}

type constraint struct{ Key, Severity, Human, Expression string }

// typeDef is a type in the making: its own rows and, by name, all of them.
type typeDef struct {
	name, base, kind, pattern string
	invariants                []constraint // own and inherited
	own                       []constraint
	names                     []string
	elements                  map[string]row
}

// row is an element as the tables hold it, comparable so that what a type only
// inherits can be left out.
type row struct {
	name, cardinality, flags, types, strength, valueSet, contentRef string
	constraints                                                     string
}

// structures writes the types, bases before what derives from them.
type structures struct {
	table *table
	fixes corrector
	known map[string]*typeDef
	sets  map[string]bool // value sets of required bindings
}

func (s *structures) write(all []*structure) error {
	s.sets = map[string]bool{}
	pending := slices.DeleteFunc(slices.Clone(all), func(d *structure) bool { return d.Kind == "logical" })
	slices.SortFunc(pending, func(a, b *structure) int { return strings.Compare(a.Name, b.Name) })
	for len(pending) > 0 {
		var later []*structure
		for _, d := range pending {
			base := strings.TrimPrefix(d.BaseDefinition, definitionURL)
			// Backbones of any type derive from BackboneElement, so it comes early.
			if (base != "" && s.known[base] == nil) || (s.known["BackboneElement"] == nil && base != "" && d.Name != "BackboneElement") {
				later = append(later, d)
				continue
			}
			if err := s.structure(d, base); err != nil {
				return fmt.Errorf("%s: %w", d.Name, err)
			}
		}
		if len(later) == len(pending) {
			return fmt.Errorf("%s and %d more have no base", later[0].Name, len(later)-1)
		}
		pending = later
	}
	return s.resolve()
}

// structure writes one StructureDefinition: its type and its backbone types.
func (s *structures) structure(d *structure, base string) error {
	elements := d.Snapshot.Element
	root := s.define(d.Name, base, kindOf(d), elements[0].Constraint)
	types := map[string]*typeDef{elements[0].Path: root}
	order := []*typeDef{root}
	for _, e := range elements[1:] {
		dot := strings.LastIndexByte(e.Path, '.')
		parent, ok := types[e.Path[:dot]]
		if !ok {
			return fmt.Errorf("%s: no parent", e.Path)
		}
		if d.Kind == "primitive-type" && e.Path[dot+1:] == "value" {
			parent.pattern = pattern(e)
			continue
		}
		if isBackbone(e, elements) {
			b := s.define(e.Path, e.Type[0].Code, "b", e.Constraint)
			types[e.Path], order = b, append(order, b)
		}
		if err := s.element(parent, e, types[e.Path] != nil); err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
	}
	for _, t := range order {
		s.emit(t)
	}
	return nil
}

func kindOf(d *structure) string {
	kind := map[string]string{"primitive-type": "p", "complex-type": "c", "resource": "r"}[d.Kind]
	if d.Derivation == "constraint" {
		kind = "x"
	}
	if d.Abstract {
		kind += "a"
	}
	return kind
}

// isBackbone reports whether e has children of its own in the snapshot.
func isBackbone(e *element, all []*element) bool {
	return len(e.Type) == 1 && (e.Type[0].Code == "BackboneElement" || e.Type[0].Code == "Element") &&
		slices.ContainsFunc(all, func(c *element) bool { return strings.HasPrefix(c.Path, e.Path+".") })
}

// define starts a type with what its base gives it.
func (s *structures) define(name, base, kind string, root []constraint) *typeDef {
	t := &typeDef{name: name, base: base, kind: kind, elements: map[string]row{}}
	if b := s.known[base]; b != nil {
		t.invariants = slices.Clone(b.invariants)
	}
	for _, c := range root {
		if !slices.Contains(t.invariants, c) {
			t.own, t.invariants = append(t.own, c), append(t.invariants, c)
		}
	}
	s.known[name] = t
	return t
}

// inherited looks an element up in the bases of t.
func (s *structures) inherited(t *typeDef, name string) (row, bool) {
	for b := s.known[t.base]; b != nil; b = s.known[b.base] {
		if r, ok := b.elements[name]; ok {
			return r, true
		}
	}
	return row{}, false
}

// element adds e to its type unless the type inherits it as it is.
func (s *structures) element(t *typeDef, e *element, backbone bool) error {
	name := e.Path[strings.LastIndexByte(e.Path, '.')+1:]
	r := row{name: name, cardinality: strconv.Itoa(e.Min) + "\t" + e.Max, contentRef: strings.TrimPrefix(e.ContentReference, "#")}
	for _, f := range []struct {
		on   bool
		code string
	}{{e.IsSummary, "s"}, {e.IsModifier, "m"}, {slices.Contains(e.Representation, "xmlAttr"), "a"}} {
		if f.on {
			r.flags += f.code
		}
	}
	types, err := s.types(e)
	if err != nil {
		return err
	}
	r.types = types
	if b := e.Binding; b != nil && b.ValueSet != "" && (b.Strength == "required" || b.Strength == "extensible") {
		set, _, _ := strings.Cut(b.ValueSet, "|")
		r.strength, r.valueSet = b.Strength[:1], set
		s.sets[set] = s.sets[set] || b.Strength == "required"
	}
	if !backbone && e.ContentReference == "" { // those carry theirs on the type
		r.constraints = s.constraints(e)
	}
	if old, ok := s.inherited(t, name); ok && old == r {
		return nil
	}
	t.elements[name] = r
	t.names = append(t.names, name)
	return nil
}

// types writes the types of an element as "code(targets)<profile>", comma
// separated. The FHIRPath System types of id and url become the FHIR types that
// their fhir-type extension names.
func (s *structures) types(e *element) (string, error) {
	var list []string
	for _, t := range e.Type {
		code := t.Code
		for _, x := range t.Extension {
			if strings.HasSuffix(x.URL, "/structuredefinition-fhir-type") {
				code = x.ValueURL
			}
		}
		code = s.fixes.fix(basePath(e), code)
		if strings.Contains(code, "/") {
			return "", fmt.Errorf("type %s is not FHIR's", code)
		}
		if len(t.TargetProfile) > 0 {
			targets := make([]string, len(t.TargetProfile))
			for i, p := range t.TargetProfile {
				targets[i] = strings.TrimPrefix(p, definitionURL)
			}
			code += "(" + strings.Join(targets, " ") + ")"
		}
		if len(t.Profile) > 0 {
			code += "<" + strings.TrimPrefix(t.Profile[0], definitionURL) + ">"
		}
		list = append(list, code)
	}
	return strings.Join(list, ","), nil
}

// basePath is the place a correction of e's type names: Resource.id for the id
// of any resource, since the snapshots repeat it.
func basePath(e *element) string {
	if strings.Count(e.Path, ".") == 1 && strings.HasSuffix(e.Path, ".id") && !slices.Contains(e.Representation, "xmlAttr") {
		return "Resource.id"
	}
	return e.Path
}

// constraints are the keys of the invariants that an element adds to those of
// its types, each sharing one record.
func (s *structures) constraints(e *element) string {
	var keep []constraint
	for _, c := range e.Constraint {
		carried := slices.ContainsFunc(e.Type, func(t elementType) bool {
			b := s.known[t.Code]
			return b != nil && slices.Contains(b.invariants, c)
		})
		if !carried && c.Key != "ele-1" && c.Key != "ext-1" {
			keep = append(keep, c)
		}
	}
	return s.shareAll(keep)
}

func (s *structures) shareAll(list []constraint) string {
	numbers := make([]string, len(list))
	for i, c := range list {
		numbers[i] = s.table.share("I", c.Key, c.Severity[:1], c.Human, c.Expression)
	}
	return strings.Join(numbers, ",")
}

// pattern is the regular expression of a primitive type's value.
func pattern(e *element) string {
	for _, x := range e.Type[0].Extension {
		if strings.HasSuffix(x.URL, "/regex") {
			return x.ValueString
		}
	}
	return ""
}

func (s *structures) emit(t *typeDef) {
	invariants := s.shareAll(t.own)
	lines := make([][]string, len(t.names))
	for i, name := range t.names {
		r := t.elements[name]
		types, binding := "", ""
		if r.types != "" {
			types = s.table.share("Y", r.types)
		}
		if r.strength != "" {
			binding = s.table.share("B", r.strength, r.valueSet)
		}
		lines[i] = append([]string{"E", r.name}, strings.Split(r.cardinality, "\t")...)
		lines[i] = append(lines[i], r.flags, types, binding, r.contentRef, r.constraints)
	}
	s.table.line("T", t.name, t.kind, t.base, t.pattern, invariants)
	for _, l := range lines {
		s.table.line(l...)
	}
}

// resolve checks that every base and content reference names a type.
func (s *structures) resolve() error {
	for _, t := range s.known {
		for _, r := range t.elements {
			if r.contentRef != "" && s.known[r.contentRef] == nil {
				return fmt.Errorf("%s.%s: no type %s", t.name, r.name, r.contentRef)
			}
		}
	}
	return nil
}

// required are the value sets of required bindings, sorted.
func (s *structures) required() []string {
	var list []string
	for set, required := range s.sets {
		if required {
			list = append(list, set)
		}
	}
	slices.Sort(list)
	return list
}
