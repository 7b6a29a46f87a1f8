package decimal_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"galen/fhir/decimal"
)

func parse(t testing.TB, text string) decimal.Decimal {
	t.Helper()
	d, err := decimal.Parse(text)
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return d
}

func rat(t testing.TB, d decimal.Decimal) *big.Rat {
	t.Helper()
	r, ok := new(big.Rat).SetString(d.String())
	if !ok {
		t.Fatalf("%q is not a number to math/big", d)
	}
	return r
}

// TestParseKeepsText: R4 datatypes, decimal: "the precision of the decimal
// value has significance" (https://hl7.org/fhir/R4/datatypes.html#decimal).
func TestParseKeepsText(t *testing.T) {
	tests := []struct {
		text           string
		places, digits int
		computed       string // what a value without text prints, by a double negation
	}{
		{"0", 0, 1, "0"},
		{"-0", 0, 1, "0"},
		{"-0.00", 2, 1, "0.00"},
		{"1.00", 2, 3, "1.00"},
		{"0.10", 2, 2, "0.10"},
		{"-7.2", 1, 2, "-7.2"},
		{"1.2E+2", -1, 2, "1.2E+2"},
		{"1e2", -2, 1, "1E+2"},
		{"120", 0, 3, "120"},
		{"1.20e2", 0, 3, "120"},
		{"1e-7", 7, 1, "1E-7"},
		{"0.000001", 6, 1, "0.000001"},
		{"12e-8", 8, 2, "1.2E-7"},
		{"12e-7", 7, 2, "0.0000012"},
		{"123456789012345678", 0, 18, "123456789012345678"},
		{"1234567890123456789.10", 2, 21, "1234567890123456789.10"},
		{"-12345678901234567890123", 0, 23, "-12345678901234567890123"},
		{"0.000000000000000000000000000001", 30, 1, "1E-30"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			d := parse(t, tt.text)
			if d.String() != tt.text || d.Places() != tt.places || d.Digits() != tt.digits {
				t.Errorf("got %q with %d places, %d digits; want %d, %d", d, d.Places(), d.Digits(), tt.places, tt.digits)
			}
			if got := d.Neg().Neg().String(); got != tt.computed {
				t.Errorf("computed text %q, want %q", got, tt.computed)
			}
			text, err := json.Marshal(d)
			if err != nil || !strings.EqualFold(string(text), tt.text) {
				t.Errorf("json: %s, %v", text, err)
			}
			var back decimal.Decimal
			if err := json.Unmarshal(text, &back); err != nil || !back.Equal(d) {
				t.Errorf("json back: %v, %v", back, err)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	long := strings.Repeat("9", decimal.MaxText+1)
	tests := []struct {
		name, text string
		at         int
		want       error
	}{
		{"empty", "", 0, decimal.ErrSyntax},
		{"minus only", "-", 1, decimal.ErrSyntax},
		{"plus", "+1", 0, decimal.ErrSyntax},
		{"leading zero", "01", 1, decimal.ErrSyntax},
		{"no integer part", ".5", 0, decimal.ErrSyntax},
		{"no fraction", "1.", 2, decimal.ErrSyntax},
		{"two points", "1.2.3", 3, decimal.ErrSyntax},
		{"exponent without digits", "1e+", 3, decimal.ErrSyntax},
		{"fraction in exponent", "1e1.5", 3, decimal.ErrSyntax},
		{"not a number", "NaN", 0, decimal.ErrSyntax},
		{"infinity", "Infinity", 0, decimal.ErrSyntax},
		{"space", " 1", 0, decimal.ErrSyntax},
		{"trailing space", "1 ", 1, decimal.ErrSyntax},
		{"hex", "0x10", 1, decimal.ErrSyntax},
		{"underscore", "1_000", 1, decimal.ErrSyntax},
		{"arabic digit", "٣", 0, decimal.ErrSyntax},
		{"NUL", "1\x00", 1, decimal.ErrSyntax},
		{"exponent", "1e10001", 2, decimal.ErrExponent},
		{"negative exponent", "1e-10001", 3, decimal.ErrExponent},
		{"exponent beyond int64", "1e99999999999999999999", 2, decimal.ErrExponent},
		{"too long", long, decimal.MaxText, decimal.ErrTooLong},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := decimal.Parse(tt.text)
			var e *decimal.Error
			if !errors.As(err, &e) || !errors.Is(err, tt.want) || e.At != tt.at {
				t.Fatalf("got %v, want %v at %d", err, tt.want, tt.at)
			}
		})
	}
	for _, text := range []string{long[1:], "1e10000", "-1e-10000", "1e00000000000000000002"} {
		parse(t, text) // exactly at the limits
	}
}

// TestInterval: R4 search, number: the three examples of the table, and the
// same rule elsewhere (https://hl7.org/fhir/R4/search.html#number).
func TestInterval(t *testing.T) {
	tests := []struct{ text, low, high string }{
		{"100", "99.5", "100.5"},
		{"100.00", "99.995", "100.005"},
		{"1e2", "95", "105"},
		{"1.0e2", "95", "105"},
		{"1.2E+2", "115", "125"},
		{"1.20e2", "119.5", "120.5"},
		{"0", "-0.5", "0.5"},
		{"-5.4", "-5.45", "-5.35"},
		{"0.01", "0.005", "0.015"},
		{"1e-2", "0.005", "0.015"},
		{"123456789012345678901", "123456789012345678900.5", "123456789012345678901.5"},
		{"999999999999999999", "999999999999999998.5", "999999999999999999.5"},
	}
	for _, tt := range tests {
		low, high := parse(t, tt.text).Interval()
		if !low.Equal(parse(t, tt.low)) || !high.Equal(parse(t, tt.high)) {
			t.Errorf("%s: [%s, %s), want [%s, %s)", tt.text, low, high, tt.low, tt.high)
		}
	}
}

func TestRounding(t *testing.T) {
	tests := []struct {
		text                         string
		places                       int
		round, truncate, floor, ceil string
	}{
		{"2.5", 0, "3", "2", "2", "3"},
		{"-2.5", 0, "-3", "-2", "-3", "-2"},
		{"1.004", 2, "1.00", "1.00", "1.00", "1.01"},
		{"1.5", 3, "1.5", "1.5", "1.5", "1.5"},
		{"1250", -2, "1.3E+3", "1.2E+3", "1.2E+3", "1.3E+3"},
		{"5", -3, "0E+3", "0E+3", "0E+3", "1E+3"},
		{"-5", -3, "0E+3", "0E+3", "-1E+3", "0E+3"},
		{"0.00", 1, "0.0", "0.0", "0.0", "0.0"},
		{"12345678901234567890.55", 1, "12345678901234567890.6", "12345678901234567890.5", "12345678901234567890.5", "12345678901234567890.6"},
		{"1e-10000", 0, "0", "0", "0", "1"},
	}
	for _, tt := range tests {
		d := parse(t, tt.text)
		got := []string{d.Round(tt.places).String(), d.Truncate(tt.places).String(), d.Floor(tt.places).String(), d.Ceil(tt.places).String()}
		for i, want := range []string{tt.round, tt.truncate, tt.floor, tt.ceil} {
			if got[i] != want {
				t.Errorf("%s to %d places, operation %d: %s, want %s", tt.text, tt.places, i, got[i], want)
			}
		}
	}
	if got := parse(t, "5").Ceil(math.MinInt + 1); got.Sign() <= 0 {
		t.Errorf("ceil far left: %v", got)
	}
}

func TestArithmetic(t *testing.T) {
	tests := []struct{ name, got, want string }{
		{"add keeps places", parse(t, "1.5").Add(parse(t, "0.50")).String(), "2.00"},
		{"0.1+0.2", parse(t, "0.1").Add(parse(t, "0.2")).String(), "0.3"},
		{"sub", parse(t, "1").Sub(parse(t, "0.9")).String(), "0.1"},
		{"mul adds places", parse(t, "1.0").Mul(parse(t, "2.00")).String(), "2.000"},
		{"abs", parse(t, "-1.20").Abs().String(), "1.20"},
		{"add over 18 digits", parse(t, "999999999999999999").Add(decimal.FromInt(1)).String(), "1000000000000000000"},
		{"back under 18 digits", parse(t, "1000000000000000000").Sub(decimal.FromInt(1)).String(), "999999999999999999"},
		{"min int64", decimal.FromInt(math.MinInt64).String(), "-9223372036854775808"},
		{"zero value", decimal.Decimal{}.String(), "0"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, tt.got, tt.want)
		}
	}
}

