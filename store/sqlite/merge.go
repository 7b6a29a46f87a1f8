package sqlite

import (
	"cmp"
	"slices"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"galen/store/sqlite/conn"
	"galen/store/sqlite/plan"
)

// stream is the head of a merged walk.
type stream struct {
	cur      conn.Cursor
	key, rid int64
	text     string // instead of key, in a walk by text
}

// heads are the streams of a walk that are not at their end.
type heads struct {
	list []*stream
	down bool // by text descending
}

// first is the stream to take from next.
func (h heads) first() *stream {
	return slices.MinFunc(h.list, func(a, b *stream) int {
		c := strings.Compare(a.text, b.text)
		if h.down {
			c = -c
		}
		return cmp.Or(c, cmp.Compare(a.key, b.key), cmp.Compare(a.rid, b.rid))
	})
}

// merge yields the rows of a walk, neighbours of one resource once.
func (f *finder) merge(w plan.Walk, yield func(s *stream) bool) {
	if len(w.Groups) > 0 {
		w.IDs = f.sorted(w.Groups)
	}
	for _, rid := range w.IDs {
		if f.err != nil || !yield(&stream{rid: rid}) {
			return
		}
	}
	h := heads{down: len(f.q.Sort) > 0 && f.q.Sort[0].Descending}
	defer func() {
		for _, s := range h.list {
			if err := s.cur.Stop(); err != nil {
				f.fail(err)
			}
		}
	}()
	for _, s := range w.Streams {
		cur, err := f.c.Query(s.SQL, s.Args...)
		if err != nil {
			f.fail(err)
			return
		}
		h.list = append(h.list, &stream{cur: cur})
	}
	h.list = slices.DeleteFunc(h.list, func(s *stream) bool { return !f.advance(s, w) })
	for last := (stream{rid: -1}); len(h.list) > 0 && f.err == nil; {
		s := h.first()
		if s.rid != last.rid || w.Values && (s.key != last.key || s.text != last.text) {
			if last = *s; !yield(s) {
				return
			}
		}
		if !f.advance(s, w) {
			h.list = slices.DeleteFunc(h.list, func(o *stream) bool { return o == s })
		}
	}
}

// sorted reads the rows of groups and puts their resources in order.
func (f *finder) sorted(groups []plan.Source) []int64 {
	type row struct{ key, rid int64 }
	var rows []row
	for _, s := range groups {
		if f.err != nil {
			return nil
		}
		if err := f.c.Each(s.SQL, s.Args, func(s *sqlite3.Stmt) bool {
			rows = append(rows, row{s.ColumnInt64(0), s.ColumnInt64(1)})
			return true
		}); err != nil {
			f.fail(err)
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.rid, b.rid)) })
	ids := make([]int64, 0, len(rows))
	for i, r := range rows {
		if i == 0 || r.rid != rows[i-1].rid {
			ids = append(ids, r.rid)
		}
	}
	return ids
}

// advance moves to a stream's next row; at the end it stops the statement.
func (f *finder) advance(s *stream, w plan.Walk) bool {
	if !s.cur.Step() {
		if err := s.cur.Stop(); err != nil {
			f.fail(err)
		}
		return false
	}
	switch {
	case w.Text:
		s.text, s.rid = s.cur.ColumnText(0), s.cur.ColumnInt64(1)
	case w.Keyed:
		s.key, s.rid = s.cur.ColumnInt64(0), s.cur.ColumnInt64(1)
	default:
		s.rid = s.cur.ColumnInt64(0)
	}
	return true
}
