package parse_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"galen/fhir"
	"galen/fhir/decimal"
	"galen/fhir/search"
	"galen/fhir/search/parse"
	"galen/fhir/spec"
	"galen/fhir/ucum"
)

var parser *parse.Parser

func TestMain(m *testing.M) {
	defs, err := spec.Load()
	if err != nil {
		panic(err)
	}
	units, err := ucum.Load()
	if err != nil {
		panic(err)
	}
	parser = parse.New(defs, units, parse.Options{
		Base: "https://galen.test/fhir/",
		Now:  func() time.Time { return time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC) },
	})
	os.Exit(m.Run())
}

func number(t testing.TB, text string) decimal.Decimal {
	t.Helper()
	d, err := decimal.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func period(t testing.TB, low, high string) fhir.Period {
	t.Helper()
	a, _, err1 := fhir.ParseDateTime(low, time.UTC)
	b, _, err2 := fhir.ParseDateTime(high, time.UTC)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	return fhir.Period{Low: a.Low, High: b.Low}
}

// where is the condition on one parameter.
func where(param string, tests ...search.Test) search.Expr {
	return search.Where{Param: param, Any: tests}
}

func patient(id string) search.Test {
	return search.ReferenceTest{Key: fhir.Key{Type: "Patient", ID: id}}
}

// TestConditions has one line for each rule of https://hl7.org/fhir/R4/search.html
// on how a condition is written; items are those of spec/fhir.md.
func TestConditions(t *testing.T) {
	code := func(c string) search.Test { return search.TokenTest{Code: c, AnySystem: true} }
	name := func(text string) search.Test { return search.StringTest{Text: text} }
	tests := []struct {
		name, typ, query string
		want             search.Expr
	}{
		// Tokens, item 27.
		{"token code", "Patient", "identifier=123", where("identifier", code("123"))},
		{"token system|code", "Patient", "identifier=urn:x|123", where("identifier", search.TokenTest{System: "urn:x", Code: "123"})},
		{"token |code has no system", "Patient", "identifier=|123", where("identifier", search.TokenTest{Code: "123"})},
		{"token system|", "Patient", "identifier=urn:x|", where("identifier", search.TokenTest{System: "urn:x", AnyCode: true})},
		{"token escapes", "Patient", `identifier=a\|b\,c\$d\\e\f`, where("identifier", code(`a|b,c$d\e\f`))},
		{"token escaped bar then bar", "Patient", `identifier=a\|b|c`, where("identifier", search.TokenTest{System: "a|b", Code: "c"})},
		{"token percent-encoded", "Patient", "identifier=urn%3Ax%7C123", where("identifier", search.TokenTest{System: "urn:x", Code: "123"})},
		{"item 28: not is of the resource", "Patient", "gender:not=male,female", search.Not{Of: where("gender", code("male"), code("female"))}},
		{"item 28: two not are AND", "Patient", "gender:not=male&gender:not=female", search.All{
			search.Not{Of: where("gender", code("male"))}, search.Not{Of: where("gender", code("female"))},
		}},
		{"item 30: text", "Condition", "code:text=Head-Ache%20Zw%C3%B6lf", where("code", search.TextTest{Norm: "head ache zwolf"})},
		{"item 30: of-type", "Patient", "identifier:of-type=urn:t|MR|12", where("identifier", search.TypedTest{System: "urn:t", Code: "MR", Value: "12"})},
		{"item 29: missing", "Patient", "gender:missing=true", search.Not{Of: search.Present{Param: "gender"}}},
		{"item 29: not missing", "Observation", "code-value-quantity:missing=false", search.Present{Param: "code-value-quantity"}},
		{"item 29: missing reference", "Observation", "subject:missing=true", search.Not{Of: search.Present{Param: "subject"}}},

		// AND, OR, item 34; empty values are passed over.
		{"OR", "Patient", "gender=male,female", where("gender", code("male"), code("female"))},
		{"AND", "Patient", "gender=male&name=eve", search.All{where("gender", code("male")), where("name", name("eve"))}},
		{"same parameter AND", "Patient", "name=a&name=b", search.All{where("name", name("a")), where("name", name("b"))}},
		{"empty value", "Patient", "gender=&name=eve&birthdate", where("name", name("eve"))},
		{"empty alternatives", "Patient", "gender=,male,,", where("gender", code("male"))},
		{"nothing asked", "Patient", "", nil},

		// Strings, item 31.
		{"string", "Patient", "name=M%C3%BCLLER", where("name", name("muller"))},
		{"string with plus", "Patient", "name=Anna+Maria", where("name", name("anna maria"))},
		{"string exact", "Patient", "name:exact=M%C3%BCller", where("name", search.StringTest{Mode: search.Exact, Text: "Müller"})},
		{"string contains", "Patient", "family:contains=SON", where("family", search.StringTest{Mode: search.Contains, Text: "son"})},
		{"string with a comma", "Patient", `name=a\,b`, where("name", name("a,b"))},

		// Dates, items 22 to 24.
		{"date year", "Patient", "birthdate=1980", where("birthdate", search.DateTest{Period: period(t, "1980", "1981")})},
		{"date day", "Patient", "birthdate=eq1980-05-11", where("birthdate", search.DateTest{Period: period(t, "1980-05-11", "1980-05-12")})},
		{"date ge", "Patient", "birthdate=ge1980-05", where("birthdate", search.DateTest{Op: search.Ge, Period: period(t, "1980-05", "1980-06")})},
		{"date minute", "Observation", "date=sa2020-01-02T10:30Z", where("date", search.DateTest{Op: search.Sa, Period: period(t, "2020-01-02T10:30:00Z", "2020-01-02T10:31:00Z")})},
		{"date offset, encoded", "Observation", "date=2020-01-02T10:30:01%2B02:00", where("date", search.DateTest{Period: period(t, "2020-01-02T08:30:01Z", "2020-01-02T08:30:02Z")})},
		{"date offset, plus as it is", "Observation", "date=2020-01-02T10:30:01+02:00", where("date", search.DateTest{Period: period(t, "2020-01-02T08:30:01Z", "2020-01-02T08:30:02Z")})},
		{"date ap: a tenth of the gap to now", "Observation", "date=ap2023-12-11", where("date", search.DateTest{Op: search.Ap, Period: period(t, "2023-12-09", "2023-12-14")})},
		{"date ap now", "Observation", "date=ap2024", where("date", search.DateTest{Op: search.Ap, Period: period(t, "2024", "2025")})},

		// Numbers, item 25.
		{"number", "RiskAssessment", "probability=100", where("probability", search.NumberTest{Value: number(t, "100"), Low: number(t, "99.5"), High: number(t, "100.5")})},
		{"number precision", "RiskAssessment", "probability=ne100.00", where("probability", search.NumberTest{Op: search.Ne, Value: number(t, "100.00"), Low: number(t, "99.995"), High: number(t, "100.005")})},
		{"number exponent", "RiskAssessment", "probability=1e2", where("probability", search.NumberTest{Value: number(t, "1e2"), Low: number(t, "95"), High: number(t, "105")})},
		{"number ap: a tenth", "RiskAssessment", "probability=ap-100", where("probability", search.NumberTest{Op: search.Ap, Value: number(t, "-100"), Low: number(t, "-110.5"), High: number(t, "-89.5")})},

		// Quantities, item 26.
		{"quantity alone", "Observation", "value-quantity=gt5.4", where("value-quantity", search.QuantityTest{
			NumberTest: search.NumberTest{Op: search.Gt, Value: number(t, "5.4"), Low: number(t, "5.35"), High: number(t, "5.45")}, AnySystem: true, AnyUnit: true,
		})},
		{"quantity code or unit", "Observation", "value-quantity=5.4||mg", where("value-quantity", search.QuantityTest{
			NumberTest: search.NumberTest{Value: number(t, "5.4"), Low: number(t, "5.35"), High: number(t, "5.45")}, Code: "mg", AnySystem: true,
		})},
		{"quantity UCUM", "Observation", "value-quantity=5|http://unitsofmeasure.org|mg", where("value-quantity", search.QuantityTest{
			NumberTest: search.NumberTest{Value: number(t, "5"), Low: number(t, "4.5"), High: number(t, "5.5")}, System: "http://unitsofmeasure.org", Code: "mg",
			Canonical: search.NumberTest{Value: number(t, "0.005"), Low: number(t, "0.0045"), High: number(t, "0.0055")}, CanonicalUnit: "g",
		})},
		{"quantity with a scale that runs backwards", "Observation", "value-quantity=gt7|http://unitsofmeasure.org|[pH]", where("value-quantity", search.QuantityTest{
			NumberTest: search.NumberTest{Op: search.Gt, Value: number(t, "7"), Low: number(t, "6.5"), High: number(t, "7.5")}, System: "http://unitsofmeasure.org", Code: "[pH]",
		})},

		// URIs, item 32.
		{"uri", "ValueSet", "url=http://x.org/a", where("url", search.URITest{URI: "http://x.org/a"})},
		{"uri below", "ValueSet", "url:below=http://x.org/a", where("url", search.URITest{Mode: search.URIBelow, URI: "http://x.org/a"})},
		{"uri above", "ValueSet", "url:above=http://x.org/a", where("url", search.URITest{Mode: search.URIAbove, URI: "http://x.org/a"})},
		{"canonical with version", "Observation", "_profile=http://x.org/p|1.0", where("_profile", search.URITest{URI: "http://x.org/p|1.0"})},

		// References, item 33.
		{"reference id, one type possible", "AllergyIntolerance", "patient=1", where("patient", patient("1"))},
		{"reference id, resolve() is Patient", "Observation", "patient=1", where("patient", patient("1"))},
		{"reference id, several types", "Observation", "subject=1", where("subject", search.ReferenceTest{Key: fhir.Key{ID: "1"}})},
		{"reference type/id", "Observation", "subject=Patient/1", where("subject", patient("1"))},
		{"reference :type", "Observation", "subject:Patient=1", where("subject", patient("1"))},
		{"reference :type with type/id", "Observation", "subject:Patient=Patient/1", where("subject", patient("1"))},
		{"reference under the own base", "Observation", "subject=https://galen.test/fhir/Patient/1", where("subject", patient("1"))},
		{"reference elsewhere", "Observation", "subject=https://other.test/fhir/Patient/1", where("subject", search.ReferenceTest{URL: "https://other.test/fhir/Patient/1"})},
		{"reference version", "Observation", "subject=Patient/1/_history/2", where("subject", search.ReferenceTest{Key: fhir.Key{Type: "Patient", ID: "1"}, Version: "2"})},
		{"reference identifier", "Observation", "subject:identifier=urn:x|7", where("subject", search.TokenTest{System: "urn:x", Code: "7"})},
		{"canonical reference", "QuestionnaireResponse", "questionnaire=http://x.org/q|3", where("questionnaire", search.ReferenceTest{URL: "http://x.org/q", Version: "3"})},
		{"urn reference", "Observation", "subject=urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7", where("subject", search.ReferenceTest{URL: "urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7"})},

		// Composites, item 34.
		{"composite", "Observation", "code-value-concept=http://loinc.org|1-8$a,b$c", where("code-value-concept",
			search.CompositeTest{Parts: []search.Test{search.TokenTest{System: "http://loinc.org", Code: "1-8"}, code("a")}},
			search.CompositeTest{Parts: []search.Test{code("b"), code("c")}},
		)},
		{"composite with prefix", "Observation", "code-value-date=a$gt2020", where("code-value-date",
			search.CompositeTest{Parts: []search.Test{code("a"), search.DateTest{Op: search.Gt, Period: period(t, "2020", "2021")}}},
		)},

		// Of every type, item 44.
		{"_id", "Patient", "_id=1,2", search.HasID{IDs: []string{"1", "2"}}},
		{"_id not", "Patient", "_id:not=1", search.Not{Of: search.HasID{IDs: []string{"1"}}}},
		{"_id missing", "Patient", "_id:missing=true", search.Any{}},
		{"_lastUpdated", "Patient", "_lastUpdated=le2020", search.Updated{DateTest: search.DateTest{Op: search.Le, Period: period(t, "2020", "2021")}}},
		{"_lastUpdated or", "Patient", "_lastUpdated=2020,2021", search.Any{
			search.Updated{DateTest: search.DateTest{Period: period(t, "2020", "2021")}}, search.Updated{DateTest: search.DateTest{Period: period(t, "2021", "2022")}},
		}},
		{"_tag", "Patient", "_tag=x", where("_tag", code("x"))},
		{"_security", "Patient", "_security=http://s|R", where("_security", search.TokenTest{System: "http://s", Code: "R"})},
		{"_source", "Patient", "_source=http://s", where("_source", search.URITest{URI: "http://s"})},
		{"_profile below", "Patient", "_profile:below=http://p", where("_profile", search.URITest{Mode: search.URIBelow, URI: "http://p"})},
		{"_list", "Patient", "_list=42", search.Reverse{Type: "List", Param: "item", Of: search.HasID{IDs: []string{"42"}}}},
		{"system level", "", "_tag=x", where("_tag", code("x"))},
		{"several types, one meaning", "", "_type=Patient,Person&gender=male", where("gender", code("male"))},
		{"several types, each by its own", "", "_type=ImagingStudy,Immunization&series=X", search.Any{
			search.All{search.HasType{Types: []string{"ImagingStudy"}}, where("series", code("X"))},
			search.All{search.HasType{Types: []string{"Immunization"}}, where("series", name("x"))},
		}},
		{"several types, grouped", "", "_type=Encounter,AdverseEvent&location=2", where("location", search.ReferenceTest{Key: fhir.Key{Type: "Location", ID: "2"}})},

		// Chains and _has, item 42.
		{"chain", "DiagnosticReport", "subject:Patient.name=peter", search.Chain{Param: "subject", Type: "Patient", Of: where("name", name("peter"))}},
		{"chain without type: union of types that know the name", "Observation", "subject.name=peter", search.Any{
			search.Chain{Param: "subject", Type: "Patient", Of: where("name", name("peter"))},
			search.Chain{Param: "subject", Type: "Location", Of: where("name", name("peter"))},
		}},
		{"chain of three hops, modifier at the end", "Observation", "encounter.service-provider.partof.name:exact=X", search.Chain{
			Param: "encounter", Type: "Encounter", Of: search.Chain{Param: "service-provider", Type: "Organization", Of: search.Chain{
				Param: "partof", Type: "Organization", Of: where("name", search.StringTest{Mode: search.Exact, Text: "X"}),
			}},
		}},
		{"chain with type at second hop", "Observation", "patient.general-practitioner:Practitioner.family=x", search.Chain{
			Param: "patient", Type: "Patient", Of: search.Chain{Param: "general-practitioner", Type: "Practitioner", Of: where("family", name("x"))},
		}},
		{"chain to _id", "Observation", "patient._id=1", search.Chain{Param: "patient", Type: "Patient", Of: search.HasID{IDs: []string{"1"}}}},
		{"_has", "Patient", "_has:Observation:patient:code=1234-5", search.Reverse{Type: "Observation", Param: "patient", Of: where("code", code("1234-5"))}},
		{"_has in _has", "Patient", "_has:Observation:patient:_has:AuditEvent:entity:agent:Practitioner=7", search.Reverse{
			Type: "Observation", Param: "patient", Of: search.Reverse{
				Type: "AuditEvent", Param: "entity", Of: where("agent", search.ReferenceTest{Key: fhir.Key{Type: "Practitioner", ID: "7"}}),
			},
		}},
		{"_has with a chain in it", "Patient", "_has:Observation:patient:encounter.status=finished", search.Reverse{
			Type: "Observation", Param: "patient", Of: search.Chain{Param: "encounter", Type: "Encounter", Of: where("status", code("finished"))},
		}},
		{"chain into _has", "Encounter", "patient._has:Group:member:_id=102", search.Chain{
			Param: "patient", Type: "Patient", Of: search.Reverse{Type: "Group", Param: "member", Of: search.HasID{IDs: []string{"102"}}},
		}},
		{"_has AND _has", "Patient", "_has:Observation:patient:code=a&_has:Condition:patient:code=b", search.All{
			search.Reverse{Type: "Observation", Param: "patient", Of: where("code", code("a"))},
			search.Reverse{Type: "Condition", Param: "patient", Of: where("code", code("b"))},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req, err := parser.Parse(tt.typ, tt.query, parse.Strict)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, req.Where); d != "" {
				t.Errorf("want -, got +\n%s", d)
			}
			again(t, req)
		})
	}
}

