package storetest

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"galen/fhir"
	"galen/fhir/decimal"
	"galen/fhir/search"
)

// The generator makes resources as entries, from pools so small that queries
// find something, with all that is awkward: aliases, values under several
// parameters, missing and repeated values, open and long intervals, values that
// are prefixes of others.

// values of one parameter.
type valueKind uint8

const (
	tokens valueKind = iota
	codes            // folded tokens with texts
	identifiers
	strings_
	dates
	numbers
	quantities
	references
	uris
	positions
	composites
)

// parameter is one of a type with its aliases, which get the same values.
type parameter struct {
	name    string
	kind    valueKind
	targets []string // of references
	aliases []string
	most    int // values of one resource; 0 means 1
}

var model = map[string][]parameter{
	"Patient": {
		{name: "family", kind: strings_, aliases: []string{"name", "phonetic"}, most: 2},
		{name: "given", kind: strings_, aliases: []string{"name"}, most: 3},
		{name: "gender", kind: tokens},
		{name: "birthdate", kind: dates},
		{name: "identifier", kind: identifiers, most: 3},
		{name: "general-practitioner", kind: references, targets: []string{"Practitioner", "Patient"}, most: 2},
	},
	"Observation": {
		{name: "code", kind: codes, aliases: []string{"combo-code"}, most: 2},
		{name: "component-code", kind: codes, aliases: []string{"combo-code"}, most: 2},
		{name: "patient", kind: references, targets: []string{"Patient"}, aliases: []string{"subject"}},
		{name: "subject", kind: references, targets: []string{"Location", "Patient"}},
		{name: "date", kind: dates, most: 2},
		{name: "status", kind: tokens},
		{name: "value-quantity", kind: quantities, aliases: []string{"combo-value-quantity"}, most: 2},
		{name: "code-value-quantity", kind: composites, most: 2},
		{name: "performer", kind: references, targets: []string{"Patient", "Practitioner"}, most: 2},
		{name: "_profile", kind: uris, most: 2},
	},
	"Encounter": {
		{name: "type", kind: codes},
		{name: "patient", kind: references, targets: []string{"Patient"}, aliases: []string{"subject"}},
		{name: "date", kind: dates},
		{name: "part-of", kind: references, targets: []string{"Encounter"}},
		{name: "length", kind: numbers},
	},
	"Location": {
		{name: "near", kind: positions},
		{name: "name", kind: strings_},
		{name: "partof", kind: references, targets: []string{"Location"}},
		{name: "probability", kind: numbers, most: 2},
		{name: "url", kind: uris},
	},
	"Practitioner": {{name: "name", kind: strings_, most: 2}, {name: "active", kind: tokens}, {name: "identifier", kind: identifiers}},
}

var modelTypes = []string{"Encounter", "Location", "Observation", "Patient", "Practitioner"}

// generator draws from one seeded source.
type generator struct {
	*rand.Rand
	ids int // logical ids per type
}

func newGenerator(seed uint64) *generator { return &generator{rand.New(rand.NewPCG(seed, 7)), 40} }

func pick[T any](g *generator, list []T) T { return list[g.IntN(len(list))] }

func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

func (g *generator) key(types ...string) fhir.Key {
	return fhir.Key{Type: pick(g, types), ID: fmt.Sprintf("x%d", g.IntN(g.ids))}
}

var (
	systems  = []string{"", "http://loinc.org", "http://hospital.example/mrn", "urn:oid:1.2.3"}
	words    = []string{"an", "anna", "Anna", "Annalena", "Müller", "muller", "Mu", "straße", "New York", "van der Berg", "Łukasz", "a name that is longer than what an index row keeps", "a name that is longer than what an index row keeps by far"}
	codePool = []string{"a", "A", "ab", "8867-4", "8480-6", "a-code-longer-than-twelve", "A-Code-Longer-Than-Twelve", "true", "x|y,z"}
	uriPool  = []string{"http://a.example/p", "http://a.example/p/q", "http://a.example/p/q/r", "http://a.example/pq", "urn:oid:1.2", "urn:oid:1.2.3", "http://b.example/" + strings.Repeat("long/", 40)}
	units    = []string{"mg", "g", "kg", "mm[Hg]", "furlong"}
)

const ucumSystem = "http://unitsofmeasure.org"

// entries makes what a resource of a type is found by.
func (g *generator) entries(typ string) []search.Entry {
	var list []search.Entry
	for _, p := range model[typ] {
		if g.chance(15) {
			continue // missing
		}
		for range 1 + g.IntN(max(p.most, 1)) {
			for _, v := range g.values(p) {
				for _, name := range append([]string{p.name}, p.aliases...) {
					list = append(list, search.Entry{Param: name, Value: v})
				}
			}
		}
	}
	return list
}

