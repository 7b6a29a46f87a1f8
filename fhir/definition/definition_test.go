package definition_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"testing"
	"testing/fstest"

	"galen/fhir/definition"
)

// tgz makes a FHIR package of files.
func tgz(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestPackages(t *testing.T) {
	folder := fstest.MapFS{
		"a.tgz": {Data: tgz(t, map[string]string{
			"package/package.json":            `{"name":"a","version":"1.0.0"}`,
			"package/ValueSet-v.json":         `{"resourceType":"ValueSet","id":"v","url":"http://v","version":"1.9.0"}`,
			"package/example/ValueSet-w.json": `{"resourceType":"ValueSet","id":"w","url":"http://w"}`,
			"package/Patient-p.json":          `{"resourceType":"Patient","id":"p"}`,
			"package/broken.json":             `{`,
		})},
		"b.tgz":      {Data: tgz(t, map[string]string{"package/ValueSet-v.json": `{"resourceType":"ValueSet","id":"v","url":"http://v","version":"1.10.0"}`})},
		"readme.txt": {Data: []byte("no package")},
	}
	p, err := definition.ReadPackages(folder)
	if err != nil {
		t.Fatal(err)
	}
	for version, want := range map[string]string{"": "1.10.0", "1.9.0": "1.9.0", "1.9": "1.9.0", "2.0.0": ""} {
		r, ok, err := p.Find(t.Context(), "ValueSet", "http://v", version)
		if err != nil || ok != (want != "") || r.Root().Get("version").Text() != want || r.ID != "" {
			t.Errorf("version %q: %v, %v", version, r.Root().Get("version").Text(), err)
		}
	}
	if _, ok, _ := p.Find(t.Context(), "ValueSet", "http://w", ""); ok {
		t.Error("an example counts as a definition")
	}
	if n := len(p.All("ValueSet")); n != 1 {
		t.Errorf("%d value sets", n)
	}
	folder["c.tgz"] = &fstest.MapFile{Data: []byte("no gzip")}
	if _, err := definition.ReadPackages(folder); err == nil {
		t.Error("a file that is no package is read")
	}
}

func TestStackAsksInTurn(t *testing.T) {
	read := func(text string) *definition.Packages {
		p, err := definition.ReadPackages(fstest.MapFS{"a.tgz": {Data: tgz(t, map[string]string{"package/x.json": text})}})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	s := definition.Stack{read(`{"resourceType":"ValueSet","url":"http://v","name":"First"}`), read(`{"resourceType":"ValueSet","url":"http://v","name":"Second"}`), read(`{"resourceType":"ValueSet","url":"http://w","name":"Third"}`)}
	for url, want := range map[string]string{"http://v": "First", "http://w": "Third", "http://x": ""} {
		r, ok, err := s.Find(t.Context(), "ValueSet", url, "")
		if err != nil || ok != (want != "") || r.Root().Get("name").Text() != want {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestCanonical(t *testing.T) {
	for text, want := range map[string][2]string{"http://a|1": {"http://a", "1"}, "http://a": {"http://a", ""}, "http://a|1#x": {"http://a", "1"}} {
		if url, version := definition.Canonical(text); url != want[0] || version != want[1] {
			t.Errorf("%s: %s, %s", text, url, version)
		}
	}
}
