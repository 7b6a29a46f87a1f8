package parse_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"galen/fhir/path/parse"
)

// TestPrint: N1, 7 (operator precedence) and appendix B, shown by the
// parentheses that printing adds.
func TestPrint(t *testing.T) {
	tests := []struct{ text, want string }{
		{"1+2*3", "1 + (2 * 3)"},
		{"1-2-3", "(1 - 2) - 3"},
		{"-1.abs()", "-1.abs()"},
		{"-a * b", "(-a) * b"},
		{"a.b[0].c(1, d)", "a.b[0].c(1, d)"},
		{"a is B and c as FHIR.D", "(a is B) and (c as FHIR.D)"},
		{"a | b is C", "a | (b is C)"},
		{"a = b | c", "a = (b | c)"},
		{"1 > 2 = 3 in d and e or f implies g", "(((((1 > 2) = 3) in d) and e) or f) implies g"},
		{"a implies b xor c", "a implies (b xor c)"},
		{"contains contains contains", "`contains` contains `contains`"},
		{"as as is.is is in", "((`as` as `is`.`is`) is `in`)"},
		{"`a b`.`div`", "`a b`.`div`"},
		{"text.div", "text.`div`"},
		{"4 days + 1 'mg'", "4 days + 1 'mg'"},
		{"4.days", "4.`days`"},
		{"@2015-02T = @T14:34", "@2015-02T = @T14:34"},
		{"@2015-02-04T14-1", "@2015-02-04T14 - 1"},
		{"@2015-02-04-1", "@2015-02-04 - 1"},
		{`'it\'s\u00e4\n'`, "'it\\'sä\\u000a'"},
		{`'\ud83d\ude00'`, "'😀'"},
		{"%resource.%a", ""},
		{"%`ext-x` | %'y'", "%`ext-x` | %`y`"},
		{"{} // comment\n/* a * b */", "{}"},
		{"$this + $index + $total", "($this + $index) + $total"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			n, err := parse.Parse(tt.text)
			if tt.want == "" {
				if err == nil {
					t.Errorf("read as %s, want an error", n)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := n.String(); got != tt.want && "("+got+")" != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	tests := []struct {
		text   string
		offset int
	}{
		{"", 0},
		{"a.", 2},
		{"a b", 2},
		{"a..b", 2},
		{"a[1", 3},
		{"f(1,)", 4},
		{"{a}", 1},
		{"1 +", 3},
		{"'a", 0},
		{`'\x'`, 1},
		{`'\u12'`, 1},
		{"`a", 0},
		{"a ! b", 2},
		{"a is 1", 5},
		{"$that", 0},
		{"a.$this", 2},
		{"% a", 0},
		{"@", 0},
		{"/* a", 0},
		{"a and", 5},
		{"and", 0},
		{"a # b", 2},
		{"@T14:34Z", 7},
		{"1.2.3", 4},
		{strings.Repeat("-", 1000) + "1", 250},
		{"1" + strings.Repeat("+1", 1000), 0},
		{"a" + strings.Repeat(".a", 1000), 0},
	}
	for _, tt := range tests {
		_, err := parse.Parse(tt.text)
		var e *parse.Error
		if !errors.As(err, &e) || e.Offset != tt.offset && tt.offset+len(tt.text) < 1000 {
			t.Errorf("%.20q: got %v, want an error at %d", tt.text, err, tt.offset)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a.b(c)[1] | -2 'mg' is D.E", "@2015-02-04T14:34:28.123+10:00", "%`x\\`y`", "1 years.as(b)", "`as` as as", "'\\u0000\\\\'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := parse.Parse(text)
		if err != nil {
			return
		}
		printed := n.String()
		if len(printed) > parse.MaxLength {
			return
		}
		again, err := parse.Parse(printed)
		if err != nil {
			if strings.Contains(err.Error(), "too deep") { // parentheses count
				return
			}
			t.Fatalf("%q printed as %q: %v", text, printed, err)
		}
		if diff := cmp.Diff(n, again, cmpopts.IgnoreFields(parse.Node{}, "Offset")); diff != "" {
			t.Fatalf("%q printed as %q\n%s", text, printed, diff)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	const text = "AllergyIntolerance.patient | CarePlan.subject.where(resolve() is Patient) | (Observation.value as Quantity)"
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parse.Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}
