package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// cursorKeySize is store.Options.CursorKey's, in bytes.
const cursorKeySize = 32

// cursorKey reads the secret of the cursors from the data directory, or makes
// it there, readable by its owner only: pages that clients hold outlive a
// restart of the server.
func cursorKey(dir string, random io.Reader) ([]byte, error) {
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
