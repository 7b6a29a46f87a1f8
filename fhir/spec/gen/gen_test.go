package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// definitions are a small FHIR: enough of every kind to see each record once.
var definitions = []string{
	`{"resourceType":"StructureDefinition","name":"Element","kind":"complex-type","abstract":true,"snapshot":{"element":[
		{"path":"Element","min":0,"max":"*","constraint":[{"key":"ele-1","severity":"error","human":"h","expression":"x"}]},
		{"path":"Element.id","min":0,"max":"1","representation":["xmlAttr"],"type":[{"code":"http://hl7.org/fhirpath/System.String","extension":[
			{"url":"http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type","valueUrl":"string"}]}]}]}}`,
	`{"resourceType":"StructureDefinition","name":"BackboneElement","kind":"complex-type","abstract":true,"derivation":"specialization",
		"baseDefinition":"http://hl7.org/fhir/StructureDefinition/Element","snapshot":{"element":[{"path":"BackboneElement"}]}}`,
	`{"resourceType":"StructureDefinition","name":"code","kind":"primitive-type","derivation":"specialization",
		"baseDefinition":"http://hl7.org/fhir/StructureDefinition/Element","snapshot":{"element":[{"path":"code"},
		{"path":"code.value","min":0,"max":"1","type":[{"code":"x","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/regex","valueString":"[a-z]+"}]}]}]}}`,
	`{"resourceType":"StructureDefinition","name":"Resource","kind":"resource","abstract":true,"snapshot":{"element":[{"path":"Resource"}]}}`,
	`{"resourceType":"StructureDefinition","name":"Thing","kind":"resource","derivation":"specialization",
		"baseDefinition":"http://hl7.org/fhir/StructureDefinition/Resource","snapshot":{"element":[{"path":"Thing"},
		{"path":"Thing.part","min":1,"max":"*","isSummary":true,"type":[{"code":"BackboneElement"}],"constraint":[
			{"key":"ele-1","severity":"error","human":"h","expression":"x"},{"key":"thg-1","severity":"warning","human":"h","expression":"y"}]},
		{"path":"Thing.part.id","min":0,"max":"1","representation":["xmlAttr"],"type":[{"code":"string"}]},
		{"path":"Thing.part.kind","min":0,"max":"1","isModifier":true,"type":[{"code":"code"}],"binding":{"strength":"required","valueSet":"http://v|4.0.1"}},
		{"path":"Thing.part.part","min":0,"max":"*","contentReference":"#Thing.part"},
		{"path":"Thing.to[x]","min":0,"max":"1","type":[{"code":"Reference","targetProfile":["http://hl7.org/fhir/StructureDefinition/Thing"]},
			{"code":"Quantity","profile":["http://hl7.org/fhir/StructureDefinition/SimpleQuantity"]}]}]}}`,
	`{"resourceType":"StructureDefinition","name":"Abstraction","kind":"logical"}`,
	`{"resourceType":"OperationDefinition","name":"left out"}`,
	`{"resourceType":"SearchParameter","url":"http://p","code":"p","name":"p","type":"composite","base":["Thing"],"multipleOr":false,
		"target":["Thing"],"expression":"Thing.to","component":[{"definition":"http://p","expression":"x"}]}`,
	`{"resourceType":"CompartmentDefinition","code":"Thing","url":"http://c","resource":[{"code":"Thing","param":["{def}","p"]},{"code":"Other"}]}`,
	`{"resourceType":"ValueSet","url":"http://v","compose":{"include":[{"system":"http://s"},{"system":"http://t","concept":[{"code":"z"}]},{"system":"http://far"}]}}`,
	`{"resourceType":"CodeSystem","url":"http://s","content":"complete","caseSensitive":true,"concept":[{"code":"b","concept":[{"code":"c"}]},{"code":"a"}]}`,
}

// tables is what they give; corrections apply to none of it.
const tables = `R4	4.0.1	1
I	ele-1	e	h	x
Y	string
T	Element	ca			1
E	id	0	1	a	1
T	Resource	ra
T	BackboneElement	ca	Element
T	Thing	r	Resource
E	part	1	*	s	2
E	to[x]	0	1		3
T	Thing.part	b	BackboneElement		2
E	kind	0	1	m	4	1
E	part	0	*				Thing.part
T	code	p	Element	[a-z]+
P	http://p	p	p	composite	Thing	1	Thing	Thing.to
D	http://p	x
C	Thing	http://c
M	Thing	{def} p
V	http://v
S	http://s	a b c
S	http://t	z
S	http://far
`

