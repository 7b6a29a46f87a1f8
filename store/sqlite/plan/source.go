package plan

import (
	"math"
	"slices"
	"strings"

	"galen/fhir"
	"galen/fhir/decimal"
	"galen/fhir/search"
	"galen/store/sqlite/index"
)

// Source is an index walk that yields row ids: those of every resource that an
// expression holds for, and perhaps others. All statements end in "rid > ?".
type Source struct {
	SQL     string
	Args    []any
	Ordered bool // by row id, each once

	// Among, unless it is nil, are the values of the second column that count. A
	// source of more than Most rows is left for Else.
	Among map[index.Cell]bool
	Most  int
	Else  *Source
}

// The statements of sources. Each is one range of one index.
const (
	sqlValue      = "SELECT rid FROM value WHERE slot = ? AND a = ? AND rid > ? ORDER BY rid"
	sqlValueRange = "SELECT rid FROM value WHERE slot = ? AND a >= ? AND a < ? AND rid > ?"
	sqlValueFrom  = "SELECT rid FROM value WHERE slot = ? AND a >= ? AND rid > ?"
	sqlValueSlot  = "SELECT rid FROM value WHERE slot = ? AND rid > ?"
	sqlSpan       = "SELECT rid FROM span WHERE slot = ? AND a BETWEEN ? AND ? AND b BETWEEN ? AND ? AND rid > ?"
	sqlSpanSlot   = "SELECT rid FROM span WHERE slot = ? AND rid > ?"
	sqlLine       = "SELECT rid FROM timeline WHERE slot = ? AND a = ? AND rid > ?"
	sqlLineCode   = "SELECT rid FROM timeline WHERE slot = ? AND a = ? AND b = ? AND rid > ?"
	sqlLineScan   = "SELECT rid, b FROM timeline WHERE slot = ? AND a = ? AND rid > ?"
	sqlLineSlot   = "SELECT rid FROM timeline WHERE slot = ? AND rid > ?"
	sqlWord       = "SELECT rowid FROM words WHERE words MATCH ? AND rowid > ? ORDER BY rowid"
	sqlKey        = "SELECT rid FROM resource WHERE key = ? AND deleted = 0 AND rid > ?"
	sqlUpdated    = "SELECT rid FROM resource WHERE type = ? AND updated BETWEEN ? AND ? AND deleted = 0 AND rid > ?"
	sqlType       = "SELECT rid FROM resource WHERE type = ? AND deleted = 0 AND rid > ? ORDER BY rid"
	sqlAll        = "SELECT rid FROM resource WHERE deleted = 0 AND rid > ? ORDER BY rid"
)

// Leaf is what the index knows about one expression.
type Leaf struct {
	Sources []Source
	Exact   bool // the sources yield nothing else
}

func (l *Leaf) add(sql string, args ...any) {
	l.Sources = append(l.Sources, Source{SQL: sql, Args: args, Ordered: sql == sqlValue || sql == sqlKey || sql == sqlType || sql == sqlWord})
}

// words adds the resources that have a word with a start in a slot.
func (l *Leaf) words(slot int64, start string) {
	l.add(sqlWord, `"`+index.Word(slot, strings.ReplaceAll(start, `"`, `""`))+`"*`)
	l.Exact = false
}

// Planner makes leaves for searches over some types.
type Planner struct {
	index.View
	Types []string // as the query has them; empty for all
}

// Leaf finds the sources of an expression; false if no index helps.
func (p Planner) Leaf(e search.Expr) (Leaf, bool) {
	l := Leaf{Exact: true}
	switch e := e.(type) {
	case search.Where:
		for _, t := range e.Any {
			if !p.test(&l, e.Param, t) {
				return Leaf{}, false
			}
		}
		return l, true
	case search.Present:
		p.present(&l, e.Param)
		return l, true
	case search.HasID:
		for _, t := range p.KnownTypes(p.Types) {
			for _, id := range e.IDs {
				l.add(sqlKey, p.Exact(fhir.Key{Type: t, ID: id}.String()))
			}
		}
		return l, true
	case search.HasType:
		for _, t := range p.KnownTypes(p.Types) {
			if slices.Contains(e.Types, t) {
				l.add(sqlType, p.TypeID(t))
			}
		}
		return l, true
	case search.Updated:
		return p.updated(e.DateTest), true
	case RefSet:
		for k := range e.Keys {
			p.reference(&l, e.Param, search.ReferenceTest{Key: k})
		}
		return l, true
	case KeySet:
		for k := range e.Keys {
			if len(p.Types) == 0 || slices.Contains(p.Types, k.Type) {
				l.add(sqlKey, p.Exact(k.String()))
			}
		}
		return l, true
	case search.Any:
		return p.union(e)
	case search.All:
		return p.part(e)
	}
	return Leaf{}, false
}

