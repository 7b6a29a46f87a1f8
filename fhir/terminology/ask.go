package terminology

import (
	"cmp"
	"context"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
)

// Verdict is the answer of $validate-code
// (https://hl7.org/fhir/R4/valueset-operation-validate-code.html).
type Verdict struct {
	Result  bool
	Message string // why not, or what is amiss; "" if all is well
	Coding         // the code as its system writes it, with its display
}

// Contains reports whether a code is in a value set ("url" or "url|version"). A
// Coding without System is looked for in every system of the set. Errors: those
// of Expand but TooCostly; NotSupported if it cannot be decided.
func (s *Service) Contains(ctx context.Context, valueSet string, c Coding) (bool, error) {
	url, version, _ := strings.Cut(valueSet, "|")
	v, err := s.valueSet(ctx, url, version, nil)
	ok := false
	if err == nil {
		_, ok, err = v.has(c)
	}
	if s.elsewhere(err) {
		var verdict Verdict
		verdict, err = s.remote.Validate(ctx, valueSet, c)
		ok = verdict.Result
	}
	return ok, err
}

// elsewhere reports whether another server is to be asked: there is one, and
// something needed is not here.
func (s *Service) elsewhere(err error) bool {
	kind := fhir.KindOf(err)
	return err != nil && s.remote != nil && (kind == fhir.NotFound || kind == fhir.NotSupported)
}

// Codes lists the codes of a value set, at most limit: the error is then of Kind
// TooCostly.
func (s *Service) Codes(ctx context.Context, valueSet string, limit int) ([]Coding, error) {
	url, version, _ := strings.Cut(valueSet, "|")
	v, err := s.valueSet(ctx, url, version, nil)
	if err != nil {
		return nil, err
	}
	var out []Coding
	err = v.each(func(h hit) error {
		if len(out) == limit {
			return fhir.E("terminology.Codes", fhir.TooCostly, "url", "the value set has more codes than this question allows")
		}
		out = append(out, h.Coding)
		return nil
	})
	return out, err
}

// Hierarchy lists a code and all below it (:below) or above it (:above) in its
// code system. Errors: NotFound for an unknown system or code.
func (s *Service) Hierarchy(ctx context.Context, c Coding, above bool) ([]Coding, error) {
	cs, err := s.need(ctx, c.System, c.Version)
	if err != nil {
		return nil, err
	}
	start := cs.concept(c.Code)
	if start == nil {
		return nil, unknownCode()
	}
	seen := map[*concept]bool{start: true}
	list := []*concept{start}
	for i := 0; i < len(list); i++ {
		next := list[i].children
		if above {
			next = list[i].parents
		}
		for _, n := range next {
			if !seen[n] {
				seen[n] = true
				list = append(list, n)
			}
		}
	}
	out := make([]Coding, len(list))
	for i, n := range list {
		out[i] = Coding{System: cs.url, Code: n.code, Display: n.display}
	}
	return out, nil
}

func unknownCode() error {
	return fhir.E("terminology", fhir.NotFound, "code", "the code system does not define this code")
}

// ValidateIn is what $validate-code asks of a value set or, with System alone,
// of a code system.
type ValidateIn struct {
	URL, Version string        // of the value set
	ValueSet     fhir.Resource // or the value set itself
	Codings      []Coding      // one, or those of a CodeableConcept: any suffices
	InSystem     bool          // the question is whether the code system defines it
	Abstract     bool          // a code that only groups others will do
	Lenient      bool          // a wrong display is only remarked on
	Language     string        // of the display, as in ExpandIn
}

// Validate answers $validate-code. What is wrong with the code is a Verdict; the
// error says that the question cannot be decided.
func (s *Service) Validate(ctx context.Context, in ValidateIn) (Verdict, error) {
	v, err := s.decide(ctx, in)
	if !s.elsewhere(err) || in.ValueSet.Type != "" {
		return v, err
	}
	valueSet := ""
	if !in.InSystem {
		valueSet = in.URL
		if in.Version != "" {
			valueSet += "|" + in.Version
		}
	}
	for _, c := range in.Codings {
		if v, err = s.remote.Validate(ctx, valueSet, c); err != nil || v.Result {
			break
		}
	}
	return v, err
}

