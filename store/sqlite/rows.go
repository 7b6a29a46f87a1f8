package sqlite

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"time"

	"galen/fhir"
	"galen/fhir/search"
)

// The index tables, all clustered by their columns with the resource's row id
// last, so that each lookup is one walk:
//
//	value    (slot, a, rid)        equality and prefixes
//	span     (slot, a, b, rid)     intervals from a to b: dates, numbers
//	coded    (slot, a, b, rid)     code a, newest first by b
//	timeline (slot, a, b, c, rid)  patient a, code b, newest first by c
//
// A resource of a type in codedTypes has a coded row for each of its codes, and
// timeline rows in place of the value rows of its patients.
type table uint8

const (
	valueTable table = iota
	spanTable
	codedTable
	timelineTable
)

// row is one index row. Rows are comparable.
type row struct {
	table   table
	slot    int64
	a, b, c cell
}

// codedParam names the parameters of a type that its coded and timeline rows are
// made of.
type codedParam struct{ code, date string }

// patientParam is the parameter whose references timeline rows replace.
const patientParam = "patient"

// codedTypes are the types that are asked for by code, newest first, and grow
// large.
var codedTypes = map[string]codedParam{
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
	maxString  = 32                                       // bytes of a string that stand in its row
	noDate     = math.MaxInt64                            // the place in time of a resource without date: last
	narrowDate = int64(25 * time.Hour / time.Microsecond) // a day, with one that is longer by the clock
	maxLines   = 256                                      // timeline rows of one resource
	topKey     = "~~"                                     // above every sort key of a number
)

// record is one value of a resource with the slot it is in.
type record struct {
	slot  int64
	value search.Value
}

// encode makes a resource's entries record and its index rows.
func (d *dict) encode(typ string, entries []search.Entry) (blob []byte, rows []row) {
	records, payloads := d.records(typ, entries)
	for i, r := range records {
		blob = binary.AppendUvarint(blob, uint64(r.slot))
		blob = text(blob, payloads[i])
	}
	return blob, d.rows(typ, records)
}

