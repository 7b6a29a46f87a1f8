package sqlite

import (
	"crypto/rand"
	"path/filepath"
	"testing"

	"galen/fhir/search"
	"galen/store/sqlite/conn"
)

// A store that version 1 wrote, with the words of its texts as rows of value,
// opens and finds by word what it found before.
func TestMigrateWords(t *testing.T) {
	dir := t.TempDir()
	c, err := conn.Open(filepath.Join(dir, File), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := migrate(c, 0, rand.Reader); err != nil {
		t.Fatal(err)
	}
	// Slot 1: the words of _content of Patients; slot 2: another one.
	err = c.Exec(`INSERT INTO name VALUES (1, 'Patient'); INSERT INTO slot VALUES (1, 'Patient', 3, '_content', char(0)), (2, 'Patient', 3, 'x', 'whole text');
		INSERT INTO resource VALUES (1, 'k', 1, 'a', 1, 0, 0, 0, x'', x'');
		INSERT INTO value VALUES (1, 'heart', 1), (1, 'o''neil', 1), (1, 'müll"x', 1), (1, 'lung', 2), (2, '', 3);`)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := Open(Options{Dir: dir, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	for word, want := range map[string]int64{"hea": 1, "o'ne": 1, `müll"`: 1, "lung": 2, "eart": 0, "1_heart": 0} {
		var got int64
		err := db.read(t.Context(), "test", func(c *conn.Conn) error {
			f := newFinder(db, c, &search.Query{Types: []string{"Patient"}})
			l, ok := f.Leaf(search.Where{Param: "_content", Any: []search.Test{search.TextTest{Norm: word}}})
			if ok {
				f.run(l.Sources[0], -1, func(rid int64) bool {
					got = rid
					return true
				})
			}
			return f.err
		})
		if err != nil || got != want {
			t.Errorf("%s: resource %d, %v; want %d", word, got, err, want)
		}
	}
	var left int64
	err = db.read(t.Context(), "test", func(c *conn.Conn) error {
		var err error
		left, err = c.Int("SELECT count(*) FROM value")
		return err
	})
	if err != nil || left != 1 {
		t.Errorf("%d rows are left in value, %v", left, err)
	}
}
