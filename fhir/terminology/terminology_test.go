package terminology_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/definition"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/spec"
	"galen/fhir/terminology"
	"galen/fhir/terminology/release"
	"galen/fhir/ucum"
	"galen/fhir/validate"
)

// shelf is a Source of resources by type and URL.
type shelf map[string]fhir.Resource

func (s shelf) Find(_ context.Context, resourceType, url, version string) (fhir.Resource, bool, error) {
	r, ok := s[resourceType+" "+url]
	if ok && version != "" && r.Root().Get("version").Text() != version {
		return fhir.Resource{}, false, nil
	}
	return r, ok, nil
}

func (s shelf) List(_ context.Context, resourceType string) ([]fhir.Resource, error) {
	var out []fhir.Resource
	for name, r := range s {
		if strings.HasPrefix(name, resourceType+" ") {
			out = append(out, r)
		}
	}
	return out, nil
}

func parse(t testing.TB, text string) fhir.Resource {
	t.Helper()
	r, err := fhir.Parse([]byte(text), jsontree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func service(t testing.TB, limits terminology.Limits, definitions ...string) *terminology.Service {
	t.Helper()
	units, err := ucum.Load()
	if err != nil {
		t.Fatal(err)
	}
	s := shelf{}
	for i, text := range definitions {
		r := parse(t, text)
		r.ID, r.Version = fmt.Sprint("d", i), 1
		s[r.Type+" "+r.Root().Get("url").Text()] = r
	}
	return terminology.New(terminology.Options{
		Source: definition.Stack{s, terminology.Builtin()}, Units: units, Limits: limits,
		Now: func() time.Time { return time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC) },
	})
}

// animals is a code system with a hierarchy by nesting and by property.
const animals = `{"resourceType":"CodeSystem","url":"http://a","version":"2","name":"Animals","status":"active","content":"complete","caseSensitive":true,
	"property":[{"code":"legs","type":"integer"}],
	"concept":[
		{"code":"animal","display":"Animal","property":[{"code":"notSelectable","valueBoolean":true}],"concept":[
			{"code":"bird","display":"Bird","definition":"Feathered.","designation":[{"language":"de","value":"Vogel"}],"property":[{"code":"legs","valueInteger":2}]},
			{"code":"mammal","display":"Mammal","concept":[
				{"code":"dog","display":"Domestic dog","property":[{"code":"legs","valueInteger":4}]},
				{"code":"whale","display":"Blue whale"}]},
			{"code":"dodo","display":"Dodo","property":[{"code":"status","valueCode":"retired"},{"code":"parent","valueCode":"bird"}]}]},
		{"code":"pet","display":"Pet","property":[{"code":"child","valueCode":"dog"}]}]}`

func vs(compose string) string {
	return `{"resourceType":"ValueSet","url":"http://v","status":"active","compose":` + compose + `}`
}

func expand(t *testing.T, s *terminology.Service, in terminology.ExpandIn) (codes []string, total int, err error) {
	t.Helper()
	text, err := s.Expand(t.Context(), in)
	if err != nil {
		return nil, 0, err
	}
	r := parse(t, string(text))
	expansion := r.Root().Get("expansion")
	var list func(n jsontree.Node, prefix string)
	list = func(n jsontree.Node, prefix string) {
		for c := range n.Items() {
			codes = append(codes, prefix+c.Get("code").Text())
			list(c.Get("contains"), prefix+">")
		}
	}
	list(expansion.Get("contains"), "")
	_, err = fmt.Sscan(expansion.Get("total").Text(), &total)
	if err != nil {
		t.Fatal(err)
	}
	return codes, total, nil
}

// The operators of https://hl7.org/fhir/R4/valueset-filter-operator.html, and
// how includes and excludes join (valueset.html#compositions).
func TestCompose(t *testing.T) {
	filter := func(property, op, value string) string {
		return `{"include":[{"system":"http://a","filter":[{"property":"` + property + `","op":"` + op + `","value":"` + value + `"}]}]}`
	}
	tests := []struct{ name, compose, want string }{
		{"is-a", filter("concept", "is-a", "mammal"), "mammal dog whale"},
		{"is-a by a parent property", filter("concept", "is-a", "bird"), "bird dodo"},
		{"is-a by a child property", filter("concept", "is-a", "pet"), "dog pet"},
		{"descendent-of", filter("concept", "descendent-of", "mammal"), "dog whale"},
		{"is-not-a", filter("concept", "is-not-a", "animal"), "pet"},
		{"generalizes", filter("concept", "generalizes", "dog"), "animal mammal dog pet"},
		{"= of a property", filter("legs", "=", "2"), "bird"},
		{"= of the parent", filter("parent", "=", "mammal"), "dog whale"},
		{"in", filter("code", "in", "dog, whale"), "dog whale"},
		{"not-in", filter("code", "not-in", "animal,bird,mammal,dodo,pet"), "dog whale"},
		{"exists", filter("legs", "exists", "true"), "bird dog"},
		{"does not exist", filter("legs", "exists", "false"), "animal mammal whale dodo pet"},
		{"regex is anchored", filter("code", "regex", "d.*"), "dog dodo"},
		{"two filters both hold", `{"include":[{"system":"http://a","filter":[{"property":"concept","op":"is-a","value":"animal"},{"property":"legs","op":"=","value":"4"}]}]}`, "dog"},
		{"two includes join, each code once", `{"include":[{"system":"http://a","concept":[{"code":"dog"},{"code":"pet"}]},{"system":"http://a","concept":[{"code":"dog"},{"code":"whale"}]}]}`, "dog pet whale"},
		{"exclude", `{"include":[{"system":"http://a"}],"exclude":[{"system":"http://a","filter":[{"property":"concept","op":"is-a","value":"animal"}]}]}`, "pet"},
		{"a system and a value set intersect", `{"include":[{"system":"http://a","valueSet":["http://pets"]}]}`, "dog"},
		{"two value sets intersect", `{"include":[{"valueSet":["http://pets","http://mammals"]}]}`, "dog"},
		{"inactive concepts by compose.inactive", `{"inactive":false,"include":[{"system":"http://a","filter":[{"property":"concept","op":"is-a","value":"bird"}]}]}`, "bird"},
		{"codes of a system that is not here", `{"include":[{"system":"http://b","concept":[{"code":"x","display":"X"}]}]}`, "x"},
	}
	pets := `{"resourceType":"ValueSet","url":"http://pets","compose":{"include":[{"system":"http://a","concept":[{"code":"dog"}]},{"system":"http://b","concept":[{"code":"x"}]}]}}`
	mammals := `{"resourceType":"ValueSet","url":"http://mammals","compose":{"include":[{"system":"http://a","filter":[{"property":"concept","op":"is-a","value":"mammal"}]}]}}`
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := service(t, terminology.Limits{}, animals, pets, mammals, vs(tt.compose))
			codes, total, err := expand(t, s, terminology.ExpandIn{URL: "http://v", Count: -1})
			if err != nil || total != len(codes) {
				t.Fatal(total, err)
			}
			if got := strings.Join(codes, " "); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			for _, c := range []string{"animal", "bird", "mammal", "dog", "whale", "dodo", "pet", "none"} {
				want := strings.Contains(" "+tt.want+" ", " "+c+" ")
				if got, err := s.Contains(t.Context(), "http://v", terminology.Coding{System: "http://a", Code: c}); err != nil || got != want {
					t.Errorf("%s in the set: %v, %v", c, got, err)
				}
			}
		})
	}
}

