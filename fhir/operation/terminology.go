package operation

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"galen/fhir"
	"galen/fhir/definition"
	"galen/fhir/jsontree"
	"galen/fhir/rest"
	"galen/fhir/search"
	"galen/fhir/terminology"
)

// takes makes parameters of one type, none of which repeats.
func takes(kind string, names ...string) []Param {
	out := make([]Param, len(names))
	for i, name := range names {
		out[i] = Param{Name: name, Type: kind}
	}
	return out
}

// terminologyDefinitions are the operations of a terminology service
// (https://hl7.org/fhir/R4/terminology-service.html). inferSystem is R5's: a code
// without system is looked for in every system anyway. Of post-coordinated codes,
// which excludePostCoordinated leaves out, there are none.
func terminologyDefinitions() []Definition {
	const r4 = "http://hl7.org/fhir/OperationDefinition/"
	code := slices.Concat(takes("code", "code"), takes("string", "version", "display"), takes("Coding", "coding"), takes("CodeableConcept", "codeableConcept"))
	language := takes("code", "displayLanguage")
	validate := slices.Concat(takes("uri", "url"), code, language, takes("boolean", "abstract", "inferSystem", "lenient-display-validation"))
	list := []Definition{
		{
			Name: "expand", URL: r4 + "ValueSet-expand", Types: []string{"ValueSet"}, Type: true, Instance: true,
			Params: slices.Concat(takes("uri", "url"), takes("ValueSet", "valueSet"), takes("string", "valueSetVersion", "filter"), takes("integer", "offset", "count"), language,
				takes("boolean", "includeDesignations", "includeDefinition", "activeOnly", "excludeNested", "excludeNotForUI", "excludePostCoordinated")),
			handle: (*Set).expand,
		},
		{
			Name: "lookup", URL: r4 + "CodeSystem-lookup", Types: []string{"CodeSystem"}, Type: true,
			Params: slices.Concat(takes("uri", "system"), takes("code", "code"), takes("string", "version"), takes("Coding", "coding"), language, []Param{{"property", "code", true}}),
			handle: (*Set).lookup,
		},
		{
			Name: "subsumes", URL: r4 + "CodeSystem-subsumes", Types: []string{"CodeSystem"}, Type: true, Instance: true,
			Params: slices.Concat(takes("uri", "system"), takes("string", "version"), takes("code", "codeA", "codeB"), takes("Coding", "codingA", "codingB")),
			handle: (*Set).subsumes,
		},
		{
			Name: "translate", URL: r4 + "ConceptMap-translate", Types: []string{"ConceptMap"}, Type: true, Instance: true,
			Params: slices.Concat(takes("uri", "url", "system", "source", "target", "targetsystem"), takes("ConceptMap", "conceptMap"), takes("string", "conceptMapVersion", "version"),
				takes("code", "code"), takes("Coding", "coding"), takes("CodeableConcept", "codeableConcept"), takes("boolean", "reverse")),
			handle: (*Set).translate,
		},
		{
			Name: "validate-code", URL: r4 + "CodeSystem-validate-code", Types: []string{"CodeSystem"}, Type: true, Instance: true,
			Params: validate, handle: (*Set).validateCode,
		},
		{
			Name: "validate-code", URL: r4 + "ValueSet-validate-code", Types: []string{"ValueSet"}, Type: true, Instance: true,
			Params: slices.Concat(validate, takes("ValueSet", "valueSet"), takes("string", "valueSetVersion", "systemVersion"), takes("uri", "system")),
			handle: (*Set).validateCode,
		},
	}
	for i := range list {
		list[i].Params = append(list[i].Params, bringsAlong)
	}
	return list
}

// bringsAlong are definitions that only this question knows, as HL7's terminology
// ecosystem sends them (https://hl7.org/fhir/uv/tx-ecosystem).
var bringsAlong = Param{"tx-resource", "Resource", true}

// terminology is the service that a call asks, with what the call brings along.
func (s *Set) terminology(c *call) (*terminology.Service, error) {
	given, err := c.resources(bringsAlong.Name, jsontree.Limits{Depth: s.rest.Limits.Depth})
	return s.knowledge.Terminology.With(given), err
}