func TestQuo(t *testing.T) {
	tests := []struct{ a, b, want string }{
		{"1", "4", "0.25"},
		{"6", "2", "3"},
		{"1", "3", "0.3333333333333333333333333333333333"},
		{"-2", "3", "-0.6666666666666666666666666666666667"},
		{"0", "7", "0"},
		{"1e10000", "1e10000", "1"},
	}
	for _, tt := range tests {
		got, ok := parse(t, tt.a).Quo(parse(t, tt.b))
		if !ok || !got.Equal(parse(t, tt.want)) {
			t.Errorf("%s / %s = %s, want %s", tt.a, tt.b, got, tt.want)
		}
	}
	for _, tt := range []struct{ a, b, want string }{
		{"1", "4", "0.25"},
		{"45967", "100", "459.67"},
		{"1.00", "0.5", "2.0"},
		{"6.00", "2", "3.00"},
		{"7", "1e3", "0.007"},
		{"1.0000000000000000000", "0.25", "4.00000000000000000"},
		{"2.50000000000000000000", "4", "0.62500000000000000000"},
	} {
		if got, _ := parse(t, tt.a).Quo(parse(t, tt.b)); got.String() != tt.want {
			t.Errorf("%s / %s = %s, want %s", tt.a, tt.b, got, tt.want)
		}
	}
	if _, ok := parse(t, "1").Quo(parse(t, "0.00")); ok {
		t.Error("division by zero accepted")
	}
}

