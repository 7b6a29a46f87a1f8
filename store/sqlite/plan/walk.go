package plan

import (
	"iter"
	"math"
	"slices"
	"strconv"

	"galen/fhir/search"
	"galen/store/sqlite/index"
)

// Walk is a run over row ids: a list, or streams to be merged.
type Walk struct {
	IDs     []int64
	Streams []Source // yield (key, row id) in that order, or row ids alone
	Groups  []Source // yield (key, row id) in no order: to be read whole and sorted
	Keyed   bool
	Covers  bool // every condition is in the index ranges: nearly all met are matches
	// Values says that there is a row for each value, of which only that of the
	// resource's own sort key counts, and none for resources without value: they
	// follow. The key is the complement of a date, or with Text a string that may
	// be cut short.
	Values, Text bool
}

// MaxStreams is how many streams a Walk has at most.
const MaxStreams = 32

// ByRow is the Walk of ordered sources, above a row id.
func ByRow(sources []Source, above int64) Walk {
	var w Walk
	for _, s := range sources {
		w.Streams = append(w.Streams, Source{SQL: s.SQL, Args: append(slices.Clone(s.Args), above)})
	}
	return w
}

// ByCreation walks over candidates in the order of creation: along the first
// leaf that has that order, else over the types.
func (p Planner) ByCreation(leaves iter.Seq[Leaf], above int64) Walk {
	for l := range leaves {
		if len(l.Sources) <= MaxStreams && !slices.ContainsFunc(l.Sources, func(s Source) bool { return !s.Ordered }) {
			return ByRow(l.Sources, above)
		}
	}
	types := p.KnownTypes(p.Types)
	if len(p.Types) == 0 || len(types) > MaxStreams {
		return ByRow([]Source{{SQL: sqlAll}}, above)
	}
	var l Leaf
	for _, t := range types {
		l.add(sqlType, p.TypeID(t))
	}
	return ByRow(l.Sources, above)
}

// The statements of sorted walks: each one index range, in its order.
const (
	sqlCoded       = "SELECT b, rid FROM coded WHERE slot = ? AND a = ? AND (b, rid) > (?, ?) AND b <= ? ORDER BY b, rid"
	sqlTimeline    = "SELECT c, rid FROM timeline WHERE slot = ? AND a = ? AND b = ? AND (c, rid) > (?, ?) AND c <= ? ORDER BY c, rid"
	sqlDatesDown   = "SELECT ~a, rid FROM span WHERE slot = ? AND a <= ? AND (a < ? OR rid > ?) ORDER BY a DESC, rid"
	sqlTextUp      = "SELECT a, rid FROM value WHERE slot = ? AND a >= ? ORDER BY a, rid"
	sqlTextDown    = "SELECT a, rid FROM value WHERE slot = ? AND a <= ? ORDER BY a DESC, rid"
	sqlUpdatedUp   = "SELECT updated, rid FROM resource WHERE type = ? AND deleted = 0 AND (updated, rid) > (?, ?) ORDER BY updated, rid"
	sqlUpdatedDown = "SELECT -updated, rid FROM resource WHERE type = ? AND deleted = 0 AND updated <= ? AND (updated < ? OR rid > ?) ORDER BY updated DESC, rid"
)

// Sorted finds a walk in the order of sorts over what some conditions can hold
// for, from the position after; false if no index has that order.
func (p Planner) Sorted(parts []search.Expr, sorts []search.Sort, after *Position) (Walk, bool) {
	types := p.KnownTypes(p.Types)
	if len(sorts) != 1 || len(p.Types) != 1 || len(types) != 1 {
		return Walk{}, false
	}
	s := sorts[0]
	if s.Param == "_lastUpdated" {
		w := p.byUpdate(p.TypeID(types[0]), s.Descending, after)
		w.Covers = len(parts) == 0
		return w, true
	}
	rule, ok := index.CodedTypes[types[0]]
	if ok && s.Param == rule.Date && s.Descending {
		if w, ok := p.newestFirst(parts, rule, after); ok {
			return w, true
		}
	}
	return p.byValue(parts, s, after)
}

