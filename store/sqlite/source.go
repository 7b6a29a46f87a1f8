package sqlite

import (
	"math"
	"slices"
	"strings"

	"galen/fhir"
	"galen/fhir/decimal"
	"galen/fhir/search"
)

// source is an index walk that yields row ids: those of every resource that an
// expression holds for, and perhaps others. All statements end in "rid > ?".
type source struct {
	sql     string
	args    []any
	ordered bool // by row id, each once
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
	sqlLineSlot   = "SELECT rid FROM timeline WHERE slot = ? AND rid > ?"
	sqlKey        = "SELECT rid FROM resource WHERE key = ? AND deleted = 0 AND rid > ?"
	sqlUpdated    = "SELECT rid FROM resource WHERE type = ? AND updated BETWEEN ? AND ? AND deleted = 0 AND rid > ?"
	sqlType       = "SELECT rid FROM resource WHERE type = ? AND deleted = 0 AND rid > ? ORDER BY rid"
	sqlAll        = "SELECT rid FROM resource WHERE deleted = 0 AND rid > ? ORDER BY rid"
)

// leaf is what the index knows about one expression.
type leaf struct {
	sources []source
	exact   bool // the sources yield nothing else
}

func (l *leaf) add(sql string, args ...any) {
	l.sources = append(l.sources, source{sql, args, sql == sqlValue || sql == sqlKey || sql == sqlType})
}

// planner makes leaves for searches over some types.
type planner struct {
	view
	types []string // as the query has them; empty for all
}

// leaf finds the sources of an expression; false if no index helps.
func (p planner) leaf(e search.Expr) (leaf, bool) {
	l := leaf{exact: true}
	switch e := e.(type) {
	case search.Where:
		for _, t := range e.Any {
			if !p.test(&l, e.Param, t) {
				return leaf{}, false
			}
		}
		return l, true
	case search.Present:
		p.present(&l, e.Param)
		return l, true
	case search.HasID:
		for _, t := range p.knownTypes(p.types) {
			for _, id := range e.IDs {
				l.add(sqlKey, p.exact(fhir.Key{Type: t, ID: id}.String()))
			}
		}
		return l, true
	case search.HasType:
		for _, t := range p.knownTypes(p.types) {
			if slices.Contains(e.Types, t) {
				l.add(sqlType, p.typeID(t))
			}
		}
		return l, true
	case search.Updated:
		return p.updated(e.DateTest), true
	case refSet:
		for k := range e.keys {
			p.reference(&l, e.param, search.ReferenceTest{Key: k})
		}
		return l, true
	case keySet:
		for k := range e.keys {
			if len(p.types) == 0 || slices.Contains(p.types, k.Type) {
				l.add(sqlKey, p.exact(k.String()))
			}
		}
		return l, true
	case search.Any:
		return p.union(e)
	case search.All:
		return p.part(e)
	}
	return leaf{}, false
}

// union needs the sources of every part.
func (p planner) union(parts search.Any) (leaf, bool) {
	l := leaf{exact: true}
	for _, part := range parts {
		some, ok := p.leaf(part)
		if !ok {
			return leaf{}, false
		}
		l.sources = append(l.sources, some.sources...)
		l.exact = l.exact && some.exact
	}
	return l, true
}

// part takes the sources of the first part that has any.
func (p planner) part(parts search.All) (leaf, bool) {
	for _, e := range parts {
		if l, ok := p.leaf(e); ok {
			l.exact = l.exact && len(parts) == 1
			return l, true
		}
	}
	return leaf{}, false
}

func (p planner) present(l *leaf, param string) {
	for _, s := range p.find(p.types, param, func(s *slot) bool { return slices.Contains(s.params[0], param) }) {
		switch s.kind {
		case kindDate, kindLongDate, kindNumber, kindRange, kindQuantity, kindQuantities:
			l.add(sqlSpanSlot, s.id)
		case kindLine, kindLongLine:
			l.add(sqlLineSlot, s.id)
		case kindLined, kindCanonical, kindCanonicals, kindCoded, kindLongCoded, kindUncoded:
		default:
			l.add(sqlValueSlot, s.id)
		}
	}
}