// again checks that a request printed and parsed is the same.
func again(t *testing.T, req *search.Request) {
	t.Helper()
	back, err := parser.Parse(req.Type, req.String(), parse.Strict)
	if err != nil {
		t.Fatalf("%q does not parse: %v", req, err)
	}
	if d := cmp.Diff(req, back, cmpopts.IgnoreFields(search.Request{}, "Ignored")); d != "" {
		t.Errorf("%q: printed -, parsed +\n%s", req, d)
	}
	if back.String() != req.String() {
		t.Errorf("%q prints as %q", req, back)
	}
}

// TestResultParameters: https://hl7.org/fhir/R4/search.html#return.
func TestResultParameters(t *testing.T) {
	tests := []struct {
		name, typ, query, printed string
		want                      search.Request
	}{
		{"_count", "Patient", "_count=10", "_count=10", search.Request{Count: 10, HasCount: true}},
		{"_count 0", "Patient", "_count=0", "_count=0", search.Request{HasCount: true}},
		{"_sort", "Observation", "_sort=code,-date,_id,code", "_sort=code,-date,_id", search.Request{Query: search.Query{Sort: []search.Sort{{Param: "code"}, {Param: "date", Descending: true}, {Param: "_id"}}}}},
		{"_include", "Observation", "_include=Observation:subject,Observation:subject:Patient", "_include=Observation:subject&_include=Observation:subject:Patient", search.Request{
			Include: []search.Include{{Source: "Observation", Param: "subject"}, {Source: "Observation", Param: "subject", Target: "Patient"}},
		}},
		{"_include iterate and wildcards", "Observation", "_include:iterate=Patient:general-practitioner&_include=*&_include=Observation:*", "_include:iterate=Patient:general-practitioner&_include=*&_include=Observation:*", search.Request{
			Include: []search.Include{{Source: "Patient", Param: "general-practitioner", Iterate: true}, {Param: "*"}, {Source: "Observation", Param: "*"}},
		}},
		{"_revinclude", "Patient", "_revinclude=Provenance:target&_revinclude=*", "_revinclude=Provenance:target&_revinclude=*", search.Request{
			RevInclude: []search.Include{{Source: "Provenance", Param: "target"}, {Param: "*"}},
		}},
		{"_summary", "Patient", "_summary=count", "_summary=count", search.Request{Summary: search.SummaryCount}},
		{"_elements", "Patient", "_elements=name,%20birthDate,name", "_elements=name,birthDate", search.Request{Elements: []string{"name", "birthDate"}}},
		{"_total", "Patient", "_total=accurate", "_total=accurate", search.Request{Total: search.TotalAccurate}},
		{"_contained", "Patient", "_contained=false&_containedType=contained", "_contained=false&_containedType=contained", search.Request{Contained: search.ContainedFalse, ContainedType: search.ContainedTypeContained}},
		{"_type", "", "_type=Patient,Observation,Patient", "_type=Patient,Observation", search.Request{Query: search.Query{Types: []string{"Patient", "Observation"}}}},
		{"_format is the server's", "Patient", "_format=json&_pretty=true", "", search.Request{}},
		{"values are encoded", "Patient", "name=a%26b%3D%23%20%2B%C3%BC&identifier=s|1", "name=a%26b%3D%23%20%2B%C3%BC&identifier=s%7C1", search.Request{
			Clauses: []search.Clause{{Name: "name", Value: "a&b=# +ü"}, {Name: "identifier", Value: "s|1"}},
			Query: search.Query{Where: search.All{
				where("name", search.StringTest{Text: "a&b=# +u"}), where("identifier", search.TokenTest{System: "s", Code: "1"}),
			}},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req, err := parser.Parse(tt.typ, tt.query, parse.Strict)
			if err != nil {
				t.Fatal(err)
			}
			if tt.want.Type = tt.typ; tt.typ != "" {
				tt.want.Types = []string{tt.typ}
			}
			if d := cmp.Diff(&tt.want, req); d != "" {
				t.Errorf("want -, got +\n%s", d)
			}
			if req.String() != tt.printed {
				t.Errorf("prints as %q, want %q", req, tt.printed)
			}
			for name, values := range req.Values() {
				if !strings.Contains(tt.printed, name+"=") || len(values) == 0 {
					t.Errorf("values of %s: %v", name, values)
				}
			}
			again(t, req)
		})
	}
}

