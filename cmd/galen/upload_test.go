package main

import (
	"archive/tar"
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"galen/models/catalog"
	"galen/models/parcel"
	"galen/server"
	"galen/server/auth"
)

// kidney is the shipped model's folder as another version of itself.
func kidney(t *testing.T, version string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, name := range []string{"manifest.yaml", "model.onnx", "CARD.md", "golden.json"} {
		text, err := fs.ReadFile(catalog.FS(), "kfre-4v/1.0.0/"+name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(text)
	}
	files["manifest.yaml"] = strings.Replace(files["manifest.yaml"], "version: 1.0.0", "version: "+version, 1)
	return files
}

func sumsOf(t *testing.T, files map[string]string) []byte {
	t.Helper()
	folder := fstest.MapFS{}
	for name, text := range files {
		folder[name] = &fstest.MapFile{Data: []byte(text)}
	}
	sums, err := parcel.Sums(folder)
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

func tarball(t *testing.T, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[name])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// startTrusting is start with a list of what may be uploaded.
func startTrusting(t *testing.T, dir, list string) (*galen, *app) {
	t.Helper()
	t.Setenv(childEnv, "1") // the check's process is this binary
	trust := filepath.Join(t.TempDir(), "trust")
	if err := os.WriteFile(trust, []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	issuer, err := auth.OpenIssuer(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := auth.NewVerifier(issuer, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	a, err := open(t.Context(), options{data: dir, store: "sqlite", modelFlags: modelFlags{trust: trust}})
	if err != nil {
		t.Fatal(err)
	}
	logs := &bytes.Buffer{}
	front := httptest.NewServer(server.New(server.Config{
		REST: a.rest, Hooks: a.hooks, Models: a.serving, Auth: verifier, Log: newLog(logs, -4),
		MaxBody: 8 << 10, Timeout: 30 * time.Second, NewID: newID, Version: "test",
	}))
	t.Cleanup(func() {
		front.Close()
		if err := a.close(); err != nil {
			t.Error(err)
		}
	})
	return &galen{t, front.URL, issuer, logs, a.upkeep.Jobs}, a
}

// A model is handed in, checked in a process of its own, served, and there after a
// restart; one that does not hold is refused with the reason and leaves nothing.
func TestUpload(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := kidney(t, "1.0.1")
	signed := kidney(t, "1.0.2")
	tampered := kidney(t, "1.0.3")
	tampered["model.onnx"] += "x"
	wrong := kidney(t, "1.0.4")
	wrong["golden.json"] = strings.Replace(wrong["golden.json"], "0.0124707", "0.0224707", 1)
	cut := kidney(t, "1.0.5")
	delete(cut, "CARD.md")
	misnamed := kidney(t, "1.0.6")
	list := "ed25519 " + base64.StdEncoding.EncodeToString(public) + "\n"
	for _, files := range []map[string]string{good, tampered, wrong, cut, misnamed} {
		list += "sha256 " + parcel.Digest(sumsOf(t, files)) + "\n"
	}
	dir := t.TempDir()
	g, a := startTrusting(t, dir, list)
	owner, ehr := g.token("model-owner"), g.token("ehr")
	const at = "/v2/repository/models/kfre-4v/versions/"
	signature := base64.StdEncoding.EncodeToString(ed25519.Sign(private, sumsOf(t, signed)))
	for _, c := range []struct {
		name, version, token string
		files                map[string]string
		kind, signature      string
		status               int
		reason               string
	}{
		{"an EHR may not", "1.0.1", ehr, good, "application/x-tar", "", 403, "permit"},
		{"other format", "1.0.1", owner, good, "text/plain", "", 415, "want application/x-tar"},
		{"not signed", "1.0.2", owner, signed, "application/x-tar", "", 422, "no trusted key"},
		{"signed for other files", "1.0.2", owner, kidney(t, "1.0.9"), "application/x-tar", signature, 422, "no trusted key"},
		{"model is not the manifest's", "1.0.3", owner, tampered, "application/x-tar", "", 422, "SHA-256"},
		{"golden case does not reproduce", "1.0.4", owner, wrong, "application/x-tar", "", 422, "golden case"},
		{"no card", "1.0.5", owner, cut, "application/x-tar", "", 422, "CARD.md"},
		{"under another version", "1.0.7", owner, misnamed, "application/x-tar", "", 422, "named after"},
		{"over a shipped version", "1.0.0", owner, good, "application/x-tar", "", 409, "never changes"},
		{"good", "1.0.1", owner, good, "application/x-tar", "", 201, ""},
		{"good again", "1.0.1", owner, good, "application/x-tar", "", 409, "never changes"},
		{"signed", "1.0.2", owner, signed, "application/x-tar", signature, 201, ""},
	} {
		root := g.want(c.status, "POST", at+c.version, c.token, tarball(t, c.files), "Content-Type", c.kind, "X-Model-Signature", c.signature)
		if text := root.Get("error").Text(); !strings.Contains(text, c.reason) {
			t.Errorf("%s: %q, want %q", c.name, text, c.reason)
		}
		g.want(200, "POST", "/v2/models/kfre-4v/versions/1.0.0/infer", ehr, kfreInput) // all else keeps serving
	}
	out := g.want(200, "POST", "/v2/models/kfre-4v/versions/1.0.1/infer", ehr, kfreInput)
	if out.Get("model_version").Text() != "1.0.1" {
		t.Errorf("answer of %s", out.Get("model_version").Text())
	}
	g.want(200, "GET", "/fhir/Device/model-kfre-4v-1.0.1", ehr, "")
	left, err := filepath.Glob(filepath.Join(dir, "models", "uploaded", "*", "*"))
	if err != nil || len(left) != 2 {
		t.Errorf("in the directory: %v, %v", left, err)
	}
	again, err := openUploads(options{data: dir})
	if err != nil || again.Dir != a.serving.Uploads.Dir {
		t.Errorf("openUploads = %+v, %v", again, err)
	}
}

func TestUploadsAreOff(t *testing.T) {
	g, stop := start(t, t.TempDir())
	defer stop()
	root := g.want(http.StatusUnprocessableEntity, "POST", "/v2/repository/models/kfre-4v/versions/1.0.1", g.token("admin"), tarball(t, kidney(t, "1.0.1")), "Content-Type", "application/x-tar")
	if !strings.Contains(root.Get("error").Text(), "no list") {
		t.Errorf("%s", root.Raw())
	}
}