func TestExpandNarrowed(t *testing.T) {
	s := service(t, terminology.Limits{Codes: 6}, animals, vs(`{"include":[{"system":"http://a"}]}`),
		`{"resourceType":"ValueSet","url":"http://few","compose":{"include":[{"system":"http://a","filter":[{"property":"concept","op":"is-a","value":"animal"}]}]}}`)
	tests := []struct {
		name, want string
		total      int
		in         terminology.ExpandIn
	}{
		{"a whole system keeps its hierarchy", "animal >bird >mammal >>dog >>whale >dodo pet", 7, terminology.ExpandIn{URL: "http://v", Count: -1}},
		{"filter by the start of a word", "whale", 1, terminology.ExpandIn{URL: "http://few", Filter: "WHA blue", Count: -1}},
		{"filter that nothing has", "", 0, terminology.ExpandIn{URL: "http://few", Filter: "hale", Count: -1}},
		{"a page", "mammal dog", 6, terminology.ExpandIn{URL: "http://few", Offset: 2, Count: 2}},
		{"count 0", "", 6, terminology.ExpandIn{URL: "http://few", Count: 0}},
		{"only what may be chosen", "bird mammal dog whale dodo", 5, terminology.ExpandIn{URL: "http://few", Selectable: true, Count: -1}},
		{"active only", "animal bird mammal dog whale", 5, terminology.ExpandIn{URL: "http://few", ActiveOnly: true, Count: -1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			codes, total, err := expand(t, s, tt.in)
			if err != nil || total != tt.total || strings.Join(codes, " ") != tt.want {
				t.Errorf("%v, total %d, %v; want %s, total %d", codes, total, err, tt.want, tt.total)
			}
		})
	}
	if _, _, err := expand(t, s, terminology.ExpandIn{URL: "http://v", Count: 1}); fhir.KindOf(err) != fhir.TooCostly {
		t.Errorf("beyond the limit: %v", err)
	}
}