// decide answers out of what is here.
func (s *Service) decide(ctx context.Context, in ValidateIn) (Verdict, error) {
	if len(in.Codings) == 0 {
		return Verdict{}, fhir.E("terminology.Validate", fhir.Required, "code", "a code is needed: code, coding or codeableConcept")
	}
	var has func(Coding) (hit, bool, error)
	if in.InSystem {
		has = func(c Coding) (hit, bool, error) { return s.define(ctx, c) }
	} else {
		v, err := s.asked(ctx, in.URL, in.Version, in.ValueSet)
		if err != nil {
			return Verdict{}, err
		}
		has = v.has
	}
	var undecided error
	for _, c := range in.Codings {
		h, ok, err := has(c)
		switch {
		case err != nil:
			undecided = err
		case ok:
			return in.verdict(c, h), nil
		}
	}
	if undecided != nil {
		return Verdict{}, undecided
	}
	place := "the value set"
	if in.InSystem {
		place = "the code system"
	}
	return Verdict{Message: "the code is not in " + place, Coding: in.Codings[0]}, nil
}

// define finds a code in its own code system.
func (s *Service) define(ctx context.Context, c Coding) (hit, bool, error) {
	p := &part{system: c.System, version: c.Version, decided: true, grammar: grammar(c.System, s.units)}
	var err error
	if p.cs, err = s.system(ctx, c.System, c.Version); err != nil {
		return hit{}, false, err
	}
	if p.cs == nil && p.grammar == nil {
		return hit{}, false, fhir.E("terminology", fhir.NotFound, "system", "the code system is not known to this server")
	}
	return p.own(c)
}

// verdict holds a code that was found against what else is asked: that it may be
// chosen, and that the display given is one of the concept's.
func (in ValidateIn) verdict(asked Coding, h hit) Verdict {
	v := Verdict{Result: true, Coding: h.Coding}
	v.Display = h.display(languages(in.Language))
	if h.concept != nil {
		v.Version = h.concept.system.version
		if h.concept.abstract && !in.Abstract && !in.InSystem {
			v.Result, v.Message = false, "the code is abstract: it groups others and is not to be chosen"
			return v
		}
	}
	if asked.Display == "" || h.concept == nil || strings.EqualFold(asked.Display, h.Display) {
		return v
	}
	for _, text := range h.concept.designations() {
		if strings.EqualFold(asked.Display, text) {
			return v
		}
	}
	if h.concept.display == "" || strings.EqualFold(asked.Display, h.concept.display) {
		return v
	}
	v.Result, v.Message = in.Lenient, "the display is not one of this code"
	return v
}

// designations are the other names of a concept.
func (c *concept) designations() []string {
	if c.row != nil {
		return c.row.Synonyms
	}
	var out []string
	for d := range c.node.Get("designation").Items() {
		out = append(out, d.Get("value").Text())
	}
	return out
}

// Relation is the outcome of $subsumes
// (https://hl7.org/fhir/R4/codesystem-operation-subsumes.html): one of
// equivalent, subsumes, subsumed-by, not-subsumed.
type Relation string

// The relations.
const (
	Equivalent  Relation = "equivalent"
	Subsumes    Relation = "subsumes"
	SubsumedBy  Relation = "subsumed-by"
	NotSubsumed Relation = "not-subsumed"
)

// Subsumes says how code a relates to code b of one code system. Errors:
// NotFound for an unknown system or code, Value for different systems.
func (s *Service) Subsumes(ctx context.Context, a, b Coding) (Relation, error) {
	if a.System != b.System {
		return "", fhir.E("terminology.Subsumes", fhir.Value, "system", "both codes must be of one code system")
	}
	cs, err := s.need(ctx, a.System, a.Version)
	if err != nil {
		return "", err
	}
	x, y := cs.concept(a.Code), cs.concept(b.Code)
	switch {
	case x == nil || y == nil:
		return "", unknownCode()
	case x == y:
		return Equivalent, nil
	case y.below(x):
		return Subsumes, nil
	case x.below(y):
		return SubsumedBy, nil
	}
	return NotSubsumed, nil
}

