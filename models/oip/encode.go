package oip

import (
	"encoding/json"
	"math"
	"strconv"

	"galen/models"
	"galen/models/manifest"
)

// Encoded is a message on the wire.
type Encoded struct {
	Body []byte
	// Header is the length of the JSON when binary data follows it, which then
	// goes into Inference-Header-Content-Length; -1 when all of it is JSON.
	Header int
}

// Encode writes the response to the request, each output in binary or in JSON as
// the request asks.
func (r *Response) Encode(to *Request) Encoded {
	e := encoder{out: make([]byte, 0, 256+32*elements(r.Outputs))}
	e.text(`{"model_name":`)
	e.quote(r.Model)
	e.text(`,"model_version":`)
	e.quote(r.Version)
	if r.ID != "" {
		e.text(`,"id":`)
		e.quote(r.ID)
	}
	if len(r.Refused) > 0 {
		e.text(`,"parameters":{"refused_rows":"`)
		for i, row := range r.Refused {
			if i > 0 {
				e.text(",")
			}
			e.out = strconv.AppendInt(e.out, int64(row), 10)
		}
		e.text(`"}`)
	}
	e.tensors("outputs", r.Outputs, to.binary)
	return e.end()
}

// Encode writes the request, its tensors in binary if Binary says so.
func (r *Request) Encode() Encoded {
	e := encoder{out: make([]byte, 0, 256+16*elements(r.Inputs))}
	e.text(`{`)
	if r.ID != "" {
		e.text(`"id":`)
		e.quote(r.ID)
		e.text(`,`)
	}
	e.text(`"parameters":{"binary_data_output":` + strconv.FormatBool(r.Binary) + `}`)
	e.tensors("inputs", r.Inputs, func(string) bool { return r.Binary })
	if len(r.Outputs) > 0 {
		e.text(`,"outputs":[`)
		for i, o := range r.Outputs {
			if i > 0 {
				e.text(",")
			}
			e.text(`{"name":`)
			e.quote(o.Name)
			e.text(`}`)
		}
		e.text(`]`)
	}
	return e.end()
}

func elements(tensors []Named) int {
	n := 0
	for _, t := range tensors {
		n += t.Tensor.Len()
	}
	return n
}

// encoder writes JSON and keeps what is to follow it.
type encoder struct {
	out, tail []byte
}

func (e *encoder) text(s string) { e.out = append(e.out, s...) }

func (e *encoder) quote(s string) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			quoted, err := json.Marshal(s)
			if err == nil {
				e.out = append(e.out, quoted...)
			}
			return
		}
	}
	e.out = append(append(append(e.out, '"'), s...), '"')
}

func (e *encoder) end() Encoded {
	e.text("}")
	if e.tail == nil {
		return Encoded{e.out, -1}
	}
	header := len(e.out)
	return Encoded{append(e.out, e.tail...), header}
}

func (e *encoder) tensors(member string, list []Named, binary func(name string) bool) {
	e.text(`,"` + member + `":[`)
	for i, t := range list {
		if i > 0 {
			e.text(",")
		}
		e.tensor(t, binary(t.Name))
	}
	e.text("]")
}

func (e *encoder) tensor(t Named, binary bool) {
	e.text(`{"name":`)
	e.quote(t.Name)
	e.text(`,"datatype":"` + Datatype(t.Tensor.DType()) + `","shape":[`)
	for i, d := range t.Tensor.Shape() {
		if i > 0 {
			e.text(",")
		}
		e.out = strconv.AppendInt(e.out, d, 10)
	}
	if binary {
		before := len(e.tail)
		if e.tail == nil {
			e.tail = []byte{}
		}
		e.tail = AppendRaw(e.tail, t.Tensor)
		e.text(`],"parameters":{"binary_data_size":`)
		e.out = strconv.AppendInt(e.out, int64(len(e.tail)-before), 10)
		e.text("}}")
		return
	}
	e.text(`],"data":[`)
	e.data(t.Tensor)
	e.text("]}")
}

func (e *encoder) data(t models.Tensor) {
	switch t.DType() {
	case manifest.Float64:
		write(e, t, func(x float64) { e.float(x, 64) })
	case manifest.Float32:
		write(e, t, func(x float32) { e.float(float64(x), 32) })
	case manifest.Float16:
		write(e, t, func(x models.Float16) { e.float(float64(x.Float32()), 32) })
	case manifest.Bool:
		write(e, t, func(x bool) { e.out = strconv.AppendBool(e.out, x) })
	case manifest.String:
		write(e, t, e.quote)
	default:
		e.integers(t)
	}
}

func (e *encoder) integers(t models.Tensor) {
	switch t.DType() {
	case manifest.Int8:
		writeInts[int8](e, t)
	case manifest.Int16:
		writeInts[int16](e, t)
	case manifest.Int32:
		writeInts[int32](e, t)
	case manifest.Int64:
		writeInts[int64](e, t)
	case manifest.Uint8:
		writeInts[uint8](e, t)
	case manifest.Uint16:
		writeInts[uint16](e, t)
	case manifest.Uint32:
		writeInts[uint32](e, t)
	default:
		write(e, t, func(x uint64) { e.out = strconv.AppendUint(e.out, x, 10) })
	}
}

func writeInts[T int8 | int16 | int32 | int64 | uint8 | uint16 | uint32](e *encoder, t models.Tensor) {
	write(e, t, func(x T) { e.out = strconv.AppendInt(e.out, int64(x), 10) })
}

func write[T models.Element](e *encoder, t models.Tensor, one func(T)) {
	for i, x := range elementsOf[T](t) {
		if i > 0 {
			e.out = append(e.out, ',')
		}
		one(x)
	}
}

// float writes a number that reads back as the same one; what JSON has no number
// for is null.
func (e *encoder) float(x float64, bits int) {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		e.text("null")
		return
	}
	e.out = strconv.AppendFloat(e.out, x, 'g', -1, bits)
}