// union needs the sources of every part.
func (p Planner) union(parts search.Any) (Leaf, bool) {
	l := Leaf{Exact: true}
	for _, part := range parts {
		some, ok := p.Leaf(part)
		if !ok {
			return Leaf{}, false
		}
		l.Sources = append(l.Sources, some.Sources...)
		l.Exact = l.Exact && some.Exact
	}
	return l, true
}

// part takes the sources of the first part that has any.
func (p Planner) part(parts search.All) (Leaf, bool) {
	for _, e := range parts {
		if l, ok := p.Leaf(e); ok {
			l.Exact = l.Exact && len(parts) == 1
			return l, true
		}
	}
	return Leaf{}, false
}

func (p Planner) present(l *Leaf, param string) {
	for _, s := range p.Find(p.Types, param, func(s *index.Slot) bool { return slices.Contains(s.Params[0], param) }) {
		switch s.Kind {
		case index.KindDate, index.KindLongDate, index.KindNumber, index.KindRange, index.KindQuantity, index.KindQuantities:
			l.add(sqlSpanSlot, s.ID)
		case index.KindLine, index.KindLongLine:
			l.add(sqlLineSlot, s.ID)
		case index.KindText:
			if s.Qualifier == index.Overflow {
				l.words(s.ID, "")
			} else {
				l.add(sqlValueSlot, s.ID)
			}
		case index.KindLined, index.KindCanonical, index.KindCanonicals, index.KindCoded, index.KindLongCoded, index.KindUncoded:
		default:
			l.add(sqlValueSlot, s.ID)
		}
	}
}

func (p Planner) updated(t search.DateTest) Leaf {
	l := Leaf{}
	for _, b := range dateBounds(t) {
		// An update is the interval from its ms, 1 ms long; widened to whole ms.
		low := max(b.lowMin, minus(b.highMin, 1000))
		high := min(b.lowMax, b.highMax)
		for _, typ := range p.KnownTypes(p.Types) {
			l.add(sqlUpdated, p.TypeID(typ), low/1000-1, high/1000+1)
		}
	}
	return l
}

// test adds the sources of one test; false if no index helps.
func (p Planner) test(l *Leaf, param string, t search.Test) bool {
	switch t := t.(type) {
	case search.TokenTest:
		p.token(l, param, t)
	case search.TextTest:
		p.text(l, param, t)
	case search.TypedTest:
		p.values(l, param, index.KindTyped, p.Exact(index.Typed(t.System, t.Code, t.Value)))
		l.Exact = false
	case search.StringTest:
		return p.string(l, param, t)
	case search.DateTest:
		for _, b := range dateBounds(t) {
			p.dates(l, param, b)
		}
	case search.NumberTest:
		p.numbers(l, param, index.KindNumber, index.KindRange, t, func(*index.Slot) bool { return true })
	case search.QuantityTest:
		p.numbers(l, param, index.KindQuantity, index.KindQuantities, t.NumberTest, func(*index.Slot) bool { return true })
		if t.CanonicalUnit != "" && !t.AnyUnit {
			p.numbers(l, param, index.KindCanonical, index.KindCanonicals, t.Canonical, func(s *index.Slot) bool {
				return s.Qualifier == t.CanonicalUnit || s.Qualifier == index.Overflow
			})
		}
	case search.ReferenceTest:
		p.reference(l, param, t)
	case search.URITest:
		p.uri(l, param, t)
	case search.NearTest:
		p.near(l, param, t)
	case search.CompositeTest:
		p.composite(l, param, t)
	default:
		return false
	}
	return true
}

func (p Planner) ofKind(param string, kinds ...index.Kind) []*index.Slot {
	return p.Find(p.Types, param, func(s *index.Slot) bool {
		return slices.Contains(kinds, s.Kind) && slices.Contains(s.Params[0], param)
	})
}

func (p Planner) values(l *Leaf, param string, k index.Kind, c index.Cell) {
	for _, s := range p.ofKind(param, k) {
		l.add(sqlValue, s.ID, c)
	}
}

