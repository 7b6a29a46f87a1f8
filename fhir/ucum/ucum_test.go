package ucum_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"galen/fhir/decimal"
	"galen/fhir/ucum"
)

func load(t testing.TB) *ucum.Table {
	t.Helper()
	table, err := ucum.Load()
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func number(t testing.TB, text string) decimal.Decimal {
	t.Helper()
	d, err := decimal.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// near reports whether the values agree to digits significant digits.
func near(a, b decimal.Decimal, digits int) bool {
	limit, _ := decimal.Parse(fmt.Sprintf("1e-%d", digits))
	return a.Sub(b).Abs().Cmp(b.Abs().Mul(limit)) <= 0
}

// TestConvertClinical: conversions of everyday laboratory and vital-sign units;
// the text is compared, so exactness shows.
func TestConvertClinical(t *testing.T) {
	table := load(t)
	tests := []struct{ value, from, to, want string }{
		{"1", "g", "mg", "1000"},
		{"1000", "mg", "g", "1.000"},
		{"90", "mg/dL", "g/L", "0.90"},
		{"88.4", "umol/L", "mmol/L", "0.0884"},
		{"154", "[lb_av]", "kg", "69.85322498"},
		{"70", "[in_i]", "cm", "177.80"},
		{"5", "[ft_i]", "cm", "152.40"},
		{"98.6", "[degF]", "Cel", "37.00"},
		{"37", "Cel", "[degF]", "98.60"},
		{"-40", "Cel", "[degF]", "-40.00"},
		{"37.0", "Cel", "K", "310.15"},
		{"80", "[degRe]", "Cel", "100.00"},
		{"120", "mm[Hg]", "kPa", "15.9986400"},
		{"72", "/min", "1/min", "72"},
		{"72", "{beats}/min", "/min", "72"},
		{"60", "/min", "Hz", "1"},
		{"6.5", "%", "1", "0.065"},
		{"7.2", "10*3/uL", "10*9/L", "7.2"},
		{"7.2", "K/W", "K.W-1", "7.2"},
		{"250", "10*9/L", "/nL", "250"},
		{"75", "mL/min/{1.73_m2}", "mL/min", "75"},
		{"3.6", "L/h", "mL/min", "60"},
		{"30", "mg/g", "1", "0.030"},
		{"30", "mg/g{creat}", "ug/mg", "30"},
		{"140", "meq/L", "mmol/L", "140"},
		{"2.5", "m[iU]/L", "u[IU]/mL", "2.5"},
		{"24.9", "kg/m2", "g/cm2", "2.49"},
		{"1", "[gal_us]", "L", "3.785411784"},
		{"1", "a", "d", "365.25"},
		{"2", "wk", "h", "336"},
		{"1", "kcal_th", "J", "4184"},
		{"1", "U/L", "nkat/L", "16.66666666666666666666666666666667"},
		{"3", "KiBy", "By", "3072"},
		{"1", "[c].s", "km", "299792.458"},
		{"1.0", "cm", "cm", "1.0"},
	}
	for _, tt := range tests {
		t.Run(tt.value+" "+tt.from+" to "+tt.to, func(t *testing.T) {
			got, err := table.Convert(number(t, tt.value), tt.from, tt.to)
			if err != nil {
				t.Fatal(err)
			}
			if want := number(t, tt.want); !got.Equal(want) {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// TestConvertSpecial: UCUM §21-22, the scales that are not ratios.
func TestConvertSpecial(t *testing.T) {
	table := load(t)
	tests := []struct {
		value, from, to, want string
		digits                int
	}{
		{"7.4", "[pH]", "nmol/L", "39.81071705534972507702523050877520", 30},
		{"100", "nmol/L", "[pH]", "7", 30},
		{"20", "dB", "B", "2", 34},
		{"3", "B", "1", "1000", 30},
		{"1", "Np", "1", "2.718281828459045235360287471352662", 30},
		{"1", "Np", "dB", "4.342944819032518276511289189166051", 30},
		{"60", "dB[SPL]", "Pa", "0.02", 30},
		{"0", "B[V]", "V", "1", 30},
		{"2", "B[V]", "V", "10", 30},
		{"3", "B[W]", "W", "1000", 30},
		{"2", "B[10.nV]", "nV", "100", 30},
		{"8", "bit_s", "1", "256", 30},
		{"2", "[hp'_X]", "1", "0.01", 30},
		{"2", "[hp'_C]", "1", "0.0001", 30},
		{"1", "[hp'_M]", "1", "0.001", 30},
		{"1", "[hp'_Q]", "1", "0.00002", 30},
		{"100", "%[slope]", "deg", "45", 14},
		{"100", "[p'diop]", "deg", "45", 14},
		{"45", "deg", "[p'diop]", "100", 14},
		{"3", "[m/s2/Hz^(1/2)]", "m2/s3", "9", 34},
		{"9", "m2/s3", "[m/s2/Hz^(1/2)]", "3", 34},
		{"38500", "mCel", "[degF]", "101.3", 34},
		{"3.85", "10.Cel", "Cel", "38.5", 34},
	}
	for _, tt := range tests {
		t.Run(tt.value+" "+tt.from+" to "+tt.to, func(t *testing.T) {
			got, err := table.Convert(number(t, tt.value), tt.from, tt.to)
			if err != nil {
				t.Fatal(err)
			}
			if want := number(t, tt.want); !near(got, want, tt.digits) {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
	for _, tt := range []struct{ value, from, to string }{{"0", "mol/L", "[pH]"}, {"-1", "Pa", "B[SPL]"}, {"1e9", "[pH]", "mol/L"}, {"-1", "m2/s3", "[m/s2/Hz^(1/2)]"}, {"1", "m", "0.m"}} {
		if got, err := table.Convert(number(t, tt.value), tt.from, tt.to); !errors.Is(err, ucum.ErrDomain) {
			t.Errorf("%s %s to %s: %v, %v", tt.value, tt.from, tt.to, got, err)
		}
	}
}

// TestFunctionalValidation holds facts of the UCUM functional tests of
// 11 October 2018, section validation: every case said to be invalid, and the
// valid ones that differ in form.
func TestFunctionalValidation(t *testing.T) {
	table := load(t)
	invalid := []string{
		"m/", "10+3/ul", "rad2{錠}", "{a}rad2{b}", "{|}1", "iU", "molv", "[BETH'U]",
		"[iIU]", "[iIU]/d", "m[iIU]/L", "u[iIU]/mL", "g/12h", "g/4h", "mL/10h", "U/1h", "mmol/5h",
		"mmol/kg[H20]", "cm[H20]", "ug(8.h)", "ug(8hr)",
		"", // 1-103: "strictly, not a valid unit expression"
	}
	for _, code := range invalid {
		if u, err := table.Parse(code); err == nil {
			t.Errorf("%q: accepted as %s", code, u.Base())
		}
	}
	valid := strings.Fields(`m /m 10*3/ul 10*-3/ul 10*+3/ul m[H2O] 10*23 rad2 m3.kg-1.s-2 4.[pi].10*-7.N/A2
		rad2{a} {a}.rad2{b} 1{c} {e} % dB[10.nV] [cup_us] [sft_i] 1/d meq mm[Hg] mmol/l mo mU wk [mi_us] deg
		/[HPF] /mmol [APL'U] [GPL'U] [IU] [IU]/mL 10*12/L Cel fL L/L m[IU]/L nmol/h/mL umol/2.h u[IU]/mL
		[arb'U] dyn.s/(cm5.m2) [bdsk'U] {bsa} kg{body_wt} cal cm[H2O].s/L mmol/(8.h.kg) [drp] dB[SPL] [ka'U]
		REM kcal/(8.h) g.m/m2{hb} osm/kg g.m/{hb} pH [ppb] [pptr] [in_us] [todd'U] [in_i'Hg] mL/{hb}.m2 /{tot}
		10*3{rbc} 10.L/(min.m2) bar ueq Bq Gy nkat lm eV Ohm.m mosm/L kg/(s.m2) mbar.s/L 10*6/mm3 pt ks a/m t Wb`)
	for _, code := range valid {
		if _, err := table.Parse(code); err != nil {
			t.Errorf("%q: %v", code, err)
		}
	}
}

// TestFunctionalConversion holds the facts of the sections conversion and
// multiplication, to the digits the tests give; the values with pi are given
// there to the precision of its digits.
func TestFunctionalConversion(t *testing.T) {
	table := load(t)
	tests := []struct{ id, value, from, to, want string }{
		{"3-101", "6.3", "m", "m", "6.3"},
		{"3-102", "6.3", "mm", "m", "0.0063"},
		{"3-103", "6.3", "mm", "cm", "0.63"},
		{"3-104", "6.3", "s.m-1", "s/m", "6.3"},
		{"3-105", "6.3", "s.mm-1", "s.m-1", "6300"},
		{"3-106", "6.3", "s.mm-2", "s.m-2", "6300000"},
		{"3-108", "6.3", "s/m/g", "s.m-1.g-1", "6.3"},
		{"3-109", "6.3", "ms/m/g", "s.m-1.g-1", "0.0063"},
		{"3-110", "6.3", "s/mm/g", "s.m-1.g-1", "6300"},
		{"3-111", "6.3", "s/m/mg", "s.m-1.g-1", "6300"},
		{"3-111a", "6.3", "s/m.mg", "s.m-1.g", "0.0063"},
		{"3-112", "6.3", "ms/m", "s/m", "0.0063"},
		{"3-114", "6.30", "4.s/m", "s/m", "25.2"},
		{"3-115", "6.3", "s/4/m", "s/m", "1.575"}, // "1.6" there, to two digits
		{"3-116", "6.3", "s/mm", "s/m", "6300"},
		{"3-117", "6.3", "ms/mm", "s/m", "6.3"},
		{"3-118", "6.30", "[in_i]", "m", "0.16002"}, // "0.160" there
		{"3-119", "6.300", "[in_i]", "cm", "16.002"},
		{"3-120", "6.3", "g.m.s-2.A-2", "g.m.C-2", "6.3"},
		{"3-121", "1", "10*-7.s", "s", "1e-7"},
		{"3-122", "1", "4.[pi].10*-7.s", "s", "0.00000125663706143591729538506"},
		{"3-123", "1", "4.[pi].10*-7.N", "N", "0.00000125663706143591729538506"},
		{"3-124", "1", "[mu_0]", "g.m.C-2", "0.00125663706143591729538506"},
		{"3-125", "1", "m[Hg]", "g.s-2.m-1", "133322000"},
		{"3-126", "1", "S", "g-1.m-2.C2.s", "0.001"},
		{"3-127", "1", "[ly]", "cm", "946073047258080000"},
		{"3-128", "1", "1/[ly]", "cm-1", "1.05700083402461546370946e-18"},
		{"3-129", "1.2", "g.m", "m.g", "1.2"},
		{"4-101", "3.0", "(g).(m)", "g.m", "3.0"},
		{"4-102", "3.0", "(m).(g)", "g.m", "3.0"},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			got, err := table.Convert(number(t, tt.value), tt.from, tt.to)
			if err != nil {
				t.Fatal(err)
			}
			if want := number(t, tt.want); !near(got, want, 23) {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// TestName: the section displayNameGeneration; names are of UCUM 2.2.
func TestName(t *testing.T) {
	table := load(t)
	for code, want := range map[string]string{
		"m":                  "(meter)",
		"mm":                 "(millimeter)",
		"m[H2O]":             "(meter of water column)",
		"10*23":              "(the number ten for arbitrary powers ^ 23)",
		"rad2":               "(radian ^ 2)",
		"m3.kg-1.s-2":        "(meter ^ 3) * (kilogram ^ -1) * (second ^ -2)",
		"4.[pi].10*-7.N/A2":  "4 * (the number pi) * (the number ten for arbitrary powers ^ -7) * (newton) / (ampère ^ 2)",
		"Pa":                 "(pascal)",
		"/min":               "1 / (minute)",
		"{beats}/min":        "{beats} / (minute)",
		"g{creat}/(24.h)":    "(gram){creat} / (24 * (hour))",
		"mL/min/{1.73_m2}":   "(milliliter) / (minute) / {1.73_m2}",
		"10*3/uL":            "(the number ten for arbitrary powers ^ 3) / (microliter)",
		"[IU]/L":             "(international unit) / (liter)",
		"m[Hg]":              "(meter of mercury column)",
		"[m/s2/Hz^(1/2)]":    "(meter per square seconds per square root of hertz)",
		"U/(10.g){feces}":    "(Unit) / (10 * (gram)){feces}",
		"10*+3":              "(the number ten for arbitrary powers ^ 3)",
		"m0":                 "(meter ^ 0)",
		"B[10.nV].10":        "(bel 10 nanovolt) * 10",
		"((m))":              "(((meter)))",
		"dyn.s/(cm.m2)":      "(dyne) * (second) / ((centimeter) * (meter ^ 2))",
		"10.uN.s/(cm5.m2)":   "10 * (micronewton) * (second) / ((centimeter ^ 5) * (meter ^ 2))",
		"{Ehrlich'U}/100.g":  "{Ehrlich'U} / 100 * (gram)",
		"[in_i'H2O]":         "(inch of water column)",
		"[car_Au]":           "(carat of gold alloys)",
		"[APL'U]/mL":         "(APL unit) / (milliliter)",
		"umol/L{RBCs}":       "(micromole) / (liter){RBCs}",
		"kat/kg":             "(katal) / (kilogram)",
		"ng/10*6{RBCs}":      "(nanogram) / (the number ten for arbitrary powers ^ 6){RBCs}",
		"mol/kg/s":           "(mole) / (kilogram) / (second)",
		"daL/min/m2":         "(dekaliter) / (minute) / (meter ^ 2)",
		"GiBy":               "(gibibyte)",
		"1":                  "1",
		"{titer}":            "{titer}",
		"10.L/(min.m2){bsa}": "10 * (liter) / ((minute) * (meter ^ 2)){bsa}",
	} {
		u, err := table.Parse(code)
		if err != nil {
			t.Errorf("%s: %v", code, err)
		} else if u.Name() != want || u.Code() != code {
			t.Errorf("%s: %q, want %q", code, u.Name(), want)
		}
	}
}

func TestCanonical(t *testing.T) {
	table := load(t)
	tests := []struct{ value, code, want, unit string }{
		{"1", "mg", "0.001", "g"},
		{"1.00", "kg", "1000", "g"},
		{"90", "mg/dL", "900", "g.m-3"},
		{"1", "mmol/L", "602214076000000000000000", "m-3"},
		{"1", "10*9/L", "1e12", "m-3"},
		{"120", "mm[Hg]", "15998640", "g.m-1.s-2"},
		{"37", "Cel", "310.15", "K"},
		{"6.5", "%", "0.065", "1"},
		{"2", "k[IU]/L", "2000000", "[iU].m-3"},
		{"5", "{score}", "5", "1"},
		{"1", "m.s/m", "1", "s"},
		{"3", "0.m", "0", "m"},
	}
	for _, tt := range tests {
		value, unit, err := table.Canonical(number(t, tt.value), tt.code)
		if err != nil || !value.Equal(number(t, tt.want)) || unit != tt.unit {
			t.Errorf("%s %s: %s %s, %v; want %s %s", tt.value, tt.code, value, unit, err, tt.want, tt.unit)
		}
	}
	if _, _, err := table.Canonical(number(t, "1"), "furlong"); !errors.Is(err, ucum.ErrUnknown) {
		t.Errorf("unknown unit: %v", err)
	}
}

func TestCommensurable(t *testing.T) {
	table := load(t)
	tests := []struct {
		a, b string
		want bool
	}{
		{"mg/dL", "mmol/L", false}, // needs the analyte's molar mass
		{"mg/dL", "g/L", true},
		{"Cel", "K", true},
		{"[iU]", "[IU]", true},
		{"[iU]", "U", false},
		{"[iU]", "1", false}, // UCUM §24: arbitrary units are commensurable with no other
		{"[iU]", "[arb'U]", false},
		{"[iU]/mL", "[iU]", false},
		{"[iU]/[iU]", "1", true},
		{"meq/L", "mmol/L", true},
		{"%", "mg/g", true},
		{"furlong", "m", false},
		{"m", "furlong", false},
		{"[pH]", "mmol/L", true},
	}
	for _, tt := range tests {
		if got := table.Commensurable(tt.a, tt.b); got != tt.want || table.Commensurable(tt.b, tt.a) != tt.want {
			t.Errorf("%s, %s: %t", tt.a, tt.b, got)
		}
	}
	if _, err := table.Convert(number(t, "1"), "mg/dL", "mmol/L"); !errors.Is(err, ucum.ErrIncommensurable) {
		t.Errorf("mass to substance: %v", err)
	}
}

func TestUnitKinds(t *testing.T) {
	table := load(t)
	for code, want := range map[string][2]bool{"Cel": {true, false}, "[iU]/L": {false, true}, "mg": {false, false}, "dB[SPL]": {true, false}} {
		u, err := table.Parse(code)
		if err != nil || u.Special() != want[0] || u.Arbitrary() != want[1] {
			t.Errorf("%s: special %t, arbitrary %t, %v", code, u.Special(), u.Arbitrary(), err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	table := load(t)
	deep := func(n int) string { return strings.Repeat("(", n) + "m" + strings.Repeat(")", n) }
	tests := []struct {
		name, code string
		at         int
		want       error
	}{
		{"empty", "", 0, ucum.ErrSyntax},
		{"space", "mg dL", 2, ucum.ErrSyntax},
		{"space after", "mg ", 2, ucum.ErrSyntax},
		{"operator last", "mg/", 3, ucum.ErrSyntax},
		{"operator twice", "mg//L", 3, ucum.ErrSyntax},
		{"operator first", ".m", 0, ucum.ErrSyntax},
		{"open parenthesis", "mg/(L", 5, ucum.ErrSyntax},
		{"closing parenthesis", "mg)", 2, ucum.ErrSyntax},
		{"empty parenthesis", "()", 1, ucum.ErrSyntax},
		{"slash in parenthesis", "(/m)", 1, ucum.ErrSyntax},
		{"open annotation", "mg{a", 4, ucum.ErrSyntax},
		{"nested annotation", "mg{a{b}}", 4, ucum.ErrSyntax},
		{"space in annotation", "{a b}", 2, ucum.ErrSyntax},
		{"brace", "mg}", 2, ucum.ErrSyntax},
		{"open bracket", "mm[Hg", 2, ucum.ErrSyntax},
		{"NUL", "m\x00", 1, ucum.ErrSyntax},
		{"number then unit", "2m", 0, ucum.ErrUnknown},
		{"decimal number", "1.5.m", -1, nil}, // 1 times 5 times m, as the grammar has it
		{"case", "KG", 0, ucum.ErrUnknown},
		{"prefix on a unit not metric", "k[lb_av]", 0, ucum.ErrUnknown},
		{"prefix twice", "kkg", 0, ucum.ErrUnknown},
		{"prefix alone", "k", 0, ucum.ErrUnknown},
		{"sign without digits", "m-", 0, ucum.ErrUnknown},
		{"unit later", "mg/furlong", 3, ucum.ErrUnknown},
		{"division by zero", "m/0", 1, ucum.ErrSyntax},
		{"special squared", "Cel2", 3, ucum.ErrSpecial},
		{"special divided", "Cel/m", 3, ucum.ErrSpecial},
		{"divided by special", "m/Cel", 1, ucum.ErrSpecial},
		{"special times special", "Cel.[pH]", 3, ucum.ErrSpecial},
		{"exponent", "m100", 1, ucum.ErrLimit},
		{"exponent beyond int", "m-99999999999999999999", 1, ucum.ErrLimit},
		{"at the exponent limit", "m-99", -1, nil},
		{"magnitude of a power", "Ym.Ym99", 5, ucum.ErrLimit},
		{"magnitude of a product", strings.Repeat("10*99.", 9) + "10*99", 53, ucum.ErrLimit},
		{"exponents together", "m60.m40", 3, ucum.ErrLimit},
		{"depth", deep(ucum.MaxDepth + 1), ucum.MaxDepth, ucum.ErrLimit},
		{"at the depth limit", deep(ucum.MaxDepth), -1, nil},
		{"length", "{" + strings.Repeat("a", ucum.MaxCode-1) + "}", ucum.MaxCode, ucum.ErrLimit},
		{"at the length limit", "{" + strings.Repeat("a", ucum.MaxCode-2) + "}", -1, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := table.Parse(tt.code)
			if tt.want == nil {
				if err != nil || !table.Valid(tt.code) {
					t.Fatal(err)
				}
				return
			}
			var e *ucum.Error
			if !errors.As(err, &e) || !errors.Is(err, tt.want) || e.At != tt.at || e.Code != tt.code || table.Valid(tt.code) {
				t.Fatalf("got %v, want %v at %d", err, tt.want, tt.at)
			}
			if tt.code != "" && len(tt.code) > 3 && strings.Contains(err.Error(), tt.code) {
				t.Errorf("the text %q holds the code", err)
			}
		})
	}
}

var common = []string{
	"g", "mg", "ug", "kg", "[lb_av]", "[oz_av]", "m", "cm", "[in_i]", "[ft_i]", "L", "mL", "dL", "uL", "[gal_us]",
	"mg/dL", "g/L", "ug/mL", "ng/mL", "mmol/L", "umol/L", "meq/L", "osm/L", "10*3/uL", "10*9/L", "/uL", "%", "1", "mg/g", "[ppm]",
	"mm[Hg]", "kPa", "cm[H2O]", "[psi]", "/min", "Hz", "h", "d", "a", "mo", "min", "mL/min", "L/h", "U/L", "nkat/L", "ukat/mL",
	"[iU]/L", "m[IU]/mL", "kg/m2", "g/cm2", "deg", "rad", "gon", "Cel", "[degF]", "K", "[degRe]", "J", "kcal", "[Btu]", "eV",
}

// TestRoundTrip: b's worth of a, back in a, is what it was; to 30 digits where
// the factor does not terminate.
func TestRoundTrip(t *testing.T) {
	table := load(t)
	r := rand.New(rand.NewPCG(3, 4))
	tried := 0
	for _, a := range common {
		for _, b := range common {
			if ab, ba := table.Commensurable(a, b), table.Commensurable(b, a); ab != ba {
				t.Fatalf("%s, %s: %t one way, %t the other", a, b, ab, ba)
			} else if !ab {
				continue
			}
			tried++
			v := number(t, fmt.Sprintf("%d.%02d", 1+r.IntN(900), r.IntN(100)))
			there, err := table.Convert(v, a, b)
			if err != nil {
				t.Fatal(err)
			}
			back, err := table.Convert(there, b, a)
			if err != nil || !near(back, v, 29) {
				t.Errorf("%s %s = %s %s = %s, %v", v, a, there, b, back, err)
			}
			x, xu, _ := table.Canonical(v, a)
			y, yu, _ := table.Canonical(there, b)
			if xu != yu || !near(x, y, 29) {
				t.Errorf("%s %s is %s %s, but through %s %s %s", v, a, x, xu, b, y, yu)
			}
		}
	}
	if tried < 250 {
		t.Errorf("only %d pairs", tried)
	}
}

func TestCanonicalIdempotent(t *testing.T) {
	table := load(t)
	for _, code := range common {
		value, unit, err := table.Canonical(number(t, "4.2"), code)
		if err != nil {
			t.Fatal(err)
		}
		again, same, err := table.Canonical(value, unit)
		if err != nil || same != unit || again.String() != value.String() {
			t.Errorf("%s: %s %s, then %s %s, %v", code, value, unit, again, same, err)
		}
	}
}

// TestConcurrent is for the race detector; it also fills the caches past their
// bound, after which answers are the same.
func TestConcurrent(t *testing.T) {
	table := load(t)
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 2_000 {
				code := fmt.Sprintf("%d.mg{%d}", i, worker)
				if got, err := table.Convert(decimal.FromInt(1000), code, "g"); err != nil || !got.Equal(decimal.FromInt(int64(i))) {
					t.Errorf("%s: %s, %v", code, got, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func FuzzParse(f *testing.F) {
	for _, s := range append([]string{"", "m/", "(m", "{a}rad", "10*-7", "B[10.nV]", "[m/s2/Hz^(1/2)]", "m/0", "Cel2", "0.Cel", "Ym99.Ym-99"}, common...) {
		f.Add(s)
	}
	table := load(f)
	v := decimal.FromInt(2)
	f.Fuzz(func(t *testing.T, code string) {
		u, err := table.Parse(code)
		if err != nil {
			var e *ucum.Error
			if !errors.As(err, &e) || e.At < 0 || e.At > len(code) {
				t.Fatalf("%q: %v", code, err)
			}
			return
		}
		value, unit, err := table.Canonical(v, code)
		if err != nil && !errors.Is(err, ucum.ErrDomain) {
			t.Fatalf("%q: valid, and %v", code, err)
		}
		if err == nil {
			if unit != u.Base() {
				t.Fatalf("%q: base %q and %q", code, u.Base(), unit)
			}
			again, same, err := table.Canonical(value, unit)
			if err == nil && (same != unit || !again.Equal(value)) {
				t.Fatalf("%q: %s %s, then %s %s", code, value, unit, again, same)
			}
			if err != nil && !errors.Is(err, ucum.ErrLimit) { // only a canonical text over MaxCode
				t.Fatalf("%q: canonical %q: %v", code, unit, err)
			}
		}
		if !table.Commensurable(code, code) {
			t.Fatalf("%q is not commensurable with itself", code)
		}
	})
}

func BenchmarkConvert(b *testing.B) {
	table := load(b)
	for _, p := range [][3]string{
		{"138.5", "mg/dL", "g/L"},
		{"88.4", "umol/L", "mmol/L"},
		{"154", "[lb_av]", "kg"},
		{"98.6", "[degF]", "Cel"},
		{"100.2", "[degF]", "Cel"},
		{"35", "U/L", "nkat/L"},
	} {
		v := number(b, p[0])
		b.Run(p[0]+" "+p[1]+"→"+p[2], func(b *testing.B) {
			for b.Loop() {
				if _, err := table.Convert(v, p[1], p[2]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCanonical(b *testing.B) {
	table, v := load(b), number(b, "138.5")
	for _, code := range []string{"mg/dL", "mmol/L", "Cel", "mm[Hg]"} {
		b.Run(code, func(b *testing.B) {
			for b.Loop() {
				if _, _, err := table.Canonical(v, code); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		load(b)
	}
}
