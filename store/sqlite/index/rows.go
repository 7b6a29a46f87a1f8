package index

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"galen/fhir"
	"galen/fhir/search"
)

// Table is one of the index tables, all clustered by their columns with the
// resource's row id last, so that each lookup is one walk:
//
//	value    (slot, a, rid)        equality and prefixes
//	span     (slot, a, b, rid)     numbers from a to b; dates until a, from b
//	coded    (slot, a, b, rid)     code a, newest first by b
//	timeline (slot, a, b, c, rid)  patient a, code b, newest first by c
//	words                          an inverted index of words a
//
// A resource of a type in CodedTypes has a coded row for each of its codes, and
// timeline rows in place of the value rows of its patients.
type Table uint8

// The index tables.
const (
	ValueTable    Table = iota // value
	SpanTable                  // span
	CodedTable                 // coded
	TimelineTable              // timeline
	WordTable                  // words
)

// Word is how a word of a slot stands in words.
func Word(slot int64, word string) string { return strconv.FormatInt(slot, 10) + "_" + word }

// Row is one index row. Rows are comparable.
type Row struct {
	Table   Table
	Slot    int64
	A, B, C Cell
}

// CodedParam names the parameters of a type that its coded and timeline rows are
// made of.
type CodedParam struct{ Code, Date string }

// PatientParam is the parameter whose references timeline rows replace.
const PatientParam = "patient"

// CodedTypes are the types that are asked for by code, newest first, and grow
// large.
var CodedTypes = map[string]CodedParam{
	"AllergyIntolerance":       {"code", "date"},
	"Composition":              {"type", "date"},
	"Condition":                {"code", "onset-date"},
	"DiagnosticReport":         {"code", "date"},
	"DocumentReference":        {"type", "date"},
	"Encounter":                {"type", "date"},
	"Immunization":             {"vaccine-code", "date"},
	"MedicationAdministration": {"code", "effective-time"},
	"MedicationRequest":        {"code", "authoredon"},
	"MedicationStatement":      {"code", "effective"},
	"Observation":              {"code", "date"},
	"Procedure":                {"code", "date"},
	"ServiceRequest":           {"code", "authored"},
}

const (
	MaxString  = 32                                       // bytes of a string that stand in its row
	NoDate     = math.MaxInt64                            // the place in time of a resource without date: last
	NarrowDate = int64(25 * time.Hour / time.Microsecond) // a day, with one that is longer by the clock
	maxLines   = 256                                      // timeline rows of one resource
	TopKey     = "~~"                                     // above every sort key of a number
)

// record is one value of a resource with the slot it is in.
type record struct {
	slot  int64
	value search.Value
}

// Encode makes a resource's entries record and its index rows.
func (d *Dict) Encode(typ string, entries []search.Entry) (blob []byte, rows []Row) {
	records, payloads := d.records(typ, entries)
	for i, r := range records {
		blob = binary.AppendUvarint(blob, uint64(r.slot))
		blob = text(blob, payloads[i])
	}
	return blob, d.rows(typ, records)
}

// DecodeRows makes the index rows that a stored entries record led to.
func (d *Dict) DecodeRows(typ string, blob []byte) ([]Row, error) {
	v := d.View()
	all := decoder{text: string(blob), names: v.names}
	var records []record
	for all.text != "" && !all.bad {
		id := all.uint()
		part := decoder{text: all.string(), names: v.names}
		records = append(records, record{int64(id), part.value()})
		all.bad = all.bad || part.bad || id >= uint64(len(v.slots))
	}
	if all.bad {
		return nil, errEntries
	}
	return d.rows(typ, records), nil
}

// records gathers the parameters of each distinct value and finds its slot.
func (d *Dict) records(typ string, entries []search.Entry) (records []record, payloads []string) {
	private := map[string]bool{} // parameters whose texts name people: displays of references
	for _, e := range entries {
		if _, ok := e.Value.(search.Reference); ok || e.Param == search.TextParam || e.Param == search.ContentParam {
			private[e.Param] = true
		}
	}
	params := make(map[string][]string, len(entries))
	var order []string
	var buf []byte
	values := make(map[string]search.Value, len(entries))
	for _, e := range entries {
		buf = encoder{d}.value(buf[:0], e.Value, private[e.Param])
		list, ok := params[string(buf)]
		if !ok {
			order = append(order, string(buf))
			values[order[len(order)-1]] = e.Value
		}
		if !slices.Contains(list, e.Param) {
			params[string(buf)] = append(list, e.Param)
		}
	}
	lined := d.lined(typ, entries)
	crowded := d.crowded(typ)
	for _, payload := range order {
		set := params[payload]
		slices.Sort(set)
		k := kindOf(values[payload], private[set[0]])
		k.typ = typ
		if ref, ok := values[payload].(search.Reference); ok && lined && ref.ID != "" && slices.Contains(set, PatientParam) {
			k.kind = KindLined
		}
		sets := []string{strings.Join(set, ",")}
		if crowded {
			sets = set
		}
		for _, k.params = range sets {
			records = append(records, record{d.slot(k), values[payload]})
			payloads = append(payloads, payload)
		}
	}
	return records, payloads
}

