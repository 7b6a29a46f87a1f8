package rpc

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"galen/models"
	"galen/models/manifest"
	"galen/models/oip"
	"galen/models/oip/inference"
)

// maxTensors bounds the inputs of a request.
const maxTensors = 256

var (
	errRaw   = errors.New("raw_input_contents wants one entry for each input, and no contents")
	errRange = errors.New("an element is out of its datatype's range")
	errText  = errors.New("an element of BYTES is not UTF-8")
)

// tensors reads the inputs of a request.
func tensors(in *inference.ModelInferRequest) ([]oip.Named, error) {
	raw := in.GetRawInputContents()
	inputs := in.GetInputs()
	if len(raw) > 0 && len(raw) != len(inputs) || len(inputs) > maxTensors {
		return nil, errRaw
	}
	out := make([]oip.Named, len(inputs))
	for i, t := range inputs {
		dtype, ok := oip.DType(t.GetDatatype())
		if !ok {
			return nil, fmt.Errorf("input %q has no datatype that is known", t.GetName())
		}
		var tensor models.Tensor
		var err error
		switch {
		case len(raw) == 0:
			tensor, err = typed(dtype, t.GetShape(), t.GetContents())
		case t.GetContents() != nil:
			err = errRaw
		default:
			tensor, err = oip.FromRaw(dtype, t.GetShape(), raw[i])
		}
		if err != nil {
			return nil, fmt.Errorf("input %q: %w", t.GetName(), err)
		}
		out[i] = oip.Named{Name: t.GetName(), Tensor: tensor}
	}
	return out, nil
}

// typed makes a tensor of the field that the datatype has.
func typed(dtype models.DType, shape []int64, c *inference.InferTensorContents) (models.Tensor, error) {
	switch dtype {
	case manifest.Bool:
		return models.NewTensor(shape, c.GetBoolContents())
	case manifest.Int8:
		return narrow[int8](shape, c.GetIntContents())
	case manifest.Int16:
		return narrow[int16](shape, c.GetIntContents())
	case manifest.Int32:
		return models.NewTensor(shape, c.GetIntContents())
	case manifest.Int64:
		return models.NewTensor(shape, c.GetInt64Contents())
	case manifest.Uint8:
		return narrow[uint8](shape, c.GetUintContents())
	case manifest.Uint16:
		return narrow[uint16](shape, c.GetUintContents())
	case manifest.Uint32:
		return models.NewTensor(shape, c.GetUintContents())
	case manifest.Uint64:
		return models.NewTensor(shape, c.GetUint64Contents())
	case manifest.Float32:
		return models.NewTensor(shape, c.GetFp32Contents())
	case manifest.Float64:
		return models.NewTensor(shape, c.GetFp64Contents())
	case manifest.String:
		return texts(shape, c.GetBytesContents())
	}
	return models.Tensor{}, fmt.Errorf("%s goes as raw contents only", oip.Datatype(dtype))
}

func narrow[To int8 | int16 | uint8 | uint16, From int32 | uint32](shape []int64, wide []From) (models.Tensor, error) {
	data := make([]To, len(wide))
	for i, x := range wide {
		if data[i] = To(x); From(data[i]) != x {
			return models.Tensor{}, errRange
		}
	}
	return models.NewTensor(shape, data)
}

func texts(shape []int64, list [][]byte) (models.Tensor, error) {
	data := make([]string, len(list))
	for i, b := range list {
		if !utf8.Valid(b) {
			return models.Tensor{}, errText
		}
		data[i] = string(b)
	}
	return models.NewTensor(shape, data)
}

// fill writes the outputs: raw if the client sent raw, or where a datatype has
// no field of its own.
func fill(out *inference.ModelInferResponse, list []oip.Named, raw bool) {
	raw = raw || slices.ContainsFunc(list, func(n oip.Named) bool { return n.Tensor.DType() == manifest.Float16 })
	for _, n := range list {
		t := &inference.ModelInferResponse_InferOutputTensor{
			Name: n.Name, Datatype: oip.Datatype(n.Tensor.DType()), Shape: n.Tensor.Shape(),
		}
		if raw {
			out.RawOutputContents = append(out.RawOutputContents, oip.AppendRaw(nil, n.Tensor))
		} else {
			t.Contents = contents(n.Tensor)
		}
		out.Outputs = append(out.Outputs, t)
	}
}

func contents(t models.Tensor) *inference.InferTensorContents {
	c := &inference.InferTensorContents{}
	switch t.DType() {
	case manifest.Bool:
		c.BoolContents, _ = models.Data[bool](t)
	case manifest.Int8:
		c.IntContents = widen[int8, int32](t)
	case manifest.Int16:
		c.IntContents = widen[int16, int32](t)
	case manifest.Int32:
		c.IntContents, _ = models.Data[int32](t)
	case manifest.Int64:
		c.Int64Contents, _ = models.Data[int64](t)
	case manifest.Uint8:
		c.UintContents = widen[uint8, uint32](t)
	case manifest.Uint16:
		c.UintContents = widen[uint16, uint32](t)
	case manifest.Uint32:
		c.UintContents, _ = models.Data[uint32](t)
	case manifest.Uint64:
		c.Uint64Contents, _ = models.Data[uint64](t)
	case manifest.Float32:
		c.Fp32Contents, _ = models.Data[float32](t)
	case manifest.Float64:
		c.Fp64Contents, _ = models.Data[float64](t)
	case manifest.String:
		list, _ := models.Data[string](t)
		for _, text := range list {
			c.BytesContents = append(c.BytesContents, []byte(text))
		}
	}
	return c
}

func widen[From int8 | int16 | uint8 | uint16, To int32 | uint32](t models.Tensor) []To {
	data, _ := models.Data[From](t)
	out := make([]To, len(data))
	for i, x := range data {
		out[i] = To(x)
	}
	return out
}