func (p Planner) token(l *Leaf, param string, t search.TokenTest) {
	for _, s := range p.ofKind(param, index.KindToken, index.KindFolded) {
		if !t.AnySystem && s.Qualifier != t.System && s.Qualifier != index.Overflow {
			continue
		}
		l.Exact = l.Exact && (t.AnySystem || s.Qualifier != index.Overflow)
		switch {
		case t.AnyCode:
			l.add(sqlValueSlot, s.ID)
		case s.Kind == index.KindFolded:
			l.add(sqlValue, s.ID, p.Exact(strings.ToLower(t.Code)))
		default:
			l.add(sqlValue, s.ID, p.Exact(t.Code))
		}
	}
}

func (p Planner) text(l *Leaf, param string, t search.TextTest) {
	word, _, _ := strings.Cut(t.Norm, " ")
	for _, s := range p.ofKind(param, index.KindText) {
		switch {
		case s.Qualifier == index.Overflow:
			l.words(s.ID, index.Cut(word, index.Inline))
		case search.Passes(t, search.Text{Norm: s.Qualifier}):
			l.add(sqlValue, s.ID, index.Cell{})
		}
	}
}

func (p Planner) string(l *Leaf, param string, t search.StringTest) bool {
	if t.Mode == search.Contains || t.Mode == search.EndsWith {
		return false
	}
	for _, s := range p.ofKind(param, index.KindString) {
		if t.Mode == search.Exact || t.Mode == search.Whole {
			l.add(sqlValue, s.ID, index.TextCell(index.Cut(search.Normalize(t.Text), index.MaxString)))
			l.Exact = false
			continue
		}
		p.prefix(l, s.ID, index.Cut(t.Text, index.MaxString))
		l.Exact = l.Exact && len(t.Text) <= index.MaxString
	}
	return true
}

// prefix walks the texts that start with one.
func (p Planner) prefix(l *Leaf, slot int64, start string) {
	end := []byte(start)
	for len(end) > 0 && end[len(end)-1] == 0xff {
		end = end[:len(end)-1]
	}
	switch {
	case start == "":
		l.add(sqlValueSlot, slot)
	case len(end) == 0:
		l.add(sqlValueFrom, slot, index.TextCell(start))
	default:
		end[len(end)-1]++
		l.add(sqlValueRange, slot, index.TextCell(start), index.TextCell(string(end)))
	}
}

func (p Planner) reference(l *Leaf, param string, t search.ReferenceTest) {
	l.Exact = l.Exact && t.Version == ""
	if t.URL != "" {
		for _, s := range p.ofKind(param, index.KindReference, index.KindLined) {
			l.add(sqlValue, s.ID, p.Exact(index.URLText(t.URL)))
		}
		return
	}
	types := []string{t.Type}
	if t.Type == "" {
		types = p.Targets()
	}
	for _, typ := range types {
		key := p.Exact(fhir.Key{Type: typ, ID: t.ID}.String())
		p.values(l, param, index.KindReference, key)
		for _, s := range p.ofKind(param, index.KindLine, index.KindLongLine) {
			l.add(sqlLine, s.ID, key)
		}
	}
}

func (p Planner) uri(l *Leaf, param string, t search.URITest) {
	for _, s := range p.ofKind(param, index.KindURI) {
		switch {
		case s.Qualifier == index.Overflow && t.Mode == search.URIEqual:
			l.add(sqlValue, s.ID, p.Exact(t.URI))
		case s.Qualifier == index.Overflow:
			l.add(sqlValueSlot, s.ID)
			l.Exact = false
		case search.Passes(t, search.URI{URI: s.Qualifier}):
			l.add(sqlValue, s.ID, index.Cell{})
		}
	}
}

// metersPerDegree of latitude, a little too small so that nothing is missed.
const metersPerDegree = 111_000

func (p Planner) near(l *Leaf, param string, t search.NearTest) {
	reach := t.Meters/metersPerDegree + 1e-6
	for _, s := range p.ofKind(param, index.KindPosition) {
		l.add(sqlValueRange, s.ID, index.RealCell(t.Latitude-reach), index.RealCell(t.Latitude+reach))
	}
	l.Exact = false
}

