package spec

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// incomplete are the mandatory elements that official examples lack: the core
// guide's own ImplementationGuide is published without name and status.
var incomplete = map[string]bool{
	"ImplementationGuide-fhir.json ImplementationGuide.name":   true,
	"ImplementationGuide-fhir.json ImplementationGuide.status": true,
}

// TestExamples walks every official R4 example at hand: each member is an
// element of its type, arrays stand where elements repeat, what must be there
// is, every primitive is valid, and every required code is in its set.
func TestExamples(t *testing.T) {
	file, err := os.Open(filepath.Join("..", "..", "..", "shared", "data", "r4-examples-half.tar.gz"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("skipped: ../shared not found")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	packed, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	w := &walker{t: t, d: load(t)}
	files := 0
	for archive := tar.NewReader(packed); ; {
		head, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(head.Name, ".json") {
			continue
		}
		dec := json.NewDecoder(archive)
		dec.UseNumber()
		var resource map[string]any
		if err := dec.Decode(&resource); err != nil {
			t.Fatalf("%s: %v", head.Name, err)
		}
		w.file, files = filepath.Base(head.Name), files+1
		w.object("Resource", resource)
	}
	if files != 375 || w.values < 10_000 || w.codes < 1_000 {
		t.Errorf("walked %d examples, %d values, %d required codes: too few", files, w.values, w.codes)
	}
	t.Logf("%d examples, %d primitive values, %d required codes", files, w.values, w.codes)
}

type walker struct {
	t             *testing.T
	d             *Definitions
	file          string
	values, codes int
}

func (w *walker) object(typeName string, object map[string]any) {
	if name, ok := object["resourceType"].(string); ok && typeName == "Resource" {
		typeName = name
	}
	typ, ok := w.d.Type(typeName)
	if !ok {
		w.t.Errorf("%s: no type %s", w.file, typeName)
		return
	}
	found := map[string]int{}
	for member, value := range object {
		name, extra := strings.CutPrefix(member, "_")
		if name == "resourceType" && typ.Kind == ResourceKind {
			continue // ExampleScenario.instance has a real element of that name
		}
		el, code, ok := typ.Element(name)
		if !ok {
			w.t.Errorf("%s: %s has no element %s", w.file, typeName, name)
			continue
		}
		items, isArray := value.([]any)
		if isArray != el.Repeats() {
			w.t.Errorf("%s: %s: array %t", w.file, el.Path, isArray)
		}
		if !isArray {
			items = []any{value}
		}
		found[el.Name] += len(items)
		for _, item := range items {
			if extra && item != nil {
				w.object(code, item.(map[string]any))
			} else if item != nil {
				w.value(el, code, item)
			}
		}
	}
	for _, el := range typ.Elements {
		if found[el.Name] < el.Min && !incomplete[w.file+" "+el.Path] {
			w.t.Errorf("%s: %s is missing", w.file, el.Path)
		}
	}
}

func (w *walker) value(el *Element, code string, value any) {
	text := ""
	switch v := value.(type) {
	case map[string]any:
		w.object(code, v)
		return
	case string:
		text = v
	case json.Number:
		text = v.String()
	case bool:
		text = map[bool]string{true: "true", false: "false"}[v]
	}
	w.values++
	if !ValidPrimitive(code, text) {
		w.t.Errorf("%s: %s is no %s", w.file, el.Path, code)
	}
	if el.Binding != nil && el.Binding.Strength == Required {
		if set, ok := w.d.Codes(el.Binding.ValueSet); ok {
			w.codes++
			if !set.HasCode(text) {
				w.t.Errorf("%s: %s is not in %s", w.file, el.Path, el.Binding.ValueSet)
			}
		}
	}
}
