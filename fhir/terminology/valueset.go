package terminology

import (
	"context"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
)

// valueSet is a ValueSet ready to be asked
// (https://hl7.org/fhir/R4/valueset.html#compositions): the union of its
// includes without its excludes.
type valueSet struct {
	root              jsontree.Node
	includes, exclude []*part
	activeOnly        bool // compose.inactive is false
}

// part is one include or exclude: a system's codes that pass, cut down to those
// that are in every imported value set; without a system, the codes that are in
// every imported one.
type part struct {
	system, version string
	listed          []Coding       // the codes it names, in order
	byCode          map[string]int // index into listed
	cs              *codeSystem    // of the system, nil if it is not here
	grammar         func(code string) bool
	filters         []test
	decided         bool // all filters are compiled
	imports         []*valueSet
}

// hit is a code with what is known of it.
type hit struct {
	Coding
	concept *concept // nil if its code system is not here
}

// undecided says that a question needs a code system that is not here.
func undecided(system string) error {
	return fhir.E("terminology", fhir.NotSupported, "system", "the code system "+system+" is not known to this server, so the value set cannot be decided")
}

// valueSet finds and compiles a value set.
func (s *Service) valueSet(ctx context.Context, url, version string, above []string) (*valueSet, error) {
	const op = "terminology.valueSet"
	canonical := url
	if version != "" {
		canonical += "|" + version
	}
	for _, outer := range above {
		if outer == canonical {
			return nil, fhir.E(op, fhir.Unprocessable, "url", "the value set includes itself")
		}
	}
	if len(above) >= s.limits.Nesting {
		return nil, fhir.E(op, fhir.TooCostly, "url", "value sets are nested too deep")
	}
	r, ok, err := s.find(ctx, "ValueSet", url, version)
	if err != nil {
		return nil, err
	}
	if !ok {
		return s.implicit(ctx, url)
	}
	return s.compile(ctx, r.Root(), append(above[:len(above):len(above)], canonical))
}

// implicit is the value set of all codes of a code system that names it in
// CodeSystem.valueSet; R4's own have their ValueSet, so it is a system's URL
// with ?fhir_vs (https://hl7.org/fhir/R4/terminologies-systems.html).
func (s *Service) implicit(ctx context.Context, url string) (*valueSet, error) {
	system, query, found := strings.Cut(url, "?fhir_vs")
	unknown := fhir.E("terminology.valueSet", fhir.NotFound, "url", "the value set is not known to this server")
	if !found {
		return nil, unknown
	}
	cs, err := s.need(ctx, system, "")
	if err != nil {
		return nil, err
	}
	p := &part{system: system, cs: cs, decided: true}
	if code, isA := strings.CutPrefix(query, "=isa/"); isA {
		only, err := hierarchyFilter(cs, "is-a", code)
		if err != nil {
			return nil, err
		}
		p.filters = []test{only}
	} else if query != "" {
		return nil, unknown
	}
	return &valueSet{includes: []*part{p}}, nil
}

// compile reads a ValueSet resource; above are the value sets it is in.
func (s *Service) compile(ctx context.Context, root jsontree.Node, above []string) (*valueSet, error) {
	compose := root.Get("compose")
	v := &valueSet{root: root, activeOnly: compose.Get("inactive").Kind() == jsontree.False}
	if !compose.Exists() && root.Get("expansion").Exists() {
		v.includes = expanded(root.Get("expansion").Get("contains"), nil)
		return v, nil
	}
	var err error
	if v.includes, err = s.parts(ctx, compose.Get("include"), above); err == nil {
		v.exclude, err = s.parts(ctx, compose.Get("exclude"), above)
	}
	return v, err
}

// expanded makes parts of a stored expansion, which stands for the definition of
// a value set without compose.
func expanded(list jsontree.Node, into []*part) []*part {
	for n := range list.Items() {
		if c := CodingOf(n); c.Code != "" && n.Get("abstract").Kind() != jsontree.True {
			into = append(into, &part{system: c.System, listed: []Coding{c}, byCode: map[string]int{c.Code: 0}})
		}
		into = expanded(n.Get("contains"), into)
	}
	return into
}

