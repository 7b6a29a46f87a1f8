package search_test

import (
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/decimal"
	"galen/fhir/search"
	"galen/fhir/spec"
	"galen/fhir/ucum"
)

func dec(tb testing.TB, text string) decimal.Decimal {
	tb.Helper()
	d, err := decimal.Parse(text)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// TestDateOps goes through every way two intervals can lie to one another
// (https://hl7.org/fhir/R4/search.html#prefix): the search is [10, 20).
func TestDateOps(t *testing.T) {
	tests := []struct {
		name      string
		low, high fhir.Instant
		want      string // the prefixes that pass
	}{
		{"before", 1, 5, "ne lt le eb"},
		{"up to it", 1, 10, "ne lt le eb"},
		{"into it", 1, 15, "ne lt le ap"},
		{"to its end", 1, 20, "ne lt le ap"},
		{"over it", 1, 30, "ne gt lt ge le ap"},
		{"equal", 10, 20, "eq ge le ap"},
		{"within", 12, 15, "eq ge le ap"},
		{"from its start on", 10, 30, "ne gt ge ap"},
		{"out of it", 15, 30, "ne gt ge ap"},
		{"right after", 20, 30, "ne gt ge sa"},
		{"after", 25, 30, "ne gt ge sa"},
		{"open below", fhir.Beginning, 15, "ne lt le ap"},
		{"open above", 15, fhir.End, "ne gt ge ap"},
		{"open", fhir.Beginning, fhir.End, "ne gt lt ge le ap"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := search.Date{Period: fhir.Period{Low: tt.low, High: tt.high}}
			var got []string
			for o := search.Eq; o <= search.Ap; o++ {
				if search.Passes(search.DateTest{Op: o, Period: fhir.Period{Low: 10, High: 20}}, v) {
					got = append(got, o.String())
				}
			}
			if d := cmp.Diff(tt.want, strings.Join(got, " ")); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestNumberOps is the same for numbers: the search is 100, [99.5, 100.5).
func TestNumberOps(t *testing.T) {
	closed := func(low, high string) search.Range {
		return search.Range{Low: dec(t, low), High: dec(t, high)}
	}
	tests := []struct {
		name string
		v    search.Range
		want string
	}{
		{"exactly", closed("100.00", "100.00"), "eq ge le ap"},
		{"rounds to it, below", closed("99.5", "99.5"), "eq lt le eb ap"},
		{"rounds to it, above", closed("100.4", "100.4"), "eq gt ge sa ap"},
		{"rounds up from it", closed("100.5", "100.5"), "ne gt ge sa"},
		{"below", closed("99", "99"), "ne lt le eb"},
		{"range around", closed("90", "110"), "ne gt lt ge le ap"},
		{"range up to it", closed("90", "100"), "ne lt le ap"},
		{"range from it", closed("100", "110"), "ne gt ge ap"},
		{"narrow range", closed("99.9", "100.1"), "eq gt lt ge le ap"},
		{"less than 100", search.Range{High: dec(t, "100"), OpenLow: true}, "ne lt le ap"},
		{"more than 100", search.Range{Low: dec(t, "100"), OpenHigh: true}, "ne gt ge ap"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for o := search.Eq; o <= search.Ap; o++ {
				n := search.NumberTest{Op: o, Value: dec(t, "100"), Low: dec(t, "99.5"), High: dec(t, "100.5")}
				if search.Passes(n, search.Number{Range: tt.v}) {
					got = append(got, o.String())
				}
			}
			if d := cmp.Diff(tt.want, strings.Join(got, " ")); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestPasses: what each test passes and what not, beside the intervals above.
func TestPasses(t *testing.T) {
	mg := search.Quantity{Range: search.Range{Low: dec(t, "5"), High: dec(t, "5")}, System: "s", Code: "mg", Unit: "milli"}
	five := search.NumberTest{Value: dec(t, "5"), Low: dec(t, "4.5"), High: dec(t, "5.5")}
	key := fhir.Key{Type: "Patient", ID: "1"}
	tests := []struct {
		name string
		test search.Test
		v    search.Value
		want bool
	}{
		{"token folded", search.TokenTest{Code: "Abc", AnySystem: true}, search.Token{Code: "abc", Folded: true}, true},
		{"token not folded", search.TokenTest{Code: "Abc", AnySystem: true}, search.Token{Code: "abc"}, false},
		{"no system wanted", search.TokenTest{Code: "a"}, search.Token{System: "s", Code: "a"}, false},
		{"system only", search.TokenTest{System: "s", AnyCode: true}, search.Token{System: "s", Code: "a"}, true},
		{"token is no text", search.TokenTest{Code: "a", AnySystem: true}, search.Text{Norm: "a"}, false},
		{"text at the start", search.TextTest{Norm: "head a"}, search.Text{Norm: "head ache"}, true},
		{"text in the middle", search.TextTest{Norm: "ac"}, search.Text{Norm: "head ache"}, true},
		{"text within a word", search.TextTest{Norm: "che"}, search.Text{Norm: "head ache"}, false},
		{"quantity any unit", search.QuantityTest{NumberTest: five, AnyUnit: true, AnySystem: true}, mg, true},
		{"quantity by code", search.QuantityTest{NumberTest: five, Code: "mg", AnySystem: true}, mg, true},
		{"quantity by unit", search.QuantityTest{NumberTest: five, Code: "milli", AnySystem: true}, mg, true},
		{"quantity by other unit", search.QuantityTest{NumberTest: five, Code: "g", AnySystem: true}, mg, false},
		{"quantity by system", search.QuantityTest{NumberTest: five, System: "s"}, mg, true},
		{"quantity by other system", search.QuantityTest{NumberTest: five, System: "t"}, mg, false},
		{"quantity is no number", five, mg, false},
		{"reference of any type", search.ReferenceTest{Key: fhir.Key{ID: "1"}}, search.Reference{Key: key}, true},
		{"reference of another type", search.ReferenceTest{Key: fhir.Key{Type: "Group", ID: "1"}}, search.Reference{Key: key}, false},
		{"reference nowhere", search.ReferenceTest{}, search.Reference{URL: "x"}, false},
		{"reference version not asked", search.ReferenceTest{Key: key}, search.Reference{Key: key, Version: "2"}, true},
		{"reference version asked", search.ReferenceTest{Key: key, Version: "2"}, search.Reference{Key: key}, false},
		{"near", search.NearTest{Latitude: 52.52, Longitude: 13.405, Meters: 256_000}, search.Position{Latitude: 53.5511, Longitude: 9.9937}, true},
		{"not near", search.NearTest{Latitude: 52.52, Longitude: 13.405, Meters: 254_000}, search.Position{Latitude: 53.5511, Longitude: 9.9937}, false},
		{"near over the date line", search.NearTest{Latitude: 0, Longitude: 179.9, Meters: 23_000}, search.Position{Latitude: 0, Longitude: -179.9}, true},
		{"near the antipode", search.NearTest{Latitude: 0, Longitude: 0, Meters: math.Pi * 6_371_009}, search.Position{Latitude: 0, Longitude: 180}, true},
		{"composite of other length", search.CompositeTest{Parts: []search.Test{five}}, search.Composite{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := search.Passes(tt.test, tt.v); got != tt.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

// TestSortKeyOrder: the byte order of keys is the order of the values, of every
// type (https://hl7.org/fhir/R4/search.html#sort).
func TestSortKeyOrder(t *testing.T) {
	number := func(text string) search.Value {
		return search.Number{Range: search.Range{Low: dec(t, text), High: dec(t, text)}}
	}
	date := func(low fhir.Instant) search.Value { return search.Date{Period: fhir.Period{Low: low, High: low + 1}} }
	grams := func(text, canonical string) search.Value {
		return search.Quantity{
			Range:     search.Range{Low: dec(t, text), High: dec(t, text)},
			Canonical: search.Range{Low: dec(t, canonical), High: dec(t, canonical)}, CanonicalUnit: "g",
		}
	}
	for name, ascending := range map[string][]search.Value{
		"numbers":    {search.Number{Range: search.Range{OpenLow: true}}, number("-1e30"), number("-10"), number("-9.5"), number("0"), number("0.1"), number("2"), number("10"), number("1e30")},
		"dates":      {search.Date{Period: fhir.Period{Low: fhir.Beginning, High: fhir.End}}, date(-5e15), date(-1), date(0), date(1), date(10), date(9e15)},
		"quantities": {grams("1", "1"), grams("1500", "1.5"), grams("2", "2")},
		"strings":    {search.String{Norm: ""}, search.String{Norm: "a"}, search.String{Norm: "a b"}, search.String{Norm: "aa"}, search.String{Norm: "é"}},
		"tokens":     {search.Token{Code: "a"}, search.Token{Code: "a", System: "s"}, search.Token{Code: "a", System: "t"}, search.Token{Code: "ab"}},
		"references": {search.Reference{Key: fhir.Key{Type: "Group", ID: "2"}}, search.Reference{Key: fhir.Key{Type: "Patient", ID: "1"}}, search.Reference{URL: "http://x"}},
		"uris":       {search.URI{URI: "a"}, search.URI{URI: "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			for i := 1; i < len(ascending); i++ {
				a, ok1 := search.SortKey([]search.Entry{{Param: "p", Value: ascending[i-1]}}, fhir.Header{}, search.Sort{Param: "p"})
				b, ok2 := search.SortKey([]search.Entry{{Param: "p", Value: ascending[i]}}, fhir.Header{}, search.Sort{Param: "p"})
				if !ok1 || !ok2 || a >= b {
					t.Errorf("%+v %q is not before %+v %q", ascending[i-1], a, ascending[i], b)
				}
			}
		})
	}
}

// TestSortKey: of several values the least or greatest, of a range its end.
func TestSortKey(t *testing.T) {
	key := func(v search.Value, descending bool) string {
		k, _ := search.SortKey([]search.Entry{{Param: "p", Value: v}}, fhir.Header{}, search.Sort{Param: "p", Descending: descending})
		return k
	}
	a, b := search.String{Norm: "a"}, search.String{Norm: "b"}
	entries := []search.Entry{{Param: "q", Value: a}, {Param: "p", Value: b}, {Param: "p", Value: a}, {Param: "p", Value: search.Text{Norm: "0"}}}
	for _, tt := range []struct {
		descending bool
		want       search.Value
	}{{false, a}, {true, b}} {
		got, ok := search.SortKey(entries, fhir.Header{}, search.Sort{Param: "p", Descending: tt.descending})
		if !ok || got != key(tt.want, false) {
			t.Errorf("descending %t: %q", tt.descending, got)
		}
	}
	if _, ok := search.SortKey(entries, fhir.Header{}, search.Sort{Param: "none"}); ok {
		t.Error("a resource without the value has a key")
	}
	open := search.Number{Range: search.Range{Low: dec(t, "1"), OpenHigh: true}}
	most := search.Number{Range: search.Range{Low: dec(t, "1"), High: dec(t, "1e9999")}}
	if key(open, true) <= key(most, true) {
		t.Error("an open end is the greatest")
	}
	long := search.String{Norm: strings.Repeat("é", search.MaxSortKey)}
	if k := key(long, false); len(k) > search.MaxSortKey || !strings.HasPrefix(long.Norm, k) || !strings.HasSuffix(k, "é") {
		t.Errorf("long key %q", k)
	}
	h := fhir.Header{Key: fhir.Key{Type: "Patient", ID: "x"}, LastUpdated: time.UnixMilli(5)}
	if k, ok := search.SortKey(nil, h, search.Sort{Param: "_id"}); !ok || k != "x" {
		t.Errorf("_id: %q", k)
	}
	if k, ok := search.SortKey(nil, h, search.Sort{Param: "_lastUpdated"}); !ok || k != "8000000000001388" {
		t.Errorf("_lastUpdated: %q", k)
	}
}

func TestAnd(t *testing.T) {
	a, b, c := search.Present{Param: "a"}, search.Present{Param: "b"}, search.Present{Param: "c"}
	for _, tt := range []struct {
		name string
		in   []search.Expr
		want search.Expr
	}{
		{"nothing", nil, nil},
		{"nils", []search.Expr{nil, search.All{}, search.All{nil}}, nil},
		{"one", []search.Expr{nil, a}, a},
		{"nested", []search.Expr{a, search.All{b, search.All{c}}}, search.All{a, b, c}},
		{"nested one", []search.Expr{search.All{search.All{b}}}, b},
		{"any stays", []search.Expr{search.Any{}, a}, search.All{search.Any{}, a}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, search.And(tt.in...)); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestCompartment: https://hl7.org/fhir/R4/compartmentdefinition-patient.html
// (spec/fhir.md item 45).
func TestCompartment(t *testing.T) {
	defs, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	key := fhir.Key{Type: "Patient", ID: "1"}
	where := func(param string) search.Expr {
		return search.Where{Param: param, Any: []search.Test{search.ReferenceTest{Key: key}}}
	}
	for typ, want := range map[string]search.Expr{
		"Observation":       search.Any{where("subject"), where("performer")},
		"Patient":           search.Any{search.HasID{IDs: []string{"1"}}, where("link")},
		"Immunization":      where("patient"),
		"Medication":        nil,
		"Practitioner":      nil,
		"MedicationRequest": where("subject"),
	} {
		got, ok := search.Compartment(defs, key, typ)
		if ok != (want != nil) {
			t.Errorf("%s: %t", typ, ok)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", typ, d)
		}
	}
	if _, ok := search.Compartment(defs, fhir.Key{Type: "Basic", ID: "1"}, "Observation"); ok {
		t.Error("Basic is no compartment")
	}
}

// TestParseReference: what a literal means on this server (item 33).
func TestParseReference(t *testing.T) {
	key := fhir.Key{Type: "Patient", ID: "1"}
	for text, want := range map[string]search.Reference{
		"Patient/1":                           {Key: key},
		"Patient/1/_history/2":                {Key: key, Version: "2"},
		"https://galen.test/fhir/Patient/1":   {Key: key},
		"https://x.test/fhir/Patient/1":       {URL: "https://x.test/fhir/Patient/1"},
		"https://x.test/Patient/1/_history/3": {URL: "https://x.test/Patient/1", Version: "3"},
		"http://x.test/q|1":                   {URL: "http://x.test/q", Version: "1"},
		"https://galen.test/fhir/Patient/1|7": {Key: key, Version: "7"},
		"#p":                                  {URL: "#p"},
		"urn:uuid:1":                          {URL: "urn:uuid:1"},
		"Patient?identifier=x":                {URL: "Patient?identifier=x"},
	} {
		if d := cmp.Diff(want, search.ParseReference(text, "https://galen.test/fhir/")); d != "" {
			t.Errorf("%s: %s", text, d)
		}
	}
}

// TestCanonical: item 26.
func TestCanonical(t *testing.T) {
	units, err := ucum.Load()
	if err != nil {
		t.Fatal(err)
	}
	closed := func(low, high string) search.Range {
		return search.Range{Low: dec(t, low), High: dec(t, high)}
	}
	for _, tt := range []struct {
		name, system, code string
		in, want           search.Range
		unit               string
	}{
		{"milligram", search.UCUM, "mg", closed("1", "2"), closed("0.001", "0.002"), "g"},
		{"Celsius", search.UCUM, "Cel", closed("37", "37"), closed("310.15", "310.15"), "K"},
		{"open", search.UCUM, "kg", search.Range{Low: dec(t, "1"), OpenHigh: true}, search.Range{Low: dec(t, "1000"), OpenHigh: true}, "g"},
		{"open below", search.UCUM, "kg", search.Range{High: dec(t, "1"), OpenLow: true}, search.Range{High: dec(t, "1000"), OpenLow: true}, "g"},
		{"backwards", search.UCUM, "[pH]", closed("7", "7"), search.Range{}, ""},
		{"no unit", search.UCUM, "nonsense", closed("7", "7"), search.Range{}, ""},
		{"no code", search.UCUM, "", closed("7", "7"), search.Range{}, ""},
		{"other system", "urn:x", "mg", closed("7", "7"), search.Range{}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, unit, ok := search.Canonical(units, tt.in, tt.system, tt.code)
			if ok != (tt.unit != "") || unit != tt.unit {
				t.Errorf("%q %t", unit, ok)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// corpus is a Corpus of made-up entries.
type corpus map[fhir.Key][]search.Entry

func (c corpus) Keys(typ string) iter.Seq[fhir.Key] {
	return func(yield func(fhir.Key) bool) {
		for i := range len(c) {
			key := fhir.Key{Type: "Patient", ID: string(rune('a' + i))}
			if (typ == "" || typ == "Patient") && !yield(key) {
				return
			}
		}
	}
}

func (c corpus) Entries(key fhir.Key) []search.Entry { return c[key] }

func (c corpus) Header(key fhir.Key) (fhir.Header, bool) {
	_, ok := c[key]
	return fhir.Header{Key: key}, ok
}

// TestLaws: All, Any and Not obey logic on random conditions, and the order of
// Find is the order of SortKey with ties by creation.
func TestLaws(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	c := corpus{}
	for i := range 20 {
		var entries []search.Entry
		for range r.IntN(4) {
			entries = append(entries, search.Entry{Param: string(rune('p' + r.IntN(2))), Value: search.String{Norm: string(rune('a' + r.IntN(3)))}})
		}
		c[fhir.Key{Type: "Patient", ID: string(rune('a' + i))}] = entries
	}
	var random func(depth int) search.Expr
	random = func(depth int) search.Expr {
		switch n := r.IntN(6); {
		case depth == 0 || n < 2:
			return search.Where{Param: string(rune('p' + r.IntN(2))), Any: []search.Test{search.StringTest{Text: string(rune('a' + r.IntN(3)))}}}
		case n == 2:
			return search.Not{Of: random(depth - 1)}
		case n == 3:
			return search.Any{random(depth - 1), random(depth - 1)}
		case n == 4:
			return search.All{random(depth - 1), random(depth - 1)}
		}
		return search.Present{Param: "p"}
	}
	for range 500 {
		a, b := random(3), random(3)
		for key := range c.Keys("") {
			x, y := search.Match(a, key, c), search.Match(b, key, c)
			for name, law := range map[string]bool{
				"all":       search.Match(search.All{a, b}, key, c) == (x && y),
				"and":       search.Match(search.And(a, b), key, c) == (x && y),
				"any":       search.Match(search.Any{a, b}, key, c) == (x || y),
				"not":       search.Match(search.Not{Of: a}, key, c) == !x,
				"empty all": search.Match(search.All{}, key, c),
				"empty any": !search.Match(search.Any{}, key, c),
			} {
				if !law {
					t.Fatalf("%s of %v and %v", name, a, b)
				}
			}
		}
		q := &search.Query{Where: a, Sort: []search.Sort{{Param: "p", Descending: r.IntN(2) == 0}, {Param: "q"}}}
		found := search.Find(q, c)
		if !slices.IsSortedFunc(found, func(k, l fhir.Key) int { return order(q.Sort, k, l, c) }) {
			t.Fatalf("%v is not in order", found)
		}
	}
}

// order says the same as the documentation of Sort, in other words.
func order(keys []search.Sort, a, b fhir.Key, c corpus) int {
	for _, s := range keys {
		x, ok1 := search.SortKey(c[a], fhir.Header{}, s)
		y, ok2 := search.SortKey(c[b], fhir.Header{}, s)
		switch {
		case ok1 && !ok2:
			return -1
		case !ok1 && ok2:
			return 1
		case x != y && s.Descending:
			return -strings.Compare(x, y)
		case x != y:
			return strings.Compare(x, y)
		}
	}
	return strings.Compare(a.ID, b.ID)
}

func BenchmarkMatch(b *testing.B) {
	key := fhir.Key{Type: "Patient", ID: "a"}
	c := corpus{key: {
		{Param: "family", Value: search.String{Norm: "adams"}},
		{Param: "gender", Value: search.Token{System: "g", Code: "female"}},
		{Param: "birthdate", Value: search.Date{Period: fhir.Period{Low: 10, High: 20}}},
		{Param: "identifier", Value: search.Token{System: "s", Code: "1"}},
	}}
	e := search.All{
		search.Where{Param: "gender", Any: []search.Test{search.TokenTest{Code: "female", AnySystem: true}}},
		search.Where{Param: "birthdate", Any: []search.Test{search.DateTest{Op: search.Ge, Period: fhir.Period{Low: 5, High: 6}}}},
	}
	b.ReportAllocs()
	for b.Loop() {
		if !search.Match(e, key, c) {
			b.Fatal("no match")
		}
	}
}
