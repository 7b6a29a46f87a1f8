package index

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/search"
	"galen/fhir/spec"
	"galen/fhir/ucum"
)

const shared = "../../../../shared/data/"

func indexer(tb testing.TB) (*Indexer, *spec.Definitions, *path.Engine) {
	tb.Helper()
	defs, err := spec.Load()
	if err != nil {
		tb.Fatal(err)
	}
	units, err := ucum.Load()
	if err != nil {
		tb.Fatal(err)
	}
	engine := path.New(defs, units)
	x, err := New(defs, engine, units, Options{Base: "https://galen.test/fhir/"})
	if err != nil {
		tb.Fatal(err)
	}
	return x, defs, engine
}

func parse(tb testing.TB, b []byte) fhir.Resource {
	tb.Helper()
	r, err := fhir.Parse(b, jsontree.Limits{})
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// examples are the official examples, skipped where they are not.
func examples(tb testing.TB) []fhir.Resource {
	tb.Helper()
	f, err := os.Open(shared + "r4-examples-half.tar.gz")
	if err != nil {
		tb.Skip("skipped: ../shared not found")
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	var list []fhir.Resource
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			tb.Fatal(err)
		}
		if !strings.HasSuffix(h.Name, ".json") {
			continue
		}
		b, err := io.ReadAll(t)
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, parse(tb, b))
	}
}

// synthea are the resources of the Synthea bundles, at most files of them.
func synthea(tb testing.TB, files int) []fhir.Resource {
	tb.Helper()
	names, err := filepath.Glob(shared + "synthea/*.json.bz2")
	if err != nil || len(names) == 0 {
		tb.Skip("skipped: ../shared not found")
	}
	var list []fhir.Resource
	for _, name := range names[:min(files, len(names))] {
		f, err := os.Open(name)
		if err != nil {
			tb.Fatal(err)
		}
		b, err := io.ReadAll(bzip2.NewReader(bufio.NewReader(f)))
		f.Close()
		if err != nil {
			tb.Fatal(err)
		}
		for entry := range parse(tb, b).Root().Get("entry").Items() {
			list = append(list, parse(tb, entry.Get("resource").Raw()))
		}
	}
	return list
}

// TestEngineAgrees: the plan finds what the official expression finds when the
// FHIRPath engine reads it, on every example and parameter.
func TestEngineAgrees(t *testing.T) {
	x, defs, engine := indexer(t)
	compiled := map[string]*path.Expr{}
	list := append(examples(t), synthea(t, 3)...)
	if len(list) < 375 {
		t.Errorf("%d resources", len(list))
	}
	compared := 0
	for _, r := range list {
		entries, err := x.Index(r)
		if err != nil {
			t.Fatalf("%s: %v", r.Key, err)
		}
		byParam := map[string][]search.Value{}
		for _, e := range entries {
			byParam[e.Param] = append(byParam[e.Param], e.Value)
		}
		for _, p := range defs.Params(r.Type) {
			text := p.ExpressionFor(r.Type)
			if text == "" || p.Type == spec.Composite || p.Type == spec.Special || p.Code == "_id" || p.Code == "_lastUpdated" {
				continue
			}
			if compiled[text] == nil {
				if compiled[text], err = engine.Compile(text); err != nil {
					t.Fatalf("%s: %v", text, err)
				}
			}
			compared += len(byParam[p.Code])
			if d := cmp.Diff(byEngine(t, x, compiled[text], r, p), count(byParam[p.Code])); d != "" {
				t.Errorf("%s.%s: %s: engine -, plan +\n%s", r.Key, p.Code, text, d)
			}
		}
	}
	t.Logf("%d resources, %d values", len(list), compared)
}

func byEngine(t *testing.T, x *Indexer, expr *path.Expr, r fhir.Resource, p *spec.SearchParam) map[any]bool {
	t.Helper()
	items, err := expr.Eval(context.Background(), path.Env{Resource: r, Resolve: resolveType})
	if err != nil {
		t.Fatalf("%s %s: %v", r.Key, p.Code, err)
	}
	w := &walk{Indexer: x, resource: r}
	e := &emit{}
	for _, item := range items {
		if b, ok := item.Bool(); ok && p.Type == spec.Token {
			w.add(e, boolean(b))
		} else if convert := converters[p.Type][item.Type()]; convert != nil {
			convert(w, e, item.Node())
		}
	}
	var list []search.Value
	for _, e := range appendDistinct(nil, w.entries([]string{p.Code})) {
		list = append(list, e.Value)
	}
	return count(list)
}

