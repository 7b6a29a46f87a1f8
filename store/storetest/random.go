package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/decimal"
	"galen/fhir/search"
	"galen/store"
	"galen/store/mem"
)

// testRandom compares a driver with the oracle, query by query, over the whole
// walk of pages and the count. A failing query is printed with its number; the
// seed is fixed, so it fails again.
func testRandom(t *testing.T, h Harness) {
	const seed = 2024
	d, oracle := h.open(t), mem.New()
	g := newGenerator(seed)
	versions := map[fhir.Key]int64{}
	for range 400 {
		var writes []store.Write
		used := map[fhir.Key]bool{}
		batch := 1
		if d.Caps().Transactions {
			batch += g.IntN(3)
		}
		for range batch {
			if key := g.key(modelTypes...); !used[key] {
				used[key] = true
				versions[key]++
				writes = append(writes, g.write(key, versions[key]))
			}
		}
		commit(t, d, writes...)
		commit(t, oracle, writes...)
	}
	queries := h.Queries
	if queries == 0 {
		queries = 1000
	}
	failures, found := 0, 0
	for n := range queries {
		q, limit := g.query(), 1+g.IntN(40)
		want, err := walkPages(t.Context(), oracle, q, limit)
		if err != nil {
			t.Fatalf("oracle: %v", err)
		}
		found += min(len(want), 1)
		got, err := walkPages(t.Context(), d, q, limit)
		count, countErr := d.Count(t.Context(), q)
		if diff := cmp.Diff(want, got); err != nil || countErr != nil || diff != "" || count != len(want) {
			t.Errorf("query %d of seed %d, pages of %d:\n%+v\nerrors %v, %v; count %d, want %d; keys (-want +got):\n%s",
				n, seed, limit, q, err, countErr, count, len(want), diff)
			if failures++; failures == 5 {
				t.Fatal("too many differences")
			}
		}
	}
	if found < queries/4 {
		t.Errorf("only %d of %d queries find anything: the generator tests nothing", found, queries)
	}
}

// write makes the next version of a resource; sometimes a tombstone.
func (g *generator) write(key fhir.Key, version int64) store.Write {
	w := write(key, version, g.entries(key.Type)...)
	if version > 1 && g.chance(15) {
		w = tombstone(key, version)
	}
	w.LastUpdated = epoch.Add(time.Duration(version)*time.Hour + time.Duration(g.IntN(50))*time.Minute)
	return w
}

func (g *generator) query() *search.Query {
	q := &search.Query{}
	for range g.IntN(3) {
		if typ := pick(g, modelTypes); !slices.Contains(q.Types, typ) {
			q.Types = append(q.Types, typ)
		}
	}
	typ := pick(g, modelTypes)
	if len(q.Types) > 0 {
		typ = q.Types[0]
	}
	switch {
	case g.chance(10):
		q.Types = []string{typ} // a listing in some order, which drivers may have an index for
		q.Sort = []search.Sort{{Param: pick(g, append([]string{"_lastUpdated"}, g.params(typ)...)), Descending: g.chance(50)}}
		return q
	case g.chance(5):
	case g.chance(15):
		q.Types, q.Where, q.Sort = g.newest()
		return q
	default:
		q.Where = g.expr(typ, 3)
	}
	for range g.IntN(3) {
		names := append([]string{"_id", "_lastUpdated"}, g.params(typ)...)
		q.Sort = append(q.Sort, search.Sort{Param: pick(g, names), Descending: g.chance(50)})
	}
	return q
}

// newest asks for codes newest first, which drivers may have an index for.
func (g *generator) newest() ([]string, search.Expr, []search.Sort) {
	where := search.All{search.Where{Param: "code", Any: []search.Test{g.tokenTest(), g.tokenTest()}[:1+g.IntN(2)]}}
	if g.chance(60) {
		where = append(where, search.Where{Param: pick(g, []string{"patient", "subject"}), Any: []search.Test{search.ReferenceTest{Key: g.key("Patient")}}})
	}
	for range g.IntN(3) {
		where = append(where, search.Where{Param: "date", Any: []search.Test{g.dateTest()}})
	}
	if g.chance(20) {
		where = append(where, g.expr("Observation", 1))
	}
	return []string{"Observation"}, where, []search.Sort{{Param: "date", Descending: g.chance(80)}}
}

func (g *generator) params(typ string) []string {
	var names []string
	for _, p := range model[typ] {
		names = append(append(names, p.name), p.aliases...)
	}
	return names
}

// expr draws a condition on resources of a type.
func (g *generator) expr(typ string, depth int) search.Expr {
	p := pick(g, model[typ])
	names := append([]string{p.name}, p.aliases...)
	if depth > 0 {
		switch g.IntN(13) {
		case 0, 1, 2:
			return search.All{g.expr(typ, depth-1), g.expr(typ, depth-1)}
		case 3:
			return search.Any{g.expr(typ, depth-1), g.expr(typ, depth-1)}
		case 4:
			return search.Not{Of: g.expr(typ, depth-1)}
		case 5:
			return g.chain(typ, depth-1)
		case 6:
			return g.reverse(typ, depth-1)
		case 7:
			return g.tree(typ)
		}
	}
	switch g.IntN(14) {
	case 0:
		return search.Present{Param: pick(g, names)}
	case 1:
		return search.HasID{IDs: []string{g.key(typ).ID, g.key(typ).ID}}
	case 2:
		low := fhir.InstantOf(epoch) + fhir.Instant(g.IntN(240))*day/48
		return search.Updated{DateTest: search.DateTest{Op: g.op(), Period: fhir.Period{Low: low, High: low + fhir.Instant(g.IntN(3))*day/24 + 1000}}}
	case 3:
		return search.HasType{Types: []string{typ, pick(g, modelTypes)}}
	}
	tests := make([]search.Test, 1+g.IntN(2))
	for i := range tests {
		tests[i] = g.test(p)
	}
	return search.Where{Param: pick(g, names), Any: tests}
}

