package sqlite

import (
	"math"
	"slices"
	"strconv"

	"galen/fhir/search"
)

// walk is a run over row ids: a list, or streams merged.
type walk struct {
	ids     []int64
	streams []source // yield (key, rid) in that order, or rid alone
	keyed   bool
	covers  bool // every condition is in the index range: nearly all met are matches
}

// plainWalk merges sources by row id.
func plainWalk(sources []source, above int64) walk {
	w := walk{}
	for _, s := range sources {
		w.streams = append(w.streams, source{sql: s.sql, args: append(slices.Clone(s.args), above)})
	}
	return w
}

// The statements of sorted walks: each one index range, in its order.
const (
	sqlCoded       = "SELECT b, rid FROM coded WHERE slot = ? AND a = ? AND (b, rid) > (?, ?) AND b <= ? ORDER BY b, rid"
	sqlTimeline    = "SELECT c, rid FROM timeline WHERE slot = ? AND a = ? AND b = ? AND (c, rid) > (?, ?) AND c <= ? ORDER BY c, rid"
	sqlUpdatedUp   = "SELECT updated, rid FROM resource WHERE type = ? AND deleted = 0 AND (updated, rid) > (?, ?) ORDER BY updated, rid"
	sqlUpdatedDown = "SELECT -updated, rid FROM resource WHERE type = ? AND deleted = 0 AND updated <= ? AND (updated < ? OR rid > ?) ORDER BY updated DESC, rid"
)

// stream is the head of a merged walk.
type stream struct {
	cur      cursor
	key, rid int64
}

// merge yields the row ids of a walk, neighbouring equals once.
func (f *finder) merge(w walk, yield func(rid int64) bool) {
	for _, rid := range w.ids {
		if f.err != nil || !yield(rid) {
			return
		}
	}
	var heads []*stream
	defer func() {
		for _, s := range heads {
			if err := s.cur.stop(); err != nil {
				f.fail(err)
			}
		}
	}()
	for _, s := range w.streams {
		cur, err := f.c.query(s.sql, s.args...)
		if err != nil {
			f.fail(err)
			return
		}
		heads = append(heads, &stream{cur: cur})
	}
	heads = slices.DeleteFunc(heads, func(s *stream) bool { return !f.advance(s, w.keyed) })
	for last := int64(-1); len(heads) > 0 && f.err == nil; {
		s := slices.MinFunc(heads, func(a, b *stream) int {
			if a.key != b.key {
				return compareInt(a.key, b.key)
			}
			return compareInt(a.rid, b.rid)
		})
		if rid := s.rid; rid != last {
			if last = rid; !yield(rid) {
				return
			}
		}
		if !f.advance(s, w.keyed) {
			heads = slices.DeleteFunc(heads, func(o *stream) bool { return o == s })
		}
	}
}

