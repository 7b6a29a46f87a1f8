package parse

import (
	"maps"
	"slices"
	"strings"

	"galen/fhir/spec"
)

// samples are values that parameters of each type can have.
var samples = map[spec.ParamType]string{
	spec.Number: "1", spec.Date: "2020", spec.String: "a", spec.Token: "a", spec.Reference: "a",
	spec.Quantity: "1", spec.URI: "urn:a", spec.Special: "1|1|1|km",
}

// Offers lists the search parameters of a resource type ("" for those of every
// type) that Parse honours, found by asking it: what a server declares cannot
// drift from what it does.
func (p *Parser) Offers(resourceType string) []*spec.SearchParam {
	from := resourceType
	if from == "" {
		from = anyType
	}
	var out []*spec.SearchParam
	for _, param := range p.known.Load().defs.Params(from) {
		if _, err := p.Parse(resourceType, param.Code+"="+sample(param), Strict); err == nil {
			out = append(out, param)
		}
	}
	return out
}

func sample(param *spec.SearchParam) string {
	if param.Type != spec.Composite {
		return samples[param.Type]
	}
	parts := make([]string, len(param.Components))
	for i, c := range param.Components {
		parts[i] = samples[c.Param.Type]
	}
	return strings.Join(parts, "$")
}

// Controls lists the parameters about the result, and those conditions that are
// no SearchParameters of R4 (https://hl7.org/fhir/R4/search.html#Summary).
func (p *Parser) Controls() []string {
	list := slices.Collect(maps.Keys(results))
	for name, query := range map[string]string{
		"_has": "_has:Observation:patient:code=a", "_list": "_list=a", "_filter": "_filter=active eq true",
	} {
		if _, err := p.Parse("Patient", query, Strict); err == nil {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// Includes lists what _include takes on a search of the type.
func (p *Parser) Includes(resourceType string) []string {
	list := []string{"*"}
	for _, param := range p.known.Load().defs.Params(resourceType) {
		if param.Type == spec.Reference && !param.Pending {
			list = append(list, resourceType+":"+param.Code)
		}
	}
	return list
}

// RevIncludes lists, for each resource type, what _revinclude takes on a search
// of it.
func (p *Parser) RevIncludes() map[string][]string {
	out := map[string][]string{}
	known := p.known.Load()
	for from, targets := range known.targets {
		if param, _ := known.defs.Param(from.typ, from.param); param.Pending {
			continue
		}
		for _, t := range targets {
			out[t] = append(out[t], from.typ+":"+from.param)
		}
	}
	for _, list := range out {
		slices.Sort(list)
	}
	return out
}