func (p Planner) composite(l *Leaf, param string, t search.CompositeTest) {
	l.Exact = false
	var first search.TokenTest
	if len(t.Parts) > 0 {
		first, _ = t.Parts[0].(search.TokenTest)
	}
	for _, s := range p.ofKind(param, index.KindComposite) {
		if first.Code == "" {
			l.add(sqlValueSlot, s.ID)
			continue
		}
		for _, c := range p.codes(first.Code) {
			l.add(sqlValue, s.ID, c)
		}
	}
}

// codes are the cells of a code as written and of the folded one.
func (p Planner) codes(code string) []index.Cell {
	cells := []index.Cell{p.Exact(code)}
	if folded := strings.ToLower(code); folded != code {
		cells = append(cells, p.Exact(folded))
	}
	return cells
}

// between is a condition on both ends of an interval, all bounds inclusive.
type between[T any] struct{ lowMin, lowMax, highMin, highMax T }

// dateBounds are intervals of ends of which one must fit: DateTest spelt out.
func dateBounds(t search.DateTest) []between[int64] {
	const first, last = math.MinInt64, math.MaxInt64
	low, high := int64(t.Low), int64(t.High)
	contains := between[int64]{low, last, first, high}
	switch t.Op {
	case search.Eq:
		return []between[int64]{contains}
	case search.Ne:
		return append(before(low), after(high)...)
	case search.Gt:
		return after(high)
	case search.Lt:
		return before(low)
	case search.Ge:
		return append(after(high), contains)
	case search.Le:
		return append(before(low), contains)
	case search.Sa:
		return []between[int64]{{high, last, first, last}}
	case search.Eb:
		return []between[int64]{{first, last, first, low}}
	}
	if high == first || low == last {
		return nil
	}
	return []between[int64]{{first, high - 1, low + 1, last}}
}

// before is low < bound; nothing if that cannot be.
func before(bound int64) []between[int64] {
	if bound == math.MinInt64 {
		return nil
	}
	return []between[int64]{{math.MinInt64, bound - 1, math.MinInt64, math.MaxInt64}}
}

// after is high > bound.
func after(bound int64) []between[int64] {
	if bound == math.MaxInt64 {
		return nil
	}
	return []between[int64]{{math.MinInt64, math.MaxInt64, bound + 1, math.MaxInt64}}
}

// plus and minus stop at the ends of int64.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

func minus(a, b int64) int64 {
	if a < math.MinInt64+b {
		return math.MinInt64
	}
	return a - b
}

// dates adds the spans within bounds. The high end is what the index orders by,
// since newest first is asked for most; bounds of the low end carry over to it,
// because no date ends before it begins and a short one soon after.
func (p Planner) dates(l *Leaf, param string, b between[int64]) {
	for _, s := range p.ofKind(param, index.KindDate, index.KindLongDate) {
		low, high := b.highMin, b.highMax
		if s.Kind == index.KindDate {
			low, high = max(low, b.lowMin), min(high, plus(b.lowMax, index.NarrowDate))
		}
		l.add(sqlSpan, s.ID, low, high, b.lowMin, b.lowMax)
	}
}

// numbers adds the spans whose ends pass a test, or nearly so.
func (p Planner) numbers(l *Leaf, param string, points, ranges index.Kind, t search.NumberTest, want func(*index.Slot) bool) {
	l.Exact = false
	b := numberBounds(t)
	for _, s := range p.ofKind(param, points, ranges) {
		if !want(s) {
			continue
		}
		low, high := b.lowMin, b.lowMax
		if s.Kind == points {
			low, high = max(low, b.highMin), min(high, b.highMax)
		}
		l.add(sqlSpan, s.ID, low, high, b.highMin, b.highMax)
	}
}

// numberBounds are bounds of sort keys that no passing number lies outside of.
func numberBounds(t search.NumberTest) between[string] {
	b := between[string]{"", index.TopKey, "", index.TopKey}
	key := decimal.Decimal.SortKey
	switch t.Op {
	case search.Eq:
		b.lowMin, b.highMax = key(t.Low), key(t.High)
	case search.Gt, search.Ge:
		b.highMin = key(t.Value)
	case search.Lt, search.Le:
		b.lowMax = key(t.Value)
	case search.Sa:
		b.lowMin = key(t.Value)
	case search.Eb:
		b.highMax = key(t.Value)
	case search.Ap:
		b.lowMax, b.highMin = key(t.High), key(t.Low)
	}
	return b
}
