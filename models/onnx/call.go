package onnx

import (
	"fmt"

	ort "github.com/yalue/onnxruntime_go"

	"galen/models"
	"galen/models/manifest"
)

// call holds the C values of one run. A nil entry of out is allocated by ONNX
// Runtime; the others write straight into the Go slices of outputs.
type call struct {
	in, out []ort.Value
	outputs []models.Tensor
}

// prepare wraps the inputs without a copy, and every output whose shape follows
// from the inputs' shapes.
func (c *call) prepare(g *graph, in []models.Tensor) error {
	c.in = make([]ort.Value, 0, len(in))
	for _, t := range in {
		v, err := wrap(t)
		if err != nil {
			return err
		}
		c.in = append(c.in, v)
	}
	c.out = make([]ort.Value, len(g.outputs))
	for i := range g.outputs {
		p := &g.outputs[i]
		shape, ok := g.resolve(p, in)
		if !ok || p.DType == manifest.String {
			continue
		}
		t, err := empty(p.DType, shape)
		if err != nil {
			return err
		}
		if c.out[i], err = wrap(t); err != nil {
			return err
		}
		c.outputs[i] = t
	}
	return nil
}

// resolve finds the shape an output will have: its named dimensions are those of
// the inputs. False when one is not known before the run.
func (g *graph) resolve(p *port, in []models.Tensor) ([]int64, bool) {
	shape := make([]int64, len(p.Shape))
	for i, d := range p.Shape {
		if d == -1 {
			var ok bool
			if d, ok = g.symbol(p.symbols[i], in); !ok {
				return nil, false
			}
		}
		shape[i] = d
	}
	return shape, len(shape) > 0
}

func (g *graph) symbol(name string, in []models.Tensor) (int64, bool) {
	if name == "" {
		return 0, false
	}
	for i := range g.inputs {
		for j, s := range g.inputs[i].symbols {
			if s == name {
				return in[i].Shape()[j], true
			}
		}
	}
	return 0, false
}

func empty(dtype models.DType, shape []int64) (models.Tensor, error) {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	switch dtype {
	case manifest.Float64:
		return models.NewTensor(shape, make([]float64, n))
	case manifest.Float32:
		return models.NewTensor(shape, make([]float32, n))
	case manifest.Int64:
		return models.NewTensor(shape, make([]int64, n))
	case manifest.Uint8:
		return models.NewTensor(shape, make([]uint8, n))
	default:
		return models.NewTensor(shape, make([]bool, n))
	}
}

// wrap gives a tensor to ONNX Runtime; all but strings without a copy.
func wrap(t models.Tensor) (ort.Value, error) {
	switch t.DType() {
	case manifest.Float64:
		return wrapAs[float64](t)
	case manifest.Float32:
		return wrapAs[float32](t)
	case manifest.Int64:
		return wrapAs[int64](t)
	case manifest.Uint8:
		return wrapAs[uint8](t)
	case manifest.Bool:
		return wrapAs[bool](t)
	}
	texts, _ := models.Data[string](t)
	v, err := ort.NewStringTensor(ort.Shape(t.Shape()))
	if err != nil {
		return nil, err
	}
	if err := v.SetContents(texts); err != nil {
		_ = v.Destroy()
		return nil, err
	}
	return v, nil
}

// plain is what both packages hold as a Go slice.
type plain interface {
	float32 | float64 | int64 | uint8 | bool
}

func wrapAs[T plain](t models.Tensor) (ort.Value, error) {
	data, _ := models.Data[T](t)
	v, err := ort.NewTensor(ort.Shape(t.Shape()), data)
	if err != nil {
		return nil, err // not v: a nil *Tensor would make a non-nil Value
	}
	return v, nil
}

// collect takes the outputs that ONNX Runtime allocated.
func (c *call) collect() error {
	for i, v := range c.out {
		if c.outputs[i].DType() != "" {
			continue
		}
		t, err := unwrap(v)
		if err != nil {
			return err
		}
		c.outputs[i] = t
	}
	return nil
}

func unwrap(v ort.Value) (models.Tensor, error) {
	switch v := v.(type) {
	case *ort.Tensor[float64]:
		return models.NewTensor(v.GetShape(), v.GetData())
	case *ort.Tensor[float32]:
		return models.NewTensor(v.GetShape(), v.GetData())
	case *ort.Tensor[int64]:
		return models.NewTensor(v.GetShape(), v.GetData())
	case *ort.Tensor[uint8]:
		return models.NewTensor(v.GetShape(), v.GetData())
	case *ort.Tensor[bool]:
		return models.NewTensor(v.GetShape(), v.GetData())
	case *ort.StringTensor:
		texts, err := v.GetContents()
		if err != nil {
			return models.Tensor{}, err
		}
		return models.NewTensor(v.GetShape(), texts)
	}
	return models.Tensor{}, fmt.Errorf("an output came as %T", v)
}

// free frees the C values; the Go slices stay.
func (c *call) free() {
	for _, list := range [][]ort.Value{c.in, c.out} {
		for _, v := range list {
			if v != nil {
				_ = v.Destroy() // cannot fail for a value that exists
			}
		}
	}
}
