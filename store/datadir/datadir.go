// Package datadir keeps in the data directory what a server must find as it left
// it: the secret of the cursors, and how much text is indexed.
//
// It keeps no resources.
package datadir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"galen/fhir/search"
)

// cursorKeySize is store.Options.CursorKey's, in bytes.
const cursorKeySize = 32

// CursorKey reads the secret of the cursors from the data directory, or makes
// it there, readable by its owner only: pages that clients hold outlive a
// restart of the server.
func CursorKey(dir string, random io.Reader) ([]byte, error) {
	path := filepath.Join(dir, "cursor.key")
	key, err := os.ReadFile(path)
	switch {
	case err == nil && len(key) == cursorKeySize:
		return key, nil
	case err == nil:
		return nil, fmt.Errorf("%s does not hold %d bytes; delete it to make a new one", path, cursorKeySize)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	key = make([]byte, cursorKeySize)
	if _, err := io.ReadFull(random, key); err != nil {
		return nil, err
	}
	// A crash leaves a whole key or none.
	fresh := path + ".new"
	if err := os.WriteFile(fresh, key, 0o600); err != nil {
		return nil, err
	}
	return key, os.Rename(fresh, path)
}

// database is what a directory with a store in it holds (store/sqlite.File).
const database = "galen.sqlite"

// FullText is how much text the store of a directory indexes, and "" wants what it
// has, or all if it is new. A store keeps what it was made with: words that were not indexed from the start would be found in part only.
func FullText(dir, want string) (search.FullText, error) {
	amounts := map[string]search.FullText{"none": search.NoFullText, "narrative": search.Narratives, "all": search.AllText}
	if _, ok := amounts[want]; !ok && want != "" {
		return 0, errors.New("--full-text must be none, narrative or all")
	}
	path := filepath.Join(dir, "fulltext")
	made, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if made, err = newFullText(dir, path, want); err != nil {
			return 0, err
		}
	}
	if err != nil {
		return 0, err
	}
	text := strings.TrimSpace(string(made))
	amount, ok := amounts[text]
	switch {
	case !ok:
		return 0, errors.New(path + " must hold none, narrative or all")
	case want != "" && want != text:
		return 0, errors.New("--full-text differs from what the store was made with: " + text)
	}
	return amount, nil
}

// newFullText puts down what a new store is made with; one that was made before
// there was a choice has none.
func newFullText(dir, path, want string) ([]byte, error) {
	if _, err := os.Stat(filepath.Join(dir, database)); err == nil {
		want = "none"
	}
	if want == "" {
		want = "all"
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return []byte(want), os.WriteFile(path, []byte(want+"\n"), 0o600)
}
