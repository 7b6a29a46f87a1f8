package datadir

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"
)

// Cursors survive a restart (spec/fhir.md item 38): the key is the same again.
func TestCursorKey(t *testing.T) {
	dir := t.TempDir()
	first, err := CursorKey(dir, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	again, err := CursorKey(dir, rand.Reader)
	if err != nil || !bytes.Equal(first, again) || len(first) != cursorKeySize {
		t.Errorf("the key changed: %v", err)
	}
	path := filepath.Join(dir, "cursor.key")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(path, first[:8], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := CursorKey(dir, rand.Reader); err == nil {
		t.Error("a damaged key was taken")
	}
}
