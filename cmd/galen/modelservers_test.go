package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"galen/models"
	"galen/models/manifest"
)

// One server runs a model on another of its kind, and answers as if it ran it
// itself.
func TestModelOnAnotherServer(t *testing.T) {
	g, stop := start(t, t.TempDir())
	defer stop()
	dir := t.TempDir()
	files := kidney(t, "1.0.0")
	text := strings.NewReplacer("runtime: onnx", fmt.Sprintf("runtime: oip\nremote: {url: %q, deadline_ms: 20000, retries: 1}", g.url)).Replace(files["manifest.yaml"])
	var lines []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "file:") && !strings.HasPrefix(line, "opset:") {
			lines = append(lines, line)
		}
	}
	files["manifest.yaml"] = strings.Join(lines, "")
	delete(files, "model.onnx")
	folder := filepath.Join(dir, "models", "kfre-4v", "1.0.0")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	token, list := filepath.Join(dir, "token"), filepath.Join(dir, "servers.yaml")
	if err := os.WriteFile(token, []byte(g.token("ehr")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(list, fmt.Appendf(nil, "- url: %s/\n  token-file: %s\n", g.url, token), 0o600); err != nil {
		t.Fatal(err)
	}
	servers, err := openServers(list)
	if err != nil {
		t.Fatal(err)
	}
	source, err := models.Dir(filepath.Join(dir, "models"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := models.Load(t.Context(), models.Options{Openers: map[manifest.Runtime]models.Opener{manifest.OIP: servers}}, source)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	if len(c.Refused()) > 0 { // the golden cases have run over there
		t.Fatal(c.Refused()[0].Err)
	}
	model, err := c.Acquire(models.Ref{Name: "kfre-4v"})
	if err != nil {
		t.Fatal(err)
	}
	defer model.Release()
	if b := model.Info().Backend; b.Provider != g.url || model.Info().Digest != model.Info().Manifest.SHA256 {
		t.Errorf("Info %+v", model.Info())
	}
	in, err := models.Row([]float64{55, 1, 45, 1, 120})
	if err != nil {
		t.Fatal(err)
	}
	out, err := model.Predict(t.Context(), []models.Tensor{in})
	if err != nil {
		t.Fatal(err)
	}
	if risk, _ := out[0].Floats(0); fmt.Sprintf("%.7f", risk[0]) != "0.0124707" {
		t.Errorf("risk %v, want 0.0124707", risk)
	}
}

func TestModelServersFile(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"no list": "url: x", "no url": "- token-file: x\n", "other scheme": "- url: ftp://x\n",
		"no token": "- url: https://x\n  token-file: /none\n", "no certificate": "- url: https://x\n  ca-file: /dev/null\n", "unknown key": "- url: https://x\n  password: x\n",
	} {
		file := filepath.Join(dir, "servers.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openServers(file); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
