package index

import (
	"encoding/binary"
	"errors"
	"math"

	"galen/fhir"
	"galen/fhir/decimal"
	"galen/fhir/search"
)

// The entries of a resource are kept as records: the slot's number, the length
// of the value and the value, each value once however many parameters it stands
// under. Strings that repeat over the store (systems, units, displays, types)
// are numbers of the dictionary.

// The first byte of a value. On disk.
const (
	codeToken = iota + 1
	codeFolded
	codeText
	codeTyped
	codeString
	codeNormal // a String whose Norm follows from Exact
	codeDate
	codeNumber
	codeQuantity
	codeCanonical // a Quantity with canonical unit
	codeReference
	codeURI
	codePosition
	codeComposite
)

// encoder appends values; strings of a private text are not interned.
type encoder struct{ d *Dict }

func (e encoder) value(b []byte, v search.Value, private bool) []byte {
	switch v := v.(type) {
	case search.Token:
		b = append(b, codeToken)
		if v.Folded {
			b[len(b)-1] = codeFolded
		}
		return text(e.name(b, v.System), v.Code)
	case search.Text:
		b = append(b, codeText)
		if private {
			return text(append(b, 0), v.Norm)
		}
		return e.name(b, v.Norm)
	case search.TypedIdentifier:
		return text(e.name(e.name(append(b, codeTyped), v.System), v.Code), v.Value)
	case search.String:
		if search.Normalize(v.Exact) == v.Norm {
			return text(append(b, codeNormal), v.Exact)
		}
		return text(text(append(b, codeString), v.Exact), v.Norm)
	case search.Date:
		b = binary.AppendVarint(append(b, codeDate), int64(v.Low))
		return binary.AppendVarint(b, int64(v.High-v.Low)) // may wrap, and wraps back
	case search.Number:
		return bounds(append(b, codeNumber), v.Range)
	case search.Quantity:
		return e.quantity(b, v)
	case search.Reference:
		e.d.target(v.Type)
		return text(text(text(e.name(append(b, codeReference), v.Type), v.ID), v.URL), v.Version)
	case search.URI:
		return e.name(append(b, codeURI), v.URI)
	case search.Position:
		b = binary.BigEndian.AppendUint64(append(b, codePosition), math.Float64bits(v.Latitude))
		return binary.BigEndian.AppendUint64(b, math.Float64bits(v.Longitude))
	case search.Composite:
		b = binary.AppendUvarint(append(b, codeComposite), uint64(len(v.Parts)))
		for _, part := range v.Parts {
			b = e.value(b, part, private)
		}
	}
	return b
}

func (e encoder) quantity(b []byte, v search.Quantity) []byte {
	b = append(b, codeQuantity)
	if v.CanonicalUnit != "" {
		b[len(b)-1] = codeCanonical
	}
	b = e.name(e.name(e.name(bounds(b, v.Range), v.System), v.Code), v.Unit)
	if v.CanonicalUnit != "" {
		b = bounds(e.name(b, v.CanonicalUnit), v.Canonical)
	}
	return b
}

// name writes a string's number, or 0 and the string.
func (e encoder) name(b []byte, s string) []byte {
	id := e.d.name(s)
	b = binary.AppendUvarint(b, uint64(id))
	if id == 0 {
		b = text(b, s)
	}
	return b
}

func text(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// The flags of a range.
const (
	flagOpenLow = 1 << iota
	flagOpenHigh
	flagPoint // low and high are the same text
)

func bounds(b []byte, r search.Range) []byte {
	low, high := r.Low.String(), r.High.String()
	flags := byte(0)
	if r.OpenLow {
		flags |= flagOpenLow
	}
	if r.OpenHigh {
		flags |= flagOpenHigh
	}
	if low == high {
		return text(append(b, flags|flagPoint), low)
	}
	return text(text(append(b, flags), low), high)
}

// decoder reads what encoder wrote. After an error every read gives zero values.
type decoder struct {
	text  string
	names []string
	bad   bool
}

var errEntries = errors.New("sqlite: damaged entries")

func (d *decoder) uint() uint64 {
	n, shift := uint64(0), 0
	for i := 0; i < len(d.text) && shift < 64; i, shift = i+1, shift+7 {
		c := d.text[i]
		n |= uint64(c&0x7f) << shift
		if c < 0x80 {
			d.text = d.text[i+1:]
			return n
		}
	}
	d.bad, d.text = true, ""
	return 0
}

func (d *decoder) int() int64 {
	n := d.uint()
	return int64(n>>1) ^ -int64(n&1)
}

func (d *decoder) take(n uint64) string {
	if n > uint64(len(d.text)) {
		d.bad, d.text = true, ""
		return ""
	}
	s := d.text[:n]
	d.text = d.text[n:]
	return s
}

func (d *decoder) byte() byte {
	if s := d.take(1); s != "" {
		return s[0]
	}
	return 0
}

func (d *decoder) string() string { return d.take(d.uint()) }

func (d *decoder) name() string {
	id := d.uint()
	if id == 0 {
		return d.string()
	}
	if id >= uint64(len(d.names)) {
		d.bad = true
		return ""
	}
	return d.names[id]
}

func (d *decoder) real() float64 {
	s := d.take(8)
	if s == "" {
		return 0
	}
	return math.Float64frombits(binary.BigEndian.Uint64([]byte(s)))
}

func (d *decoder) decimal() decimal.Decimal {
	v, err := decimal.Parse(d.string())
	d.bad = d.bad || err != nil
	return v
}

func (d *decoder) bounds() (r search.Range) {
	flags := d.byte()
	r.OpenLow, r.OpenHigh = flags&flagOpenLow != 0, flags&flagOpenHigh != 0
	r.Low = d.decimal()
	r.High = r.Low
	if flags&flagPoint == 0 {
		r.High = d.decimal()
	}
	return r
}

func (d *decoder) value() search.Value {
	switch code := d.byte(); code {
	case codeToken, codeFolded:
		return search.Token{System: d.name(), Code: d.string(), Folded: code == codeFolded}
	case codeText:
		return search.Text{Norm: d.name()}
	case codeTyped:
		return search.TypedIdentifier{System: d.name(), Code: d.name(), Value: d.string()}
	case codeNormal:
		s := d.string()
		return search.String{Exact: s, Norm: search.Normalize(s)}
	case codeString:
		return search.String{Exact: d.string(), Norm: d.string()}
	case codeDate:
		low := fhir.Instant(d.int())
		return search.Date{Period: fhir.Period{Low: low, High: low + fhir.Instant(d.int())}}
	case codeNumber:
		return search.Number{Range: d.bounds()}
	case codeQuantity, codeCanonical:
		q := search.Quantity{Range: d.bounds(), System: d.name(), Code: d.name(), Unit: d.name()}
		if code == codeCanonical {
			q.CanonicalUnit, q.Canonical = d.name(), d.bounds()
		}
		return q
	case codeReference:
		return search.Reference{Key: fhir.Key{Type: d.name(), ID: d.string()}, URL: d.string(), Version: d.string()}
	case codeURI:
		return search.URI{URI: d.name()}
	case codePosition:
		return search.Position{Latitude: d.real(), Longitude: d.real()}
	case codeComposite:
		n := d.uint()
		if n > uint64(len(d.text)) {
			break
		}
		c := search.Composite{Parts: make([]search.Value, n)}
		for i := range c.Parts {
			c.Parts[i] = d.value()
		}
		return c
	}
	d.bad = true
	return nil
}

// DecodeEntries reads the entries of the parameters that want holds; of all if
// it is nil.
func (v View) DecodeEntries(record []byte, want map[string]bool) ([]search.Entry, error) {
	d := decoder{text: string(record), names: v.names}
	var entries []search.Entry
	for d.text != "" && !d.bad {
		id := d.uint()
		part := decoder{text: d.string(), names: v.names}
		if id == 0 || id >= uint64(len(v.slots)) {
			return nil, errEntries
		}
		var value search.Value
		for _, p := range v.slots[id].Params[0] {
			if want != nil && !want[p] {
				continue
			}
			if value == nil {
				value = part.value()
			}
			entries = append(entries, search.Entry{Param: p, Value: value})
		}
		d.bad = d.bad || part.bad
	}
	if d.bad {
		return nil, errEntries
	}
	return entries, nil
}
