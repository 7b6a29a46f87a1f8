package oip

import (
	"strings"

	"galen/models"
)

// maxTensors bounds the inputs of a request.
const maxTensors = 256

// tensor is an input or output as its members are met.
type tensor struct {
	name, datatype string
	shape          []int64
	data           int // where it begins in the JSON, 0 when it is absent
	binary         int // bytes after the JSON, -1 when it is not in binary
	value          models.Tensor
	read           bool
}

// DecodeRequest reads a request. header is the length of the JSON at the start of
// the body, from Inference-Header-Content-Length, -1 when there is no such header
// and all of the body is JSON. The tensors share no memory with the body, but for
// strings. Errors: *Error.
func DecodeRequest(body []byte, header int) (*Request, error) {
	m, err := decode(body, header)
	if err != nil {
		return nil, err
	}
	return m.request, nil
}

// DecodeResponse reads a response, as DecodeRequest.
func DecodeResponse(body []byte, header int) (*Response, error) {
	m, err := decode(body, header)
	if err != nil {
		return nil, err
	}
	m.response.ID, m.response.Outputs = m.request.ID, m.outputs
	return &m.response, nil
}

// message is either of the two, which share most of their members.
type message struct {
	scanner
	tail     []byte // the binary part
	request  *Request
	response Response
	outputs  []Named // outputs that carry data
}

func decode(body []byte, header int) (*message, error) {
	if header < -1 || header > len(body) {
		return nil, fault("Inference-Header-Content-Length is not within the body")
	}
	m := &message{scanner: scanner{text: body}, request: &Request{}}
	if header >= 0 {
		m.text, m.tail = body[:header], body[header:]
	}
	m.object(m.member)
	m.end()
	if m.err != nil {
		return nil, m.err
	}
	if len(m.tail) > 0 {
		return nil, fault("%d bytes of binary data belong to no tensor", len(m.tail))
	}
	return m, nil
}

func (m *message) member(name string) {
	switch name {
	case "id":
		m.request.ID = m.word()
	case "model_name":
		m.response.Model = m.word()
	case "model_version":
		m.response.Version = m.word()
	case "parameters":
		m.parameters(func(name string) {
			if name == "binary_data_output" {
				m.request.Binary = m.boolean()
				return
			}
			m.skip(0)
		})
	case "inputs":
		m.array(m.input)
	case "outputs":
		m.array(m.output)
	default:
		m.skip(0)
	}
}

// parameters reads an object, or null for none.
func (m *message) parameters(member func(string)) {
	if !m.literal("null") {
		m.object(member)
	}
}

func (m *message) input() {
	t := m.tensor(nil)
	if m.err == nil && !t.read {
		m.fail("an input has no data")
	}
	if m.err == nil && len(m.request.Inputs) == maxTensors {
		m.fail("too many inputs")
	}
	m.request.Inputs = append(m.request.Inputs, Named{t.name, t.value})
}

func (m *message) output() {
	out := Output{}
	t := m.tensor(&out.Binary)
	if m.err == nil && len(m.request.Outputs) == maxTensors {
		m.fail("too many outputs")
	}
	out.Name = t.name
	m.request.Outputs = append(m.request.Outputs, out)
	if t.read {
		m.outputs = append(m.outputs, Named{t.name, t.value})
	}
}

// tensor reads one input or output; binary takes the parameter binary_data.
func (m *message) tensor(binary **bool) *tensor {
	t := &tensor{binary: -1}
	m.object(func(name string) {
		switch name {
		case "name":
			t.name = m.word()
		case "datatype":
			t.datatype = m.word()
		case "shape":
			t.shape = m.shape()
		case "data":
			m.data(t)
		case "parameters":
			m.parameters(func(name string) { m.parameter(name, t, binary) })
		default:
			m.skip(0)
		}
	})
	if m.err == nil && t.name == "" {
		m.fail("a tensor has no name")
	}
	m.late(t)
	return t
}

func (m *message) parameter(name string, t *tensor, binary **bool) {
	switch {
	case name == "binary_data_size":
		if n := m.integer(); n >= 0 && n <= int64(len(m.tail)) {
			t.binary = int(n)
		} else {
			m.fail("binary_data_size is more than there is")
		}
	case name == "binary_data" && binary != nil:
		b := m.boolean()
		*binary = &b
	case strings.HasPrefix(name, "shared_memory"):
		m.fail("shared memory is not offered")
	default:
		m.skip(0)
	}
}

func (m *message) shape() []int64 {
	shape := make([]int64, 0, 4)
	m.array(func() {
		if len(shape) == 16 {
			m.fail("a shape has too many dimensions")
		}
		shape = append(shape, m.integer())
	})
	if _, ok := count(shape); m.err == nil && !ok {
		m.fail("a shape is negative, empty or too large")
	}
	return shape
}

// data reads the elements at once when type and shape came first, as they mostly
// do, and otherwise remembers where they are.
func (m *message) data(t *tensor) {
	dtype, known := DType(t.datatype)
	if known && t.shape != nil {
		t.value, t.read = m.elements(dtype, t.shape), true
		return
	}
	m.peek()
	t.data = m.at
	m.skip(0)
}

// late reads data that came before its type or shape, or after the JSON.
func (m *message) late(t *tensor) {
	if m.err != nil || t.read || t.data == 0 && t.binary < 0 {
		return
	}
	dtype, known := DType(t.datatype)
	if !known || t.shape == nil {
		m.fail("a tensor with data needs a datatype that is known, and a shape")
		return
	}
	if t.data > 0 {
		after := m.at
		m.at = t.data
		t.value, t.read = m.elements(dtype, t.shape), true
		if m.err == nil {
			m.at = after
		}
		return
	}
	raw := m.tail[:t.binary]
	m.tail = m.tail[t.binary:]
	value, err := FromRaw(dtype, t.shape, raw)
	if err != nil && m.err == nil {
		m.err = err
	}
	t.value, t.read = value, true
}
