package sqlite_test

import (
	"crypto/rand"
	"testing"

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
		"usual": {},
		"tight": {FirstLook: 1, SecondLook: 4, Qualifiers: 1, Checkpoint: 20, CacheBytes: 1 << 20, GroupCommit: 4},
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