func TestBoundsHold(t *testing.T) {
	for _, start := range []string{"1e10000", "-1e10000", "1e-10000", "1.000000001", strings.Repeat("7", 900)} {
		d := parse(t, start)
		for range 20 { // squares: 2^20 times the size without bounds
			d = d.Mul(d.Abs())
			if d.Digits() > decimal.MaxDigits || len(d.SortKey()) > decimal.MaxDigits+8 {
				t.Fatalf("%.12s: %d digits", start, d.Digits())
			}
		}
		if d.Sign() < 0 != (start[0] == '-') && !d.IsZero() {
			t.Errorf("%.12s: sign lost", start)
		}
		if _, err := decimal.Parse(d.String()); err != nil && d.Digits() < 900 && !errors.Is(err, decimal.ErrExponent) {
			t.Errorf("%.12s: result is not a number: %v", start, err)
		}
	}
	if got := parse(t, "1e10000").Add(parse(t, "1e-10000")); got.Cmp(parse(t, "1e10000")) != 0 {
		t.Errorf("rounded sum differs from its great part")
	}
}

func TestFloat64(t *testing.T) {
	for text, want := range map[string]float64{
		"0.1": 0.1, "7.2": 7.2, "-1.2E+2": -120, "123456789012345678901": 123456789012345678901,
		"1e400": math.Inf(1), "-1e400": math.Inf(-1), "1e-400": 0, "9007199254740993": 9007199254740992, "5e-324": 5e-324,
	} {
		if got := parse(t, text).Float64(); got != want {
			t.Errorf("%s: %g, want %g", text, got, want)
		}
	}
	for f, want := range map[float64]string{0.1: "0.1", 1e6: "1000000", 1e21: "1e+21", -2.5e-9: "-2.5e-09", 0: "0"} {
		if got, ok := decimal.FromFloat(f); !ok || got.String() != want {
			t.Errorf("FromFloat(%g) = %s, want %s", f, got, want)
		}
	}
	for _, f := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if _, ok := decimal.FromFloat(f); ok {
			t.Errorf("FromFloat(%g) accepted", f)
		}
	}
}

