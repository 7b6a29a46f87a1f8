package decimal_test

import (
	"strings"
	"testing"

	"galen/fhir/decimal"
)

func TestFunctions(t *testing.T) {
	type unary func(decimal.Decimal) (decimal.Decimal, bool)
	tests := []struct {
		name, arg, want string // want "" means no value
		f               unary
	}{
		{"sqrt exact", "81", "9", decimal.Decimal.Sqrt},
		{"sqrt", "2", "1.414213562373095048801688724209698", decimal.Decimal.Sqrt},
		{"sqrt zero", "0", "0", decimal.Decimal.Sqrt},
		{"sqrt negative", "-1", "", decimal.Decimal.Sqrt},
		{"ln", "2", "0.6931471805599453094172321214581766", decimal.Decimal.Ln},
		{"ln one", "1", "0", decimal.Decimal.Ln},
		{"ln zero", "0", "", decimal.Decimal.Ln},
		{"ln negative", "-2", "", decimal.Decimal.Ln},
		{"log exact", "1e-7", "-7", decimal.Decimal.Log10},
		{"log", "2", "0.3010299956639811952137388947244930", decimal.Decimal.Log10},
		{"log zero", "0", "", decimal.Decimal.Log10},
		{"exp", "1", "2.718281828459045235360287471352662", decimal.Decimal.Exp},
		{"exp zero", "0", "1", decimal.Decimal.Exp},
		{"exp over bounds", "1e10", "", decimal.Decimal.Exp},
		{"exp over bounds, negative", "-1e10", "", decimal.Decimal.Exp},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := tt.f(parse(t, tt.arg))
			if ok != (tt.want != "") {
				t.Fatalf("%v, %t", got, ok)
			}
			if ok && !got.Equal(parse(t, tt.want)) {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func TestPow(t *testing.T) {
	tests := []struct{ base, power, want string }{
		{"10", "-7", "1e-7"},
		{"2", "0.5", "1.414213562373095048801688724209698"},
		{"-2", "3", "-8"},
		{"7", "0", "1"},
		{"0", "2", "0"},
		{"1.5", "2", "2.25"},
		{"-2", "0.5", ""},
		{"0", "0", ""},
		{"0", "-1", ""},
		{"2", "1e9", ""},
		{"2", "1e10000", ""},
		{"10", "999999999", ""},
	}
	for _, tt := range tests {
		got, ok := parse(t, tt.base).Pow(parse(t, tt.power))
		if ok != (tt.want != "") || ok && !got.Equal(parse(t, tt.want)) {
			t.Errorf("%s ^ %s = %v, %t; want %q", tt.base, tt.power, got, ok, tt.want)
		}
	}
}

// TestFunctionsAtBounds: the extremes Parse lets in return, and quickly.
func TestFunctionsAtBounds(t *testing.T) {
	for _, text := range []string{"1e10000", "1e-10000", "-1e10000", "0e10000", strings.Repeat("9", 1000), "22800", "-22800", "1.000000000000000000001"} {
		d := parse(t, text)
		for _, f := range []func(decimal.Decimal) (decimal.Decimal, bool){
			decimal.Decimal.Sqrt, decimal.Decimal.Ln, decimal.Decimal.Log10, decimal.Decimal.Exp,
			func(d decimal.Decimal) (decimal.Decimal, bool) { return d.Pow(parse(t, "999999999.5")) },
		} {
			if got, ok := f(d); ok && got.Digits() > 34 {
				t.Errorf("%.12s: %d digits", text, got.Digits())
			}
		}
	}
}