// values makes one element's values.
func (g *generator) values(p parameter) []search.Value {
	switch p.kind {
	case tokens:
		return []search.Value{g.token()}
	case codes:
		return []search.Value{g.token(), search.Text{Norm: g.text()}}
	case identifiers:
		t := g.token()
		return []search.Value{t, search.TypedIdentifier{System: pick(g, systems), Code: "MR", Value: t.Code}}
	case strings_:
		s := pick(g, words)
		return []search.Value{search.String{Exact: s, Norm: search.Normalize(s)}}
	case dates:
		return []search.Value{search.Date{Period: g.period()}}
	case numbers:
		return []search.Value{search.Number{Range: g.bounds(g.decimal())}}
	case quantities:
		return []search.Value{g.quantity()}
	case references:
		return g.reference(p)
	case uris:
		return []search.Value{search.URI{URI: pick(g, uriPool)}}
	case positions:
		return []search.Value{search.Position{Latitude: float64(g.IntN(20) - 10), Longitude: float64(g.IntN(20) - 10)}}
	}
	return []search.Value{search.Composite{Parts: []search.Value{g.token(), g.quantity()}}}
}

func (g *generator) token() search.Token {
	t := search.Token{System: pick(g, systems), Code: pick(g, codePool)}
	if t.System == "http://loinc.org" {
		t.Code, t.Folded = strings.ToLower(t.Code), true
	}
	return t
}

func (g *generator) text() string {
	n := 1 + g.IntN(3)
	list := make([]string, n)
	for i := range list {
		list[i] = search.Normalize(pick(g, words))
	}
	return strings.Join(list, " ")
}

func (g *generator) reference(p parameter) []search.Value {
	r := search.Reference{Key: g.key(p.targets...)}
	switch {
	case g.chance(10):
		r = search.Reference{URL: pick(g, uriPool)}
	case g.chance(10):
		r.Version = fmt.Sprint(1 + g.IntN(3))
	case g.chance(10):
		return []search.Value{r, search.Text{Norm: g.text()}, g.token()}
	}
	return []search.Value{r}
}

const day = fhir.Instant(86_400_000_000)

// period draws instants, days and longer and open periods of a few weeks.
func (g *generator) period() fhir.Period {
	low := fhir.Instant(1_700_000_000_000_000) + fhir.Instant(g.IntN(40))*day
	switch g.IntN(8) {
	case 0:
		low += fhir.Instant(g.IntN(24)) * day / 24
		return fhir.Period{Low: low, High: low + 1_000_000}
	case 1:
		return fhir.Period{Low: low, High: low + fhir.Instant(2+g.IntN(20))*day}
	case 2:
		return fhir.Period{Low: low, High: fhir.End}
	case 3:
		return fhir.Period{Low: fhir.Beginning, High: low}
	}
	return fhir.Period{Low: low, High: low + day}
}

func (g *generator) decimal() decimal.Decimal {
	texts := []string{"0", "-1", "1", "1.0", "1.00", "0.001", "99.5", "100", "1e2", "100.4", "120", "-0.5", "12345678901234567890.5", "1e-7"}
	d, err := decimal.Parse(pick(g, texts))
	if err != nil {
		return decimal.Decimal{}
	}
	return d
}

// bounds makes mostly a point, sometimes a range or an open one.
func (g *generator) bounds(d decimal.Decimal) search.Range {
	r := search.Range{Low: d, High: d}
	switch g.IntN(8) {
	case 0:
		r.High = d.Add(decimal.FromInt(int64(g.IntN(50))))
	case 1:
		r = search.Range{Low: d, OpenHigh: true}
	case 2:
		r = search.Range{High: d, OpenLow: true}
	}
	return r
}

// quantity has a canonical value for the units of mass, in grams.
func (g *generator) quantity() search.Quantity {
	q := search.Quantity{Range: g.bounds(g.decimal()), System: ucumSystem, Code: pick(g, units)}
	q.Unit = q.Code
	if g.chance(20) {
		q.System, q.Code = "", ""
	}
	if factor, ok := grams(q.Code); ok && q.System == ucumSystem {
		q.CanonicalUnit = "g"
		q.Canonical = search.Range{
			Low: q.Low.Mul(factor), High: q.High.Mul(factor), OpenLow: q.OpenLow, OpenHigh: q.OpenHigh,
		}
	}
	return q
}

func grams(unit string) (decimal.Decimal, bool) {
	text, ok := map[string]string{"mg": "0.001", "g": "1", "kg": "1000"}[unit]
	if !ok {
		return decimal.Decimal{}, false
	}
	d, err := decimal.Parse(text)
	return d, err == nil
}