// definition is the CodeSystem, ValueSet or ConceptMap that a call is about: the
// instance, the one that the parameter named after its type brings, or the one of
// the url. One that is stored counts only if the caller may see it; the zero
// Resource stands for one that is built in.
func (s *Set) definition(ctx context.Context, c *call, url string) (fhir.Resource, error) {
	if c.ID != "" {
		rec, err := s.rest.Read(ctx, c.Caller, c.key())
		if err != nil {
			return fhir.Resource{}, err
		}
		return fhir.Parse(rec.Body, jsontree.Limits{})
	}
	given := strings.ToLower(c.Type[:1]) + c.Type[1:]
	if n, err := c.node(given); err == nil {
		r, err := fhir.Parse(n.Raw(), jsontree.Limits{Depth: s.rest.Limits.Depth})
		if err == nil && r.Type != c.Type {
			err = fhir.E("operation.definition", fhir.Invalid, given, "a "+c.Type+" is needed")
		}
		return r, err
	}
	url, _ = definition.Canonical(url)
	q := search.Query{Types: []string{c.Type}, Where: search.Where{Param: "url", Any: []search.Test{search.URITest{URI: url}}}}
	_, err := s.rest.Query(ctx, c.Caller, rest.QueryIn{Query: q, Count: 1}) // decided by the policies, and on record
	return fhir.Resource{}, err
}

func (s *Set) expand(ctx context.Context, c *call) (Result, error) {
	given, err := s.definition(ctx, c, c.text("url"))
	if err != nil {
		return Result{}, err
	}
	in := terminology.ExpandIn{URL: c.text("url"), Version: c.text("valueSetVersion"), ValueSet: given, Filter: c.text("filter"), Language: c.text("displayLanguage")}
	if in.Offset, err = c.whole("offset", 0, 0); err != nil {
		return Result{}, err
	}
	if in.Count, err = c.whole("count", 0, -1); err != nil {
		return Result{}, err
	}
	for name, flag := range map[string]*bool{
		"activeOnly": &in.ActiveOnly, "includeDesignations": &in.Designations, "excludeNested": &in.Flat,
		"excludeNotForUI": &in.Selectable, "includeDefinition": &in.Definition,
	} {
		if *flag, err = c.flag(name); err != nil {
			return Result{}, err
		}
	}
	service, err := s.terminology(c)
	if err != nil {
		return Result{}, err
	}
	body, err := service.Expand(ctx, in)
	return Result{Body: body}, err
}

// codings are the codes that a call asks about; system is what a bare code is of.
func (c *call) codings(system string) ([]terminology.Coding, error) {
	const op = "operation.codings"
	if n, err := c.node("codeableConcept"); err == nil {
		var out []terminology.Coding
		for coding := range n.Get("coding").Items() {
			out = append(out, terminology.CodingOf(coding))
		}
		if out == nil {
			return nil, fhir.E(op, fhir.Required, "codeableConcept.coding", "a coding is needed")
		}
		return out, nil
	}
	if n, err := c.node("coding"); err == nil {
		return []terminology.Coding{terminology.CodingOf(n)}, nil
	}
	if text := c.text("coding"); text != "" { // system|code in a URL
		system, code, _ := strings.Cut(text, "|")
		return []terminology.Coding{{System: system, Code: code}}, nil
	}
	if c.text("code") == "" {
		return nil, fhir.E(op, fhir.Required, "code", "a code is needed: code, coding or codeableConcept")
	}
	return []terminology.Coding{{System: system, Version: c.text("systemVersion"), Code: c.text("code"), Display: c.text("display")}}, nil
}

func (s *Set) validateCode(ctx context.Context, c *call) (Result, error) {
	url := c.text("url")
	given, err := s.definition(ctx, c, url)
	if err != nil {
		return Result{}, err
	}
	in := terminology.ValidateIn{URL: url, Version: c.text("valueSetVersion"), ValueSet: given, InSystem: c.Type == "CodeSystem", Language: c.text("displayLanguage")}
	system := c.text("system")
	if in.InSystem {
		system = url
		if given.Type != "" {
			system = given.Root().Get("url").Text()
		}
	}
	if in.Codings, err = c.codings(system); err != nil {
		return Result{}, err
	}
	if in.Abstract, err = c.flag("abstract"); err != nil {
		return Result{}, err
	}
	if in.Lenient, err = c.flag("lenient-display-validation"); err != nil {
		return Result{}, err
	}
	service, err := s.terminology(c)
	if err != nil {
		return Result{}, err
	}
	verdict, err := service.Validate(ctx, in)
	if err != nil {
		return Result{}, err
	}
	return parameters(func(p *parameterWriter) {
		p.Bool("result", verdict.Result)
		p.Text("message", "String", verdict.Message)
		p.Text("code", "Code", verdict.Code)
		p.Text("system", "Uri", verdict.System)
		p.Text("version", "String", verdict.Version)
		p.Text("display", "String", verdict.Display)
	}), nil
}