// byValue walks the values of a parameter that is nothing but dates, newest
// first, or nothing but strings.
func (p Planner) byValue(parts []search.Expr, s search.Sort, after *Position) (Walk, bool) {
	slots := p.Find(p.Types, s.Param, func(slot *index.Slot) bool {
		return index.Ordered(slot.Kind) && slices.Contains(slot.Params[0], s.Param)
	})
	w := Walk{Keyed: true, Values: true, Covers: len(parts) == 0}
	w.Text = len(slots) > 0 && slots[0].Kind == index.KindString
	for _, slot := range slots {
		switch {
		case slot.Kind == index.KindString && w.Text:
			w.Streams = append(w.Streams, textStream(slot.ID, s, after))
		case (slot.Kind == index.KindDate || slot.Kind == index.KindLongDate) && !w.Text && s.Descending:
			high, rid := int64(math.MaxInt64), int64(-1)
			if after != nil && after.Keys[0].Found {
				high, rid = instantOf(after.Keys[0]), after.RID
			}
			w.Streams = append(w.Streams, Source{SQL: sqlDatesDown, Args: []any{slot.ID, high, high, rid}})
		default:
			return Walk{}, false
		}
	}
	if after != nil && !after.Keys[0].Found {
		w.Streams = nil
	}
	return w, len(slots) > 0 && len(slots) <= MaxStreams
}

func textStream(slot int64, s search.Sort, after *Position) Source {
	sql, from := sqlTextUp, ""
	if s.Descending {
		sql, from = sqlTextDown, "\xff" // above all UTF-8
	}
	if after != nil {
		from = index.Cut(after.Keys[0].Text, index.MaxString)
	}
	return Source{SQL: sql, Args: []any{slot, from}}
}

func (p Planner) byUpdate(typ int64, descending bool, after *Position) Walk {
	low, rid := int64(math.MinInt64), int64(-1)
	high := int64(math.MaxInt64)
	if after != nil {
		low = instantOf(after.Keys[0]) / 1000
		high, rid = low, after.RID
	}
	if descending {
		return Walk{Keyed: true, Streams: []Source{{SQL: sqlUpdatedDown, Args: []any{typ, high, high, rid}}}}
	}
	return Walk{Keyed: true, Streams: []Source{{SQL: sqlUpdatedUp, Args: []any{typ, low, rid}}}}
}

// Own reports whether a row's key is that of the resource's sort key.
func (w Walk) Own(row int64, text string, k Key) bool {
	switch {
	case !w.Values:
		return true
	case !k.Found:
		return false
	case w.Text:
		return index.Cut(k.Text, index.MaxString) == text
	}
	return ^instantOf(k) == row
}

// instantOf reads the sort key of a date: 16 hexadecimal digits of the instant
// with its sign moved.
func instantOf(k Key) int64 {
	n, _ := strconv.ParseUint(k.Text, 16, 64)
	return int64(n ^ 1<<63)
}

// coding is what newestFirst needs of the conditions.
type coding struct {
	codes    []string
	patients []index.Cell
	patient  string // the parameter that named them
	dates    []search.DateTest
	rest     bool // there are other conditions
}

