package models

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"

	"galen/models/golden"
	"galen/models/manifest"
)

// goldenCase is a case of golden.json as tensors.
type goldenCase struct {
	golden.Case
	in   []Tensor
	want map[int]Tensor // by position among the manifest's outputs
}

type goldenCases []goldenCase

func readGolden(fsys fs.FS, name string, m *manifest.Manifest) (goldenCases, error) {
	data, err := readFile(fsys, name, maxText)
	if err != nil {
		return nil, err
	}
	file, err := golden.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("golden.json: %w", err)
	}
	cases := make(goldenCases, len(file.Cases))
	for i := range cases {
		cases[i].Case = file.Cases[i]
		if err := cases[i].bind(m); err != nil {
			return nil, fmt.Errorf("golden.json: case %q: %w", cases[i].Name, err)
		}
	}
	return cases, nil
}

// bind turns the case's values into tensors of the manifest's ports.
func (c *goldenCase) bind(m *manifest.Manifest) error {
	if len(c.Inputs) != len(m.Inputs) || len(c.Outputs) == 0 {
		return errors.New("wants every input and at least one output")
	}
	for _, in := range m.Inputs {
		t, err := tensorOf(c.Inputs[in.Name], in.DType)
		if err != nil {
			return fmt.Errorf("input %s: %w", in.Name, err)
		}
		c.in = append(c.in, t)
	}
	c.want = make(map[int]Tensor, len(c.Outputs))
	for name, values := range c.Outputs {
		o, i, ok := m.Output(name)
		if !ok {
			return fmt.Errorf("%q is not an output", name)
		}
		t, err := tensorOf(values, o.DType)
		if err != nil {
			return fmt.Errorf("output %s: %w", name, err)
		}
		c.want[i] = t
	}
	return nil
}

func tensorOf(t golden.Values, dtype DType) (Tensor, error) {
	switch dtype {
	case manifest.Float64:
		return elements[float64](t)
	case manifest.Float32:
		return elements[float32](t)
	case manifest.Float16:
		return float16s(t)
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

func float16s(t golden.Values) (Tensor, error) {
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

func elements[T Element](t golden.Values) (Tensor, error) {
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
func (g goldenCases) replay(ctx context.Context, v *version) error {
	for i := range g {
		c := &g[i]
		out, failed, err := v.predictRows(ctx, c.in)
		if err == nil && len(failed) > 0 {
			err = failed[0].Err
		}
		if err != nil {
			return fmt.Errorf("golden case %q: %w", c.Name, err)
		}
		for j, want := range c.want {
			if err := compare(*c.Tolerance, out[j], want); err != nil {
				return fmt.Errorf("golden case %q: output %s: %w", c.Name, v.info.Manifest.Outputs[j].Name, err)
			}
		}
	}
	return nil
}

func compare(t golden.Tolerance, got, want Tensor) error {
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
			if !t.Near(g[j], w[j]) {
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
