package sqlite

import (
	"encoding/binary"

	"galen/fhir"
	"galen/store"
)

// historian reads one page of a history.
type historian struct {
	c            *conn
	view         view
	since, until int64 // ms; until is exclusive
}

// feed is one ordered stream of versions.
type feed struct {
	cur   cursor
	place place
}

func (f *feed) next() bool {
	if !f.cur.Step() {
		return false
	}
	f.place = place{f.cur.ColumnInt64(2), f.cur.ColumnInt64(7), f.cur.ColumnInt64(1)}
	return true
}

// scope is what the feeds of a selection are bound to: pairs of statements
// (current, superseded) with the value of their first argument.
func (h historian) scope(s store.HistorySelect) (current, superseded string, by []any) {
	if s.ID != "" {
		return sqlCurrentOne, sqlHistoryOne, []any{h.view.exact(fhir.Key{Type: s.Type, ID: s.ID}.String())}
	}
	var types []string
	if s.Type != "" {
		types = []string{s.Type}
	}
	for _, t := range h.view.knownTypes(types) {
		by = append(by, h.view.typeID(t))
	}
	return sqlCurrentOf, sqlHistoryOf, by
}

func (h historian) total(s store.HistorySelect) (int, error) {
	_, _, by := h.scope(s)
	statements := []string{sqlCountCurrent, sqlCountHistory}
	if s.ID != "" {
		statements = []string{sqlCountThis, sqlCountOne}
	}
	total := 0
	for _, sql := range statements {
		for _, arg := range by {
			n, err := h.c.int(sql, arg, h.since, h.until)
			if err != nil {
				return 0, err
			}
			total += int(n)
		}
	}
	return total, nil
}

func (h historian) page(page *store.Page, s store.HistorySelect, after place) (err error) {
	var feeds []*feed
	defer func() {
		for _, f := range feeds {
			if e := f.cur.stop(); err == nil {
				err = e
			}
		}
	}()
	current, superseded, by := h.scope(s)
	for _, arg := range by {
		for _, sql := range []string{current, superseded} {
			args := []any{arg, h.since, h.until, after.updated, after.rid, after.version}
			switch sql {
			case sqlCurrentOf:
				args = args[:5]
			case sqlCurrentOne:
				args = args[:3]
			}
			cur, err := h.c.query(sql, args...)
			if err != nil {
				return err
			}
			feeds = append(feeds, &feed{cur: cur})
		}
	}
	h.merge(page, feeds, s.Limit, after)
	for _, f := range feeds {
		if err := f.cur.Err(); err != nil {
			return err
		}
	}
	return nil
}

// merge takes the newest version of all feeds until the page is full.
func (h historian) merge(page *store.Page, feeds []*feed, limit int, after place) {
	live := make([]*feed, 0, len(feeds))
	for _, f := range feeds {
		if f.next() {
			live = append(live, f)
		}
	}
	var last place
	for len(live) > 0 {
		newest := 0
		for i, f := range live {
			if live[newest].place.before(f.place) {
				newest = i
			}
		}
		f := live[newest]
		if f.place.before(after) {
			if len(page.Records) == limit {
				page.Next = binary.AppendVarint(binary.AppendVarint(binary.AppendVarint(nil, last.updated), last.rid), last.version)
				return
			}
			page.Records = append(page.Records, scan(f.cur.Stmt, h.view))
			last = f.place
		}
		if !f.next() {
			live = append(live[:newest], live[newest+1:]...)
		}
	}
}
