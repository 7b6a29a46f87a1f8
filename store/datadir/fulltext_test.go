package datadir

import (
	"os"
	"path/filepath"
	"testing"

	"galen/fhir/search"
)

// A store answers _text and _content wholly or not at all: what it was made with
// stays.
func TestFullText(t *testing.T) {
	fresh, old := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(old, database), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		name, dir, want string
		amount          search.FullText
		fails           bool
	}{
		{"nonsense", fresh, "some", 0, true},
		{"a new store", fresh, "narrative", search.Narratives, false},
		{"again", fresh, "", search.Narratives, false},
		{"asked for the same", fresh, "narrative", search.Narratives, false},
		{"asked for more", fresh, "all", 0, true},
		{"a store from before", old, "", search.NoFullText, false},
		{"a store from before, more", old, "all", 0, true},
		{"everything, unless told otherwise", t.TempDir(), "", search.AllText, false},
	}
	for _, s := range steps {
		got, err := FullText(s.dir, s.want)
		if got != s.amount || (err != nil) != s.fails {
			t.Errorf("%s: %d, %v", s.name, got, err)
		}
	}
}
