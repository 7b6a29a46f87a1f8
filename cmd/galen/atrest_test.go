package main

import (
	"bytes"
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"galen/policies/audit"
	"galen/policies/compliance"
)

// With --encryption-key-file no file of the data directory holds what was stored
// or asked, the record can be verified without the key and read with it, and the
// data open only with it.
func TestEncryptionAtRest(t *testing.T) {
	dir, key := t.TempDir(), filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(strings.Repeat("0f", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	sealed := func(o *options) { o.keyFile = key }
	use := func() {
		g, stop := start(t, dir, sealed)
		clinician := g.token("clinician")
		g.want(201, "POST", "/fhir/Patient", clinician, `{"resourceType":"Patient","name":[{"family":"Nierenstein"}],"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">Nierenstein</div>"}}`)
		if n := g.want(200, "GET", "/fhir/Patient?family=Nierenstein", clinician, "").Get("entry").Len(); n == 0 {
			t.Error("not found")
		}
		events := string(g.want(200, "GET", "/fhir/AuditEvent?_count=50&_sort=-date", g.token("compliance"), "").Raw())
		found := false
		for _, field := range strings.Split(events, `"query":"`)[1:] {
			text, _ := base64.StdEncoding.DecodeString(field[:strings.IndexByte(field, '"')])
			found = found || bytes.Contains(text, []byte("Nierenstein"))
		}
		if !found {
			t.Error("the record does not say what was asked")
		}
		nowhere(t, dir, "Nierenstein", "demo-kidney")
		stop()
	}
	use()
	use() // after a restart
	nowhere(t, dir, "Nierenstein")
	if report, err := audit.Verify(compliance.LogDir(dir)); err != nil || report.Bad != nil || report.Entries == 0 {
		t.Errorf("verified without the key: %+v %v", report, err)
	}
	for name, path := range map[string]string{"no key": "", "another": filepath.Join(t.TempDir(), "other")} {
		if path != "" {
			if err := os.WriteFile(path, []byte(strings.Repeat("1f", 32)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if a, err := open(t.Context(), options{data: dir, store: "sqlite", keyFile: path}); err == nil {
			t.Errorf("%s: opened", name)
			_ = a.close()
		}
	}
}

// nowhere reports files that hold a text; references in the audit log stay
// readable, and docs/security.md says so.
func nowhere(t *testing.T, dir, name string, references ...string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(name)) {
			t.Errorf("%s holds %s", path, name)
		}
		for _, r := range references {
			if !strings.HasSuffix(path, ".seg") && bytes.Contains(content, []byte(r)) {
				t.Errorf("%s holds %s", path, r)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