func (s *Set) lookup(ctx context.Context, c *call) (Result, error) {
	list, err := c.codings(c.text("system"))
	if err != nil {
		return Result{}, err
	}
	coding := list[0]
	if coding.System == "" {
		return Result{}, fhir.E("operation.lookup", fhir.Required, "system", "a code system is needed")
	}
	if v := c.text("version"); v != "" {
		coding.Version = v
	}
	if _, err := s.definition(ctx, c, coding.System); err != nil {
		return Result{}, err
	}
	service, err := s.terminology(c)
	if err != nil {
		return Result{}, err
	}
	body, err := service.Lookup(ctx, terminology.LookupIn{Coding: coding, Properties: c.list("property"), Language: c.text("displayLanguage")})
	return Result{Body: body}, err
}

func (s *Set) subsumes(ctx context.Context, c *call) (Result, error) {
	system := c.text("system")
	given, err := s.definition(ctx, c, system)
	if err != nil {
		return Result{}, err
	}
	if given.Type != "" {
		system = given.Root().Get("url").Text()
	}
	var pair [2]terminology.Coding
	for i, side := range []string{"A", "B"} {
		pair[i] = terminology.Coding{System: system, Version: c.text("version"), Code: c.text("code" + side)}
		if n, err := c.node("coding" + side); err == nil {
			pair[i] = terminology.CodingOf(n)
		}
		if pair[i].Code == "" {
			return Result{}, fhir.E("operation.subsumes", fhir.Required, "code"+side, "a code is needed")
		}
	}
	service, err := s.terminology(c)
	if err != nil {
		return Result{}, err
	}
	relation, err := service.Subsumes(ctx, pair[0], pair[1])
	if err != nil {
		return Result{}, err
	}
	return parameters(func(p *parameterWriter) { p.Text("outcome", "Code", string(relation)) }), nil
}

func (s *Set) translate(ctx context.Context, c *call) (Result, error) {
	given, err := s.definition(ctx, c, c.text("url"))
	if err != nil {
		return Result{}, err
	}
	in := terminology.TranslateIn{URL: c.text("url"), Version: c.text("conceptMapVersion"), ConceptMap: given, Source: c.text("source"), Target: c.text("target"), TargetSystem: c.text("targetsystem")}
	if in.Codings, err = c.codings(c.text("system")); err != nil {
		return Result{}, err
	}
	if in.Reverse, err = c.flag("reverse"); err != nil {
		return Result{}, err
	}
	service, err := s.terminology(c)
	if err != nil {
		return Result{}, err
	}
	out, err := service.Translate(ctx, in)
	if err != nil {
		return Result{}, err
	}
	return parameters(func(p *parameterWriter) {
		p.Bool("result", out.Result)
		p.Text("message", "String", out.Message)
		for _, m := range out.Matches {
			p.match(m)
		}
	}), nil
}

// parameterWriter writes the items of a Parameters resource.
type parameterWriter struct{ w jsontree.Writer }

// parameters makes a Parameters resource the Result.
func parameters(write func(*parameterWriter)) Result {
	p := &parameterWriter{}
	p.w.Object("")
	p.w.String("resourceType", "Parameters")
	p.w.Array("parameter")
	write(p)
	p.w.EndArray()
	p.w.EndObject()
	return Result{Status: http.StatusOK, Body: p.w.Bytes()}
}

// Text writes a parameter of a type that is text in JSON; none if it is empty.
func (p *parameterWriter) Text(name, kind, value string) {
	if value == "" {
		return
	}
	p.w.Object("")
	p.w.String("name", name)
	p.w.String("value"+kind, value)
	p.w.EndObject()
}

// Bool writes a boolean parameter.
func (p *parameterWriter) Bool(name string, value bool) {
	p.w.Object("")
	p.w.String("name", name)
	p.w.Bool("valueBoolean", value)
	p.w.EndObject()
}

func (p *parameterWriter) match(m terminology.Match) {
	p.w.Object("")
	p.w.String("name", "match")
	p.w.Array("part")
	p.Text("equivalence", "Code", m.Equivalence)
	if m.Code != "" {
		p.w.Object("")
		p.w.String("name", "concept")
		p.w.Object("valueCoding")
		p.w.String("system", m.System)
		p.w.String("code", m.Code)
		p.w.String("display", m.Display)
		p.w.EndObject()
		p.w.EndObject()
	}
	p.Text("source", "Uri", m.Source)
	p.w.EndArray()
	p.w.EndObject()
}