// lined decides whether a resource's patients go to timeline. One that has codes
// and yet cannot be put on a timeline marks its type, so that nobody relies on
// timelines to be complete.
func (d *Dict) lined(typ string, entries []search.Entry) bool {
	rule, ok := CodedTypes[typ]
	if !ok {
		return false
	}
	codes, patients, regular := 0, 0, true
	for _, e := range entries {
		switch v := e.Value.(type) {
		case search.Token:
			if e.Param == rule.Code {
				codes++
			}
		case search.Reference:
			if e.Param == PatientParam && v.ID != "" {
				patients++
				regular = regular && v.URL == ""
			}
		}
		if e.Param == rule.Date {
			date, ok := e.Value.(search.Date)
			regular = regular && ok && date.Low <= date.High
		}
	}
	if codes > 0 && (!regular || codes*max(patients, 1) > maxLines) {
		d.slot(slotKey{typ: typ, params: rule.Code, kind: KindUncoded})
		return false
	}
	return codes > 0 && patients > 0
}

// kindOf is the slot of a value but for type and parameters.
func kindOf(v search.Value, private bool) (k slotKey) {
	switch v := v.(type) {
	case search.Token:
		k.kind, k.qualifier = KindToken, v.System
		if v.Folded {
			k.kind = KindFolded
		}
	case search.Text:
		k.kind, k.qualifier = KindText, v.Norm
		if private {
			k.qualifier = Overflow
		}
	case search.TypedIdentifier:
		k.kind = KindTyped
	case search.String:
		k.kind = KindString
	case search.Date:
		k.kind = KindLongDate
		if narrow(v.Period) {
			k.kind = KindDate
		}
	case search.Number:
		k.kind = KindRange
		if point(v.Range) {
			k.kind = KindNumber
		}
	case search.Quantity:
		k.kind = KindQuantities
		if point(v.Range) {
			k.kind = KindQuantity
		}
	case search.Reference:
		k.kind = KindReference
	case search.URI:
		k.kind, k.qualifier = KindURI, v.URI
	case search.Position:
		k.kind = KindPosition
	case search.Composite:
		k.kind = KindComposite
	}
	return k
}

func narrow(p fhir.Period) bool {
	return p.High >= p.Low && uint64(p.High)-uint64(p.Low) <= uint64(NarrowDate)
}

func point(r search.Range) bool { return !r.OpenLow && !r.OpenHigh && r.Low.Equal(r.High) }

// rows are the index rows of a resource: each once.
func (d *Dict) rows(typ string, records []record) []Row {
	v := d.View()
	rows := make([]Row, 0, len(records)+8)
	for _, r := range records {
		rows = d.plainRows(rows, &v.slots[r.slot], r.value)
	}
	rows = v.codedRows(rows, typ, records)
	seen := make(map[Row]bool, len(rows))
	return slices.DeleteFunc(rows, func(r Row) bool {
		again := seen[r]
		seen[r] = true
		return again
	})
}