// Displays come in the language that is asked for, as far as it is known
// (displayLanguage of $expand, $lookup and $validate-code).
func TestLanguages(t *testing.T) {
	s := service(t, terminology.Limits{}, animals, vs(`{"include":[{"system":"http://a","concept":[{"code":"bird"},{"code":"dog"}]}]}`))
	for wanted, want := range map[string]string{"de": "Vogel, Domestic dog", "fr, de;q=0.5": "Vogel, Domestic dog", "de-CH": "Bird, Domestic dog", "": "Bird, Domestic dog", "!": "Bird, Domestic dog"} {
		text, err := s.Expand(t.Context(), terminology.ExpandIn{URL: "http://v", Count: -1, Language: wanted})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for c := range parse(t, string(text)).Root().Get("expansion").Get("contains").Items() {
			got = append(got, c.Get("display").Text())
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%q: %v", wanted, got)
		}
	}
	verdict, err := s.Validate(t.Context(), terminology.ValidateIn{URL: "http://v", Codings: []terminology.Coding{{System: "http://a", Code: "bird", Display: "Vogel"}}, Language: "de"})
	if err != nil || !verdict.Result || verdict.Display != "Vogel" {
		t.Error(verdict, err)
	}
	text, err := s.Lookup(t.Context(), terminology.LookupIn{Coding: terminology.Coding{System: "http://a", Code: "bird"}, Language: "de"})
	if err != nil || !strings.Contains(string(text), `{"name":"display","valueString":"Vogel"}`) {
		t.Errorf("%s, %v", text, err)
	}
}

