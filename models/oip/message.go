package oip

import (
	"fmt"

	"galen/models"
)

// Named is a tensor with the name of the port it is for.
type Named struct {
	Name   string
	Tensor models.Tensor
}

// Request is an inference request.
type Request struct {
	ID      string // the client's; echoed
	Inputs  []Named
	Outputs []Output // empty asks for all

	// Binary asks for every output in binary unless its Output says otherwise.
	Binary bool
}

// Output is an output that is asked for.
type Output struct {
	Name   string
	Binary *bool // nil leaves it to the request
}

// binary says whether an output is to be sent in binary.
func (r *Request) binary(name string) bool {
	for i := range r.Outputs {
		if r.Outputs[i].Name == name && r.Outputs[i].Binary != nil {
			return *r.Outputs[i].Binary
		}
	}
	return r.Binary
}

// Names are the outputs that are asked for, nil for all.
func (r *Request) Names() []string {
	var names []string
	for i := range r.Outputs {
		names = append(names, r.Outputs[i].Name)
	}
	return names
}

// Response is the answer to a Request.
type Response struct {
	Model   string
	Version string
	ID      string
	Outputs []Named
	Refused []int // rows that have no answer; their elements are NaN or zero
}

// Error is a message that does not hold to the protocol. Its text names members
// and sizes, never an element.
type Error struct {
	Offset int // byte in the JSON, -1 when it has no place
	Reason string
}

func (e *Error) Error() string {
	if e.Offset < 0 {
		return e.Reason
	}
	return fmt.Sprintf("%s (at byte %d)", e.Reason, e.Offset)
}

func fault(format string, args ...any) error {
	return &Error{Offset: -1, Reason: fmt.Sprintf(format, args...)}
}

// ServerMetadata is the answer of GET /v2.
type ServerMetadata struct {
	Name       string   `json:"name"`
	Version    string   `json:"version"`
	Extensions []string `json:"extensions"`
}

// ModelMetadata is the answer of GET /v2/models/{name}.
type ModelMetadata struct {
	Name       string           `json:"name"`
	Versions   []string         `json:"versions"`
	Platform   string           `json:"platform"`
	Inputs     []TensorMetadata `json:"inputs"`
	Outputs    []TensorMetadata `json:"outputs"`
	Parameters map[string]any   `json:"parameters,omitempty"`
}

// TensorMetadata is a port; -1 is any size.
type TensorMetadata struct {
	Name     string  `json:"name"`
	Datatype string  `json:"datatype"`
	Shape    []int64 `json:"shape"`
}

// IndexEntry is one version in the answer of POST /v2/repository/index.
type IndexEntry struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	State   string `json:"state"` // READY or UNAVAILABLE
	Reason  string `json:"reason"`
}

// Metadata lists ports.
func Metadata(ports []models.Port) []TensorMetadata {
	out := make([]TensorMetadata, len(ports))
	for i, p := range ports {
		out[i] = TensorMetadata{p.Name, Datatype(p.DType), p.Shape}
	}
	return out
}
