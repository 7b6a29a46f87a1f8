package spec

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestValidPrimitive: one row for each sentence of
// https://hl7.org/fhir/R4/datatypes.html#primitive that decides a value.
func TestValidPrimitive(t *testing.T) {
	for _, c := range []struct {
		typ      string
		good, no []string
	}{
		{"boolean", []string{"true", "false"}, []string{"", "True", "1"}},
		{"integer", []string{"0", "-0", "7", "-7", "2147483647", "-2147483648"}, []string{"", "-", "+1", "01", "-01", "2147483648", "-2147483649", "1.0", "1e2", "99999999999", "１"}},
		{"unsignedInt", []string{"0", "2147483647"}, []string{"-0", "-1", "2147483648", "00"}},
		{"positiveInt", []string{"1", "2147483647"}, []string{"0", "-1", "2147483648", "01"}},
		{"decimal", []string{"0", "-0", "1.00", "0.10", "1.2E+2", "-1e-7", "123456789012345678.5"}, []string{"", "-", ".5", "1.", "01", "+1", "1e", "1e+", "1.e2", "NaN", "1,5", "1 "}},
		{"string", []string{"a", " ", "Müller", "\x00", "a\nb\tc\rd", "a\fb", "𝄞"}, []string{""}},
		{"markdown", []string{"# a\n\nb"}, []string{""}},
		{"xhtml", []string{"<div/>"}, []string{""}},
		{"id", []string{"a", "A-1.b", strings.Repeat("x", 64)}, []string{"", strings.Repeat("x", 65), "a_b", "a/b", "é"}},
		{"code", []string{"a", "a b", "a-b c"}, []string{"", " a", "a ", "a  b", "a\tb", "a\nb", " "}},
		{"uri", []string{"http://a/b", "urn:a", "#x", "Patient/1"}, []string{"", "a b", "a\n", "a\x00"}},
		{"url", []string{"mailto:a@b"}, []string{"", "a b"}},
		{"canonical", []string{"http://a/b|1.0#c"}, []string{"", "a b"}},
		{"oid", []string{"urn:oid:1.2.3.4.5", "urn:oid:2.0"}, []string{"urn:oid:3.1", "urn:oid:1", "urn:oid:1.", "urn:oid:1.02", "1.2.3", "urn:oid:12.3", "urn:oid:"}},
		{"uuid", []string{"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"}, []string{"urn:uuid:C757873D-EC9A-4326-A141-556F43239520", "c757873d-ec9a-4326-a141-556f43239520", "urn:uuid:c757873d0ec9a-4326-a141-556f43239520", "urn:uuid:c757873d-ec9a-4326-a141-556f4323952"}},
		{"base64Binary", []string{"YQ==", "YWI=", "YWJj", "YWJj\nYWJj", " YWJj "}, []string{"", "YQ", "YQ=", "Y===", "====", "YQ==YWJj", "YW\nJj", "YWJ-", " "}},
		{"date", []string{"2018", "1973-06", "1905-08-23", "2020-02-29", "2000-02-29", "0001-01-01"}, []string{"", "18", "0000", "2018-00", "2018-13", "2018-1", "2018-01-00", "2018-01-32", "2020-02-30", "2019-02-29", "1900-02-29", "2021-04-31", "2018-", "2018-01-", "2018-01-01T", "2018-01-01T00:00:00Z", "20180101"}},
		{"dateTime", []string{"2018", "1973-06", "1905-08-23", "2015-02-07T13:28:17-05:00", "2017-01-01T00:00:00.000Z", "2016-12-31T23:59:60Z", "2017-01-01T00:00:00+14:00"}, []string{"", "2017-01-01T00:00:00", "2017-01-01T00:00Z", "2017-01T00:00:00Z", "2017-01-01T24:00:00Z", "2017-01-01T00:60:00Z", "2017-01-01T00:00:61Z", "2017-01-01T00:00:00.Z", "2017-01-01T00:00:00+14:01", "2017-01-01T00:00:00+15:00", "2017-01-01T00:00:00+1400", "2017-01-01 00:00:00Z", "2017-02-29T00:00:00Z", "2017-01-01T", "2017-01-01T00:00:00ZZ", "2017-01-01t00:00:00z"}},
		{"instant", []string{"2015-02-07T13:28:17.239+02:00", "2017-01-01T00:00:00Z"}, []string{"", "2017", "2017-01", "2017-01-01", "2017-01-01T00:00:00", "2017-02-30T00:00:00Z"}},
		{"time", []string{"00:00:00", "23:59:60", "12:30:00.5"}, []string{"", "24:00:00", "12:30", "12:30:00Z", "12:60:00", "1:30:00", "12:30:00."}},
		{"HumanName", nil, []string{"a"}},
		{"", nil, []string{"a"}},
	} {
		for _, text := range c.good {
			if !ValidPrimitive(c.typ, text) {
				t.Errorf("%s %q is refused", c.typ, text)
			}
		}
		for _, text := range c.no {
			if ValidPrimitive(c.typ, text) {
				t.Errorf("%s %q is taken", c.typ, text)
			}
		}
	}
	long := strings.Repeat("é", maxString)
	if !ValidPrimitive("string", long) || ValidPrimitive("string", long+"é") || ValidPrimitive("markdown", long+"x") {
		t.Error("strings end at 1024*1024 characters")
	}
}