// Expansions name the code systems that they rest on, and repeat what shaped them.
func TestExpansionParameters(t *testing.T) {
	s := service(t, terminology.Limits{}, animals, vs(`{"include":[{"valueSet":["http://inner"]}]}`), `{"resourceType":"ValueSet","url":"http://inner","compose":{"include":[{"system":"http://a","concept":[{"code":"dog"}]}]}}`)
	text, err := s.Expand(t.Context(), terminology.ExpandIn{URL: "http://v", Count: 3, Flat: true, Definition: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`{"name":"count","valueInteger":3}`, `{"name":"excludeNested","valueBoolean":true}`, `{"name":"used-codesystem","valueUri":"http://a|2"}`,
		`{"name":"version","valueUri":"http://a|2"}`, `"compose":{"include":`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
}

// A concept that only groups others is in the value set, but is not to be chosen
// (the parameter abstract of ValueSet $validate-code).
func TestAbstract(t *testing.T) {
	s := service(t, terminology.Limits{}, animals, vs(`{"include":[{"system":"http://a"}]}`))
	for abstract, want := range map[bool]bool{false: false, true: true} {
		verdict, err := s.Validate(t.Context(), terminology.ValidateIn{URL: "http://v", Codings: []terminology.Coding{{System: "http://a", Code: "animal"}}, Abstract: abstract})
		if err != nil || verdict.Result != want {
			t.Errorf("abstract=%v: %v, %v", abstract, verdict, err)
		}
	}
	verdict, err := s.Validate(t.Context(), terminology.ValidateIn{URL: "http://v", Lenient: true, Codings: []terminology.Coding{{System: "http://a", Code: "dog", Display: "Cat"}}})
	if err != nil || !verdict.Result || verdict.Message == "" || verdict.Version != "2" {
		t.Errorf("a wrong display, leniently: %v, %v", verdict, err)
	}
}

// What a question brings along is known to that question only.
func TestWith(t *testing.T) {
	s := service(t, terminology.Limits{}, animals)
	own := s.With([]fhir.Resource{parse(t, vs(`{"include":[{"system":"http://a","concept":[{"code":"dog"}]}]}`))})
	if codes, _, err := expand(t, own, terminology.ExpandIn{URL: "http://v", Count: -1}); err != nil || strings.Join(codes, " ") != "dog" {
		t.Error(codes, err)
	}
	if _, _, err := expand(t, s, terminology.ExpandIn{URL: "http://v", Count: -1}); fhir.KindOf(err) != fhir.NotFound {
		t.Error(err)
	}
}

// What cannot be answered is refused with the reason.
func TestRefusals(t *testing.T) {
	tests := []struct {
		name, compose string
		kind          fhir.Kind
	}{
		{"itself", `{"include":[{"valueSet":["http://v"]}]}`, fhir.Unprocessable},
		{"in a circle", `{"include":[{"valueSet":["http://w"]}]}`, fhir.Unprocessable},
		{"unknown value set", `{"include":[{"valueSet":["http://none"]}]}`, fhir.NotFound},
		{"unknown system", `{"include":[{"system":"http://none"}]}`, fhir.NotSupported},
		{"unknown system with a filter", `{"include":[{"system":"http://snomed.info/sct","filter":[{"property":"concept","op":"is-a","value":"1"}]}]}`, fhir.NotSupported},
		{"a grammar", `{"include":[{"system":"http://unitsofmeasure.org"}]}`, fhir.TooCostly},
		{"unknown operator", `{"include":[{"system":"http://a","filter":[{"property":"code","op":"near","value":"1"}]}]}`, fhir.NotSupported},
		{"bad regex", `{"include":[{"system":"http://a","filter":[{"property":"code","op":"regex","value":"("}]}]}`, fhir.Value},
		{"filter on an unknown code", `{"include":[{"system":"http://a","filter":[{"property":"concept","op":"is-a","value":"cat"}]}]}`, fhir.Value},
	}
	circle := `{"resourceType":"ValueSet","url":"http://w","compose":{"include":[{"valueSet":["http://v"]}]}}`
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := service(t, terminology.Limits{}, animals, circle, vs(tt.compose))
			if _, _, err := expand(t, s, terminology.ExpandIn{URL: "http://v", Count: -1}); fhir.KindOf(err) != tt.kind || err == nil {
				t.Errorf("%v, want kind %v", err, tt.kind)
			}
		})
	}
}

// A code that one include lists is in the set although another include cannot be
// decided; any other code is not decided, which is not the same as not in it.
func TestUndecided(t *testing.T) {
	s := service(t, terminology.Limits{}, animals, vs(`{"include":[{"system":"http://none"},{"system":"http://a","concept":[{"code":"dog"}]}]}`))
	if ok, err := s.Contains(t.Context(), "http://v", terminology.Coding{System: "http://a", Code: "dog"}); !ok || err != nil {
		t.Error(ok, err)
	}
	if ok, err := s.Contains(t.Context(), "http://v", terminology.Coding{System: "http://a", Code: "pet"}); ok || err != nil {
		t.Error(ok, err)
	}
	if _, err := s.Contains(t.Context(), "http://v", terminology.Coding{System: "http://none", Code: "dog"}); fhir.KindOf(err) != fhir.NotSupported {
		t.Error(err)
	}
}