// decodeRows makes the index rows that a stored entries record led to.
func (d *dict) decodeRows(typ string, blob []byte) ([]row, error) {
	v := d.view()
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
func (d *dict) records(typ string, entries []search.Entry) (records []record, payloads []string) {
	private := map[string]bool{} // parameters whose texts name people: displays of references
	for _, e := range entries {
		if _, ok := e.Value.(search.Reference); ok {
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
		if ref, ok := values[payload].(search.Reference); ok && lined && ref.ID != "" && slices.Contains(set, patientParam) {
			k.kind = kindLined
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
func (d *dict) lined(typ string, entries []search.Entry) bool {
	rule, ok := codedTypes[typ]
	if !ok {
		return false
	}
	codes, patients, regular := 0, 0, true
	for _, e := range entries {
		switch v := e.Value.(type) {
		case search.Token:
			if e.Param == rule.code {
				codes++
			}
		case search.Reference:
			if e.Param == patientParam && v.ID != "" {
				patients++
				regular = regular && v.URL == ""
			}
		}
		if e.Param == rule.date {
			date, ok := e.Value.(search.Date)
			regular = regular && ok && date.Low <= date.High
		}
	}
	if codes > 0 && (!regular || codes*max(patients, 1) > maxLines) {
		d.slot(slotKey{typ: typ, params: rule.code, kind: kindUncoded})
		return false
	}
	return codes > 0 && patients > 0
}

// kindOf is the slot of a value but for type and parameters.
func kindOf(v search.Value, private bool) (k slotKey) {
	switch v := v.(type) {
	case search.Token:
		k.kind, k.qualifier = kindToken, v.System
		if v.Folded {
			k.kind = kindFolded
		}
	case search.Text:
		k.kind, k.qualifier = kindText, v.Norm
		if private {
			k.qualifier = overflow
		}
	case search.TypedIdentifier:
		k.kind = kindTyped
	case search.String:
		k.kind = kindString
	case search.Date:
		k.kind = kindLongDate
		if narrow(v.Period) {
			k.kind = kindDate
		}
	case search.Number:
		k.kind = kindRange
		if point(v.Range) {
			k.kind = kindNumber
		}
	case search.Quantity:
		k.kind = kindQuantities
		if point(v.Range) {
			k.kind = kindQuantity
		}
	case search.Reference:
		k.kind = kindReference
	case search.URI:
		k.kind, k.qualifier = kindURI, v.URI
	case search.Position:
		k.kind = kindPosition
	case search.Composite:
		k.kind = kindComposite
	}
	return k
}

func narrow(p fhir.Period) bool {
	return p.High >= p.Low && uint64(p.High)-uint64(p.Low) <= uint64(narrowDate)
}

func point(r search.Range) bool { return !r.OpenLow && !r.OpenHigh && r.Low.Equal(r.High) }

// rows are the index rows of a resource: each once.
func (d *dict) rows(typ string, records []record) []row {
	v := d.view()
	rows := make([]row, 0, len(records)+8)
	for _, r := range records {
		rows = d.plainRows(rows, &v.slots[r.slot], r.value)
	}
	rows = v.codedRows(rows, typ, records)
	seen := make(map[row]bool, len(rows))
	return slices.DeleteFunc(rows, func(r row) bool {
		again := seen[r]
		seen[r] = true
		return again
	})
}

// plainRows are the rows of one value.
func (d *dict) plainRows(rows []row, s *slot, v search.Value) []row {
	value := func(c cell) { rows = append(rows, row{table: valueTable, slot: s.id, a: c}) }
	switch v := v.(type) {
	case search.Token:
		value(d.exact(v.Code))
	case search.Text:
		if s.qualifier != overflow {
			value(cell{})
			break
		}
		for word := range strings.SplitSeq(v.Norm, " ") {
			value(textCell(cut(word, inline)))
		}
	case search.TypedIdentifier:
		value(d.exact(typed(v.System, v.Code, v.Value)))
	case search.String:
		value(textCell(cut(v.Norm, maxString)))
	case search.Date:
		rows = append(rows, row{table: spanTable, slot: s.id, a: intCell(int64(v.Low)), b: intCell(int64(v.High))})
	case search.Number:
		rows = append(rows, spanRow(s.id, v.Range))
	case search.Quantity:
		rows = append(rows, spanRow(s.id, v.Range))
		if v.CanonicalUnit != "" {
			k := slotKey{typ: s.typ, params: strings.Join(s.params[0], ","), qualifier: v.CanonicalUnit, kind: kindCanonicals}
			if point(v.Canonical) {
				k.kind = kindCanonical
			}
			rows = append(rows, spanRow(d.slot(k), v.Canonical))
		}
	case search.Reference:
		if v.ID != "" && s.kind != kindLined {
			value(d.exact(v.Key.String()))
		}
		if v.URL != "" || v.ID == "" {
			value(d.exact(urlText(v.URL)))
		}
	case search.URI:
		if s.qualifier == overflow {
			value(d.exact(v.URI))
		} else {
			value(cell{})
		}
	case search.Position:
		value(realCell(v.Latitude))
	case search.Composite:
		value(d.first(v.Parts))
	}
	return rows
}

// first is the cell of a composite's first part, by which it is looked up.
func (d *dict) first(parts []search.Value) cell {
	if len(parts) > 0 {
		if t, ok := parts[0].(search.Token); ok {
			return d.exact(t.Code)
		}
	}
	return cell{}
}

func spanRow(slot int64, r search.Range) row {
	low, high := "", "~"
	if !r.OpenLow {
		low = r.Low.SortKey()
	}
	if !r.OpenHigh {
		high = r.High.SortKey()
	}
	return row{table: spanTable, slot: slot, a: textCell(low), b: textCell(high)}
}

// codedRows are the coded and timeline rows of a resource.
func (v view) codedRows(rows []row, typ string, records []record) []row {
	rule, ok := codedTypes[typ]
	if !ok {
		return rows
	}
	when, short, regular := moment(v, rule, records)
	if !regular {
		return rows
	}
	coded, line := kindLongCoded, kindLongLine
	if short {
		coded, line = kindCoded, kindLine
	}
	for _, r := range records {
		code, ok := r.value.(search.Token)
		set := v.slots[r.slot].params[0]
		if !ok || !slices.Contains(set, rule.code) {
			continue
		}
		params := strings.Join(set, ",")
		id := v.dict.slot(slotKey{typ: typ, params: params, kind: coded, qualifier: code.System})
		rows = append(rows, row{codedTable, id, v.exact(code.Code), intCell(when), cell{}})
		for _, p := range records {
			s := &v.slots[p.slot]
			if s.kind != kindLined {
				continue
			}
			patient := p.value.(search.Reference)
			id := v.dict.slot(slotKey{typ: typ, params: strings.Join(s.params[0], ",") + "|" + params, kind: line})
			rows = append(rows, row{timelineTable, id, v.exact(patient.Key.String()), v.exact(code.Code), intCell(when)})
		}
	}
	return rows
}

// moment is where a resource stands in time, newest first: the complement of its
// latest end, as search.SortKey descending has it. Short says that it has one
// short date or none; regular that it has nothing but dates there.
func moment(v view, rule codedParam, records []record) (when int64, short, regular bool) {
	when, dates := noDate, 0
	short = true
	for _, r := range records {
		if !slices.Contains(v.slots[r.slot].params[0], rule.date) {
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

func cut(s string, n int) string { return s[:min(len(s), n)] }

func typed(system, code, value string) string { return system + "\x00" + code + "\x00" + value }

// urlText keeps a URL from looking like a key.
func urlText(url string) string { return " " + url }
