package index

import (
	"encoding/binary"
	"errors"
	"math"

	"galen/fhir"
	"galen/fhir/decimal"
	"galen/fhir/search"
)

// The first byte of a value in a record. On disk: never renumber.
const (
	codeToken = iota + 1
	codeFolded
	codeText
	codeTyped
	codeString
	codeDate
	codeNumber
	codeQuantity
	codeReference
	codeURI
	codePosition
	codeComposite
)

// ErrDamaged is what Decode says of a record that Encode did not make.
var ErrDamaged = errors.New("mongo: damaged entries")

// Encode makes the record of a resource's entries.
func Encode(entries []search.Entry) []byte {
	var b []byte
	for _, e := range entries {
		b = value(text(b, e.Param), e.Value)
	}
	return b
}

func text(b []byte, parts ...string) []byte {
	for _, s := range parts {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return b
}

func value(b []byte, v search.Value) []byte {
	switch v := v.(type) {
	case search.Token:
		code := byte(codeToken)
		if v.Folded {
			code = codeFolded
		}
		return text(append(b, code), v.System, v.Code)
	case search.Text:
		return text(append(b, codeText), v.Norm)
	case search.TypedIdentifier:
		return text(append(b, codeTyped), v.System, v.Code, v.Value)
	case search.String:
		return text(append(b, codeString), v.Exact, v.Norm)
	case search.Date:
		b = binary.AppendVarint(append(b, codeDate), int64(v.Low))
		return binary.AppendVarint(b, int64(v.High))
	case search.Number:
		return bounds(append(b, codeNumber), v.Range)
	case search.Quantity:
		b = text(bounds(append(b, codeQuantity), v.Range), v.System, v.Code, v.Unit, v.CanonicalUnit)
		return bounds(b, v.Canonical)
	case search.Reference:
		return text(append(b, codeReference), v.Type, v.ID, v.URL, v.Version)
	case search.URI:
		return text(append(b, codeURI), v.URI)
	case search.Position:
		b = binary.BigEndian.AppendUint64(append(b, codePosition), math.Float64bits(v.Latitude))
		return binary.BigEndian.AppendUint64(b, math.Float64bits(v.Longitude))
	case search.Composite:
		b = binary.AppendUvarint(append(b, codeComposite), uint64(len(v.Parts)))
		for _, part := range v.Parts {
			b = value(b, part)
		}
	}
	return b
}

func bounds(b []byte, r search.Range) []byte {
	flags := byte(0)
	if r.OpenLow {
		flags |= 1
	}
	if r.OpenHigh {
		flags |= 2
	}
	return text(append(b, flags), r.Low.String(), r.High.String())
}

// Decode reads a record. The error is ErrDamaged.
func Decode(record []byte) ([]search.Entry, error) {
	d := decoder{rest: string(record)}
	var entries []search.Entry
	for d.rest != "" && !d.bad {
		entries = append(entries, search.Entry{Param: d.string(), Value: d.value(0)})
	}
	if d.bad {
		return nil, ErrDamaged
	}
	return entries, nil
}

// decoder reads what Encode wrote; after an error it reads zero values.
type decoder struct {
	rest string
	bad  bool
}

func (d *decoder) fail() { d.bad, d.rest = true, "" }

func (d *decoder) uint() uint64 {
	n, size := binary.Uvarint([]byte(d.rest[:min(len(d.rest), binary.MaxVarintLen64)]))
	if size <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

func (d *decoder) int() int64 {
	n := d.uint()
	return int64(n>>1) ^ -int64(n&1)
}

func (d *decoder) take(n uint64) string {
	if n > uint64(len(d.rest)) {
		d.fail()
		return ""
	}
	s := d.rest[:n]
	d.rest = d.rest[n:]
	return s
}

func (d *decoder) byte() byte {
	if s := d.take(1); s != "" {
		return s[0]
	}
	return 0
}

func (d *decoder) string() string { return d.take(d.uint()) }

func (d *decoder) real() float64 {
	if s := d.take(8); s != "" {
		return math.Float64frombits(binary.BigEndian.Uint64([]byte(s)))
	}
	return 0
}

func (d *decoder) bounds() (r search.Range) {
	flags := d.byte()
	r.OpenLow, r.OpenHigh = flags&1 != 0, flags&2 != 0
	low, err1 := decimal.Parse(d.string())
	high, err2 := decimal.Parse(d.string())
	if err1 != nil || err2 != nil {
		d.fail()
	}
	r.Low, r.High = low, high
	return r
}

// maxDepth bounds composites within composites, of which FHIR has none.
const maxDepth = 4

func (d *decoder) value(depth int) search.Value {
	switch code := d.byte(); code {
	case codeToken, codeFolded:
		return search.Token{System: d.string(), Code: d.string(), Folded: code == codeFolded}
	case codeText:
		return search.Text{Norm: d.string()}
	case codeTyped:
		return search.TypedIdentifier{System: d.string(), Code: d.string(), Value: d.string()}
	case codeString:
		return search.String{Exact: d.string(), Norm: d.string()}
	case codeDate:
		return search.Date{Period: fhir.Period{Low: fhir.Instant(d.int()), High: fhir.Instant(d.int())}}
	case codeNumber:
		return search.Number{Range: d.bounds()}
	case codeQuantity:
		q := search.Quantity{Range: d.bounds(), System: d.string(), Code: d.string(), Unit: d.string(), CanonicalUnit: d.string()}
		q.Canonical = d.bounds()
		return q
	case codeReference:
		return search.Reference{Key: fhir.Key{Type: d.string(), ID: d.string()}, URL: d.string(), Version: d.string()}
	case codeURI:
		return search.URI{URI: d.string()}
	case codePosition:
		return search.Position{Latitude: d.real(), Longitude: d.real()}
	case codeComposite:
		n := d.uint()
		if depth == maxDepth || n > uint64(len(d.rest)) {
			break
		}
		c := search.Composite{Parts: make([]search.Value, n)}
		for i := range c.Parts {
			c.Parts[i] = d.value(depth + 1)
		}
		return c
	}
	d.fail()
	return search.Token{}
}