func TestGrammars(t *testing.T) {
	s := service(t, terminology.Limits{})
	for set, codes := range map[string]map[string]bool{
		"http://hl7.org/fhir/ValueSet/ucum-units":    {"mg/dL": true, "parsec per fortnight": false},
		"http://hl7.org/fhir/ValueSet/mimetypes":     {"application/fhir+json; charset=utf-8": true, "json": false, "a/b c": false},
		"http://hl7.org/fhir/ValueSet/all-languages": {"de-CH": true, "klingon-forever-and-ever": false},
		"http://hl7.org/fhir/ValueSet/currencies":    {"EUR": true, "eur": false, "XYZW": false},
	} {
		for code, want := range codes {
			if got, err := s.Contains(t.Context(), set, terminology.Coding{Code: code}); err != nil || got != want {
				t.Errorf("%s in %s: %v, %v", code, set, got, err)
			}
		}
	}
}

func TestValidate(t *testing.T) {
	s := service(t, terminology.Limits{}, animals, vs(`{"include":[{"system":"http://a"}]}`))
	coding := func(code, display string) terminology.Coding {
		return terminology.Coding{System: "http://a", Code: code, Display: display}
	}
	tests := []struct {
		name   string
		in     terminology.ValidateIn
		result bool
	}{
		{"in", terminology.ValidateIn{URL: "http://v", Codings: []terminology.Coding{coding("dog", "")}}, true},
		{"its display", terminology.ValidateIn{URL: "http://v", Codings: []terminology.Coding{coding("dog", "domestic DOG")}}, true},
		{"a designation", terminology.ValidateIn{URL: "http://v", Codings: []terminology.Coding{coding("bird", "Vogel")}}, true},
		{"another display", terminology.ValidateIn{URL: "http://v", Codings: []terminology.Coding{coding("dog", "Cat")}}, false},
		{"not in", terminology.ValidateIn{URL: "http://v", Codings: []terminology.Coding{coding("cat", "")}}, false},
		{"case matters", terminology.ValidateIn{URL: "http://v", Codings: []terminology.Coding{coding("Dog", "")}}, false},
		{"one of a concept's codings", terminology.ValidateIn{URL: "http://v", Codings: []terminology.Coding{coding("cat", ""), coding("dog", "")}}, true},
		{"of a code system", terminology.ValidateIn{InSystem: true, Codings: []terminology.Coding{coding("whale", "")}}, true},
		{"not of a code system", terminology.ValidateIn{InSystem: true, Codings: []terminology.Coding{coding("shark", "")}}, false},
	}
	for _, tt := range tests {
		v, err := s.Validate(t.Context(), tt.in)
		if err != nil || v.Result != tt.result || v.Result == (v.Message != "") {
			t.Errorf("%s: %+v, %v", tt.name, v, err)
		}
	}
	if _, err := s.Validate(t.Context(), terminology.ValidateIn{InSystem: true, Codings: []terminology.Coding{{System: "http://none", Code: "x"}}}); fhir.KindOf(err) != fhir.NotFound {
		t.Error(err)
	}
}

func TestSubsumes(t *testing.T) {
	s := service(t, terminology.Limits{}, animals)
	for pair, want := range map[[2]string]terminology.Relation{
		{"animal", "dog"}: terminology.Subsumes, {"dog", "animal"}: terminology.SubsumedBy, {"dog", "dog"}: terminology.Equivalent,
		{"dog", "whale"}: terminology.NotSubsumed, {"bird", "dodo"}: terminology.Subsumes, {"pet", "dog"}: terminology.Subsumes,
	} {
		got, err := s.Subsumes(t.Context(), terminology.Coding{System: "http://a", Code: pair[0]}, terminology.Coding{System: "http://a", Code: pair[1]})
		if err != nil || got != want {
			t.Errorf("%v: %s, %v", pair, got, err)
		}
	}
	if _, err := s.Subsumes(t.Context(), terminology.Coding{System: "http://a", Code: "x"}, terminology.Coding{System: "http://a", Code: "dog"}); fhir.KindOf(err) != fhir.NotFound {
		t.Error(err)
	}
}

