package terminology

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"galen/fhir"
	"galen/fhir/jsontree"
)

// each yields the codes of a set in the order of its parts, each once, until f
// returns an error.
func (v *valueSet) each(f func(hit) error) error {
	type key struct{ system, code string }
	seen := map[key]bool{}
	for _, p := range v.includes {
		err := p.each(func(h hit) error {
			k := key{h.System, h.Code}
			if seen[k] || v.activeOnly && h.concept != nil && h.concept.inactive {
				return nil
			}
			seen[k] = true
			if _, excluded, err := anyHas(v.exclude, h.Coding); excluded || err != nil {
				return err
			}
			return f(h)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *part) each(f func(hit) error) error {
	inAll := func(h hit, sets []*valueSet) error {
		for _, v := range sets {
			if _, ok, err := v.has(h.Coding); !ok || err != nil {
				return err
			}
		}
		return f(h)
	}
	switch {
	case p.system == "" && len(p.imports) > 0:
		return p.imports[0].each(func(h hit) error { return inAll(h, p.imports[1:]) })
	case p.listed != nil:
		for _, c := range p.listed {
			h, ok, err := p.own(c)
			if err != nil {
				return err
			}
			if ok {
				if err := inAll(h, p.imports); err != nil {
					return err
				}
			}
		}
		return nil
	case p.cs == nil || !p.cs.complete() || !p.decided:
		if p.grammar != nil {
			return fhir.E("terminology.Expand", fhir.TooCostly, "url", "the codes of "+p.system+" are a grammar and cannot be listed")
		}
		return undecided(p.system)
	}
	for _, c := range p.cs.concepts {
		if p.passes(c) {
			if err := inAll(hit{Coding{p.system, p.version, c.code, c.display}, c}, p.imports); err != nil {
				return err
			}
		}
	}
	return nil
}

// ExpandIn is what $expand asks
// (https://hl7.org/fhir/R4/valueset-operation-expand.html).
type ExpandIn struct {
	URL, Version string        // of the value set; or
	ValueSet     fhir.Resource // the value set itself
	Filter       string        // text that a display or code must have, word by word
	Offset       int           // codes to leave out at the start
	Count        int           // codes at most; < 0 is all
	ActiveOnly   bool
	Designations bool   // with the designations of each concept
	Flat         bool   // without the hierarchy
	Selectable   bool   // without abstract concepts, which nobody is to choose
	Definition   bool   // with the value set's own definition (compose)
	Language     string // of the displays: a BCP 47 tag or a list as in Accept-Language
}

// Expand returns the ValueSet resource with its expansion: flat, unless it is
// one whole code system, which keeps its hierarchy. Errors: NotFound for an
// unknown value set, NotSupported if a code system is not here, TooCostly beyond
// the limit, Unprocessable for value sets that include each other.
func (s *Service) Expand(ctx context.Context, in ExpandIn) ([]byte, error) {
	body, err := s.expand(ctx, in)
	if s.elsewhere(err) && in.ValueSet.Type == "" {
		return s.remote.Expand(ctx, in)
	}
	return body, err
}

func (s *Service) expand(ctx context.Context, in ExpandIn) ([]byte, error) {
	v, err := s.asked(ctx, in.URL, in.Version, in.ValueSet)
	if err != nil {
		return nil, err
	}
	e := expansion{ExpandIn: in, words: strings.Fields(strings.ToLower(in.Filter)), limit: s.limits.Codes, languages: languages(in.Language)}
	if tree := v.tree(); tree != nil && in.Filter == "" && in.Offset == 0 && in.Count < 0 && !in.ActiveOnly && !in.Selectable && !in.Flat {
		e.nest(tree, tree.root.Get("concept"))
	} else if err := v.each(e.add); err != nil {
		return nil, err
	}
	return e.write(v, s.now()), nil
}

// asked is the value set that a request names or brings along.
func (s *Service) asked(ctx context.Context, url, version string, given fhir.Resource) (*valueSet, error) {
	switch {
	case given.Type == "ValueSet":
		return s.compile(ctx, given.Root(), []string{given.Root().Get("url").Text()})
	case url == "":
		return nil, fhir.E("terminology", fhir.Required, "url", "a value set is needed: url or valueSet")
	}
	return s.valueSet(ctx, url, version, nil)
}

// tree is the code system that a set is the whole of, if it has a hierarchy.
func (v *valueSet) tree() *codeSystem {
	if len(v.includes) != 1 || len(v.exclude) > 0 || v.activeOnly {
		return nil
	}
	p := v.includes[0]
	if p.cs == nil || !p.cs.complete() || p.listed != nil || len(p.filters) > 0 || len(p.imports) > 0 {
		return nil
	}
	for n := range p.cs.root.Get("concept").Items() {
		if n.Get("concept").Exists() {
			return p.cs
		}
	}
	return nil
}

// expansion gathers and writes ValueSet.expansion.contains.
type expansion struct {
	ExpandIn
	words     []string
	languages []string
	limit     int
	total     int
	contains  jsontree.Writer // the items of an array
}

func (e *expansion) add(h hit) error {
	if h.concept != nil && (e.ActiveOnly && h.concept.inactive || e.Selectable && h.concept.abstract) || !e.matches(h) {
		return nil
	}
	e.total++
	if e.total > e.limit {
		return fhir.E("terminology.Expand", fhir.TooCostly, "url", "the value set has more codes than this server expands")
	}
	if e.total > e.Offset && (e.Count < 0 || e.total <= e.Offset+e.Count) {
		e.open(h)
		e.contains.EndObject()
	}
	return nil
}

// matches reports whether each word of the filter begins a word of the display
// or the code.
func (e *expansion) matches(h hit) bool {
	if len(e.words) == 0 {
		return true
	}
	have := strings.FieldsFunc(strings.ToLower(h.Display+" "+h.Code), func(r rune) bool { return strings.ContainsRune(" -(/[,", r) })
	have = append(have, strings.ToLower(h.Code))
	for _, w := range e.words {
		if !slices.ContainsFunc(have, func(word string) bool { return strings.HasPrefix(word, w) }) {
			return false
		}
	}
	return true
}

// open writes one item and leaves it open.
func (e *expansion) open(h hit) {
	w := &e.contains
	w.Object("")
	w.String("system", h.System)
	if h.concept != nil && h.concept.abstract {
		w.Bool("abstract", true)
	}
	if h.concept != nil && h.concept.inactive {
		w.Bool("inactive", true)
	}
	w.String("version", h.Version)
	w.String("code", h.Code)
	w.String("display", h.display(e.languages))
	if e.Designations && h.concept != nil {
		w.Raw("designation", h.concept.node.Get("designation"))
		if h.concept.row != nil && len(h.concept.row.Synonyms) > 0 {
			w.Array("designation")
			for _, text := range h.concept.row.Synonyms {
				w.Object("")
				w.String("value", text)
				w.EndObject()
			}
			w.EndArray()
		}
	}
}

// nest writes one level of a code system as its definition nests it.
func (e *expansion) nest(cs *codeSystem, list jsontree.Node) {
	for n := range list.Items() {
		c := cs.concept(n.Get("code").Text())
		e.total++
		e.open(hit{Coding{System: cs.url, Code: c.code, Display: c.display}, c})
		if n.Get("concept").Exists() {
			e.contains.Array("contains")
			e.nest(cs, n.Get("concept"))
			e.contains.EndArray()
		}
		e.contains.EndObject()
	}
}

// write makes the ValueSet: what identifies the definition, and the expansion.
func (e *expansion) write(v *valueSet, now time.Time) []byte {
	var w jsontree.Writer
	root := v.root
	w.Object("")
	w.String("resourceType", "ValueSet")
	w.String("url", cmp.Or(root.Get("url").Text(), e.URL))
	for _, name := range []string{"identifier", "version", "name", "title"} {
		w.Raw(name, root.Get(name))
	}
	w.String("status", cmp.Or(root.Get("status").Text(), "active"))
	if e.Definition {
		w.Raw("compose", root.Get("compose"))
	}
	w.Object("expansion")
	w.String("timestamp", fhir.FormatInstant(now))
	w.Int("total", e.total)
	if e.Offset > 0 || e.Count >= 0 {
		w.Int("offset", e.Offset)
	}
	e.parameters(&w, v)
	if items := e.contains.Bytes(); len(items) > 0 {
		w.Array("contains")
		w.Append(items)
		w.EndArray()
	}
	w.EndObject()
	w.EndObject()
	return w.Bytes()
}

// parameters repeats what shaped the expansion, and names the code systems that
// it rests on with their versions
// (https://hl7.org/fhir/R4/valueset-definitions.html#ValueSet.expansion.parameter).
func (e *expansion) parameters(w *jsontree.Writer, v *valueSet) {
	used := v.systems(nil)
	flags := []struct {
		name string
		set  bool
	}{
		{"activeOnly", e.ActiveOnly},
		{"excludeNested", e.Flat},
		{"excludeNotForUI", e.Selectable},
		{"includeDefinition", e.Definition},
		{"includeDesignations", e.Designations},
	}
	var list jsontree.Writer
	if e.Filter != "" {
		parameter(&list, "filter", func() { list.String("valueString", e.Filter) })
	}
	if e.Count >= 0 {
		parameter(&list, "count", func() { list.Int("valueInteger", e.Count) })
	}
	if e.Offset > 0 {
		parameter(&list, "offset", func() { list.Int("valueInteger", e.Offset) })
	}
	if e.Language != "" {
		parameter(&list, "displayLanguage", func() { list.String("valueCode", e.Language) })
	}
	for _, f := range flags {
		if f.set {
			parameter(&list, f.name, func() { list.Bool("valueBoolean", true) })
		}
	}
	for _, system := range used {
		parameter(&list, "used-codesystem", func() { list.String("valueUri", system) })
		if strings.Contains(system, "|") {
			parameter(&list, "version", func() { list.String("valueUri", system) })
		}
	}
	if items := list.Bytes(); len(items) > 0 {
		w.Array("parameter")
		w.Append(items)
		w.EndArray()
	}
}

// systems are the canonical URLs of the code systems of a set, each once.
func (v *valueSet) systems(into []string) []string {
	for _, p := range v.includes {
		if p.cs != nil {
			canonical := p.cs.url
			if p.cs.version != "" {
				canonical += "|" + p.cs.version
			}
			if !slices.Contains(into, canonical) {
				into = append(into, canonical)
			}
		}
		for _, inner := range p.imports {
			into = inner.systems(into)
		}
	}
	return into
}

// parameter writes one item {name, value}.
func parameter(w *jsontree.Writer, name string, value func()) {
	w.Object("")
	w.String("name", name)
	value()
	w.EndObject()
}