// coding sorts the conditions; false if there is no plain condition on the code.
func (p Planner) coding(parts []search.Expr, rule index.CodedParam) (c coding, ok bool) {
	for _, part := range parts {
		w, _ := part.(search.Where)
		switch {
		case w.Param == rule.Code && c.codes == nil:
			c.codes, ok = tokenCodes(w.Any)
			if !ok {
				return c, false
			}
		case w.Param == index.PatientParam && c.patients == nil, w.Param == "subject" && c.patients == nil && p.subjectsArePatients():
			c.patients, c.patient = p.referenceKeys(w.Any), w.Param
			c.rest = c.rest || c.patients == nil
		case w.Param == rule.Date && len(w.Any) == 1:
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
func (p Planner) subjectsArePatients() bool {
	return len(p.ofKind("subject", index.KindReference)) == 0
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
func (p Planner) referenceKeys(tests []search.Test) []index.Cell {
	var keys []index.Cell
	for _, t := range tests {
		ref, ok := t.(search.ReferenceTest)
		if !ok || ref.Type == "" || ref.URL != "" || ref.Version != "" {
			return nil
		}
		keys = append(keys, p.Exact(ref.Key.String()))
	}
	return keys
}

// newestFirst walks coded or timeline; false if they are not complete for this
// type, or the conditions do not name a code.
func (p Planner) newestFirst(parts []search.Expr, rule index.CodedParam, after *Position) (Walk, bool) {
	c, ok := p.coding(parts, rule)
	if !ok || len(p.ofKind(rule.Code, index.KindUncoded)) > 0 {
		return Walk{}, false
	}
	w := Walk{Keyed: true, Covers: !c.rest}
	sql, slots := sqlCoded, p.ofKind(rule.Code, index.KindCoded, index.KindLongCoded)
	if c.patients != nil {
		sql, slots = sqlTimeline, p.lineSlots(c.patient, rule.Code)
	}
	for _, s := range slots {
		short := s.Kind == index.KindCoded || s.Kind == index.KindLine
		from, to := timeBounds(c.dates, short)
		rid := int64(-1)
		if after != nil {
			at := int64(index.NoDate)
			if after.Keys[0].Found {
				at = ^instantOf(after.Keys[0])
			}
			if at >= from {
				from, rid = at, after.RID
			}
		}
		var cells []index.Cell
		for _, code := range c.codes {
			cells = append(cells, p.codes(code)...)
		}
		for _, patient := range c.patients { // of one patient there is never so much
			if len(cells) >= minBundle {
				sql, list := in(sqlTimelines, cells)
				w.Groups = append(w.Groups, Source{SQL: sql, Args: slices.Concat([]any{s.ID, patient}, list, []any{from, rid, to})})
				continue
			}
			for _, cell := range cells {
				w.Streams = append(w.Streams, Source{SQL: sql, Args: []any{s.ID, patient, cell, from, rid, to}})
			}
		}
		for _, cell := range cells {
			if c.patients == nil {
				w.Streams = append(w.Streams, Source{SQL: sql, Args: []any{s.ID, cell, from, rid, to}})
			}
		}
	}
	return w.ungrouped(), len(w.Streams) <= MaxStreams && len(w.Groups) <= MaxStreams
}

// ungrouped makes groups of streams too if there are both: they cannot be merged.
func (w Walk) ungrouped() Walk {
	if len(w.Groups) > 0 {
		w.Groups, w.Streams = append(w.Groups, w.Streams...), nil
	}
	return w
}

func (p Planner) lineSlots(patient, code string) []*index.Slot {
	return p.Find(p.Types, patient, func(s *index.Slot) bool {
		return (s.Kind == index.KindLine || s.Kind == index.KindLongLine) &&
			slices.Contains(s.Params[0], patient) && slices.Contains(s.Params[1], code)
	})
}

// timeBounds are the places in time between which all lies that can pass.
func timeBounds(tests []search.DateTest, short bool) (from, to int64) {
	from, to = math.MinInt64, index.NoDate
	for _, t := range tests {
		lowest, highest := int64(math.MaxInt64), int64(math.MinInt64) // of the latest end
		for _, b := range dateBounds(t) {
			lowest = min(lowest, max(b.highMin, b.lowMin)) // a date does not end before it begins
			highest = max(highest, min(b.highMax, plus(b.lowMax, index.NarrowDate)))
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

// Line is the leaf of a patient and a code together.
func (p Planner) Line(parts []search.Expr) (Leaf, bool) {
	if len(p.Types) != 1 {
		return Leaf{}, false
	}
	rule, ok := index.CodedTypes[p.Types[0]]
	if !ok {
		return Leaf{}, false
	}
	c, ok := p.coding(parts, rule)
	if !ok || c.patients == nil || len(p.ofKind(rule.Code, index.KindUncoded)) > 0 {
		return Leaf{}, false
	}
	var cells []index.Cell
	for _, code := range c.codes {
		cells = append(cells, p.codes(code)...)
	}
	var l Leaf
	for _, s := range p.lineSlots(c.patient, rule.Code) {
		for _, patient := range c.patients {
			if len(cells) > maxLookups {
				l.Sources = append(l.Sources, scan(s.ID, patient, cells))
				continue
			}
			for _, cell := range cells {
				l.add(sqlLineCode, s.ID, patient, cell)
			}
		}
	}
	return l, true
}

// maxLookups is how many codes are looked up for a patient without first having a
// look at what the patient has.
const maxLookups = 16

// scan goes over all of a patient for many codes: of most patients little is on
// record, and one row costs less than one look-up. It gives up, for the look-ups,
// on a patient with more rows than twice the codes.
func scan(slot int64, patient index.Cell, cells []index.Cell) Source {
	sql, list := in(bundled[sqlLineCode], cells)
	s := Source{SQL: sqlLineScan, Args: []any{slot, patient}, Among: map[index.Cell]bool{}, Most: 2 * len(cells)}
	for _, c := range cells {
		s.Among[c] = true
	}
	s.Else = &Source{SQL: sql, Args: append([]any{slot, patient}, list...)}
	return s
}
