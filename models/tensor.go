package models

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"galen/models/manifest"
)

// DType is the element type of a tensor; see the constants in manifest.
type DType = manifest.DType

// Element is a Go type that a tensor can hold.
type Element interface {
	float32 | float64 | int64 | string | uint8 | bool
}

// Tensor is an array of one element type and a shape, row-major. The first
// dimension is the batch: one row a patient. A Tensor wraps the slice it was made
// from and does not copy it; whoever made it must not change the slice while it
// is in use. The zero Tensor holds nothing and is no valid input.
type Tensor struct {
	dtype DType
	shape []int64
	data  any // []T for one T of Element
}

// maxElements bounds a tensor (of float64: 2 GiB), so that a size fits an int.
const maxElements = 1 << 28

var errShape = errors.New("shape and data do not fit")

// NewTensor makes a tensor of data with a shape. The shape is copied, data is
// not. Errors: BadInput when a dimension is negative, the shape is empty or
// larger than 2^28 elements, or its size is not len(data).
func NewTensor[T Element](shape []int64, data []T) (Tensor, error) {
	n, ok := sizeOf(shape)
	if !ok || n != int64(len(data)) {
		return Tensor{}, &Error{Op: "tensor", Kind: BadInput, Err: fmt.Errorf("%w: %v holds %d, not %d", errShape, shape, n, len(data))}
	}
	return Tensor{dtype: dtypeOf(data), shape: slices.Clone(shape), data: data}, nil
}

// Row makes a [1, len(data)] tensor: the features of one patient.
func Row[T Element](data []T) (Tensor, error) {
	return NewTensor([]int64{1, int64(len(data))}, data)
}

func sizeOf(shape []int64) (int64, bool) {
	n := int64(1)
	for _, d := range shape {
		if d < 0 || d > maxElements || n*d > maxElements {
			return 0, false
		}
		n *= d
	}
	return n, len(shape) > 0
}

func dtypeOf(data any) DType {
	switch data.(type) {
	case []float32:
		return manifest.Float32
	case []float64:
		return manifest.Float64
	case []int64:
		return manifest.Int64
	case []string:
		return manifest.String
	case []uint8:
		return manifest.Uint8
	default:
		return manifest.Bool
	}
}

// Data is the elements of a tensor of type T, not a copy; false when the tensor
// holds another type.
func Data[T Element](t Tensor) ([]T, bool) {
	data, ok := t.data.([]T)
	return data, ok
}

// DType is the element type; empty for the zero Tensor.
func (t Tensor) DType() DType { return t.dtype }

// Shape is the size of each dimension. It must not be changed.
func (t Tensor) Shape() []int64 { return t.shape }

// Rows is the size of the first dimension; 0 for the zero Tensor.
func (t Tensor) Rows() int {
	if len(t.shape) == 0 {
		return 0
	}
	return int(t.shape[0])
}

// Floats is row i as float64s, whatever the numeric type (a bool is 0 or 1).
// False when there is no such row or the tensor holds strings.
func (t Tensor) Floats(i int) ([]float64, bool) {
	rows := t.Rows()
	if i < 0 || i >= rows {
		return nil, false
	}
	switch d := t.data.(type) {
	case []float64:
		return slices.Clone(rowOf(d, i, rows)), true
	case []float32:
		return floats(rowOf(d, i, rows)), true
	case []int64:
		return floats(rowOf(d, i, rows)), true
	case []uint8:
		return floats(rowOf(d, i, rows)), true
	case []bool:
		out := make([]float64, len(d)/rows)
		for j, b := range rowOf(d, i, rows) {
			if b {
				out[j] = 1
			}
		}
		return out, true
	}
	return nil, false
}

func rowOf[T any](data []T, i, rows int) []T {
	width := len(data) / rows
	return data[i*width : (i+1)*width]
}

func floats[T float32 | int64 | uint8](row []T) []float64 {
	out := make([]float64, len(row))
	for j, x := range row {
		out[j] = float64(x)
	}
	return out
}

// finite says whether no element is NaN or infinite.
func (t Tensor) finite() bool {
	switch d := t.data.(type) {
	case []float64:
		return !slices.ContainsFunc(d, notFinite)
	case []float32:
		return !slices.ContainsFunc(d, func(x float32) bool { return notFinite(float64(x)) })
	}
	return true
}

func notFinite(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }
