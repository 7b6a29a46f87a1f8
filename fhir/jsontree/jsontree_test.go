package jsontree_test

import (
	"bytes"
	"compress/bzip2"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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
		{"leading zero behind a minus", `[-01]`, jsontree.Malformed, 1},
		{"minus alone", `[-]`, jsontree.Malformed, 1},
		{"point first", `.5`, jsontree.Malformed, 0},
		{"hexadecimal", `[0x1]`, jsontree.Malformed, 2},
		{"comment", "{}// c", jsontree.Malformed, 2},
		{"single quotes", `{'a':1}`, jsontree.Malformed, 1},
		{"two values", `1 2`, jsontree.Malformed, 2},
		{"NUL behind the value", "{}\x00", jsontree.Malformed, 2},
		{"NUL in a string", "\"a\x00b\"", jsontree.Malformed, 2},
		{"tab in a name", "{\"a\tb\":1}", jsontree.Malformed, 3},
		{"control character behind eight bytes", "\"12345678\x1f\"", jsontree.Malformed, 9},
		{"string that ends in a backslash", `"a\`, jsontree.Malformed, 2},
		{"no-break space", "{\u00a0}", jsontree.Malformed, 1},
		{"form feed as white space", "{\f}", jsontree.Malformed, 1},
		{"missing value", `{"a":}`, jsontree.Malformed, 5},
		{"missing comma", `{"a":1"b":2}`, jsontree.Malformed, 6},
		{"double comma", `[1,,2]`, jsontree.Malformed, 3},
		{"wrong bracket", `[1}`, jsontree.Malformed, 2},
		{"plus", `+1`, jsontree.Malformed, 0},
		{"no digit behind the point", `[1.]`, jsontree.Malformed, 3},
		{"no digit in the exponent", `[1e+]`, jsontree.Malformed, 4},
		{"half a word", `tru`, jsontree.Malformed, 0},
		{"NaN", `NaN`, jsontree.Malformed, 0},
		{"same name", `{"a":1,"a":2}`, jsontree.DuplicateName, 7},
		{"same name escaped", `{"a":1,"\u0061":2}`, jsontree.DuplicateName, 7},
		{"same name escaped first", `{"\u0061":1,"a":2}`, jsontree.DuplicateName, 12},
		{"same name escaped twice", `{"\u0061\n":1,"a\u000a":2}`, jsontree.DuplicateName, 14},
		{"same name as a surrogate pair", `{"😀":1,"\ud83d\ude00":2}`, jsontree.DuplicateName, 10},
		{"same name below", `[{"x":{"a":1,"b":{},"a":2}}]`, jsontree.DuplicateName, 20},
		{"same empty name", `{"":1,"":2}`, jsontree.DuplicateName, 6},
		{"same name among many", many(`"k07"`), jsontree.DuplicateName, 321},
		{"same name escaped among many", many(`"\u006b07"`), jsontree.DuplicateName, 321},
		{"same name as the 24th", many(`"k23"`), jsontree.DuplicateName, 321},
		{"same name as the last", many(`"k39"`), jsontree.DuplicateName, 321},
		{"invalid UTF-8", "\"a\xff\"", jsontree.BadUTF8, 2},
		{"UTF-8 longer than needed", "\"\xc0\xaf\"", jsontree.BadUTF8, 1},
		{"UTF-8 of a surrogate", "\"a\xed\xa0\x80\"", jsontree.BadUTF8, 2},
		{"UTF-8 cut short", "{\"a\":\"\xe2\x82", jsontree.BadUTF8, 6},
		{"UTF-8 beyond U+10FFFF", "\"\xf4\x90\x80\x80\"", jsontree.BadUTF8, 1},
		{"UTF-16", "\xff\xfe{\x00}\x00", jsontree.BadUTF8, 0},
		{"high surrogate in a name", `{"\ud83d":1}`, jsontree.LoneSurrogate, 2},
		{"high surrogate and another escape", `"\ud83d\n"`, jsontree.LoneSurrogate, 1},
		{"high surrogate and a letter", `"\ud83d\u0041"`, jsontree.LoneSurrogate, 1},
		{"high surrogate alone", `"\ud83d"`, jsontree.LoneSurrogate, 1},
		{"low surrogate alone", `"\ude00"`, jsontree.LoneSurrogate, 1},
		{"two high surrogates", `"\ud83d\ud83d"`, jsontree.LoneSurrogate, 1},
		{"too deep", strings.Repeat("[", 101), jsontree.TooDeep, 100},
		{"too deep in objects", strings.Repeat(`{"a":`, 101), jsontree.TooDeep, 500},
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
	e := new(jsontree.SyntaxError)
	if _, err := jsontree.Parse([]byte(`[1,2]`), jsontree.Limits{Bytes: 4}); !errors.As(err, &e) || e.Reason != jsontree.TooLong || e.Offset != 4 {
		t.Errorf("longer than the limit: %v", err)
	}
	if _, err := jsontree.Parse([]byte(`[1,2]`), jsontree.Limits{Bytes: 5}); err != nil {
		t.Errorf("as long as the limit: %v", err)
	}
	if _, err := jsontree.Parse([]byte(strings.Repeat("[", 100)+strings.Repeat("]", 100)), jsontree.Limits{}); err != nil {
		t.Errorf("as deep as the default: %v", err)
	}
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

// Every set of deletions leaves the other members in a document that parses.
func TestDeleteAnyMembers(t *testing.T) {
	for _, text := range []string{`{"a":1,"b":[2,{}],"c":"3","d":null}`, " { \"a\" : 1 ,\n \"b\":[2,{}] , \"c\" : \"3\"\n,\"d\":null } "} {
		root := parse(t, text)
		for set := range 16 {
			doc, err := jsontree.Parse([]byte(text), jsontree.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			e, rest := doc.Edit(), 0
			for i, name := range []string{"a", "b", "c", "d"} {
				if set>>i&1 == 1 {
					e.Delete(doc.Root(), name)
					e.Delete(doc.Root(), name) // again is no change
				} else {
					rest++
				}
			}
			e.Delete(doc.Root(), "no such member")
			got := parse(t, string(e.Bytes()))
			if got.Len() != rest {
				t.Errorf("set %04b of %s left %s", set, text, e.Bytes())
			}
			for name, m := range got.Members() {
				if !jsontree.Equal(m, root.Get(name)) {
					t.Errorf("set %04b of %s changed %s", set, text, name)
				}
			}
		}
	}
}

func TestEditsThatMeet(t *testing.T) {
	tests := []struct {
		name, text, want string
		edit             func(e *jsontree.Edit, root jsontree.Node)
	}{
		{"two members into an empty object", `{ }`, `{"a":1,"b":2 }`, func(e *jsontree.Edit, root jsontree.Node) {
			e.Set(root, "a", []byte("1"), "")
			e.Set(root, "b", []byte("2"), "")
		}},
		{"two items into an empty array", `{"l":[]}`, `{"l":[1,2]}`, func(e *jsontree.Edit, root jsontree.Node) {
			e.Append(root.Get("l"), []byte("1"))
			e.Append(root.Get("l"), []byte("2"))
		}},
		{"two members at the front", `{"z":0}`, `{"a":1,"b":2,"z":0}`, func(e *jsontree.Edit, root jsontree.Node) {
			e.Set(root, "a", []byte("1"), "")
			e.Set(root, "b", []byte("2"), "")
		}},
		{"two members behind one", `{"z":0,"y":0}`, `{"z":0,"a":1,"b":2,"y":0}`, func(e *jsontree.Edit, root jsontree.Node) {
			e.Set(root, "a", []byte("1"), "z")
			e.Set(root, "b", []byte("2"), "z")
		}},
		{"the later replacement counts", `{"a":0}`, `{"a":2}`, func(e *jsontree.Edit, root jsontree.Node) {
			e.Replace(root.Get("a"), []byte("1"))
			e.Replace(root.Get("a"), []byte("2"))
		}},
		{"the outer replacement counts", `{"a":{"b":0}}`, `{"a":2}`, func(e *jsontree.Edit, root jsontree.Node) {
			e.Replace(root.Get("a").Get("b"), []byte("1"))
			e.Replace(root.Get("a"), []byte("2"))
		}},
		{"a deletion and a member behind its neighbour", `{"a":0,"b":1,"c":2}`, `{"a":0,"n":9,"c":2}`, func(e *jsontree.Edit, root jsontree.Node) {
			e.Delete(root, "b")
			e.Set(root, "n", []byte("9"), "a")
		}},
		{"a name that needs escapes", `{}`, `{"\"\n":1}`, func(e *jsontree.Edit, root jsontree.Node) {
			e.Set(root, "\"\n", []byte("1"), "")
		}},
		{"replacing what is absent", `{"a":0}`, `{"a":0}`, func(e *jsontree.Edit, root jsontree.Node) {
			e.Replace(root.Get("b"), []byte("1"))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc, err := jsontree.Parse([]byte(tt.text), jsontree.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			e := doc.Edit()
			tt.edit(e, doc.Root())
			if got := string(e.Bytes()); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			parse(t, string(e.Bytes()))
		})
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
		editsParse(t, doc)
	})
}

// editsParse changes a document in every way and expects it to stay one.
func editsParse(t *testing.T, doc *jsontree.Doc) {
	e, root := doc.Edit(), doc.Root()
	for name, m := range root.Members() {
		switch m.Kind() {
		case jsontree.Object:
			for inner := range m.Members() {
				e.Delete(m, inner)
			}
		case jsontree.Array:
			e.Append(m, []byte("1"))
		case jsontree.Null:
			e.Delete(root, name)
		default:
			e.Set(root, name, []byte(`"x"`), "")
		}
	}
	changed, err := jsontree.Parse(e.Bytes(), jsontree.Limits{Bytes: 1 << 30})
	if err != nil {
		t.Fatalf("%q became %q: %v", doc.Bytes(), e.Bytes(), err)
	}
	for name, m := range changed.Root().Members() {
		if k := m.Kind(); k == jsontree.Null || k == jsontree.Object && m.Len() > 0 || m.Raw() == nil || root.Get(name).Len() == 0 && root.Get(name).Kind() == jsontree.Absent {
			t.Fatalf("%q became %q", doc.Bytes(), e.Bytes())
		}
	}
}

// The members of one object are held against each other in no quadratic time,
// however they are written.
func TestHostileNames(t *testing.T) {
	var b strings.Builder
	b.WriteByte('{')
	for i := range 50_000 {
		fmt.Fprintf(&b, `"\u0061%d":0,`, i)
	}
	root := parse(t, b.String()+`"a":0}`)
	if root.Len() != 50_001 {
		t.Errorf("%d members", root.Len())
	}
}

// expand reads one bzip2 file of ../shared.
func expand(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "..", "shared", "data", "synthea", name))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("skipped: ../shared not found")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(bzip2.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const patient = "057aa36e-b892-9964-75b9-ffb46b097e34.json.bz2" // 3.5 MB, pretty-printed

// Every value of a real document is read as encoding/json reads it.
func TestSyntheaReadsAsEncodingJSON(t *testing.T) {
	src := expand(t, patient)
	root := parse(t, string(src))
	dec := json.NewDecoder(bytes.NewReader(src))
	dec.UseNumber()
	var want any
	if err := dec.Decode(&want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, decode(root)); diff != "" {
		t.Error(diff)
	}
	values := 0
	for range root.Walk() {
		values++
	}
	if values < 10_000 {
		t.Errorf("only %d strings", values)
	}
}

func decode(n jsontree.Node) any {
	switch n.Kind() {
	case jsontree.Object:
		m := map[string]any{}
		for name, v := range n.Members() {
			m[name] = decode(v)
		}
		return m
	case jsontree.Array:
		list := []any{}
		for v := range n.Items() {
			list = append(list, decode(v))
		}
		return list
	case jsontree.Number:
		return json.Number(n.Text())
	case jsontree.String:
		return n.Text()
	case jsontree.True, jsontree.False:
		return n.Kind() == jsontree.True
	}
	return nil
}

func BenchmarkParseSynthea(b *testing.B) {
	src := expand(b, patient)
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := jsontree.Parse(src, jsontree.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
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