// TestErrors: what cannot be honoured is refused whatever the handling
// (spec/fhir.md items 24, 30, 36, 39, 40), and by a message without the value.
func TestErrors(t *testing.T) {
	tests := []struct {
		name, typ, query string
		kind             fhir.Kind
		at               string
	}{
		{"unknown type", "Foo", "", fhir.NotSupported, ""},
		{"unknown modifier", "Patient", "name:foo=x", fhir.Invalid, "name:foo"},
		{"modifier of another type", "Patient", "name:above=secret", fhir.Invalid, "name:above"},
		{"token exact", "Patient", "gender:exact=male", fhir.Invalid, "gender:exact"},
		{"in needs terminology", "Condition", "code:in=http://secret", fhir.NotSupported, "code:in"},
		{"not-in needs terminology", "Condition", "code:not-in=http://secret", fhir.NotSupported, "code:not-in"},
		{"token below needs terminology", "Condition", "code:below=secret", fhir.NotSupported, "code:below"},
		{"_filter", "Patient", "_filter=name is secret", fhir.Value, "_filter"},
		{"_text", "Patient", "_text=secret", fhir.NotSupported, "_text"},
		{"_content", "Patient", "_content=secret", fhir.NotSupported, "_content"},
		{"_query", "Patient", "_query=secret", fhir.NotSupported, "_query"},
		{"near", "Location", "near=1|2|3|g", fhir.Value, "near"},
		{"bad date", "Patient", "birthdate=1980-02-30", fhir.Value, "birthdate"},
		{"text for a date", "Patient", "birthdate=secret", fhir.Value, "birthdate"},
		{"unknown prefix", "Patient", "birthdate=zz1980", fhir.Value, "birthdate"},
		{"prefix alone", "Patient", "birthdate=gt", fhir.Value, "birthdate"},
		{"bad _lastUpdated", "Patient", "_lastUpdated=secret", fhir.Value, "_lastUpdated"},
		{"bad number", "RiskAssessment", "probability=1x", fhir.Value, "probability"},
		{"number in hex", "RiskAssessment", "probability=0x10", fhir.Value, "probability"},
		{"huge exponent", "RiskAssessment", "probability=1e999999999", fhir.Value, "probability"},
		{"quantity of two parts", "Observation", "value-quantity=5|mg", fhir.Value, "value-quantity"},
		{"token of three parts", "Patient", "identifier=a|b|secret", fhir.Value, "identifier"},
		{"token of nothing", "Patient", "identifier=|", fhir.Value, "identifier"},
		{"of-type of two parts", "Patient", "identifier:of-type=a|secret", fhir.Value, "identifier:of-type"},
		{"missing maybe", "Patient", "gender:missing=maybe", fhir.Value, "gender:missing"},
		{"text without a word", "Condition", "code:text=--", fhir.Value, "code:text"},
		{"reference nonsense", "Observation", "subject=not a reference", fhir.Value, "subject"},
		{"reference to no type of R4", "Observation", "subject=Foo/1", fhir.Value, "subject"},
		{"reference of another type than the modifier", "Observation", "subject:Patient=Group/1", fhir.Value, "subject:Patient"},
		{"composite with one part", "Observation", "code-value-concept=a", fhir.Value, "code-value-concept"},
		{"composite with an empty part", "Observation", "code-value-concept=a$", fhir.Value, "code-value-concept"},
		{"composite with a modifier", "Observation", "code-value-concept:not=a$b", fhir.Invalid, "code-value-concept:not"},
		{"chain over a token", "Patient", "gender.name=x", fhir.Invalid, "gender.name"},
		{"chain to a type it does not refer to", "Observation", "subject:Practitioner.name=x", fhir.Invalid, "subject:Practitioner.name"},
		{"chain with a bad value", "Observation", "patient.birthdate=secret", fhir.Value, "patient.birthdate"},
		{"chain with an unknown modifier", "Observation", "patient.name:foo=secret", fhir.Invalid, "patient.name:foo"},
		{"_has too short", "Patient", "_has:Observation:patient=x", fhir.Invalid, "_has:Observation:patient"},
		{"_has of no type", "Patient", "_has:Foo:patient:code=x", fhir.Invalid, "_has:Foo:patient:code"},
		{"_has that does not refer here", "Patient", "_has:Observation:encounter:code=x", fhir.Invalid, "_has:Observation:encounter:code"},
		{"too many hops", "Organization", strings.Repeat("partof.", 20) + "name=x", fhir.TooCostly, (strings.Repeat("partof.", 20) + "name")[:100]},
		{"too many alternatives", "Patient", "name=" + strings.Repeat("a,", 6000), fhir.TooCostly, "name"},
		{"negative count", "Patient", "_count=-1", fhir.Value, "_count"},
		{"count in words", "Patient", "_count=ten", fhir.Value, "_count"},
		{"count twice", "Patient", "_count=1&_count=2", fhir.Invalid, "_count"},
		{"count with a modifier", "Patient", "_count:exact=1", fhir.Invalid, "_count:exact"},
		{"bad summary", "Patient", "_summary=some", fhir.Value, "_summary"},
		{"bad total", "Patient", "_total=about", fhir.Value, "_total"},
		{"bad type", "", "_type=Foo", fhir.Value, "_type"},
		{"bad element", "Patient", "_elements=a%20b", fhir.Value, "_elements"},
		{"sort by nothing", "Patient", "_sort=foo", fhir.NotSupported, "_sort"},
		{"_contained", "Patient", "_contained=true", fhir.NotSupported, "_contained"},
		{"sort by a composite", "Observation", "_sort=code-value-date", fhir.NotSupported, "_sort"},
		{"include of no reference", "Observation", "_include=Observation:code", fhir.Value, "_include"},
		{"include of no type", "Observation", "_include=Foo:code", fhir.Value, "_include"},
		{"include without parameter", "Observation", "_include=Observation", fhir.Value, "_include"},
		{"include to a wrong target", "Observation", "_include=Observation:subject:Practitioner", fhir.Value, "_include"},
		{"include recurse", "Observation", "_include:recurse=Observation:subject", fhir.Invalid, "_include:recurse"},
		{"revinclude that does not refer here", "Patient", "_revinclude=Observation:encounter", fhir.Value, "_revinclude"},
		{"bad percent", "Patient", "name=%zz", fhir.Malformed, "name"},
		{"bad percent in a name", "Patient", "%zz=1", fhir.Malformed, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, handling := range []parse.Handling{parse.Lenient, parse.Strict} {
				_, err := parser.Parse(tt.typ, tt.query, handling)
				var e *fhir.Error
				if !errors.As(err, &e) || e.Kind != tt.kind || e.At != tt.at {
					t.Fatalf("got %v, want %v at %q", err, tt.kind, tt.at)
				}
				if strings.Contains(err.Error(), "secret") {
					t.Errorf("the error holds the value: %v", err)
				}
			}
		})
	}
}

