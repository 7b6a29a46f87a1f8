package patch

import (
	"os"
	"strings"
	"testing"

	"galen/fhir"
	"galen/fhir/jsontree"
)

func mustParse(t testing.TB, text string) jsontree.Node {
	t.Helper()
	doc, err := jsontree.Parse([]byte(text), jsontree.Limits{})
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return doc.Root()
}

// patched applies a JSON Patch to a document that need not be a resource.
func patched(t testing.TB, doc, text string) (string, error) {
	t.Helper()
	p, err := readJSON([]byte(text))
	if err != nil {
		return "", err
	}
	out, err := p.(jsonPatch).apply(t.Context(), mustParse(t, doc))
	return string(out), err
}

func TestJSONPatch(t *testing.T) {
	const doc = `{"a":1.00,"b":["x",1.2E+2,{"c":null}],"m~n":{"/":"\u00e9"}}`
	cases := []struct {
		name, patch, want string
		kind              fhir.Kind // of the error if want is ""
	}{
		{"RFC 6902 4.1: add a member", `[{"op":"add","path":"/d","value":0.10}]`, `{"a":1.00,"b":["x",1.2E+2,{"c":null}],"m~n":{"/":"\u00e9"},"d":0.10}`, 0},
		{"RFC 6902 4.1: add replaces a member that is there", `[{"op":"add","path":"/a","value":{"z":[]}}]`, `{"a":{"z":[]},"b":["x",1.2E+2,{"c":null}],"m~n":{"/":"\u00e9"}}`, 0},
		{"RFC 6902 4.1: add before an item", `[{"op":"add","path":"/b/0","value":true}]`, `{"a":1.00,"b":[true,"x",1.2E+2,{"c":null}],"m~n":{"/":"\u00e9"}}`, 0},
		{"RFC 6902 4.1: add at the end", `[{"op":"add","path":"/b/-","value":true}]`, `{"a":1.00,"b":["x",1.2E+2,{"c":null},true],"m~n":{"/":"\u00e9"}}`, 0},
		{"RFC 6902 4.1: index equal to the length", `[{"op":"add","path":"/b/3","value":true}]`, `{"a":1.00,"b":["x",1.2E+2,{"c":null},true],"m~n":{"/":"\u00e9"}}`, 0},
		{"RFC 6902 4.1: index beyond the end", `[{"op":"add","path":"/b/4","value":true}]`, "", fhir.Unprocessable},
		{"RFC 6902 4.1: the whole document", `[{"op":"add","path":"","value":{"z":1}}]`, `{"z":1}`, 0},
		{"RFC 6902 4.1: no objects are made on the way", `[{"op":"add","path":"/x/y","value":1}]`, "", fhir.Unprocessable},
		{"RFC 6902 4.2: remove", `[{"op":"remove","path":"/b/1"},{"op":"remove","path":"/a"}]`, `{"b":["x",{"c":null}],"m~n":{"/":"\u00e9"}}`, 0},
		{"RFC 6902 4.2: nothing to remove", `[{"op":"remove","path":"/x"}]`, "", fhir.Unprocessable},
		{"RFC 6902 4.2: no item to remove", `[{"op":"remove","path":"/b/-"}]`, "", fhir.Unprocessable},
		{"RFC 6902 4.3: replace needs a target", `[{"op":"replace","path":"/x","value":1}]`, "", fhir.Unprocessable},
		{"RFC 6902 4.3: replace an item", `[{"op":"replace","path":"/b/2/c","value":3}]`, `{"a":1.00,"b":["x",1.2E+2,{"c":3}],"m~n":{"/":"\u00e9"}}`, 0},
		{"RFC 6902 4.4: move", `[{"op":"move","from":"/b/0","path":"/z"}]`, `{"a":1.00,"b":[1.2E+2,{"c":null}],"m~n":{"/":"\u00e9"},"z":"x"}`, 0},
		{"RFC 6902 4.4: move to itself", `[{"op":"move","from":"/b/0","path":"/b/0"}]`, doc, 0},
		{"RFC 6902 4.4: not into itself", `[{"op":"move","from":"/b","path":"/b/0"}]`, "", fhir.Invalid},
		{"RFC 6902 4.5: copy shares nothing", `[{"op":"copy","from":"/b/2","path":"/z"},{"op":"add","path":"/z/c","value":9}]`, `{"a":1.00,"b":["x",1.2E+2,{"c":null}],"m~n":{"/":"\u00e9"},"z":{"c":9}}`, 0},
		{"RFC 6902 4.5: copy of what was changed", `[{"op":"add","path":"/b/2/c","value":9},{"op":"copy","from":"/b","path":"/z"},{"op":"remove","path":"/b/2/c"}]`, `{"a":1.00,"b":["x",1.2E+2,{}],"m~n":{"/":"\u00e9"},"z":["x",1.2E+2,{"c":9}]}`, 0},
		{"RFC 6902 4.6: numbers by value", `[{"op":"test","path":"/a","value":1},{"op":"test","path":"/b/1","value":120}]`, doc, 0},
		{"RFC 6902 4.6: no number is a string", `[{"op":"test","path":"/a","value":"1.00"}]`, "", fhir.Unprocessable},
		{"RFC 6902 4.6: members in any order", `[{"op":"add","path":"/q","value":{"x":1,"y":2}},{"op":"test","path":"/q","value":{"y":2,"x":1.0}},{"op":"remove","path":"/q"}]`, doc, 0},
		{"RFC 6902 4.6: escapes do not count", `[{"op":"test","path":"/m~0n/~1","value":"é"}]`, doc, 0},
		{"RFC 6902 4.6: nothing is not null", `[{"op":"test","path":"/zz","value":null}]`, "", fhir.Unprocessable},
		{"RFC 6902 4.6: null", `[{"op":"test","path":"/b/2/c","value":null}]`, doc, 0},
		{"RFC 6902 4.6: after a change", `[{"op":"add","path":"/b/-","value":1},{"op":"test","path":"/b","value":["x",120,{"c":null},1]},{"op":"remove","path":"/b/3"}]`, doc, 0},
		{"RFC 6902 5: an error leaves nothing", `[{"op":"remove","path":"/a"},{"op":"test","path":"/a","value":1}]`, "", fhir.Unprocessable},
		{"RFC 6901 4: no leading zero", `[{"op":"remove","path":"/b/01"}]`, "", fhir.Unprocessable},
		{"RFC 6901 4: no sign", `[{"op":"remove","path":"/b/+1"}]`, "", fhir.Unprocessable},
		{"RFC 6901 3: pointer without a slash", `[{"op":"remove","path":"a"}]`, "", fhir.Invalid},
		{"RFC 6901 3: bad escape", `[{"op":"remove","path":"/a~2"}]`, "", fhir.Invalid},
		{"RFC 6901 3: half an escape", `[{"op":"remove","path":"/a~"}]`, "", fhir.Invalid},
		{"into a scalar", `[{"op":"add","path":"/a/b","value":1}]`, "", fhir.Unprocessable},
		{"unknown op", `[{"op":"merge","path":"/a","value":1}]`, "", fhir.Invalid},
		{"no op", `[{"path":"/a","value":1}]`, "", fhir.Invalid},
		{"no path", `[{"op":"remove"}]`, "", fhir.Invalid},
		{"no value", `[{"op":"add","path":"/a"}]`, "", fhir.Required},
		{"no from", `[{"op":"move","path":"/a"}]`, "", fhir.Required},
		{"no array", `{"op":"add"}`, "", fhir.Invalid},
		{"no JSON", `[`, "", fhir.Malformed},
		{"an operation that is no object", `["add"]`, "", fhir.Invalid},
		{"no operations", `[]`, doc, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := patched(t, doc, c.patch)
			if got != c.want || (err != nil) != (c.want == "") {
				t.Fatalf("got %s, %v\nwant %s", got, err, c.want)
			}
			if err != nil && fhir.KindOf(err) != c.kind {
				t.Errorf("Kind %v, want %v: %v", fhir.KindOf(err), c.kind, err)
			}
		})
	}
}

