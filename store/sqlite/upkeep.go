package sqlite

import (
	"galen/store"
)

// reindex changes what the current version is found by.
func (w *writer) reindex(r *request, i int, old stored) error {
	blob := r.blobs[i]
	if blob == nil {
		blob = []byte{}
	}
	if err := w.c.Each("UPDATE resource SET entries = ? WHERE rid = ?", []any{blob, old.rid}, nil); err != nil {
		return err
	}
	return w.exchange(r.writes[i].Type, old, r.rows[i])
}

// expunge removes versions, and their bytes from the pages that they lay in.
func (w *writer) expunge(x *store.Write, old stored) error {
	if err := w.c.Exec("PRAGMA secure_delete = ON"); err != nil {
		return err
	}
	defer w.c.Exec("PRAGMA secure_delete = OFF")
	if x.Through < x.Expect {
		return w.c.Each("DELETE FROM history WHERE rid = ? AND version >= ? AND version <= ?", []any{old.rid, x.From, x.Through}, nil)
	}
	if err := w.c.Each("DELETE FROM history WHERE rid = ?", []any{old.rid}, nil); err != nil {
		return err
	}
	if err := w.exchange(x.Type, old, nil); err != nil {
		return err
	}
	return w.c.Each("DELETE FROM resource WHERE rid = ?", []any{old.rid}, nil)
}