func TestInt64(t *testing.T) {
	tests := []struct {
		text string
		want int64
		ok   bool
	}{
		{"12", 12, true},
		{"12.00", 12, true},
		{"1.2e1", 12, true},
		{"12.5", 0, false},
		{"0e9999", 0, true},
		{"1e18", 1e18, true},
		{"9223372036854775807", math.MaxInt64, true},
		{"-9223372036854775808", math.MinInt64, true},
		{"9223372036854775808", 0, false},
		{"1e19", 0, false},
		{"1e10000", 0, false},
		{"1e-10000", 0, false},
	}
	for _, tt := range tests {
		if got, ok := parse(t, tt.text).Int64(); got != tt.want || ok != tt.ok {
			t.Errorf("%s: %d, %t", tt.text, got, ok)
		}
	}
}

// random returns numbers of many shapes, short ones most often, and often near
// one another so that order and equality are truly tried.
func random(r *rand.Rand) string {
	var b strings.Builder
	if r.IntN(2) == 0 {
		b.WriteByte('-')
	}
	digits := 1 + r.IntN(6)
	if r.IntN(4) == 0 {
		digits = 14 + r.IntN(12)
	}
	b.WriteByte("0123456789"[r.IntN(10)])
	if b.String()[b.Len()-1] != '0' {
		for range r.IntN(digits) {
			b.WriteByte("0019"[r.IntN(4)])
		}
	}
	if r.IntN(2) == 0 {
		b.WriteByte('.')
		for range digits {
			b.WriteByte("0019"[r.IntN(4)])
		}
	}
	switch r.IntN(8) {
	case 0, 1:
		b.WriteString([]string{"e0", "e1", "E-1", "e+2", "e-24", "e-25", "e-26", "e24", "e25", "e26", "e30"}[r.IntN(11)])
	case 2:
		b.WriteString([]string{"e9999", "e-9999", "e10000", "e-10000"}[r.IntN(4)])
	}
	return b.String()
}

var keyShape = regexp.MustCompile(`^(o|[np][0-9A-Za-z]+)$`)

// TestAgainstBig checks order, keys and arithmetic against math/big.
func TestAgainstBig(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		a, b := parse(t, random(r)), parse(t, random(r))
		far := strings.Contains(a.String()+b.String(), "000") && (a.Places() > 5000 || a.Places() < -5000 || b.Places() > 5000 || b.Places() < -5000)
		x, y := rat(t, a), rat(t, b)
		if got, want := a.Cmp(b), x.Cmp(y); got != want {
			t.Fatalf("Cmp(%s, %s) = %d, want %d", a, b, got, want)
		}
		ka, kb := a.SortKey(), b.SortKey()
		if got, want := strings.Compare(ka, kb), x.Cmp(y); got != want {
			t.Fatalf("SortKey(%s)=%q, SortKey(%s)=%q order %d, want %d", a, ka, b, kb, got, want)
		}
		if !keyShape.MatchString(ka) {
			t.Fatalf("SortKey(%s)=%q", a, ka)
		}
		if far {
			continue
		}
		if got, want := rat(t, a.Mul(b)), new(big.Rat).Mul(x, y); got.Cmp(want) != 0 {
			t.Fatalf("%s × %s = %s", a, b, a.Mul(b))
		}
		if a.Places()-b.Places() < 1500 && b.Places()-a.Places() < 1500 {
			if got, want := rat(t, a.Add(b)), new(big.Rat).Add(x, y); got.Cmp(want) != 0 {
				t.Fatalf("%s + %s = %s", a, b, a.Add(b))
			}
			if got, want := rat(t, a.Sub(b)), new(big.Rat).Sub(x, y); got.Cmp(want) != 0 {
				t.Fatalf("%s - %s = %s", a, b, a.Sub(b))
			}
		}
		checkQuo(t, a, b, x, y)
	}
}