func (p planner) updated(t search.DateTest) leaf {
	l := leaf{}
	for _, b := range dateBounds(t) {
		// An update is the interval from its ms, 1 ms long; widened to whole ms.
		low := max(b.lowMin, minus(b.highMin, 1000))
		high := min(b.lowMax, b.highMax)
		for _, typ := range p.knownTypes(p.types) {
			l.add(sqlUpdated, p.typeID(typ), low/1000-1, high/1000+1)
		}
	}
	return l
}

// test adds the sources of one test; false if no index helps.
func (p planner) test(l *leaf, param string, t search.Test) bool {
	switch t := t.(type) {
	case search.TokenTest:
		p.token(l, param, t)
	case search.TextTest:
		p.text(l, param, t)
	case search.TypedTest:
		p.values(l, param, kindTyped, p.exact(typed(t.System, t.Code, t.Value)))
		l.exact = false
	case search.StringTest:
		return p.string(l, param, t)
	case search.DateTest:
		for _, b := range dateBounds(t) {
			p.dates(l, param, b)
		}
	case search.NumberTest:
		p.numbers(l, param, kindNumber, kindRange, t, func(*slot) bool { return true })
	case search.QuantityTest:
		p.numbers(l, param, kindQuantity, kindQuantities, t.NumberTest, func(*slot) bool { return true })
		if t.CanonicalUnit != "" && !t.AnyUnit {
			p.numbers(l, param, kindCanonical, kindCanonicals, t.Canonical, func(s *slot) bool {
				return s.qualifier == t.CanonicalUnit || s.qualifier == overflow
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

func (p planner) ofKind(param string, kinds ...kind) []*slot {
	return p.find(p.types, param, func(s *slot) bool {
		return slices.Contains(kinds, s.kind) && slices.Contains(s.params[0], param)
	})
}

func (p planner) values(l *leaf, param string, k kind, c cell) {
	for _, s := range p.ofKind(param, k) {
		l.add(sqlValue, s.id, c)
	}
}

func (p planner) token(l *leaf, param string, t search.TokenTest) {
	for _, s := range p.ofKind(param, kindToken, kindFolded) {
		if !t.AnySystem && s.qualifier != t.System && s.qualifier != overflow {
			continue
		}
		l.exact = l.exact && (t.AnySystem || s.qualifier != overflow)
		switch {
		case t.AnyCode:
			l.add(sqlValueSlot, s.id)
		case s.kind == kindFolded:
			l.add(sqlValue, s.id, p.exact(strings.ToLower(t.Code)))
		default:
			l.add(sqlValue, s.id, p.exact(t.Code))
		}
	}
}

func (p planner) text(l *leaf, param string, t search.TextTest) {
	word, _, _ := strings.Cut(t.Norm, " ")
	for _, s := range p.ofKind(param, kindText) {
		switch {
		case s.qualifier == overflow:
			p.prefix(l, s.id, cut(word, inline))
			l.exact = false
		case search.Passes(t, search.Text{Norm: s.qualifier}):
			l.add(sqlValue, s.id, cell{})
		}
	}
}

func (p planner) string(l *leaf, param string, t search.StringTest) bool {
	if t.Mode == search.Contains {
		return false
	}
	for _, s := range p.ofKind(param, kindString) {
		if t.Mode == search.Exact {
			l.add(sqlValue, s.id, textCell(cut(search.Normalize(t.Text), maxString)))
			l.exact = false
			continue
		}
		p.prefix(l, s.id, cut(t.Text, maxString))
		l.exact = l.exact && len(t.Text) <= maxString
	}
	return true
}

// prefix walks the texts that start with one.
func (p planner) prefix(l *leaf, slot int64, start string) {
	end := []byte(start)
	for len(end) > 0 && end[len(end)-1] == 0xff {
		end = end[:len(end)-1]
	}
	switch {
	case start == "":
		l.add(sqlValueSlot, slot)
	case len(end) == 0:
		l.add(sqlValueFrom, slot, textCell(start))
	default:
		end[len(end)-1]++
		l.add(sqlValueRange, slot, textCell(start), textCell(string(end)))
	}
}

func (p planner) reference(l *leaf, param string, t search.ReferenceTest) {
	l.exact = l.exact && t.Version == ""
	if t.URL != "" {
		for _, s := range p.ofKind(param, kindReference, kindLined) {
			l.add(sqlValue, s.id, p.exact(urlText(t.URL)))
		}
		return
	}
	types := []string{t.Type}
	if t.Type == "" {
		types = p.targets()
	}
	for _, typ := range types {
		key := p.exact(fhir.Key{Type: typ, ID: t.ID}.String())
		p.values(l, param, kindReference, key)
		for _, s := range p.ofKind(param, kindLine, kindLongLine) {
			l.add(sqlLine, s.id, key)
		}
	}
}

func (p planner) uri(l *leaf, param string, t search.URITest) {
	for _, s := range p.ofKind(param, kindURI) {
		switch {
		case s.qualifier == overflow && t.Mode == search.URIEqual:
			l.add(sqlValue, s.id, p.exact(t.URI))
		case s.qualifier == overflow:
			l.add(sqlValueSlot, s.id)
			l.exact = false
		case search.Passes(t, search.URI{URI: s.qualifier}):
			l.add(sqlValue, s.id, cell{})
		}
	}
}

// metersPerDegree of latitude, a little too small so that nothing is missed.
const metersPerDegree = 111_000

func (p planner) near(l *leaf, param string, t search.NearTest) {
	reach := t.Meters/metersPerDegree + 1e-6
	for _, s := range p.ofKind(param, kindPosition) {
		l.add(sqlValueRange, s.id, realCell(t.Latitude-reach), realCell(t.Latitude+reach))
	}
	l.exact = false
}

func (p planner) composite(l *leaf, param string, t search.CompositeTest) {
	l.exact = false
	var first search.TokenTest
	if len(t.Parts) > 0 {
		first, _ = t.Parts[0].(search.TokenTest)
	}
	for _, s := range p.ofKind(param, kindComposite) {
		if first.Code == "" {
			l.add(sqlValueSlot, s.id)
			continue
		}
		for _, c := range p.codes(first.Code) {
			l.add(sqlValue, s.id, c)
		}
	}
}

// codes are the cells of a code as written and of the folded one.
func (p planner) codes(code string) []cell {
	cells := []cell{p.exact(code)}
	if folded := strings.ToLower(code); folded != code {
		cells = append(cells, p.exact(folded))
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

// dates adds the spans within bounds. The low end is what the index orders by,
// so for short dates bounds of the high end carry over to it.
func (p planner) dates(l *leaf, param string, b between[int64]) {
	for _, s := range p.ofKind(param, kindDate, kindLongDate) {
		low, high := b.lowMin, b.lowMax
		if s.kind == kindDate {
			low, high = max(low, minus(b.highMin, narrowDate)), min(high, b.highMax)
		}
		l.add(sqlSpan, s.id, low, high, b.highMin, b.highMax)
	}
}

// numbers adds the spans whose ends pass a test, or nearly so.
func (p planner) numbers(l *leaf, param string, points, ranges kind, t search.NumberTest, want func(*slot) bool) {
	l.exact = false
	b := numberBounds(t)
	for _, s := range p.ofKind(param, points, ranges) {
		if !want(s) {
			continue
		}
		low, high := b.lowMin, b.lowMax
		if s.kind == points {
			low, high = max(low, b.highMin), min(high, b.highMax)
		}
		l.add(sqlSpan, s.id, low, high, b.highMin, b.highMax)
	}
}

// numberBounds are bounds of sort keys that no passing number lies outside of.
func numberBounds(t search.NumberTest) between[string] {
	b := between[string]{"", topKey, "", topKey}
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
