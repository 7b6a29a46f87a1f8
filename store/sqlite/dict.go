package sqlite

import (
	"github.com/ncruces/go-sqlite3"

	"galen/store/sqlite/conn"
	"galen/store/sqlite/index"
)

// loadDict reads the dictionary. Its secret is made with the schema.
func loadDict(c *conn.Conn, qualifiers int) (*index.Dict, error) {
	content := index.Contents{Qualifiers: qualifiers}
	reads := []struct {
		sql  string
		read func(*sqlite3.Stmt)
	}{
		{"SELECT value FROM setting WHERE name = 'secret'", func(s *sqlite3.Stmt) { content.Secret = s.ColumnBlob(0, nil) }},
		{"SELECT text FROM name ORDER BY id", func(s *sqlite3.Stmt) { content.Names = append(content.Names, s.ColumnText(0)) }},
		{"SELECT type, kind, params, qualifier FROM slot ORDER BY id", func(s *sqlite3.Stmt) {
			content.Slots = append(content.Slots, index.Slot{
				Type: s.ColumnText(0), Kind: index.Kind(s.ColumnInt(1)), Params: index.ParseParams(s.ColumnText(2)), Qualifier: s.ColumnText(3),
			})
		}},
		{"SELECT id FROM name WHERE EXISTS (SELECT 1 FROM resource WHERE type = name.id)", func(s *sqlite3.Stmt) {
			content.Types = append(content.Types, s.ColumnInt64(0))
		}},
	}
	for _, r := range reads {
		err := c.Each(r.sql, nil, func(s *sqlite3.Stmt) bool {
			r.read(s)
			return true
		})
		if err != nil {
			return nil, err
		}
	}
	return index.Load(content), nil
}

// save writes what of the dictionary is not on disk yet, and returns what to
// call after the commit.
func (w *writer) save() (done func(), err error) {
	v := w.db.dict.View()
	names, slots := v.Names(), v.Slots()
	for id := w.saved.names; id < len(names); id++ {
		if err := w.c.Each("INSERT INTO name VALUES (?, ?)", []any{id, names[id]}, nil); err != nil {
			return nil, err
		}
	}
	for id := w.saved.slots; id < len(slots); id++ {
		s := &slots[id]
		args := []any{id, s.Type, int(s.Kind), s.ParamText(), s.Qualifier}
		if err := w.c.Each("INSERT INTO slot VALUES (?, ?, ?, ?, ?)", args, nil); err != nil {
			return nil, err
		}
	}
	return func() { w.saved.names, w.saved.slots = len(names), len(slots) }, nil
}
