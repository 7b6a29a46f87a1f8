package terminology

import (
	"context"
	"slices"
	"strings"

	"galen/fhir"
	"galen/fhir/definition"
	"galen/fhir/jsontree"
)

// TranslateIn is what $translate asks
// (https://hl7.org/fhir/R4/conceptmap-operation-translate.html).
type TranslateIn struct {
	URL, Version string        // of the concept map; or
	ConceptMap   fhir.Resource // the concept map itself; or, without either, all that fit:
	Source       string        // the value set that they translate from; "" is any
	Target       string        // and to
	Codings      []Coding
	TargetSystem string // only matches in this code system; "" is any
	Reverse      bool   // from target to source
}

// Match is one translation of a code.
type Match struct {
	Equivalence string // of https://hl7.org/fhir/R4/valueset-concept-map-equivalence.html
	Coding             // zero if the map says that there is none
	Source      string // the concept map
}

// Translation is the answer.
type Translation struct {
	Result  bool // at least one match that is more than unmatched or disjoint
	Message string
	Matches []Match
}

// Translate translates codes by a concept map, or by all that are known. Errors:
// NotFound for an unknown map, TooCostly for maps that go on to each other without
// end.
func (s *Service) Translate(ctx context.Context, in TranslateIn) (Translation, error) {
	const op = "terminology.Translate"
	if len(in.Codings) == 0 {
		return Translation{}, fhir.E(op, fhir.Required, "code", "a code is needed: code, coding or codeableConcept")
	}
	maps, err := s.maps(ctx, in)
	if err != nil {
		return Translation{}, err
	}
	var out Translation
	for _, r := range maps {
		for _, c := range in.Codings {
			t := translator{s: s, in: in, source: r.Root().Get("url").Text()}
			if err := t.run(ctx, r.Root(), c, 0); err != nil {
				return Translation{}, err
			}
			out.Matches = append(out.Matches, t.matches...)
		}
	}
	for _, m := range out.Matches {
		out.Result = out.Result || m.Equivalence != "unmatched" && m.Equivalence != "disjoint"
	}
	if !out.Result {
		out.Message = "no translation of the code is known"
	}
	return out, nil
}

// maps are the concept maps that a question names or brings along; without either,
// those between its value sets.
func (s *Service) maps(ctx context.Context, in TranslateIn) ([]fhir.Resource, error) {
	switch {
	case in.ConceptMap.Type == "ConceptMap":
		return []fhir.Resource{in.ConceptMap}, nil
	case in.URL != "":
		r, ok, err := s.find(ctx, "ConceptMap", in.URL, in.Version)
		if err == nil && !ok {
			err = fhir.E("terminology.Translate", fhir.NotFound, "url", "the concept map is not known to this server")
		}
		return []fhir.Resource{r}, err
	}
	all, err := s.source.List(ctx, "ConceptMap")
	if err != nil {
		return nil, err
	}
	from, to := "source", "target"
	if in.Reverse {
		from, to = to, from
	}
	between := func(r fhir.Resource, side, valueSet string) bool {
		if valueSet == "" {
			return true
		}
		for _, kind := range []string{"Uri", "Canonical"} {
			url, _ := definition.Canonical(r.Root().Get(side + kind).Text())
			if url == valueSet {
				return true
			}
		}
		return false
	}
	return slices.DeleteFunc(all, func(r fhir.Resource) bool { return !between(r, from, in.Source) || !between(r, to, in.Target) }), nil
}

type translator struct {
	s       *Service
	in      TranslateIn
	source  string
	matches []Match
}

func (t *translator) run(ctx context.Context, root jsontree.Node, c Coding, depth int) error {
	if depth > t.s.limits.Nesting {
		return fhir.E("terminology.Translate", fhir.TooCostly, "url", "concept maps are nested too deep")
	}
	for group := range root.Get("group").Items() {
		from, to := group.Get("source").Text(), group.Get("target").Text()
		if t.in.Reverse {
			from, to = to, from
		}
		if c.System != "" && from != "" && c.System != from || t.in.TargetSystem != "" && to != t.in.TargetSystem {
			continue
		}
		found := false
		for element := range group.Get("element").Items() {
			if t.in.Reverse {
				t.backward(element, to, c)
			} else if element.Get("code").Text() == c.Code {
				found = true
				t.forward(element, to)
			}
		}
		if !found && !t.in.Reverse {
			if err := t.unmapped(ctx, group.Get("unmapped"), to, c, depth); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *translator) forward(element jsontree.Node, system string) {
	for target := range element.Get("target").Items() {
		m := Match{Equivalence: target.Get("equivalence").Text(), Source: t.source}
		if code := target.Get("code").Text(); code != "" {
			m.Coding = Coding{System: system, Code: code, Display: target.Get("display").Text()}
		}
		t.matches = append(t.matches, m)
	}
}

// reversed are equivalences seen from the other side.
var reversed = map[string]string{"wider": "narrower", "narrower": "wider", "subsumes": "specializes", "specializes": "subsumes"}

func (t *translator) backward(element jsontree.Node, system string, c Coding) {
	for target := range element.Get("target").Items() {
		if target.Get("code").Text() != c.Code {
			continue
		}
		equivalence := target.Get("equivalence").Text()
		if other := reversed[equivalence]; other != "" {
			equivalence = other
		}
		t.matches = append(t.matches, Match{
			Equivalence: equivalence, Source: t.source,
			Coding: Coding{System: system, Code: element.Get("code").Text(), Display: element.Get("display").Text()},
		})
	}
}

// unmapped is what a group says of codes that it does not list.
func (t *translator) unmapped(ctx context.Context, rule jsontree.Node, system string, c Coding, depth int) error {
	switch rule.Get("mode").Text() {
	case "provided":
		t.matches = append(t.matches, Match{"equal", Coding{System: system, Code: c.Code, Display: c.Display}, t.source})
	case "fixed":
		t.matches = append(t.matches, Match{"equivalent", Coding{System: system, Code: rule.Get("code").Text(), Display: rule.Get("display").Text()}, t.source})
	case "other-map":
		url, version, _ := strings.Cut(rule.Get("url").Text(), "|")
		r, ok, err := t.s.find(ctx, "ConceptMap", url, version)
		if err != nil || !ok {
			return err
		}
		return t.run(ctx, r.Root(), c, depth+1)
	}
	return nil
}