// count is a set of values. The systems that bindings imply, which an item does
// not carry, and the case they decide are left out.
func count(list []search.Value) map[any]bool {
	m := map[any]bool{}
	for _, v := range list {
		if token, ok := v.(search.Token); ok {
			v = search.Token{Code: strings.ToLower(token.Code)}
		}
		m[identity(v)] = true
	}
	return m
}

// syntheaFiles is how many of the 66 bundles the tests read: all of them take
// 5 s, and 50 s under the race detector.
const syntheaFiles = 12

// TestCorpus: official examples and Synthea resources are all indexed; the
// entries are sorted and distinct.
func TestCorpus(t *testing.T) {
	x, _, _ := indexer(t)
	types, total := map[string]bool{}, 0
	for _, r := range append(examples(t), synthea(t, syntheaFiles)...) {
		entries, err := x.Index(r)
		if err != nil {
			t.Fatalf("%s: %v", r.Key, err)
		}
		types[r.Type] = true
		total += len(entries)
		for i := range entries {
			if i > 0 && entries[i].Param < entries[i-1].Param {
				t.Fatalf("%s: %s after %s", r.Key, entries[i].Param, entries[i-1].Param)
			}
			if i > 0 && entries[i].Param == entries[i-1].Param && same(entries[i].Value, entries[i-1].Value) {
				t.Fatalf("%s: %s twice", r.Key, entries[i].Param)
			}
		}
	}
	t.Logf("%d types, %d entries", len(types), total)
}

// TestLinear: a resource with 100,000 identifiers, and as many equal references,
// takes time in proportion; the equal ones count once.
func TestLinear(t *testing.T) {
	x, _, _ := indexer(t)
	const n = 100_000
	var b bytes.Buffer
	b.WriteString(`{"resourceType":"Group","type":"person","actual":true,"identifier":[{"value":"x"}`)
	for i := range n {
		b.WriteString(`,{"system":"urn:x","value":"`)
		b.WriteString(strings.Repeat("0", 5))
		b.WriteByte(byte('a' + i%26))
		b.WriteByte(byte('a' + i/26%26))
		b.WriteByte(byte('a' + i/676%26))
		b.WriteByte(byte('a' + i/17576))
		b.WriteString(`"}`)
	}
	b.WriteString(`],"member":[{"entity":{"reference":"#x"}}`)
	for range n {
		b.WriteString(`,{"entity":{"reference":"#x"}}`)
	}
	b.WriteString(`]}`)
	r := parse(t, b.Bytes())
	entries, err := x.Index(r)
	if err != nil || len(entries) != n+1+3 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
}

// TestCombinations: a composite that multiplies out without measure is refused.
func TestCombinations(t *testing.T) {
	x, _, _ := indexer(t)
	codings := "[" + strings.Repeat(`{"code":"a"},`, 200) + `{"code":"b"}]`
	r := parse(t, []byte(`{"resourceType":"Observation","status":"final","code":{"coding":`+codings+`},"valueCodeableConcept":{"coding":`+codings+`}}`))
	if _, err := x.Index(r); fhir.KindOf(err) != fhir.TooCostly {
		t.Errorf("got %v", err)
	}
}

func BenchmarkIndex(b *testing.B) {
	x, _, _ := indexer(b)
	want := map[string]int{"Observation": 1, "Patient": 1, "Encounter": 1, "ExplanationOfBenefit": 1}
	for _, r := range synthea(b, 3) {
		if want[r.Type] == 0 {
			continue
		}
		want[r.Type] = 0
		b.Run(r.Type, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := x.Index(r); err != nil {
					b.Fatal(err)
				}
			}
			entries, _ := x.Index(r)
			b.ReportMetric(float64(len(entries)), "entries")
		})
	}
}

func BenchmarkNew(b *testing.B) {
	defs, err := spec.Load()
	if err != nil {
		b.Fatal(err)
	}
	units, err := ucum.Load()
	if err != nil {
		b.Fatal(err)
	}
	engine := path.New(defs, units)
	for b.Loop() {
		if _, err := New(defs, engine, units, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