func TestLookup(t *testing.T) {
	s := service(t, terminology.Limits{}, animals)
	text, err := s.Lookup(t.Context(), terminology.LookupIn{Coding: terminology.Coding{System: "http://a", Code: "bird"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`{"name":"name","valueString":"Animals"}`, `{"name":"version","valueString":"2"}`, `{"name":"display","valueString":"Bird"}`,
		`{"name":"definition","valueString":"Feathered."}`, `{"name":"language","valueCode":"de"}`,
		`{"name":"code","valueCode":"parent"},{"name":"value","valueCode":"animal"},{"name":"description","valueString":"Animal"}`,
		`{"name":"code","valueCode":"child"},{"name":"value","valueCode":"dodo"}`, `{"name":"code","valueCode":"legs"},{"name":"value","valueInteger":2}`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
	text, err = s.Lookup(t.Context(), terminology.LookupIn{Coding: terminology.Coding{System: "http://a", Code: "bird"}, Properties: []string{"legs"}})
	if err != nil || strings.Contains(string(text), "parent") || !strings.Contains(string(text), "legs") {
		t.Errorf("%s, %v", text, err)
	}
}

func TestHierarchy(t *testing.T) {
	s := service(t, terminology.Limits{}, animals)
	for code, want := range map[string]string{"mammal": "mammal dog whale | mammal animal", "pet": "pet dog | pet"} {
		var got []string
		for _, above := range []bool{false, true} {
			list, err := s.Hierarchy(t.Context(), terminology.Coding{System: "http://a", Code: code}, above)
			if err != nil {
				t.Fatal(err)
			}
			var codes []string
			for _, c := range list {
				codes = append(codes, c.Code)
			}
			got = append(got, strings.Join(codes, " "))
		}
		if strings.Join(got, " | ") != want {
			t.Errorf("%s: %v", code, got)
		}
	}
}

func TestTranslate(t *testing.T) {
	const theMap = `{"resourceType":"ConceptMap","url":"http://m","group":[{"source":"http://a","target":"http://b","element":[
		{"code":"dog","target":[{"code":"D","display":"Hund","equivalence":"wider"},{"equivalence":"unmatched"}]},
		{"code":"bird","target":[{"equivalence":"unmatched"}]}],"unmapped":{"mode":"fixed","code":"other"}}]}`
	s := service(t, terminology.Limits{}, animals, theMap)
	tests := []struct {
		name   string
		in     terminology.TranslateIn
		result bool
		want   []terminology.Match
	}{
		{
			"forward",
			terminology.TranslateIn{Codings: []terminology.Coding{{System: "http://a", Code: "dog"}}},
			true,
			[]terminology.Match{{"wider", terminology.Coding{System: "http://b", Code: "D", Display: "Hund"}, "http://m"}, {Equivalence: "unmatched", Source: "http://m"}},
		},
		{
			"unmatched",
			terminology.TranslateIn{Codings: []terminology.Coding{{System: "http://a", Code: "bird"}}},
			false,
			[]terminology.Match{{Equivalence: "unmatched", Source: "http://m"}},
		},
		{
			"unmapped",
			terminology.TranslateIn{Codings: []terminology.Coding{{System: "http://a", Code: "whale"}}},
			true,
			[]terminology.Match{{"equivalent", terminology.Coding{System: "http://b", Code: "other"}, "http://m"}},
		},
		{
			"backward",
			terminology.TranslateIn{Reverse: true, Codings: []terminology.Coding{{System: "http://b", Code: "D"}}},
			true,
			[]terminology.Match{{"narrower", terminology.Coding{System: "http://a", Code: "dog"}, "http://m"}},
		},
		{"another target", terminology.TranslateIn{TargetSystem: "http://c", Codings: []terminology.Coding{{System: "http://a", Code: "dog"}}}, false, nil},
	}
	for _, tt := range tests {
		tt.in.URL = "http://m"
		got, err := s.Translate(t.Context(), tt.in)
		if diff := cmp.Diff(tt.want, got.Matches); err != nil || got.Result != tt.result || diff != "" {
			t.Errorf("%s: %v, %v\n%s", tt.name, got.Result, err, diff)
		}
	}
}

// Without a map, all that lie between the value sets are asked
// (https://hl7.org/fhir/R4/conceptmap-operation-translate.html).
func TestTranslateByAnyMap(t *testing.T) {
	const between = `{"resourceType":"ConceptMap","url":"http://%s","sourceUri":"http://%s","targetCanonical":"http://%s|1","group":[{"source":"http://a","target":"http://b","element":[{"code":"dog","target":[{"code":"%s","equivalence":"equal"}]}]}]}`
	s := service(t, terminology.Limits{}, fmt.Sprintf(between, "m1", "v1", "w1", "one"), fmt.Sprintf(between, "m2", "v2", "w2", "two"))
	dog := []terminology.Coding{{System: "http://a", Code: "dog"}}
	for _, tt := range []struct {
		in   terminology.TranslateIn
		want string
	}{
		{terminology.TranslateIn{Codings: dog}, "one two"},
		{terminology.TranslateIn{Codings: dog, Source: "http://v2"}, "two"},
		{terminology.TranslateIn{Codings: dog, Target: "http://w1"}, "one"},
		{terminology.TranslateIn{Codings: dog, Source: "http://v1", Target: "http://w2"}, ""},
		{terminology.TranslateIn{Codings: []terminology.Coding{{System: "http://b", Code: "two"}}, Reverse: true, Source: "http://w2"}, "dog"},
	} {
		out, err := s.Translate(t.Context(), tt.in)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range out.Matches {
			got = append(got, m.Code)
		}
		slices.Sort(got)
		if strings.Join(got, " ") != tt.want || out.Result != (tt.want != "") {
			t.Errorf("%+v: %v", tt.in, got)
		}
	}
}

// Every value set of R4 can be expanded, or says which code system is not here.
func TestBuiltinValueSets(t *testing.T) {
	s := service(t, terminology.Limits{})
	defs, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	check, err := validate.New(defs, path.New(defs, nil), validate.Base)
	if err != nil {
		t.Fatal(err)
	}
	kinds, total := map[fhir.Kind]int{}, 0
	for _, url := range terminology.Builtin().URLs("ValueSet") {
		text, err := s.Expand(t.Context(), terminology.ExpandIn{URL: url, Count: -1})
		if err != nil {
			kinds[fhir.KindOf(err)]++
			if k := fhir.KindOf(err); k != fhir.NotSupported && k != fhir.TooCostly && k != fhir.NotFound {
				t.Errorf("%s: %v", url, err)
			}
			continue
		}
		total++
		if issues := check.Validate(parse(t, string(text))); issues != nil {
			t.Errorf("%s: %v", url, issues)
		}
		if !json.Valid(text) {
			t.Errorf("%s is no JSON", url)
		}
	}
	t.Logf("%d expanded, refused: %v", total, kinds)
	if total < 1000 {
		t.Errorf("only %d value sets expand", total)
	}
}

// Codes that R4 requires are the same here and in package spec.
func TestAgreesWithSpec(t *testing.T) {
	s := service(t, terminology.Limits{})
	defs, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	const gender = "http://hl7.org/fhir/ValueSet/administrative-gender"
	set, ok := defs.Codes(gender)
	if !ok {
		t.Fatal("no codes")
	}
	for _, code := range []string{"male", "female", "other", "unknown", "Male", "x"} {
		got, err := s.Contains(t.Context(), gender+"|4.0.1", terminology.Coding{Code: code})
		if err != nil || got != set.HasCode(code) {
			t.Errorf("%s: %v, %v", code, got, err)
		}
	}
}

// memberOf() and subsumes() (fhirpath.html#functions): empty where it cannot be
// known.
func TestForPath(t *testing.T) {
	f := terminology.ForPath{Service: service(t, terminology.Limits{}, animals, vs(`{"include":[{"system":"http://a","filter":[{"property":"concept","op":"is-a","value":"mammal"}]}]}`))}
	item := func(text string) path.Item {
		doc, err := jsontree.Parse([]byte(text), jsontree.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if doc.Root().Get("coding").Exists() {
			return path.TypedItem("CodeableConcept", doc.Root())
		}
		return path.TypedItem("Coding", doc.Root())
	}
	dog, whole := item(`{"system":"http://a","code":"dog"}`), item(`{"coding":[{"system":"x","code":"y"},{"system":"http://a","code":"animal"}]}`)
	tests := []struct {
		name          string
		ask           func() (bool, bool, error)
		answer, known bool
	}{
		{"member", func() (bool, bool, error) { return f.MemberOf(t.Context(), dog, "http://v") }, true, true},
		{"no member", func() (bool, bool, error) { return f.MemberOf(t.Context(), whole, "http://v") }, false, true},
		{"unknown value set", func() (bool, bool, error) { return f.MemberOf(t.Context(), dog, "http://none") }, false, false},
		{"subsumes", func() (bool, bool, error) { return f.Subsumes(t.Context(), whole, dog) }, true, true},
		{"does not subsume", func() (bool, bool, error) { return f.Subsumes(t.Context(), dog, whole) }, false, true},
		{"unknown system", func() (bool, bool, error) {
			return f.Subsumes(t.Context(), item(`{"system":"n","code":"c"}`), item(`{"system":"n","code":"d"}`))
		}, false, false},
	}
	for _, tt := range tests {
		if answer, known, err := tt.ask(); answer != tt.answer || known != tt.known || err != nil {
			t.Errorf("%s: %v, %v, %v", tt.name, answer, known, err)
		}
	}
}

func BenchmarkContains(b *testing.B) {
	s := service(b, terminology.Limits{})
	c := terminology.Coding{System: "http://hl7.org/fhir/administrative-gender", Code: "male"}
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := s.Contains(b.Context(), "http://hl7.org/fhir/ValueSet/administrative-gender", c); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

// Imported code systems answer as defined ones do, by their closure.
func TestImportedSystem(t *testing.T) {
	shelf, err := release.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	err = shelf.Put(&release.Table{URL: "http://snomed.info/sct", Version: "1", Name: "SNOMED CT", Concepts: []release.Concept{
		{Code: "1", Display: "Top"},
		{Code: "2", Display: "Heart", Synonyms: []string{"Cor"}, Parents: []int32{0}, Ancestors: []int32{0}},
		{Code: "3", Display: "Valve", Properties: []release.Property{{Code: "moduleId", Value: "9"}}, Parents: []int32{1}, Ancestors: []int32{0, 1}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	s := terminology.New(terminology.Options{Source: terminology.Builtin(), Shelf: shelf, Now: time.Now})
	if codes, _, err := expand(t, s, terminology.ExpandIn{URL: "http://snomed.info/sct?fhir_vs=isa/2", Count: -1}); err != nil || strings.Join(codes, " ") != "2 3" {
		t.Errorf("%v, %v", codes, err)
	}
	relation, err := s.Subsumes(t.Context(), terminology.Coding{System: "http://snomed.info/sct", Code: "1"}, terminology.Coding{System: "http://snomed.info/sct", Code: "3"})
	if relation != terminology.Subsumes || err != nil {
		t.Error(relation, err)
	}
	text, err := s.Lookup(t.Context(), terminology.LookupIn{Coding: terminology.Coding{System: "http://snomed.info/sct", Code: "3"}})
	for _, want := range []string{`{"name":"display","valueString":"Valve"}`, `{"name":"code","valueCode":"moduleId"},{"name":"value","valueString":"9"}`, `{"name":"value","valueCode":"2"},{"name":"description","valueString":"Heart"}`} {
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s is not in %s, %v", want, text, err)
		}
	}
	v, err := s.Validate(t.Context(), terminology.ValidateIn{InSystem: true, Codings: []terminology.Coding{{System: "http://snomed.info/sct", Code: "2", Display: "cor"}}})
	if !v.Result || err != nil {
		t.Error(v, err)
	}
}
