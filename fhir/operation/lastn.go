package operation

import (
	"context"
	"net/url"
	"slices"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/rest"
	"galen/fhir/search"
	"galen/fhir/search/parse"
	"galen/store"
)

// mostScanned is how many Observations $lastn looks at before it asks for
// narrower criteria.
const mostScanned = 20_000

// lastn answers $lastn (https://hl7.org/fhir/R4/observation-operation-lastn.html):
// of the Observations that match, the last max (1 if not given) of each code.
// Observations have the same code if they share a coding, or without one the
// text.
func (s *Set) lastn(ctx context.Context, c *call) (Result, error) {
	most, err := c.whole("max", 1, 1)
	if err != nil {
		return Result{}, err
	}
	values := url.Values{}
	for _, a := range c.args {
		if a.name != "max" {
			values.Add(a.name, a.text)
		}
	}
	req, err := s.rest.Parser.Parse(c.Type, values.Encode(), parse.Strict)
	if err != nil {
		return Result{}, err
	}
	q := search.Query{Types: []string{c.Type}, Where: req.Where, Sort: []search.Sort{{Param: "date", Descending: true}}}
	in := rest.QueryIn{Query: q, Count: s.rest.Limits.MaxPage}
	var groups groups
	for scanned := 0; ; {
		result, err := s.rest.Query(ctx, c.Caller, in)
		if err != nil {
			return Result{}, err
		}
		for _, r := range result.Matches {
			if err := groups.add(r, most); err != nil {
				return Result{}, err
			}
		}
		scanned += len(result.Matches)
		if in.After = result.Next; in.After == "" {
			break
		}
		if scanned >= mostScanned {
			return Result{}, fhir.E("operation.lastn", fhir.TooCostly, "", "too many Observations match: narrow the search, to a patient for example")
		}
	}
	b := newBundle("searchset", c.Base)
	total := 0
	for _, g := range groups.list {
		total += len(g.records)
	}
	b.total(total)
	b.links(c.self(), "")
	for _, g := range groups.list {
		for _, r := range g.records {
			b.entry(r, "match")
		}
	}
	return Result{Body: b.bytes()}, nil
}

// groups are the Observations by code, in the order in which the codes came.
type groups struct {
	list   []*group
	byCode map[string]*group
}

type group struct{ records []store.Record }

func (g *groups) add(r store.Record, most int) error {
	doc, err := jsontree.Parse(r.Body, jsontree.Limits{})
	if err != nil {
		return &fhir.Error{Op: "operation.lastn", Err: err}
	}
	if g.byCode == nil {
		g.byCode = map[string]*group{}
	}
	codes := codesOf(doc.Root().Get("code"))
	i := slices.IndexFunc(codes, func(code string) bool { return g.byCode[code] != nil })
	var is *group
	if i >= 0 {
		is = g.byCode[codes[i]]
	} else {
		is = &group{}
		g.list = append(g.list, is)
	}
	for _, code := range codes {
		if g.byCode[code] == nil {
			g.byCode[code] = is
		}
	}
	if len(is.records) < most {
		is.records = append(is.records, r)
	}
	return nil
}

// codesOf names the codings of a concept, or its text if it has none.
func codesOf(concept jsontree.Node) []string {
	var codes []string
	for coding := range concept.Get("coding").Items() {
		if code := coding.Get("code").Text(); code != "" {
			codes = append(codes, coding.Get("system").Text()+"|"+code)
		}
	}
	if len(codes) == 0 {
		codes = append(codes, "text "+concept.Get("text").Text())
	}
	return codes
}
