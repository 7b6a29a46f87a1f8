package onnx

import (
	"errors"
	"fmt"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"

	"galen/models"
	"galen/models/manifest"
)

// call holds the C values of one run. A nil entry of out is allocated by ONNX
// Runtime; the others write straight into the Go slices of outputs.
type call struct {
	in, out []ort.Value
	outputs []models.Tensor
	options *ort.RunOptions // nil when the run need not be stopped
}

// prepare wraps the inputs without a copy, and every output whose shape follows
// from the inputs' shapes. What it made is in the call even after an error.
func (c *call) prepare(g *graph, in []models.Tensor) error {
	c.in = make([]ort.Value, 0, len(in))
	c.out = make([]ort.Value, len(g.outputs))
	c.outputs = make([]models.Tensor, len(g.outputs))
	for _, t := range in {
		v, err := wrap(t)
		if err != nil {
			return err
		}
		c.in = append(c.in, v)
	}
	for i := range g.outputs {
		p := &g.outputs[i]
		shape, ok := g.resolve(p, in)
		if !ok || p.DType == manifest.String {
			continue
		}
		t, err := models.MakeTensor(p.DType, shape)
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

// wrap gives a tensor to ONNX Runtime; all but strings without a copy.
func wrap(t models.Tensor) (ort.Value, error) {
	switch t.DType() {
	case manifest.Float64:
		return wrapAs[float64](t)
	case manifest.Float32:
		return wrapAs[float32](t)
	case manifest.Int8:
		return wrapAs[int8](t)
	case manifest.Int16:
		return wrapAs[int16](t)
	case manifest.Int32:
		return wrapAs[int32](t)
	case manifest.Int64:
		return wrapAs[int64](t)
	case manifest.Uint8:
		return wrapAs[uint8](t)
	case manifest.Uint16:
		return wrapAs[uint16](t)
	case manifest.Uint32:
		return wrapAs[uint32](t)
	case manifest.Uint64:
		return wrapAs[uint64](t)
	case manifest.Bool:
		return wrapAs[bool](t)
	case manifest.Float16:
		return wrapHalf(t)
	}
	return wrapTexts(t)
}

// plain is what both packages hold as a Go slice.
type plain interface {
	float32 | float64 | int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | bool
}

func wrapAs[T plain](t models.Tensor) (ort.Value, error) {
	data, _ := models.Data[T](t)
	v, err := ort.NewTensor(ort.Shape(t.Shape()), data)
	if err != nil {
		return nil, err // not v: a nil *Tensor would make a non-nil Value
	}
	return v, nil
}

// wrapHalf hands over the same memory as bytes, for want of a Go type.
func wrapHalf(t models.Tensor) (ort.Value, error) {
	data, _ := models.Data[models.Float16](t)
	if len(data) == 0 {
		return nil, errors.New("a float16 tensor without elements")
	}
	raw := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(data))), 2*len(data))
	v, err := ort.NewCustomDataTensor(ort.Shape(t.Shape()), raw, ort.TensorElementDataTypeFloat16)
	if err != nil {
		return nil, err
	}
	return v, nil
}

func wrapTexts(t models.Tensor) (ort.Value, error) {
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
	case *ort.Tensor[bool]:
		return models.NewTensor(v.GetShape(), v.GetData())
	case *ort.StringTensor:
		texts, err := v.GetContents()
		if err != nil {
			return models.Tensor{}, err
		}
		return models.NewTensor(v.GetShape(), texts)
	}
	return unwrapInteger(v)
}

func unwrapInteger(v ort.Value) (models.Tensor, error) {
	switch v := v.(type) {
	case *ort.Tensor[int8]:
		return models.NewTensor(v.GetShape(), v.GetData())
	case *ort.Tensor[int16]:
		return models.NewTensor(v.GetShape(), v.GetData())
	case *ort.Tensor[int32]:
		return models.NewTensor(v.GetShape(), v.GetData())
	case *ort.Tensor[int64]:
		return models.NewTensor(v.GetShape(), v.GetData())
	case *ort.Tensor[uint8]:
		return models.NewTensor(v.GetShape(), v.GetData())
	case *ort.Tensor[uint16]:
		return models.NewTensor(v.GetShape(), v.GetData())
	case *ort.Tensor[uint32]:
		return models.NewTensor(v.GetShape(), v.GetData())
	case *ort.Tensor[uint64]:
		return models.NewTensor(v.GetShape(), v.GetData())
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
	if c.options != nil {
		_ = c.options.Destroy()
	}
}
