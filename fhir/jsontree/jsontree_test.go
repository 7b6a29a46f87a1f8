package jsontree_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"galen/fhir/jsontree"
)

func parse(t testing.TB, text string) jsontree.Node {
	t.Helper()
	doc, err := jsontree.Parse([]byte(text), jsontree.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return doc.Root()
}

// many is an object of more members than are compared pairwise.
func many(last string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := range 40 {
		fmt.Fprintf(&b, `"k%02d":0,`, i)
	}
	return b.String() + last + `:0}`
}

// RFC 8259, and what RFC 7493 (I-JSON) asks beyond it: unique names and whole
// surrogate pairs.
func TestRefusalsWithTheirOffset(t *testing.T) {
	tests := []struct {
		name, text string
		reason     jsontree.Reason
		offset     int
	}{
		{"nothing", ``, jsontree.Malformed, 0},
		{"byte order mark", "\uFEFF{}", jsontree.Malformed, 0},
		{"trailing data", `{} {}`, jsontree.Malformed, 3},
		{"open object", `{"a":1`, jsontree.Malformed, 6},
		{"open array", `[1`, jsontree.Malformed, 2},
		{"trailing comma", `[1,]`, jsontree.Malformed, 3},
		{"no colon", `{"a" 1}`, jsontree.Malformed, 5},
		{"name that is no string", `{1:2}`, jsontree.Malformed, 1},
		{"open string", `"a`, jsontree.Malformed, 2},
		{"control character", "\"a\nb\"", jsontree.Malformed, 2},
		{"unknown escape", `"\x"`, jsontree.Malformed, 1},
		{"short escape", `"\u12"`, jsontree.Malformed, 1},
		{"leading zero", `01`, jsontree.Malformed, 0},
		{"plus", `+1`, jsontree.Malformed, 0},
		{"no digit behind the point", `[1.]`, jsontree.Malformed, 3},
		{"no digit in the exponent", `[1e+]`, jsontree.Malformed, 4},
		{"half a word", `tru`, jsontree.Malformed, 0},
		{"NaN", `NaN`, jsontree.Malformed, 0},
		{"same name", `{"a":1,"a":2}`, jsontree.DuplicateName, 7},
		{"same name escaped", `{"a":1,"\u0061":2}`, jsontree.DuplicateName, 7},
		{"same name among many", many(`"k07"`), jsontree.DuplicateName, 321},
		{"invalid UTF-8", "\"a\xff\"", jsontree.BadUTF8, 2},
		{"high surrogate alone", `"\ud83d"`, jsontree.LoneSurrogate, 1},
		{"low surrogate alone", `"\ude00"`, jsontree.LoneSurrogate, 1},
		{"two high surrogates", `"\ud83d\ud83d"`, jsontree.LoneSurrogate, 1},
		{"too deep", strings.Repeat("[", 101), jsontree.TooDeep, 100},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := jsontree.Parse([]byte(tt.text), jsontree.Limits{})
			var e *jsontree.SyntaxError
			if !errors.As(err, &e) {
				t.Fatalf("accepted: %v", err)
			}
			if e.Reason != tt.reason || e.Offset != tt.offset {
				t.Errorf("reason %d at %d, want %d at %d", e.Reason, e.Offset, tt.reason, tt.offset)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	if _, err := jsontree.Parse([]byte(`[[1]]`), jsontree.Limits{Depth: 2}); err != nil {
		t.Error(err)
	}
	if _, err := jsontree.Parse([]byte(`[[[1]]]`), jsontree.Limits{Depth: 2}); err == nil {
		t.Error("deeper than the limit")
	}
	if _, err := jsontree.Parse([]byte(`[1,2]`), jsontree.Limits{Bytes: 4}); err == nil {
		t.Error("longer than the limit")
	}
	e := new(jsontree.SyntaxError)
	if _, err := jsontree.Parse([]byte("{\n \"a\": x}"), jsontree.Limits{}); !errors.As(err, &e) || e.Line != 2 || e.Column != 7 {
		t.Errorf("line %d, column %d", e.Line, e.Column)
	}
}

func TestReading(t *testing.T) {
	root := parse(t, `{"s":"a\n\"\u00e9\ud83d\ude00\/","n":1.50,"t":true,"z":null,"a":[1,[2],{}],"o":{"x":{"y":"z"}}}`)
	for name, pair := range map[string][2]string{
		"escapes":      {root.Get("s").Text(), "a\n\"é😀/"},
		"number":       {root.Get("n").Text(), "1.50"},
		"true":         {root.Get("t").Text(), "true"},
		"null":         {root.Get("z").Text(), ""},
		"path":         {root.Get("o").Get("x").Get("y").Text(), "z"},
		"absent path":  {root.Get("q").Get("x").Item(3).Text(), ""},
		"item":         {root.Get("a").Item(1).Item(0).Text(), "2"},
		"raw":          {string(root.Get("a").Raw()), "[1,[2],{}]"},
		"no such item": {root.Get("a").Item(3).Text(), ""},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %q, want %q", name, pair[0], pair[1])
		}
	}
	if root.Len() != 6 || root.Get("a").Len() != 3 || root.Get("s").Len() != 0 {
		t.Errorf("lengths %d %d", root.Len(), root.Get("a").Len())
	}
	if root.Get("z").Kind() != jsontree.Null || root.Get("q").Kind() != jsontree.Absent || root.Get("q").Exists() {
		t.Error("null and absent are two things")
	}
	var strs []string
	for n := range root.Walk() {
		strs = append(strs, n.Text())
	}
	if len(strs) != 2 {
		t.Errorf("strings %q", strs)
	}
}

func TestEqual(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{`{"a":1,"b":[true]}`, `{ "b" : [ true ], "a":1 }`, true},
		{`"\u0061"`, `"a"`, true},
		{`1.0`, `1.00`, false},
		{`[1,2]`, `[2,1]`, false},
		{`[1]`, `[1,2]`, false},
		{`{"a":1}`, `{"a":1,"b":2}`, false},
		{`null`, `false`, false},
	} {
		if got := jsontree.Equal(parse(t, tt.a), parse(t, tt.b)); got != tt.want {
			t.Errorf("%s and %s: %t", tt.a, tt.b, got)
		}
	}
}

func TestEditLeavesOtherBytesAlone(t *testing.T) {
	const text = "{ \"a\" : 1.00 ,\n \"o\":{\"x\":1},\"l\":[ 1 ],\"e\":[], \"z\":0 }"
	doc, err := jsontree.Parse([]byte(text), jsontree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	root := doc.Root()
	e := doc.Edit()
	e.Replace(root.Get("a"), []byte("2"))
	e.Set(root.Get("o"), "x", []byte("3"), "")
	e.Set(root.Get("o"), "y", []byte("4"), "x")
	e.Set(root, "first", []byte("5"), "none")
	e.Append(root.Get("l"), []byte("6"))
	e.Append(root.Get("e"), []byte("7"))
	e.Delete(root, "z")
	want := "{\"first\":5, \"a\" : 2 ,\n \"o\":{\"x\":3,\"y\":4},\"l\":[ 1 ,6],\"e\":[7] }"
	if got := string(e.Bytes()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if string(doc.Bytes()) != text {
		t.Error("the document itself changed")
	}
	for text, want := range map[string]string{`{"a":1}`: `{}`, `{"a":1,"b":2}`: `{"b":2}`, `{"b":2 , "a":1}`: `{"b":2}`} {
		doc, err := jsontree.Parse([]byte(text), jsontree.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		e := doc.Edit()
		e.Delete(doc.Root(), "a")
		if got := strings.ReplaceAll(string(e.Bytes()), " ", ""); got != want {
			t.Errorf("%s without a: %s", text, got)
		}
	}
}

func TestAppendStringIsReadBack(t *testing.T) {
	for _, s := range []string{"", "plain", "é😀", "\"\\\n\r\t\x00\x1f", "a/b<script>", "\u2028"} {
		text := jsontree.AppendString(nil, s)
		if got := parse(t, string(text)).Text(); got != s {
			t.Errorf("%q became %q by %s", s, got, text)
		}
	}
	if got := string(jsontree.AppendString(nil, "a\xffb")); got != "\"a\uFFFDb\"" {
		t.Errorf("bytes that are no UTF-8: %q", got)
	}
}

// What encoding/json accepts, this parser accepts, but for duplicate names,
// lone surrogates, invalid UTF-8 and depth; what it refuses, this one refuses.
func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e-3,"x\u00e9",null,true]}`, `[]`, `"\ud83d\ude00"`, `{"a":{"b":{}}}`, many(`"x"`)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		doc, err := jsontree.Parse(b, jsontree.Limits{})
		var e *jsontree.SyntaxError
		switch {
		case err == nil && !json.Valid(b):
			t.Fatalf("accepted what is not JSON: %q", b)
		case errors.As(err, &e) && e.Reason == jsontree.Malformed && json.Valid(b):
			t.Fatalf("refused JSON: %q: %v", b, err)
		}
		if err != nil {
			return
		}
		for n := range doc.Root().Walk() {
			var want string
			if json.Unmarshal(n.Raw(), &want) != nil || want != n.Text() {
				t.Fatalf("%q read as %q", n.Raw(), n.Text())
			}
		}
		if !bytes.Equal(doc.Edit().Bytes(), b) {
			t.Fatal("an empty edit changed something")
		}
	})
}

var observation = `{"resourceType":"Observation","id":"f001","meta":{"versionId":"1","lastUpdated":"2026-11-24T08:00:00.000Z"},"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory","display":"Laboratory"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"2339-0","display":"Glucose [Mass/volume] in Blood"}],"text":"Glucose"},"subject":{"reference":"Patient/8b0bcf6c-8b0b-4b0b-8b0b-8b0b8b0b8b0b"},"encounter":{"reference":"Encounter/c5c9dbe6-4370-55b5-f14f-3374b173753e"},"effectiveDateTime":"2026-11-23T08:00:00+01:00","issued":"2026-11-23T08:00:00.123+01:00","valueQuantity":{"value":95.47,"unit":"mg/dL","system":"http://unitsofmeasure.org","code":"mg/dL"}}`

func BenchmarkParse(b *testing.B) {
	for name, text := range map[string]string{
		"observation": observation,
		"bundle":      `{"entry":[` + strings.Repeat(observation+",", 999) + observation + `]}`,
	} {
		b.Run(name, func(b *testing.B) {
			src := []byte(text)
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := jsontree.Parse(src, jsontree.Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
