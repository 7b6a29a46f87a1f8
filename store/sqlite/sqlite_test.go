package sqlite_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/search"
	"galen/store"
	"galen/store/sqlite"
	"galen/store/storetest"
)

func open(t testing.TB, o sqlite.Options) *sqlite.DB {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	o.Random = rand.Reader
	db, err := sqlite.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// TestDriver runs the contract with the usual settings, and with settings under
// which a few hundred resources are many and a second system is too many.
func TestDriver(t *testing.T) {
	for name, o := range map[string]sqlite.Options{
		"usual":  {},
		"sealed": {Key: bytes.Repeat([]byte("sixteen letters."), 4)},
		"tight":  {FirstLook: 1, SecondLook: 4, Qualifiers: 1, Checkpoint: 20, CacheBytes: 1 << 20, GroupCommit: 4},
	} {
		t.Run(name, func(t *testing.T) {
			dirs := map[store.Driver]string{}
			storetest.Run(t, storetest.Harness{
				Open: func(t *testing.T) store.Driver {
					o := o
					o.Dir = t.TempDir()
					db := open(t, o)
					dirs[db] = o.Dir
					return db
				},
				Reopen: func(t *testing.T, d store.Driver) store.Driver {
					if err := d.Close(); err != nil {
						t.Fatal(err)
					}
					o := o
					o.Dir = dirs[d]
					return open(t, o)
				},
			})
		})
	}
}

// A store made with a key opens only with that key, one made without only
// without; the error does not hold the key, and no file holds what was stored.
func TestKey(t *testing.T) {
	key := bytes.Repeat([]byte("sixteen letters."), 4)
	other := bytes.Repeat([]byte("another sixteen."), 4)
	sealed, plain := t.TempDir(), t.TempDir()
	for dir, key := range map[string][]byte{sealed: key, plain: nil} {
		db := open(t, sqlite.Options{Dir: dir, Key: key})
		resource, err := fhir.Parse([]byte(`{"resourceType":"Patient","id":"a","name":[{"family":"Nierenstein"}]}`), jsontree.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		s, err := store.New(store.Options{
			Driver: db, Indexer: noIndex{}, Now: time.Now, NewID: func() string { return "a" }, Random: rand.Reader,
			ReferenceParams: func(string) []string { return nil }, Types: []string{"Patient"}, CursorKey: make([]byte, 32),
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Commit(t.Context(), []store.Change{{Method: store.Put, Key: fhir.Key{Type: "Patient", ID: "a"}, Resource: resource}}); err != nil {
			t.Fatal(err)
		}
		found := holds(t, dir, "Nierenstein") // the WAL is there until Close
		crashed(t, dir, key, other)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if found = found || holds(t, dir, "Nierenstein"); found != (key == nil) {
			t.Errorf("with a key: %t, name in a file: %t", key != nil, found)
		}
	}
	for name, o := range map[string]sqlite.Options{
		"another key": {Dir: sealed, Key: other}, "no key": {Dir: sealed}, "a key for plain files": {Dir: plain, Key: key}, "a short key": {Dir: sealed, Key: key[:20]},
	} {
		o.Random = rand.Reader
		db, err := sqlite.Open(o)
		if err == nil {
			t.Errorf("%s: opened", name)
			_ = db.Close()
		} else if strings.Contains(err.Error(), hex.EncodeToString(key[:8])) || strings.Contains(err.Error(), "sixteen") {
			t.Errorf("%s: the error holds the key", name)
		}
	}
	for dir, key := range map[string][]byte{sealed: key, plain: nil} {
		db := open(t, sqlite.Options{Dir: dir, Key: key})
		if got, err := db.Read(t.Context(), fhir.Key{Type: "Patient", ID: "a"}); err != nil || len(got) != 1 || !bytes.Contains(got[0].Body, []byte("Nierenstein")) {
			t.Errorf("read again: %v %v", got, err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// crashed copies a store that is open, as a crash leaves it, and opens the copy
// with wrong keys before the right one: what lies in the WAL must survive that.
func crashed(t *testing.T, dir string, key, other []byte) {
	t.Helper()
	left := t.TempDir()
	if err := os.CopyFS(left, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range [][]byte{nil, other} {
		if bytes.Equal(wrong, key) {
			continue
		}
		if db, err := sqlite.Open(sqlite.Options{Dir: left, Key: wrong, Random: rand.Reader}); err == nil {
			t.Error("opened with a wrong key after a crash")
			_ = db.Close()
		}
	}
	db := open(t, sqlite.Options{Dir: left, Key: key})
	if got, err := db.Read(t.Context(), fhir.Key{Type: "Patient", ID: "a"}); err != nil || len(got) != 1 || !got[0].Exists() {
		t.Errorf("with a key: %t, lost by opening with a wrong one: %v %v", key != nil, got, err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// noIndex indexes nothing.
type noIndex struct{}

func (noIndex) Index(fhir.Resource) ([]search.Entry, error) { return nil, nil }

// holds reports whether a file of the directory holds a text.
func holds(t *testing.T, dir, text string) bool {
	t.Helper()
	found := false
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		content, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		found = found || bytes.Contains(content, []byte(text))
	}
	return found
}
