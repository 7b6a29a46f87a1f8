package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"galen/fhir/terminology"
)

// The release of a code system is imported from its folder and answers after the
// next start.
func TestImportOfAReleasedCodeSystem(t *testing.T) {
	data, folder := t.TempDir(), t.TempDir()
	const conso = "7|ENG||||||11|11|7||RXNORM|IN|7|testamine||N|4096|\n"
	if err := os.WriteFile(filepath.Join(folder, "RXNCONSO.RRF"), []byte(conso), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := importReleases([]string{folder, "other.json"}, data, &out); err == nil {
		t.Error("a file that is not there is no error")
	}
	rest, err := importReleases([]string{folder}, data, &out)
	if err != nil || len(rest) != 0 || !strings.Contains(out.String(), "RxNorm : 1 concepts") {
		t.Fatal(rest, err, out.String())
	}
	a, err := open(t.Context(), options{data: data, store: "sqlite"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.close(); err != nil {
			t.Error(err)
		}
	}()
	text, err := a.knowledge.Terminology.Lookup(t.Context(), terminology.LookupIn{Coding: terminology.Coding{System: "http://www.nlm.nih.gov/research/umls/rxnorm", Code: "7"}})
	if err != nil || !strings.Contains(string(text), "testamine") {
		t.Errorf("%s, %v", text, err)
	}
}
