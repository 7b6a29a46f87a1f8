package models

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"

	"galen/models/manifest"
)

// golden is golden.json: cases that the model must reproduce before it is
// served. In data, null stands for NaN.
type golden struct {
	Tolerance tolerance    `json:"tolerance"`
	Cases     []goldenCase `json:"cases"`
}

type goldenCase struct {
	Name      string                `json:"name"`
	Source    string                `json:"source"` // where the expected numbers come from
	Tolerance *tolerance            `json:"tolerance"`
	Inputs    map[string]tensorJSON `json:"inputs"`
	Outputs   map[string]tensorJSON `json:"outputs"` // those that are checked

	in   []Tensor
	want map[int]Tensor // by position among the manifest's outputs
}

// tolerance is how far an output may lie from the expected number x:
// absolute + relative × |x|.
type tolerance struct {
	Absolute float64 `json:"absolute"`
	Relative float64 `json:"relative"`
}

// maxTolerance keeps a golden file from checking nothing.
const maxTolerance = 1e-2

func (t tolerance) valid() bool {
	return t.Absolute >= 0 && t.Relative >= 0 && t.Absolute <= maxTolerance && t.Relative <= maxTolerance
}

type tensorJSON struct {
	Shape []int64           `json:"shape"`
	Data  []json.RawMessage `json:"data"`
}

func readGolden(fsys fs.FS, name string, m *manifest.Manifest) (*golden, error) {
	data, err := readFile(fsys, name, maxText)
	if err != nil {
		return nil, err
	}
	g, err := parseGolden(data, m)
	if err != nil {
		return nil, fmt.Errorf("golden.json: %w", err)
	}
	return g, nil
}

func parseGolden(data []byte, m *manifest.Manifest) (*golden, error) {
	var g golden
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&g); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("text after the end")
	}
	if len(g.Cases) == 0 {
		return nil, errors.New("has no cases")
	}
	for i := range g.Cases {
		if err := g.Cases[i].bind(m, g.Tolerance); err != nil {
			return nil, fmt.Errorf("case %q: %w", g.Cases[i].Name, err)
		}
	}
	return &g, nil
}

// bind turns the case's JSON into tensors of the manifest's ports.
func (c *goldenCase) bind(m *manifest.Manifest, common tolerance) error {
	if c.Tolerance == nil {
		c.Tolerance = &common
	}
	if !c.Tolerance.valid() {
		return fmt.Errorf("the tolerance must lie in 0–%v", maxTolerance)
	}
	if len(c.Inputs) != len(m.Inputs) || len(c.Outputs) == 0 {
		return errors.New("wants every input and at least one output")
	}
	for _, in := range m.Inputs {
		t, err := c.Inputs[in.Name].tensor(in.DType)
		if err != nil {
			return fmt.Errorf("input %s: %w", in.Name, err)
		}
		c.in = append(c.in, t)
	}
	c.want = make(map[int]Tensor, len(c.Outputs))
	for name, text := range c.Outputs {
		o, i, ok := m.Output(name)
		if !ok {
			return fmt.Errorf("%q is not an output", name)
		}
		t, err := text.tensor(o.DType)
		if err != nil {
			return fmt.Errorf("output %s: %w", name, err)
		}
		c.want[i] = t
	}
	return nil
}

func (t tensorJSON) tensor(dtype DType) (Tensor, error) {
	switch dtype {
	case manifest.Float64:
		return elements[float64](t)
	case manifest.Float32:
		return elements[float32](t)
	case manifest.Float16:
		return t.float16()
	case manifest.Int8:
		return elements[int8](t)
	case manifest.Int16:
		return elements[int16](t)
	case manifest.Int32:
		return elements[int32](t)
	case manifest.Int64:
		return elements[int64](t)
	case manifest.Uint8:
		return elements[uint8](t)
	case manifest.Uint16:
		return elements[uint16](t)
	case manifest.Uint32:
		return elements[uint32](t)
	case manifest.Uint64:
		return elements[uint64](t)
	case manifest.Bool:
		return elements[bool](t)
	}
	return elements[string](t)
}

func (t tensorJSON) float16() (Tensor, error) {
	wide, err := elements[float32](t)
	if err != nil {
		return Tensor{}, err
	}
	data, _ := Data[float32](wide)
	out := make([]Float16, len(data))
	for i, x := range data {
		out[i] = ToFloat16(x)
	}
	return NewTensor(t.Shape, out)
}

func elements[T Element](t tensorJSON) (Tensor, error) {
	data := make([]T, len(t.Data))
	for i, text := range t.Data {
		if string(text) == "null" {
			if !setNaN(&data[i]) {
				return Tensor{}, errors.New("null stands for NaN, which this type cannot hold")
			}
			continue
		}
		if err := json.Unmarshal(text, &data[i]); err != nil {
			return Tensor{}, err
		}
	}
	return NewTensor(t.Shape, data)
}

func setNaN(p any) bool {
	switch p := p.(type) {
	case *float64:
		*p = math.NaN()
	case *float32:
		*p = float32(math.NaN())
	default:
		return false
	}
	return true
}

// replay runs every case. A case is no patient, so its numbers may be told.
func (g *golden) replay(ctx context.Context, v *version) error {
	for i := range g.Cases {
		c := &g.Cases[i]
		out, failed, err := v.predictRows(ctx, c.in)
		if err == nil && len(failed) > 0 {
			err = failed[0].Err
		}
		if err != nil {
			return fmt.Errorf("golden case %q: %w", c.Name, err)
		}
		for j, want := range c.want {
			if err := c.Tolerance.compare(out[j], want); err != nil {
				return fmt.Errorf("golden case %q: output %s: %w", c.Name, v.info.Manifest.Outputs[j].Name, err)
			}
		}
	}
	return nil
}

func (t tolerance) compare(got, want Tensor) error {
	if !agree(got.shape, want.shape) {
		return fmt.Errorf("shape %v, want %v", got.shape, want.shape)
	}
	if texts, ok := Data[string](want); ok {
		return compareTexts(got, texts)
	}
	for i := range want.Rows() {
		g, _ := got.Floats(i)
		w, _ := want.Floats(i)
		for j := range w {
			if !t.near(g[j], w[j]) {
				return fmt.Errorf("row %d, column %d: %v, want %v", i, j, g[j], w[j])
			}
		}
	}
	return nil
}

func compareTexts(got Tensor, want []string) error {
	texts, _ := Data[string](got)
	for i := range want {
		if texts[i] != want[i] {
			return fmt.Errorf("element %d: %q, want %q", i, texts[i], want[i])
		}
	}
	return nil
}

func (t tolerance) near(got, want float64) bool {
	if math.IsNaN(want) || math.IsInf(want, 0) {
		return math.IsNaN(got) && math.IsNaN(want) || got == want
	}
	return math.Abs(got-want) <= t.Absolute+t.Relative*math.Abs(want)
}