func compareInt(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// advance moves to a stream's next row; at the end it stops the statement.
func (f *finder) advance(s *stream, keyed bool) bool {
	if !s.cur.Step() {
		if err := s.cur.stop(); err != nil {
			f.fail(err)
		}
		return false
	}
	if keyed {
		s.key, s.rid = s.cur.ColumnInt64(0), s.cur.ColumnInt64(1)
	} else {
		s.rid = s.cur.ColumnInt64(0)
	}
	return true
}

// sorted finds a walk in the order of the query's sort; false if no index has
// that order.
func (f *finder) sorted(p *plan, after *position) (walk, bool) {
	types := f.knownTypes(f.types)
	if len(f.q.Sort) != 1 || len(f.types) != 1 || len(types) != 1 {
		return walk{}, false
	}
	s := f.q.Sort[0]
	if s.Param == "_lastUpdated" {
		w := f.byUpdate(f.typeID(types[0]), s.Descending, after)
		w.covers = len(p.parts) == 0
		return w, true
	}
	rule, ok := codedTypes[types[0]]
	if !ok || s.Param != rule.date || !s.Descending {
		return walk{}, false
	}
	return f.newestFirst(p.parts, rule, after)
}

func (f *finder) byUpdate(typ int64, descending bool, after *position) walk {
	low, rid := int64(math.MinInt64), int64(-1)
	high := int64(math.MaxInt64)
	if after != nil {
		low = instantOf(after.keys[0]) / 1000
		high, rid = low, after.rid
	}
	if descending {
		return walk{keyed: true, streams: []source{{sql: sqlUpdatedDown, args: []any{typ, high, high, rid}}}}
	}
	return walk{keyed: true, streams: []source{{sql: sqlUpdatedUp, args: []any{typ, low, rid}}}}
}

// instantOf reads the sort key of a date: 16 hexadecimal digits of the instant
// with its sign moved.
func instantOf(k sortKey) int64 {
	n, _ := strconv.ParseUint(k.text, 16, 64)
	return int64(n ^ 1<<63)
}

// coding is what newestFirst needs of the conditions.
type coding struct {
	codes    []string
	patients []cell
	patient  string // the parameter that named them
	dates    []search.DateTest
	rest     bool // there are other conditions
}

// coding sorts the conditions; false if there is no plain condition on the code.
func (f *finder) coding(parts []search.Expr, rule codedParam) (c coding, ok bool) {
	for _, part := range parts {
		w, _ := part.(search.Where)
		switch {
		case w.Param == rule.code && c.codes == nil:
			c.codes, ok = tokenCodes(w.Any)
			if !ok {
				return c, false
			}
		case w.Param == patientParam && c.patients == nil, w.Param == "subject" && c.patients == nil && f.subjectsArePatients():
			c.patients, c.patient = f.referenceKeys(w.Any), w.Param
			c.rest = c.rest || c.patients == nil
		case w.Param == rule.date && len(w.Any) == 1:
			d, isDate := w.Any[0].(search.DateTest)
			c.dates = append(c.dates, d)
			c.rest = c.rest || !isDate
		default:
			c.rest = true
		}
	}
	return c, len(c.codes) > 0
}

// subjectsArePatients reports that no reference under subject is elsewhere than
// in timeline.
func (f *finder) subjectsArePatients() bool {
	return len(f.ofKind("subject", kindReference)) == 0
}

func tokenCodes(tests []search.Test) ([]string, bool) {
	var codes []string
	for _, t := range tests {
		token, ok := t.(search.TokenTest)
		if !ok || token.AnyCode {
			return nil, false
		}
		codes = append(codes, token.Code)
	}
	return codes, true
}

// referenceKeys are the cells of keys; nil if the tests ask for anything else.
func (f *finder) referenceKeys(tests []search.Test) []cell {
	var keys []cell
	for _, t := range tests {
		ref, ok := t.(search.ReferenceTest)
		if !ok || ref.Type == "" || ref.URL != "" || ref.Version != "" {
			return nil
		}
		keys = append(keys, f.exact(ref.Key.String()))
	}
	return keys
}

// newestFirst walks coded or timeline; false if they are not complete for this
// type, or the conditions do not name a code.
func (f *finder) newestFirst(parts []search.Expr, rule codedParam, after *position) (walk, bool) {
	c, ok := f.coding(parts, rule)
	if !ok || len(f.ofKind(rule.code, kindUncoded)) > 0 {
		return walk{}, false
	}
	w := walk{keyed: true, covers: !c.rest}
	sql, slots := sqlCoded, f.ofKind(rule.code, kindCoded, kindLongCoded)
	if c.patients != nil {
		sql, slots = sqlTimeline, f.lineSlots(c.patient, rule.code)
	}
	for _, s := range slots {
		short := s.kind == kindCoded || s.kind == kindLine
		from, to := timeBounds(c.dates, short)
		rid := int64(-1)
		if after != nil {
			at := int64(noDate)
			if after.keys[0].found {
				at = ^instantOf(after.keys[0])
			}
			if at >= from {
				from, rid = at, after.rid
			}
		}
		for _, code := range c.codes {
			for _, cell := range f.codes(code) {
				if c.patients == nil {
					w.streams = append(w.streams, source{sql: sql, args: []any{s.id, cell, from, rid, to}})
				}
				for _, patient := range c.patients {
					w.streams = append(w.streams, source{sql: sql, args: []any{s.id, patient, cell, from, rid, to}})
				}
			}
		}
	}
	return w, len(w.streams) <= wideMerge
}

func (f *finder) lineSlots(patient, code string) []*slot {
	return f.find(f.types, patient, func(s *slot) bool {
		return (s.kind == kindLine || s.kind == kindLongLine) &&
			slices.Contains(s.params[0], patient) && slices.Contains(s.params[1], code)
	})
}

// timeBounds are the places in time between which all lies that can pass.
func timeBounds(tests []search.DateTest, short bool) (from, to int64) {
	from, to = math.MinInt64, noDate
	for _, t := range tests {
		lowest, highest := int64(math.MaxInt64), int64(math.MinInt64) // of the latest end
		for _, b := range dateBounds(t) {
			lowest = min(lowest, max(b.highMin, b.lowMin)) // a date does not end before it begins
			highest = max(highest, min(b.highMax, plus(b.lowMax, narrowDate)))
		}
		if lowest > math.MinInt64 {
			to = min(to, ^lowest)
		}
		if short {
			from = max(from, ^highest)
		}
	}
	return from, to
}

// lineLeaf is the leaf of a patient and a code together.
func (f *finder) lineLeaf(parts []search.Expr) (leaf, bool) {
	if len(f.types) != 1 {
		return leaf{}, false
	}
	rule, ok := codedTypes[f.types[0]]
	if !ok {
		return leaf{}, false
	}
	c, ok := f.coding(parts, rule)
	if !ok || c.patients == nil || len(f.ofKind(rule.code, kindUncoded)) > 0 {
		return leaf{}, false
	}
	var l leaf
	for _, s := range f.lineSlots(c.patient, rule.code) {
		for _, code := range c.codes {
			for _, cell := range f.codes(code) {
				for _, patient := range c.patients {
					l.add(sqlLineCode, s.id, patient, cell)
				}
			}
		}
	}
	return l, true
}