func (s *Service) parts(ctx context.Context, list jsontree.Node, above []string) ([]*part, error) {
	var out []*part
	for n := range list.Items() {
		p, err := s.part(ctx, n, above)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

func (s *Service) part(ctx context.Context, n jsontree.Node, above []string) (*part, error) {
	p := &part{system: n.Get("system").Text(), version: n.Get("version").Text()}
	for ref := range n.Get("valueSet").Items() {
		url, version, _ := strings.Cut(ref.Text(), "|")
		v, err := s.valueSet(ctx, url, version, above)
		if err != nil {
			return nil, err
		}
		p.imports = append(p.imports, v)
	}
	if p.system == "" {
		return p, nil
	}
	var err error
	if p.cs, err = s.system(ctx, p.system, p.version); err != nil {
		return nil, err
	}
	p.grammar = grammar(p.system, s.units)
	for c := range n.Get("concept").Items() {
		if p.byCode == nil {
			p.byCode = map[string]int{}
		}
		coding := Coding{p.system, p.version, c.Get("code").Text(), c.Get("display").Text()}
		p.byCode[coding.Code] = len(p.listed)
		p.listed = append(p.listed, coding)
	}
	p.decided = !n.Get("filter").Exists() || p.cs != nil && p.cs.complete()
	for f := range n.Get("filter").Items() {
		if !p.decided {
			break
		}
		only, err := compileFilter(p.cs, f)
		if err != nil {
			return nil, err
		}
		p.filters = append(p.filters, only)
	}
	return p, nil
}

// has finds a code in the set. The error says that it cannot be decided.
func (v *valueSet) has(c Coding) (hit, bool, error) {
	found, ok, err := anyHas(v.includes, c)
	if !ok || v.activeOnly && found.concept != nil && found.concept.inactive {
		return hit{}, false, err
	}
	if _, excluded, err := anyHas(v.exclude, c); excluded || err != nil {
		return hit{}, false, err
	}
	return found, true, nil
}

// anyHas asks parts until one has the code; one that cannot decide matters only
// if none has it.
func anyHas(parts []*part, c Coding) (found hit, ok bool, err error) {
	for _, p := range parts {
		h, has, failed := p.has(c)
		if has {
			return h, true, nil
		}
		if err == nil {
			err = failed
		}
	}
	return hit{}, false, err
}

// has asks one part. A Coding without system is of any.
func (p *part) has(c Coding) (hit, bool, error) {
	if p.system != "" && c.System != "" && c.System != p.system {
		return hit{}, false, nil
	}
	found, ok, err := hit{Coding: c}, true, error(nil)
	if p.system != "" {
		found, ok, err = p.own(c)
	}
	for _, v := range p.imports {
		if !ok || err != nil {
			break
		}
		var inner hit
		if inner, ok, err = v.has(c); ok && p.system == "" {
			found = inner
		}
	}
	return found, ok && err == nil, err
}

// own decides by the system of the part.
func (p *part) own(c Coding) (hit, bool, error) {
	var known *concept
	if p.cs != nil {
		known = p.cs.concept(c.Code)
	}
	h := hit{Coding{p.system, p.version, c.Code, ""}, known}
	if known != nil {
		h.Code, h.Display = known.code, known.display
	}
	switch {
	case p.listed != nil:
		i, ok := p.byCode[h.Code]
		if ok && p.listed[i].Display != "" {
			h.Display = p.listed[i].Display
		}
		return h, ok, nil
	case known != nil && p.decided:
		return h, p.passes(known), nil
	case p.cs != nil && p.cs.complete():
		return h, false, nil
	case p.grammar != nil && p.decided:
		return h, p.grammar(c.Code), nil
	}
	return hit{}, false, undecided(p.system)
}

func (p *part) passes(c *concept) bool {
	for _, only := range p.filters {
		if !only(c) {
			return false
		}
	}
	return true
}