// plainRows are the rows of one value.
func (d *Dict) plainRows(rows []Row, s *Slot, v search.Value) []Row {
	value := func(c Cell) { rows = append(rows, Row{Table: ValueTable, Slot: s.ID, A: c}) }
	switch v := v.(type) {
	case search.Token:
		value(d.Exact(v.Code))
	case search.Text:
		if s.Qualifier != Overflow {
			value(Cell{})
			break
		}
		for word := range strings.SplitSeq(v.Norm, " ") {
			rows = append(rows, Row{Table: WordTable, Slot: s.ID, A: TextCell(Cut(word, Inline))})
		}
	case search.TypedIdentifier:
		value(d.Exact(Typed(v.System, v.Code, v.Value)))
	case search.String:
		value(TextCell(Cut(v.Norm, MaxString)))
	case search.Date:
		rows = append(rows, Row{Table: SpanTable, Slot: s.ID, A: IntCell(int64(v.High)), B: IntCell(int64(v.Low))})
	case search.Number:
		rows = append(rows, spanRow(s.ID, v.Range))
	case search.Quantity:
		rows = append(rows, spanRow(s.ID, v.Range))
		if v.CanonicalUnit != "" {
			k := slotKey{typ: s.Type, params: strings.Join(s.Params[0], ","), qualifier: v.CanonicalUnit, kind: KindCanonicals}
			if point(v.Canonical) {
				k.kind = KindCanonical
			}
			rows = append(rows, spanRow(d.slot(k), v.Canonical))
		}
	case search.Reference:
		if v.ID != "" && s.Kind != KindLined {
			value(d.Exact(v.Key.String()))
		}
		if v.URL != "" || v.ID == "" {
			value(d.Exact(URLText(v.URL)))
		}
	case search.URI:
		if s.Qualifier == Overflow {
			value(d.Exact(v.URI))
		} else {
			value(Cell{})
		}
	case search.Position:
		value(RealCell(v.Latitude))
	case search.Composite:
		value(d.first(v.Parts))
	}
	return rows
}

// first is the cell of a composite's first part, by which it is looked up.
func (d *Dict) first(parts []search.Value) Cell {
	if len(parts) > 0 {
		if t, ok := parts[0].(search.Token); ok {
			return d.Exact(t.Code)
		}
	}
	return Cell{}
}

func spanRow(slot int64, r search.Range) Row {
	low, high := "", "~"
	if !r.OpenLow {
		low = r.Low.SortKey()
	}
	if !r.OpenHigh {
		high = r.High.SortKey()
	}
	return Row{Table: SpanTable, Slot: slot, A: TextCell(low), B: TextCell(high)}
}

// codedRows are the coded and timeline rows of a resource.
func (v View) codedRows(rows []Row, typ string, records []record) []Row {
	rule, ok := CodedTypes[typ]
	if !ok {
		return rows
	}
	when, short, regular := moment(v, rule, records)
	if !regular {
		return rows
	}
	coded, line := KindLongCoded, KindLongLine
	if short {
		coded, line = KindCoded, KindLine
	}
	for _, r := range records {
		code, ok := r.value.(search.Token)
		set := v.slots[r.slot].Params[0]
		if !ok || !slices.Contains(set, rule.Code) {
			continue
		}
		params := strings.Join(set, ",")
		id := v.Dict.slot(slotKey{typ: typ, params: params, kind: coded, qualifier: code.System})
		rows = append(rows, Row{CodedTable, id, v.Exact(code.Code), IntCell(when), Cell{}})
		for _, p := range records {
			s := &v.slots[p.slot]
			if s.Kind != KindLined {
				continue
			}
			patient := p.value.(search.Reference)
			id := v.Dict.slot(slotKey{typ: typ, params: strings.Join(s.Params[0], ",") + "|" + params, kind: line})
			rows = append(rows, Row{TimelineTable, id, v.Exact(patient.Key.String()), v.Exact(code.Code), IntCell(when)})
		}
	}
	return rows
}

// moment is where a resource stands in time, newest first: the complement of its
// latest end, as search.SortKey descending has it. Short says that it has one
// short date or none; regular that it has nothing but dates there.
func moment(v View, rule CodedParam, records []record) (when int64, short, regular bool) {
	when, dates := NoDate, 0
	short = true
	for _, r := range records {
		if !slices.Contains(v.slots[r.slot].Params[0], rule.Date) {
			continue
		}
		d, ok := r.value.(search.Date)
		if !ok || d.High < d.Low {
			return 0, false, false
		}
		dates++
		short = short && dates == 1 && narrow(d.Period)
		when = min(when, ^int64(d.High))
	}
	return when, short, true
}

// Cut is at most the first n bytes of s.
func Cut(s string, n int) string { return s[:min(len(s), n)] }

// Typed is the text of an identifier with its type: a value of :of-type.
func Typed(system, code, value string) string { return system + "\x00" + code + "\x00" + value }

// URLText keeps a URL from looking like a key.
func URLText(url string) string { return " " + url }

// Except are the rows of a that b has not.
func Except(a, b []Row) []Row {
	have := make(map[Row]bool, len(b))
	for _, r := range b {
		have[r] = true
	}
	var rest []Row
	for _, r := range a {
		if !have[r] {
			rest = append(rest, r)
		}
	}
	return rest
}