// TestUnknownParameter: item 36: lenient passes over it, drops it from the self
// link and lists it; strict refuses.
func TestUnknownParameter(t *testing.T) {
	for _, tt := range []struct{ typ, query, name, printed string }{
		{"Patient", "foo=1&name=x", "foo", "name=x"},
		{"Patient", "name=x&foo:exact=1", "foo:exact", "name=x"},
		{"Patient", "general-practitioner.foo=1", "general-practitioner.foo", ""},
		{"Patient", "_has:Provenance:foo:agent=1", "_has:Provenance:foo:agent", ""},
		{"Patient", "_type=Patient", "_type", ""},
		{"", "name=x&_id=1", "name", "_id=1"},
		{"", "_type=Patient,Observation&birthdate=2020", "birthdate", "_type=Patient,Observation"},
	} {
		t.Run(tt.query, func(t *testing.T) {
			req, err := parser.Parse(tt.typ, tt.query, parse.Lenient)
			if err != nil {
				t.Fatal(err)
			}
			if len(req.Ignored) != 1 || req.Ignored[0].Name != tt.name || req.Ignored[0].Reason == "" {
				t.Errorf("ignored %v, want %s", req.Ignored, tt.name)
			}
			if req.String() != tt.printed {
				t.Errorf("prints as %q, want %q", req, tt.printed)
			}
			if _, err := parser.Parse(tt.typ, tt.query, parse.Strict); fhir.KindOf(err) != fhir.NotSupported {
				t.Errorf("strict: %v", err)
			}
		})
	}
}