func (g *generator) chain(typ string, depth int) search.Expr {
	for _, i := range g.Perm(len(model[typ])) {
		if p := model[typ][i]; p.kind == references {
			target := pick(g, p.targets)
			return search.Chain{Param: p.name, Type: target, Of: g.expr(target, depth)}
		}
	}
	return search.Any{}
}

// tree asks for what refers into a hierarchy.
func (g *generator) tree(typ string) search.Expr {
	for _, i := range g.Perm(len(model[typ])) {
		p := model[typ][i]
		if p.kind != references {
			continue
		}
		for up, target := range map[string]string{"partof": "Location", "part-of": "Encounter"} {
			if slices.Contains(p.targets, target) {
				return search.Tree{Param: p.name, Root: g.key(target), Up: up, Above: g.chance(40)}
			}
		}
	}
	return search.Any{}
}

func (g *generator) reverse(typ string, depth int) search.Expr {
	for _, source := range modelTypes {
		for _, p := range model[source] {
			if slices.Contains(p.targets, typ) && g.chance(60) {
				return search.Reverse{Type: source, Param: p.name, Of: g.expr(source, depth)}
			}
		}
	}
	return search.All{}
}

func (g *generator) op() search.Op { return search.Op(g.IntN(int(search.Ap) + 1)) }

// test draws one that a parameter's values may pass.
func (g *generator) test(p parameter) search.Test {
	if g.chance(5) {
		return search.Other{Of: g.plainTest(p)}
	}
	return g.plainTest(p)
}

func (g *generator) plainTest(p parameter) search.Test {
	switch p.kind {
	case tokens:
		return g.tokenTest()
	case codes:
		if g.chance(30) {
			return g.textTest()
		}
		return g.tokenTest()
	case identifiers:
		if g.chance(30) {
			return search.TypedTest{System: pick(g, systems), Code: "MR", Value: pick(g, codePool)}
		}
		return g.tokenTest()
	case strings_:
		return g.stringTest()
	case dates:
		return g.dateTest()
	case numbers:
		return g.numberTest(g.decimal())
	case quantities:
		return g.quantityTest()
	case references:
		return g.referenceTest(p)
	case uris:
		return search.URITest{Mode: search.URIMode(g.IntN(3)), URI: pick(g, uriPool)}
	case positions:
		return search.NearTest{Latitude: float64(g.IntN(20) - 10), Longitude: float64(g.IntN(20) - 10), Meters: float64(g.IntN(2_000_000))}
	}
	return search.CompositeTest{Parts: []search.Test{g.tokenTest(), g.quantityTest()}}
}

func (g *generator) tokenTest() search.Test {
	t := search.TokenTest{System: pick(g, systems), Code: pick(g, codePool), AnySystem: g.chance(40)}
	if g.chance(15) {
		t.AnyCode, t.Code = true, ""
	}
	return t
}

func (g *generator) textTest() search.Test {
	text := g.text()
	return search.TextTest{Norm: search.Normalize(text[:1+g.IntN(len(text))])}
}

func (g *generator) stringTest() search.Test {
	text := pick(g, words)
	mode := search.StringMode(g.IntN(int(search.Whole) + 1))
	if mode == search.Exact {
		return search.StringTest{Mode: mode, Text: text}
	}
	runes := []rune(search.Normalize(text))
	from := 0
	if mode == search.Contains {
		from = g.IntN(len(runes))
	}
	return search.StringTest{Mode: mode, Text: string(runes[from : from+1+g.IntN(len(runes)-from)])}
}

func (g *generator) dateTest() search.Test {
	p := g.period()
	for p.Low == fhir.Beginning || p.High == fhir.End {
		p = g.period()
	}
	return search.DateTest{Op: g.op(), Period: p}
}

func (g *generator) numberTest(d decimal.Decimal) search.NumberTest {
	t := search.NumberTest{Op: g.op(), Value: d}
	t.Low, t.High = d.Interval()
	if t.Op == search.Ap {
		t.Low, t.High = t.Low.Sub(decimal.FromInt(10)), t.High.Add(decimal.FromInt(10))
	}
	return t
}

func (g *generator) quantityTest() search.Test {
	t := search.QuantityTest{NumberTest: g.numberTest(g.decimal())}
	switch g.IntN(3) {
	case 0:
		t.AnyUnit, t.AnySystem = true, true
	case 1:
		t.AnySystem, t.Code = true, pick(g, units)
	default:
		t.System, t.Code = ucumSystem, pick(g, units)
		if factor, ok := grams(t.Code); ok {
			t.CanonicalUnit = "g"
			t.Canonical = search.NumberTest{Op: t.Op, Value: t.Value.Mul(factor), Low: t.Low.Mul(factor), High: t.High.Mul(factor)}
		}
	}
	return t
}

func (g *generator) referenceTest(p parameter) search.Test {
	t := search.ReferenceTest{Key: g.key(p.targets...)}
	switch {
	case g.chance(20):
		t.Type = ""
	case g.chance(10):
		return search.ReferenceTest{URL: pick(g, uriPool)}
	case g.chance(10):
		t.Version = fmt.Sprint(1 + g.IntN(3))
	}
	return t
}