func TestJSONPatchIsBounded(t *testing.T) {
	if _, err := patched(t, `{}`, "["+strings.Repeat(`{"op":"remove","path":"/a"},`, maxOperations)+`{"op":"remove","path":"/a"}]`); fhir.KindOf(err) != fhir.TooLong {
		t.Errorf("too many operations: %v", err)
	}
	doubling := `{"op":"copy","from":"/a","path":"/a/-"}`
	bomb := "[" + strings.Repeat(doubling+",", 40) + doubling + "]"
	if _, err := patched(t, `{"a":["0123456789"]}`, bomb); fhir.KindOf(err) != fhir.TooLong {
		t.Errorf("a copy that doubles the document 41 times: %v", err)
	}
}

// excludedJSON are cases of the official suite that do not pass, with why.
var excludedJSON = map[string]string{}

// The suite of https://github.com/json-patch/json-patch-tests that FHIR uses.
func TestOfficialJSONPatchSuite(t *testing.T) {
	text, err := os.ReadFile("../../../shared/data/patch/json-patch-tests.json")
	if err != nil {
		t.Skip("skipped: ../shared not found")
	}
	n := 0
	for c := range mustParse(t, string(text)).Items() {
		n++
		name := c.Get("comment").Text()
		t.Run(name, func(t *testing.T) {
			got, err := patched(t, string(c.Get("doc").Raw()), string(c.Get("patch").Raw()))
			want := c.Get("expected")
			passed := (err != nil) == !want.Exists() && (err != nil || jsontree.Equal(mustParse(t, got), want))
			if why, excluded := excludedJSON[name]; excluded == passed {
				t.Errorf("passed: %v, excluded: %q; got %s, %v", passed, why, got, err)
			}
		})
	}
	if n < 15 {
		t.Errorf("only %d cases", n)
	}
}