// TestCriteria: items 18 to 20: criteria are strict and must say something.
func TestCriteria(t *testing.T) {
	q, err := parser.ParseCriteria("Patient", "identifier=urn:x|1&_format=json")
	if err != nil {
		t.Fatal(err)
	}
	want := &search.Query{Types: []string{"Patient"}, Where: where("identifier", search.TokenTest{System: "urn:x", Code: "1"})}
	if d := cmp.Diff(want, q); d != "" {
		t.Error(d)
	}
	for query, kind := range map[string]fhir.Kind{
		"":                        fhir.Required,
		"_format=json":            fhir.Required,
		"foo=1":                   fhir.NotSupported,
		"identifier=":             fhir.Value,
		"identifier=,&name=x":     fhir.Value,
		"identifier=1&_count=1":   fhir.Invalid,
		"identifier=1&_include=*": fhir.Invalid,
	} {
		if _, err := parser.ParseCriteria("Patient", query); fhir.KindOf(err) != kind {
			t.Errorf("%q: %v, want %v", query, err, kind)
		}
	}
}

// TestThousandAlternatives: item 56.
func TestThousandAlternatives(t *testing.T) {
	req, err := parser.Parse("Patient", "identifier="+strings.Repeat("x,", 999)+"x", parse.Strict)
	if err != nil || len(req.Where.(search.Where).Any) != 1000 {
		t.Errorf("%v", err)
	}
}

