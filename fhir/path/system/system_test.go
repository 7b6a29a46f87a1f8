package system_test

import (
	"testing"

	"galen/fhir/decimal"
	"galen/fhir/path/system"
	"galen/fhir/ucum"
)

func temporal(t testing.TB, text string) system.Temporal {
	t.Helper()
	kind := system.DateTime
	if text[0] == 'T' {
		kind, text = system.Time, text[1:]
	}
	v, ok := system.Parse(kind, text)
	if !ok {
		t.Fatalf("%s is no date or time", text)
	}
	return v
}

// TestCompareTemporal: N1, 6.2, a comparison ends uncertain where one side's
// precision does.
func TestCompareTemporal(t *testing.T) {
	tests := []struct {
		a, b string
		want system.Order
	}{
		{"2018", "2019", system.Less},
		{"2018", "2018", system.Equal},
		{"2018", "2018-03", system.Uncertain},
		{"2018-04", "2018-03-31", system.Greater},
		{"2018-03-01T10", "2018-03-01T10:30", system.Uncertain},
		{"2018-03-01T10:30:00", "2018-03-01T10:30:00.000", system.Equal},
		{"2018-03-01T10:30:00", "2018-03-01T10:30:00.001", system.Less},
		{"2018-03-01T00:30:00+01:00", "2018-02-28T23:30:00Z", system.Equal},
		{"2018-03-01T00:30:00+01:00", "2018-03-01", system.Uncertain},
		{"2018-03-01T12:00:00Z", "2018-03-01T10:00:00", system.Uncertain},
		{"2018-03-03T12:00:00Z", "2018-03-01T10:00:00", system.Greater},
		{"2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z", system.Equal},
		{"T10:30", "T10:30:00", system.Uncertain},
		{"T10:30", "T11", system.Less},
		{"T10:30", "2018", system.Incomparable},
	}
	opposite := map[system.Order]system.Order{system.Less: system.Greater, system.Greater: system.Less}
	for _, tt := range tests {
		a, b := temporal(t, tt.a), temporal(t, tt.b)
		if got := system.CompareTemporal(a, b); got != tt.want {
			t.Errorf("%s against %s: %d, want %d", tt.a, tt.b, got, tt.want)
		}
		back := tt.want
		if o, ok := opposite[back]; ok {
			back = o
		}
		if got := system.CompareTemporal(b, a); got != back {
			t.Errorf("%s against %s: %d, want %d", tt.b, tt.a, got, back)
		}
	}
}