func FuzzJSONPatch(f *testing.F) {
	f.Add(`{"a":[1,{"b":"c"}]}`, `[{"op":"move","from":"/a/0","path":"/a/1/b"}]`)
	f.Add(`[]`, `[{"op":"add","path":"/-","value":{}},{"op":"copy","from":"","path":"/0/x"},{"op":"test","path":"/0","value":1}]`)
	f.Add(`{"a":1.00}`, `[{"op":"replace","path":"","value":[]},{"op":"remove","path":""}]`)
	f.Fuzz(func(t *testing.T, doc, text string) {
		if _, err := jsontree.Parse([]byte(doc), jsontree.Limits{}); err != nil {
			return
		}
		out, err := patched(t, doc, text)
		if err != nil {
			if k := fhir.KindOf(err); k == fhir.Internal || k.Status() >= 500 {
				t.Errorf("Kind %v: %v", k, err)
			}
			return
		}
		if _, err := jsontree.Parse([]byte(out), jsontree.Limits{Depth: 10_000}); err != nil {
			t.Errorf("the result is no JSON: %v in %q", err, out)
		}
	})
}

func BenchmarkJSONPatch(b *testing.B) {
	var doc strings.Builder
	doc.WriteString(`{"resourceType":"Bundle","type":"collection","entry":[`)
	for i := range 500 {
		if i > 0 {
			doc.WriteByte(',')
		}
		doc.WriteString(`{"resource":{"resourceType":"Observation","status":"final","valueQuantity":{"value":1.00,"unit":"mg"}}}`)
	}
	doc.WriteString(`]}`)
	r, err := fhir.Parse([]byte(doc.String()), jsontree.Limits{})
	if err != nil {
		b.Fatal(err)
	}
	p, err := readJSON([]byte(`[{"op":"test","path":"/entry/499/resource/status","value":"final"},{"op":"replace","path":"/entry/250/resource/status","value":"amended"}]`))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(doc.Len()))
	for b.Loop() {
		if _, err := p.Apply(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}