// TestEscape: https://hl7.org/fhir/R4/search.html#escaping.
func TestEscape(t *testing.T) {
	const value = `a,b|c$d\e`
	if got, want := parse.Escape(value), `a\,b\|c\$d\\e`; got != want {
		t.Fatalf("%s, want %s", got, want)
	}
	req, err := parser.Parse("Patient", "identifier=s|"+parse.Escape(value), parse.Strict)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(where("identifier", search.TokenTest{System: "s", Code: value}), req.Where); d != "" {
		t.Error(d)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"name=eve&birthdate=ge1980-05&_sort=-birthdate&_count=5", `identifier=a\|b|c,\\,|x`, "subject.name:exact=x", "_has:Observation:patient:code=x",
		"value-quantity=ap5.40|http://unitsofmeasure.org|mg", "date=2020-01-01T00:00:00+01:00", "_include:iterate=*&_elements=a,b", "code-value-quantity=a$gt5||mg",
		"subject:identifier=a|b&foo=%41%zz", "_lastUpdated=2020,2021&_id:not=1", "patient=https://galen.test/fhir/Patient/1/_history/2|3", "name=a&name=a&_summary=text",
	} {
		for _, typ := range []string{"Patient", "Observation", ""} {
			f.Add(typ, s)
		}
	}
	f.Fuzz(func(t *testing.T, typ, query string) {
		req, err := parser.Parse(typ, query, parse.Lenient)
		if err != nil {
			if fhir.KindOf(err) == fhir.Internal {
				t.Fatal(err)
			}
			return
		}
		again(t, req)
	})
}

func BenchmarkParse(b *testing.B) {
	for _, bb := range []struct{ name, typ, query string }{
		{"identifier", "Patient", "identifier=urn:oid:1.2.3|12345"},
		{"labs", "Observation", "patient=Patient/1&code=http://loinc.org|4548-4&date=ge2020-01-01&_sort=-date&_count=20"},
		{"chain", "Observation", "subject.name=peter"},
		{"quantity", "Observation", "code-value-quantity=http://loinc.org|4548-4$gt5.4|http://unitsofmeasure.org|mg/dL"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := parser.Parse(bb.typ, bb.query, parse.Strict); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