func small(t *testing.T, definitions ...string) *source {
	t.Helper()
	src := &source{valueSets: map[string]*valueSet{}, codeSystems: map[string]*codeSystem{}}
	text := `{"entry":[{"resource":` + strings.Join(definitions, `},{"resource":`) + `}]}`
	if err := src.add([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return src
}

func TestTables(t *testing.T) {
	first, second := small(t, definitions...), small(t, definitions...)
	a, errA := encode(first, corrector{})
	b, errB := encode(second, corrector{})
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	records := func(text string) []string {
		var keep []string
		for _, line := range strings.Split(text, "\n") {
			if !strings.HasPrefix(line, "Y\t") && !strings.HasPrefix(line, "I\tthg") && !strings.HasPrefix(line, "B\t") {
				keep = append(keep, line)
			}
		}
		return keep
	}
	want := strings.ReplaceAll(tables, "Y\tstring\n", "")
	if diff := cmp.Diff(strings.Split(want, "\n"), records(string(a))); diff != "" {
		t.Errorf("tables (-want +got):\n%s", diff)
	}
	for _, record := range []string{
		"I\tthg-1\tw\th\ty\n", "B\tr\thttp://v\n", "Y\tBackboneElement\n",
		"Y\tReference(Thing),Quantity<SimpleQuantity>\n",
	} {
		if strings.Count(string(a), record) != 1 {
			t.Errorf("%q is not there once", record)
		}
	}
	if !bytes.Equal(a, b) {
		t.Error("the same definitions gave other tables")
	}
}

func TestPackIsDeterministic(t *testing.T) {
	a, _ := pack([]byte(tables))
	b, _ := pack([]byte(tables))
	if !bytes.Equal(a, b) {
		t.Error("the same tables gave other bytes")
	}
	r, err := gzip.NewReader(bytes.NewReader(a))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(r); err != nil || string(text) != tables {
		t.Errorf("unpacked %d bytes, error %v", len(text), err)
	}
}

// TestCommittedSource: SOURCE.md is what this generator writes about the
// committed tables, so neither was edited by hand.
func TestCommittedSource(t *testing.T) {
	outputs := map[string][]byte{}
	for _, name := range []string{tablesFile, terminologyFile, profilesFile} {
		text, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		outputs[name] = text
	}
	text, err := os.ReadFile(filepath.Join("..", "SOURCE.md"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(provenance(outputs)), string(text)); diff != "" {
		t.Errorf("SOURCE.md (-want +got):\n%s", diff)
	}
}

// TestRefuses: a definition that the tables cannot express stops the generator.
func TestRefuses(t *testing.T) {
	for _, c := range []struct{ name, old, new string }{
		{"exclude", `"compose":{`, `"compose":{"exclude":[{"system":"http://s"}],`},
		{"filter", `{"system":"http://s"}`, `{"system":"http://s","filter":[{"property":"p"}]}`},
		{"import", `{"system":"http://s"}`, `{"valueSet":["http://w"]}`},
		{"part of a code system", `"content":"complete"`, `"content":"fragment"`},
		{"case-blind code system", `"caseSensitive":true`, `"caseSensitive":false`},
		{"space in a code", `{"code":"a"}`, `{"code":"a b"}`},
		{"value set not defined", `"valueSet":"http://v|4.0.1"`, `"valueSet":"http://w"`},
		{"no base", `StructureDefinition/Element","snapshot":{"element":[{"path":"code"}`, `StructureDefinition/None","snapshot":{"element":[{"path":"code"}`},
		{"content reference to nothing", `#Thing.part`, `#Thing.none`},
		{"no parent", `Thing.part.kind`, `Thing.none.kind`},
		{"foreign type", `"code":"string"`, `"code":"http://example.org/string"`},
		{"tab", `"human":"h"`, `"human":"a\tb"`},
	} {
		text := strings.Join(definitions, "\x00")
		if !strings.Contains(text, c.old) {
			t.Fatalf("%s: nothing to change", c.name)
		}
		changed := strings.Split(strings.ReplaceAll(text, c.old, c.new), "\x00")
		if _, err := encode(small(t, changed...), corrector{}); err == nil {
			t.Errorf("%s: no error", c.name)
		}
	}
}

// TestCorrections: one that fits is applied and remembered, one that fits
// nothing is an error.
func TestCorrections(t *testing.T) {
	fixes := corrector{}
	if got := fixes.fix("Resource.id", "string"); got != "id" {
		t.Errorf("Resource.id is %q", got)
	}
	if got := fixes.fix("Resource.id", "uri"); got != "uri" {
		t.Errorf("a text that is not the expected one became %q", got)
	}
	if err := fixes.check(); err == nil || !strings.Contains(err.Error(), "xhtml.id") {
		t.Errorf("unused corrections: %v", err)
	}
	for _, c := range corrections {
		fixes.fix(c.at, c.from)
	}
	if err := fixes.check(); err != nil {
		t.Error(err)
	}
}

// TestReadRefuses: a file that is not the pinned one is not read.
func TestReadRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := read(dir); err == nil {
		t.Error("no files: no error")
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.name), []byte(`{"entry":[]}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := read(dir); err == nil || !strings.Contains(err.Error(), "SHA-256") {
		t.Errorf("other files: %v", err)
	}
	if err := run(t.Context(), dir, t.TempDir()); err == nil {
		t.Error("run: no error")
	}
}
