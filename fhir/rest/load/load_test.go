package load_test

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"

	"galen/fhir/rest"
	"galen/fhir/rest/load"
	"galen/policies"
	"galen/server/servertest"
)

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write([]byte(`{"resourceType":"Patient","id":"zipped"}`)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"a.json":        `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"PUT","url":"Observation/o"},"resource":{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"subject":{"reference":"Patient?identifier=later"}}}]}`,
		"b.ndjson":      "{\"resourceType\":\"Patient\",\"identifier\":[{\"value\":\"later\"}]}\n\n{\"resourceType\":\"Patient\",\"id\":\"lined\"}\n",
		"c.json.gz":     zipped.String(),
		"broken.json":   `{"resourceType":"Patient"`,
		"batch.json":    `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"POST","url":"Nonsense"},"resource":{"resourceType":"Nonsense"}}]}`,
		"sub/last.json": `{"resourceType":"Patient","id":"below"}`,
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := servertest.Start(t, servertest.Options{})
	files, err := load.Files([]string{dir})
	if err != nil || len(files) != 6 {
		t.Fatal(files, err)
	}
	loaded := 0
	in := load.Loader{
		REST: s.REST, Loaded: func() { loaded++ },
		Caller: rest.Caller{Principal: policies.Principal{Subject: "test", Roles: []string{"admin"}}, Base: "http://localhost/fhir"},
	}
	failures := in.Run(t.Context(), files)
	if len(failures) != 2 || loaded != 4 {
		t.Errorf("%d files loaded; failures %v", loaded, failures)
	}
	admin := s.As("admin")
	for _, path := range []string{"Observation/o", "Patient/zipped", "Patient/lined", "Patient/below"} {
		admin.Do("GET", "/fhir/"+path, "").Want(200)
	}
	if _, err := load.Files([]string{filepath.Join(dir, "none")}); err == nil {
		t.Error("a file that is not there is listed")
	}
}