// checkQuo wants |q·b - a| ≤ |a| · 10^-33.
func checkQuo(t *testing.T, a, b decimal.Decimal, x, y *big.Rat) {
	t.Helper()
	q, ok := a.Quo(b)
	if ok != (y.Sign() != 0) {
		t.Fatalf("%s / %s: ok %t", a, b, ok)
	}
	if !ok || x.Sign() == 0 {
		return
	}
	off := new(big.Rat).Sub(new(big.Rat).Mul(rat(t, q), y), x)
	limit, _ := new(big.Rat).SetString("1e-33")
	if off.Abs(off).Cmp(limit.Mul(limit, new(big.Rat).Abs(x))) > 0 {
		t.Fatalf("%s / %s = %s", a, b, q)
	}
}

func TestSortKeyShort(t *testing.T) {
	for text, want := range map[string]string{"0": "o", "-0.0": "o", "1": "pU1", "1.00": "pU1", "7.2": "pU72", "120": "pW12", "-1": "nU8z", "-1.2": "nU87z"} {
		if got := parse(t, text).SortKey(); got != want {
			t.Errorf("%s: %q, want %q (a stored index depends on it)", text, got, want)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	a, b := parse(t, "7.20"), parse(t, "0.01")
	if n := testing.AllocsPerRun(100, func() {
		_, _ = decimal.Parse("138.25")
		_ = a.Mul(b).Add(a).Cmp(b)
	}); n != 0 {
		t.Errorf("%v allocations for short numbers, want 0", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"0", "-0.00", "1.2E+2", "1e-10000", "1234567890123456789012.5", "01", "1e", "+1", "0e10000"} {
		f.Add(s)
	}
	grammar := regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)
	f.Fuzz(func(t *testing.T, text string) {
		d, err := decimal.Parse(text)
		if err != nil {
			if grammar.MatchString(text) && errors.Is(err, decimal.ErrSyntax) {
				t.Fatalf("%q refused: %v", text, err)
			}
			return
		}
		if !grammar.MatchString(text) || d.String() != text {
			t.Fatalf("%q accepted as %q", text, d)
		}
		back, err := decimal.Parse(d.Neg().Neg().String())
		if err != nil && !errors.Is(err, decimal.ErrExponent) {
			t.Fatalf("%q: computed text refused: %v", text, err)
		}
		if err == nil && (!back.Equal(d) || back.Places() != d.Places() || back.SortKey() != d.SortKey()) {
			t.Fatalf("%q reads back as %q", text, back)
		}
		low, high := d.Interval()
		if low.Cmp(d) > 0 || high.Cmp(d) <= 0 && d.Digits() < decimal.MaxDigits {
			t.Fatalf("%q outside its interval", text)
		}
		_, _ = d.Int64()
		_ = d.Float64()
		if f, c := d.Floor(0), d.Ceil(0); f.Cmp(d) > 0 || c.Cmp(d) < 0 {
			t.Fatalf("%q: floor %s, ceil %s", text, f, c)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for _, text := range []string{"7.2", "138.25", "12345678901234567890.123"} {
		b.Run(text, func(b *testing.B) {
			for b.Loop() {
				_, _ = decimal.Parse(text)
			}
		})
	}
}

func BenchmarkSortKey(b *testing.B) {
	for _, text := range []string{"7.2", "-138.250", "12345678901234567890.123"} {
		d := parse(b, text)
		b.Run(text, func(b *testing.B) {
			for b.Loop() {
				_ = d.SortKey()
			}
		})
	}
}

func BenchmarkMul(b *testing.B) {
	x, y := parse(b, "90.5"), parse(b, "0.01")
	for b.Loop() {
		_ = x.Mul(y)
	}
}
