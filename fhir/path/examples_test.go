package path_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/spec"
)

// broken are the official examples that break an invariant, by file and key.
var broken = map[string]string{
	"Questionnaire-zika-virus-exposure-assessment.json txt-1": "the narrative is an empty <pre>",
	"Questionnaire-zika-virus-exposure-assessment.json txt-2": "the narrative is an empty <pre>",
}

// TestInvariantsOnExamples: the invariants of R4 hold on HL7's own examples.
func TestInvariantsOnExamples(t *testing.T) {
	file, err := os.Open("../../../shared/data/r4-examples-half.tar.gz")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("skipped: ../shared not found")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	engine, defs := newEngine(t)
	v := &invariants{t: t, engine: engine, defs: defs, compiled: map[string]*path.Expr{}, met: map[string]bool{}}
	v.descend = v.compile("$this | descendants()")
	archive := tar.NewReader(unzipped)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(header.Name, ".json") {
			continue
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		r, err := fhir.Parse(text, jsontree.Limits{})
		if err != nil {
			t.Fatalf("%s: %v", header.Name, err)
		}
		v.resource(header.Name, r)
	}
	t.Logf("%d evaluations of %d invariants", v.count, len(v.compiled))
	if v.count < 10_000 {
		t.Errorf("only %d evaluations", v.count)
	}
	for key := range broken {
		if !v.met[key] {
			t.Errorf("%s is listed as broken and was not", key)
		}
	}
}

type invariants struct {
	t        *testing.T
	engine   *path.Engine
	defs     *spec.Definitions
	compiled map[string]*path.Expr
	descend  *path.Expr
	met      map[string]bool
	count    int
}

func (v *invariants) compile(text string) *path.Expr {
	x, ok := v.compiled[text]
	if !ok {
		var err error
		if x, err = v.engine.Compile(text); err != nil {
			v.t.Fatal(err)
		}
		v.compiled[text] = x
	}
	return x
}

func (v *invariants) resource(name string, r fhir.Resource) {
	all, err := v.descend.Eval(v.t.Context(), path.Env{Resource: r})
	if err != nil {
		v.t.Fatal(err)
	}
	for _, it := range all {
		typ, ok := v.defs.Type(it.Type())
		if !ok {
			continue
		}
		v.check(name, r, it, typ.Invariants)
		for i := range typ.Elements {
			el := &typ.Elements[i]
			if len(el.Invariants) == 0 {
				continue
			}
			children, err := v.compile("`"+el.Name+"`").Eval(v.t.Context(), path.Env{Resource: r, Focus: it})
			if err != nil {
				v.t.Fatal(err)
			}
			for _, child := range children {
				v.check(name, r, child, el.Invariants)
			}
		}
	}
}

func (v *invariants) check(name string, r fhir.Resource, it path.Item, list []spec.Invariant) {
	for _, inv := range list {
		v.count++
		got, err := v.compile(inv.Expression).Eval(v.t.Context(), path.Env{Resource: r, Focus: it})
		if err != nil {
			v.t.Errorf("%s: %s on %s: %v", name, inv.Key, it.Type(), err)
			continue
		}
		// Empty is no verdict: ref-1 is empty for a Reference without reference.
		if ok, known := path.Truth(got); !known || ok || inv.Severity == "warning" {
			continue
		}
		key := filepath.Base(name) + " " + inv.Key
		if broken[key] == "" {
			v.t.Errorf("%s on %s does not hold: %s", key, it.Type(), inv.Expression)
		}
		v.met[key] = true
	}
}