// LookupIn is what $lookup asks
// (https://hl7.org/fhir/R4/codesystem-operation-lookup.html).
type LookupIn struct {
	Coding
	Properties []string // what is returned beyond name, version and display; none is everything
	Language   string   // of the display, as in ExpandIn
}

// Lookup answers $lookup as a Parameters resource. Of a code of a grammar, such
// as a UCUM unit, no more is known than that it is one. Errors: NotFound for an
// unknown system or code.
func (s *Service) Lookup(ctx context.Context, in LookupIn) ([]byte, error) {
	h, ok, err := s.define(ctx, in.Coding)
	if s.elsewhere(err) {
		return s.remote.Lookup(ctx, in.Coding, in.Properties)
	}
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, unknownCode()
	}
	cs, found := &codeSystem{name: in.System}, &concept{}
	if h.concept != nil {
		cs, found = h.concept.system, h.concept
	}
	wants := func(name string) bool {
		for _, p := range in.Properties {
			if p == name || p == "*" {
				return true
			}
		}
		return len(in.Properties) == 0
	}
	var w jsontree.Writer
	w.Object("")
	w.String("resourceType", "Parameters")
	w.Array("parameter")
	textParameter(&w, "name", cs.name)
	textParameter(&w, "version", cs.version)
	textParameter(&w, "display", cmp.Or(h.display(languages(in.Language)), h.Code))
	if wants("definition") {
		textParameter(&w, "definition", found.node.Get("definition").Text())
	}
	if wants("designation") {
		for d := range found.node.Get("designation").Items() {
			designation(&w, d)
		}
		if found.row != nil {
			for _, text := range found.row.Synonyms {
				parts(&w, "designation", func() { textParameter(&w, "value", text) })
			}
		}
	}
	if h.concept != nil {
		lookupProperties(&w, found, wants)
	}
	w.EndArray()
	w.EndObject()
	return w.Bytes(), nil
}

func textParameter(w *jsontree.Writer, name, value string) {
	if value != "" {
		parameter(w, name, func() { w.String("valueString", value) })
	}
}

func designation(w *jsontree.Writer, d jsontree.Node) {
	parts(w, "designation", func() {
		if code := d.Get("language"); code.Exists() {
			parameter(w, "language", func() { w.Raw("valueCode", code) })
		}
		if use := d.Get("use"); use.Exists() {
			parameter(w, "use", func() { w.Raw("valueCoding", use) })
		}
		textParameter(w, "value", d.Get("value").Text())
	})
}

// parts writes a parameter that has parts.
func parts(w *jsontree.Writer, name string, list func()) {
	parameter(w, name, func() {
		w.Array("part")
		list()
		w.EndArray()
	})
}

// lookupProperties writes a concept's place in the hierarchy and its properties.
func lookupProperties(w *jsontree.Writer, c *concept, wants func(string) bool) {
	related := func(name string, list []*concept) {
		if !wants(name) {
			return
		}
		for _, other := range list {
			parts(w, "property", func() {
				parameter(w, "code", func() { w.String("valueCode", name) })
				parameter(w, "value", func() { w.String("valueCode", other.code) })
				textParameter(w, "description", other.display)
			})
		}
	}
	related("parent", c.parents)
	related("child", c.children)
	if wants("inactive") {
		parts(w, "property", func() {
			parameter(w, "code", func() { w.String("valueCode", "inactive") })
			parameter(w, "value", func() { w.Bool("valueBoolean", c.inactive) })
		})
	}
	if c.row != nil {
		for _, p := range c.row.Properties {
			if wants(p.Code) {
				parts(w, "property", func() {
					parameter(w, "code", func() { w.String("valueCode", p.Code) })
					parameter(w, "value", func() { w.String("valueString", p.Value) })
				})
			}
		}
	}
	for p := range c.node.Get("property").Items() {
		code := p.Get("code").Text()
		if code == "parent" || code == "child" || code == "inactive" || !wants(code) {
			continue
		}
		parts(w, "property", func() {
			parameter(w, "code", func() { w.String("valueCode", code) })
			for name, value := range p.Members() {
				if strings.HasPrefix(name, "value") {
					parameter(w, "value", func() { w.Raw(name, value) })
				}
			}
		})
	}
}
