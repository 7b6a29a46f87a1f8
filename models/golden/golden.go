// Package golden is golden.json as data: cases that a model must reproduce before
// it is served, each with the source of its numbers.
//
// It promises that a file is read strictly and that its tolerances are too narrow
// to check nothing. It knows nothing of tensors and runs nothing: galen/models
// does.
package golden

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
)

// File is golden.json.
type File struct {
	Tolerance Tolerance `json:"tolerance"`
	Cases     []Case    `json:"cases"` // at least one
}

// Case is one input and what must come out.
type Case struct {
	Name      string            `json:"name"`
	Source    string            `json:"source"`    // where the expected numbers come from
	Tolerance *Tolerance        `json:"tolerance"` // the file's when it has none; never nil after Parse
	Inputs    map[string]Values `json:"inputs"`
	Outputs   map[string]Values `json:"outputs"` // those that are checked
}

// Values are a tensor's shape and elements; null stands for NaN.
type Values struct {
	Shape []int64           `json:"shape"`
	Data  []json.RawMessage `json:"data"`
}

// Tolerance is how far an output may lie from the expected number x:
// Absolute + Relative × |x|.
type Tolerance struct {
	Absolute float64 `json:"absolute"`
	Relative float64 `json:"relative"`
}

// maxTolerance keeps a golden file from checking nothing.
const maxTolerance = 1e-2

func (t Tolerance) valid() bool {
	return t.Absolute >= 0 && t.Relative >= 0 && t.Absolute <= maxTolerance && t.Relative <= maxTolerance
}

// Near says whether a number is the expected one within the tolerance. NaN and
// the infinities are near themselves only.
func (t Tolerance) Near(got, want float64) bool {
	if math.IsNaN(want) || math.IsInf(want, 0) {
		return math.IsNaN(got) && math.IsNaN(want) || got == want
	}
	return math.Abs(got-want) <= t.Absolute+t.Relative*math.Abs(want)
}

// Parse reads a file.
func Parse(data []byte) (*File, error) {
	var f File
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("text after the end")
	}
	if len(f.Cases) == 0 {
		return nil, errors.New("has no cases")
	}
	for i := range f.Cases {
		c := &f.Cases[i]
		if c.Tolerance == nil {
			c.Tolerance = &f.Tolerance
		}
		if !c.Tolerance.valid() {
			return nil, fmt.Errorf("case %q: the tolerance must lie in 0–%v", c.Name, maxTolerance)
		}
	}
	return &f, nil
}
