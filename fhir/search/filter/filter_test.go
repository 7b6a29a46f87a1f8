package filter

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func compare(path string, op Op, value string) Comparison {
	c := Comparison{Op: op, Value: value}
	for name := range strings.SplitSeq(path, ".") {
		c.Path = append(c.Path, Step{Name: name})
	}
	return c
}

// https://hl7.org/fhir/R4/search_filter.html: its examples, then the grammar.
func TestParse(t *testing.T) {
	tests := []struct {
		text string
		want Expr
	}{
		{`name co "pet"`, compare("name", Contains, "pet")},
		{`given eq "peter" and birthdate ge 2014-10-10`, And{compare("given", Equal, "peter"), compare("birthdate", GreaterEqual, "2014-10-10")}},
		{`code eq http://loinc.org|1234-5`, compare("code", Equal, "http://loinc.org|1234-5")},
		{`subject.name co "pet"`, compare("subject.name", Contains, "pet")},
		{`related[type eq "has-component"].target pr true`, Comparison{
			Path: []Step{{"related", compare("type", Equal, "has-component")}, {"target", nil}}, Op: Present, Value: "true",
		}},
		{`related[type eq has-component].target re Observation/4`, Comparison{
			Path: []Step{{"related", compare("type", Equal, "has-component")}, {"target", nil}}, Op: RefersTo, Value: "Observation/4",
		}},
		{`a eq 1 or b eq 2 and c eq 3`, Or{compare("a", Equal, "1"), And{compare("b", Equal, "2"), compare("c", Equal, "3")}}},
		{`(a eq 1 or b eq 2) and c eq 3`, And{Or{compare("a", Equal, "1"), compare("b", Equal, "2")}, compare("c", Equal, "3")}},
		{`not (a eq 1) and not(b eq 2)`, And{Not{compare("a", Equal, "1")}, Not{compare("b", Equal, "2")}}},
		{`not eq 1`, compare("not", Equal, "1")},
		{`name eq "a \"b\") ] \u00fc"`, compare("name", Equal, `a "b") ] ü`)},
		{`order eq 1 and android eq 2`, And{compare("order", Equal, "1"), compare("android", Equal, "2")}},
		{`_has:Observation:patient:code eq x`, compare("_has:Observation:patient:code", Equal, "x")},
		{` ( ( a  eq	1 ) ) `, compare("a", Equal, "1")},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			got, err := Parse(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Fatalf("(-want +got)\n%s", diff)
			}
			if again, err := Parse(got.String()); err != nil || cmp.Diff(got, again) != "" {
				t.Errorf("printed as %s, %v", got, err)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	for _, tt := range []struct {
		text   string
		offset int
	}{
		{"", 0},
		{"name", 4},
		{"name xx 1", 7},
		{"name eq", 7},
		{"name eq )", 8},
		{"(name eq 1", 10},
		{"name eq 1 and", 10},
		{"name eq 1 2", 10},
		{`name eq "a`, 8},
		{"a[b eq 1] eq 2", 9},
		{"a..b eq 1", 2},
		{"1a eq 1", 2},
		{strings.Repeat("(", 100) + "a eq 1", 51},
	} {
		t.Run(tt.text, func(t *testing.T) {
			_, err := Parse(tt.text)
			s, ok := err.(*SyntaxError)
			if !ok || s.Offset != tt.offset {
				t.Errorf("error %v", err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`related[type eq "x"].target pr true or not (a.b co "\"")`)
	f.Add("a eq 1 and (b ne 2 or c in http://x)")
	f.Add("not not (a")
	f.Fuzz(func(t *testing.T, text string) {
		e, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(e.String())
		if err != nil || cmp.Diff(e, again) != "" {
			t.Fatalf("%q is printed as %q: %v", text, e, err)
		}
	})
}