// TestAdd: N1, 6.6.7 and 6.6.8, date and time arithmetic.
func TestAdd(t *testing.T) {
	tests := []struct{ value, duration, want string }{
		{"2020-02-29", "1 year", "2021-02-28"},
		{"2020-01-31", "1 month", "2020-02-29"},
		{"2020-03-31", "-1 month", "2020-02-29"},
		{"2020-01-15", "-13 months", "2018-12-15"},
		{"2014", "24 months", "2016"},
		{"2014", "25 months", "2016"},
		{"2014", "730 days", "2016"},
		{"2019-03", "31 days", "2019-04"},
		{"2019-03-01", "24 hours", "2019-03-02"},
		{"2019-03-01", "23 hours", "2019-03-01"},
		{"2019-03-01", "2 weeks", "2019-03-15"},
		{"2019-03-01", "1.9 days", "2019-03-02"},
		{"2019-03-01T10:30:00Z", "1.5 seconds", "2019-03-01T10:30:01.500Z"},
		{"2019-03-01T10:30:00.250Z", "-250 milliseconds", "2019-03-01T10:30:00.000Z"},
		{"2019-03-01T23:59+10:00", "1 minute", "2019-03-02T00:00+10:00"},
		{"T23:30", "1 hour", "T00:30"},
		{"T23:30", "1 day", ""},
		{"9999-12-31", "1 day", ""},
		{"0001-01-01", "-1 day", ""},
		{"2019-01-01", "99999999999999999999 years", ""},
		{"2019-01-01T00:00:00Z", "999999999999 hours", ""},
		{"2019-01-01", "1 'a'", ""},
		{"2019-01-01", "1 'cm'", ""},
		{"2019-01-01", "1 'wk'", "2019-01-08"},
	}
	for _, tt := range tests {
		q, ok := system.ParseQuantity(tt.duration)
		if !ok {
			t.Fatalf("%s is no quantity", tt.duration)
		}
		got := ""
		v := temporal(t, tt.value)
		if unit, weeks, ok := q.Duration(); ok {
			if moved, ok := v.Add(q.Value, unit, weeks); ok {
				got = moved.String()
				if moved.Kind() == system.Time {
					got = "T" + got
				}
			}
		}
		if got != tt.want {
			t.Errorf("%s + %s = %q, want %q", tt.value, tt.duration, got, tt.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, kind := range map[string]system.Kind{
		"0000": system.Date, "2015-13": system.Date, "2015-02-29": system.Date, "2015-2": system.Date, "15": system.Date, "2015-01-01T": system.Date,
		"2015-01T10": system.DateTime, "2015-01-01T24": system.DateTime, "2015-01-01T10:60": system.DateTime, "2015-01-01T10:00:00.": system.DateTime,
		"2015-01-01T10:00:00+15:00": system.DateTime, "2015-01-01T10:00+1": system.DateTime, "": system.Time, "10:": system.Time, "10:00Z": system.Time,
	} {
		if v, ok := system.Parse(kind, text); ok {
			t.Errorf("%q accepted as %s", text, v)
		}
	}
}

// TestQuantities: N1, 2.3 (calendar durations) and 6.1 (equality by UCUM).
func TestQuantities(t *testing.T) {
	units, err := ucum.Load()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		a, b       string
		order      system.Order
		equivalent bool
	}{
		{"1 year", "12 months", system.Equal, true},
		{"1 year", "1 'a'", system.Uncertain, true},
		{"1 month", "1 'mo'", system.Uncertain, true},
		{"1 year", "365 days", system.Uncertain, true},
		{"1 day", "24 'h'", system.Equal, true},
		{"1 'a'", "365.25 'd'", system.Equal, true},
		{"1 second", "1 's'", system.Equal, true},
		{"1 'g'", "999 'mg'", system.Greater, true},
		{"1.000 'g'", "999 'mg'", system.Greater, true},
		{"1.111 'g'", "1110 'mg'", system.Greater, true},
		{"37 'Cel'", "310.15 'K'", system.Equal, true},
		{"1 'g'", "1 'cm'", system.Incomparable, false},
		{"1 'lots'", "1 'g'", system.Uncertain, false},
		{"1 'lots'", "2 'lots'", system.Less, false},
		{"1", "1 '1'", system.Equal, true},
	}
	for _, tt := range tests {
		a, okA := system.ParseQuantity(tt.a)
		b, okB := system.ParseQuantity(tt.b)
		if !okA || !okB {
			t.Fatalf("%s or %s is no quantity", tt.a, tt.b)
		}
		if got := system.CompareQuantity(a, b, units); got != tt.order {
			t.Errorf("%s against %s: %d, want %d", tt.a, tt.b, got, tt.order)
		}
		if got := system.EquivalentQuantity(a, b, units); got != tt.equivalent {
			t.Errorf("%s ~ %s: %t", tt.a, tt.b, got)
		}
	}
	sums := []struct{ a, b, want string }{
		{"1 'g'", "1 'mg'", "1.001 'g'"}, {"1.0 day", "6 'h'", "1.25 day"}, {"1 year", "1 month", "13 month"}, {"1 'g'", "1 'cm'", ""}, {"2 days", "3 days", "5 days"},
	}
	for _, tt := range sums {
		a, _ := system.ParseQuantity(tt.a)
		b, _ := system.ParseQuantity(tt.b)
		got := ""
		if sum, ok := system.AddQuantity(a, b, units); ok {
			got = sum.String()
		}
		if got != tt.want {
			t.Errorf("%s + %s = %s, want %s", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestParseDecimal(t *testing.T) {
	for text, want := range map[string]string{"1": "1", "+1.50": "1.50", "-007.10": "-7.10", "0.0": "0.0", "000": "0", "1e3": "", "": "", "-": "", ".5": "", "1.": ""} {
		d, ok := system.ParseDecimal(text)
		if ok != (want != "") || ok && d.String() != want {
			t.Errorf("%q: %s, %t", text, d, ok)
		}
	}
	one, tenth := decimal.FromInt(1), decimal.FromInt(10)
	if q, fits := system.Divide(one, tenth, nil); !fits || q.(decimal.Decimal).String() != "0.1" {
		t.Errorf("1 / 10 = %v", q)
	}
}

func FuzzParseTemporal(f *testing.F) {
	for _, s := range []string{"2015-02-04T14:34:28.123+10:00", "2015", "2015-02T", "14:34", "0001-01-01"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range []system.Kind{system.Date, system.DateTime, system.Time} {
			v, ok := system.Parse(kind, text)
			if !ok {
				continue
			}
			again, ok := system.Parse(kind, v.String())
			if !ok || system.CompareTemporal(v, again) != system.Equal && v.Precision() == again.Precision() {
				t.Fatalf("%q printed as %q", text, v)
			}
			for _, last := range []bool{false, true} {
				if b, ok := v.Boundary(last, 0); ok && b.String() == "" {
					t.Fatalf("%q has an empty boundary", text)
				}
			}
		}
	})
}