// stricter says why the prose refuses a text that the official expression
// takes; "" if it does not.
func stricter(typeCode, text string) string {
	switch typeCode {
	case "date", "dateTime", "instant":
		return "the day must exist" // the only other thing the expression leaves open
	case "integer", "unsignedInt", "positiveInt":
		if len(strings.TrimPrefix(text, "-")) >= 10 {
			return "32 bits"
		}
	case "uri", "url", "canonical":
		if text == "" {
			return "a value is not empty (json.html)"
		}
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return "RFC 3986 has no control characters"
		}
	case "code":
		if strings.ContainsAny(text, "\t\n\v\f\r") {
			return "no white space other than single spaces"
		}
	case "base64Binary":
		if strings.Contains(text, "=") {
			return "padding is only at the end (RFC 4648)"
		}
	}
	return ""
}

// wider says why a text is taken that the official expression refuses.
func wider(typeCode, text string) string {
	if (typeCode == "string" || typeCode == "markdown") && strings.Contains(text, "\f") {
		return `\S of XML Schema, which FHIR's expressions follow, holds a form feed; Go's does not`
	}
	return ""
}

// compare holds one text against the official expression of its type.
func compare(t *testing.T, typ *Type, text string) (valid, official bool) {
	t.Helper()
	valid, official = ValidPrimitive(typ.Name, text), typ.Pattern.MatchString(text)
	if valid && !official && wider(typ.Name, text) == "" {
		t.Errorf("%s: %q is taken, against %s", typ.Name, text, typ.Pattern)
	}
	if official && !valid && stricter(typ.Name, text) == "" {
		t.Errorf("%s: %q is refused, against %s", typ.Name, text, typ.Pattern)
	}
	return valid, official
}

func patterns(t testing.TB) []*Type {
	t.Helper()
	var list []*Type
	d := load(t)
	for _, name := range strings.Fields("base64Binary boolean canonical code date dateTime decimal id instant integer markdown oid positiveInt string time unsignedInt uri url uuid") {
		typ, ok := d.Type(name)
		if !ok || typ.Pattern == nil {
			t.Fatalf("%s has no pattern", name)
		}
		list = append(list, typ)
	}
	return list
}

// seeds are values of every primitive type, to be changed a little.
var seeds = strings.Split("true|0|-12|2147483647|1.50|1.2E+2|abc|a b|x-1.y|http://a.b/c?d=e|urn:oid:1.2.840.0|urn:uuid:c757873d-ec9a-4326-a141-556f43239520|"+
	"YWJj|YWI= YWJj|YQ==|2020|2020-02|2020-02-29|2019-12-31T23:59:60.25+13:59|2020-01-01T00:00:00Z|12:30:00|23:59:59.999", "|")

// TestOfficialPatterns: 15,000 values near valid ones, against the official
// regular expressions of all types.
func TestOfficialPatterns(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 1))
	const letters = "0123456789 -+.:TZeE=/\t\n\fab_é9"
	types, agreed := patterns(t), 0
	runes := []rune(letters)
	for range 15_000 {
		text := []rune(seeds[r.IntN(len(seeds))])
		for range r.IntN(3) {
			at := r.IntN(len(text) + 1)
			switch c := runes[r.IntN(len(runes))]; {
			case r.IntN(3) == 0:
				text = append(text[:at:at], append([]rune{c}, text[at:]...)...)
			case at == len(text):
			case r.IntN(2) == 0:
				text = append(text[:at:at], text[at+1:]...)
			default:
				text[at] = c
			}
		}
		for _, typ := range types {
			if valid, official := compare(t, typ, string(text)); valid && official {
				agreed++
			}
		}
		if t.Failed() {
			return
		}
	}
	if agreed < 15_000 {
		t.Errorf("only %d values were valid; the test shows little", agreed)
	}
}

// TestCalendar: the days of four centuries exist or not as in the calendar, and
// the official expression, which knows no calendar, takes them all.
func TestCalendar(t *testing.T) {
	typ, _ := load(t).Type("date")
	lengths := [...]int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}
	for year := 1800; year <= 2200; year++ {
		leap := year%4 == 0 && year%100 != 0 || year%400 == 0
		for month := 1; month <= 12; month++ {
			last := lengths[month-1]
			if month == 2 && leap {
				last++
			}
			for day := 28; day <= 31; day++ {
				text := string([]byte{
					byte('0' + year/1000), byte('0' + year/100%10), byte('0' + year/10%10), byte('0' + year%10), '-',
					byte('0' + month/10), byte('0' + month%10), '-', byte('0' + day/10), byte('0' + day%10),
				})
				if ValidPrimitive("date", text) != (day <= last) || !typ.Pattern.MatchString(text) {
					t.Fatalf("%s is judged wrongly", text)
				}
			}
		}
	}
}

func FuzzValidPrimitive(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	types := patterns(f)
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ToValidUTF8(text, "") != text {
			return // the JSON parser refuses it before
		}
		for _, typ := range types {
			compare(t, typ, text)
		}
	})
}

func BenchmarkValidPrimitive(b *testing.B) {
	for _, c := range [][2]string{{"dateTime", "2015-02-07T13:28:17-05:00"}, {"code", "final"}, {"decimal", "6.30"}, {"id", "f001"}} {
		b.Run(c[0], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !ValidPrimitive(c[0], c[1]) {
					b.Fatal("refused")
				}
			}
		})
	}
}
