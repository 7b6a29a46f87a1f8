package main

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCard(t *testing.T) {
	for format, want := range map[string]string{"markdown": "# Kidney Failure", "chai": "<AppliedModelCard xmlns="} {
		var out strings.Builder
		c := command()
		c.Writer = &out
		if err := c.Run(t.Context(), []string{"galen", "card", "--format", format, "kfre-4v/1.0.0"}); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%s: %v: %.200s", format, err, out.String())
		}
	}
	bad := filepath.Join(t.TempDir(), "manifest.yaml")
	if err := os.WriteFile(bad, []byte("name: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"none/1.0.0"}, {bad}, {"--format", "pdf", "kfre-4v/1.0.0"}, {}} {
		if command().Run(t.Context(), append([]string{"galen", "card"}, args...)) == nil {
			t.Errorf("%v: accepted", args)
		}
	}
}

// Each model version is a Library that holds its cards, valid R4.
func TestModelLibrary(t *testing.T) {
	g, stop := start(t, t.TempDir())
	defer stop()
	clinician := g.token("clinician")
	const path = "/fhir/Library/model-kfre-4v-1.0.0"
	library := g.want(200, "GET", path, clinician, "")
	content := library.Get("content")
	if content.Len() != 3 || library.Get("version").Text() != "1.0.0" {
		t.Fatalf("%.600s", library.Raw())
	}
	for i, want := range []string{"# Kidney Failure", "Not available: ", "https://mc.chai.org/v0.2/schema.xsd"} {
		text, err := base64.StdEncoding.DecodeString(content.Item(i).Get("data").Text())
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("content %d: %v: no %q", i, err, want)
		}
	}
	outcome := g.want(200, "GET", path+"/$validate", clinician, "")
	for issue := range outcome.Get("issue").Items() {
		if s := issue.Get("severity").Text(); s == "error" || s == "fatal" {
			t.Errorf("%s", issue.Raw())
		}
	}
	found := g.want(200, "GET", "/fhir/Library?url=http://galen.health/fhir/Library/kfre-4v&version=1.0.0", clinician, "")
	if found.Get("total").Text() != "1" {
		t.Errorf("search: %s", found.Raw())
	}
}
