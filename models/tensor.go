package models

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"

	"galen/models/manifest"
)

// DType is the element type of a tensor; see the constants in manifest.
type DType = manifest.DType

// Element is a Go type that a tensor can hold.
type Element interface {
	Float16 | float32 | float64 | int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | string | bool
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
	case []Float16:
		return manifest.Float16
	case []float32:
		return manifest.Float32
	case []float64:
		return manifest.Float64
	case []int8:
		return manifest.Int8
	case []int16:
		return manifest.Int16
	case []int32:
		return manifest.Int32
	case []int64:
		return manifest.Int64
	case []uint8:
		return manifest.Uint8
	case []uint16:
		return manifest.Uint16
	case []uint32:
		return manifest.Uint32
	case []uint64:
		return manifest.Uint64
	case []string:
		return manifest.String
	default:
		return manifest.Bool
	}
}

// MakeTensor makes a tensor of that type and shape, all zero. Errors: as
// NewTensor; BadInput for a type that is none of manifest.DTypes.
func MakeTensor(dtype DType, shape []int64) (Tensor, error) {
	n, ok := sizeOf(shape)
	if !ok {
		return Tensor{}, &Error{Op: "tensor", Kind: BadInput, Err: fmt.Errorf("%w: %v", errShape, shape)}
	}
	t := Tensor{dtype: dtype, shape: slices.Clone(shape), data: zeros(dtype, n)}
	if t.data == nil {
		return Tensor{}, &Error{Op: "tensor", Kind: BadInput, Err: fmt.Errorf("%s is no element type", dtype)}
	}
	return t, nil
}

func zeros(dtype DType, n int64) any {
	switch dtype {
	case manifest.Float16:
		return make([]Float16, n)
	case manifest.Float32:
		return make([]float32, n)
	case manifest.Float64:
		return make([]float64, n)
	case manifest.Int8:
		return make([]int8, n)
	case manifest.Int16:
		return make([]int16, n)
	case manifest.Int32:
		return make([]int32, n)
	case manifest.Int64:
		return make([]int64, n)
	case manifest.Uint8:
		return make([]uint8, n)
	case manifest.Uint16:
		return make([]uint16, n)
	case manifest.Uint32:
		return make([]uint32, n)
	case manifest.Uint64:
		return make([]uint64, n)
	case manifest.String:
		return make([]string, n)
	case manifest.Bool:
		return make([]bool, n)
	}
	return nil
}

// Copy fills dst with the elements of src; false, and nothing is done, when
// their types or sizes differ.
func Copy(dst, src Tensor) bool {
	if dst.dtype != src.dtype || dst.dtype == "" || dst.Len() != src.Len() {
		return false
	}
	reflect.Copy(reflect.ValueOf(dst.data), reflect.ValueOf(src.data))
	return true
}

// Clone is a copy that shares nothing with t.
func (t Tensor) Clone() Tensor {
	c := Tensor{dtype: t.dtype, shape: slices.Clone(t.shape), data: zeros(t.dtype, int64(t.Len()))}
	Copy(c, t)
	return c
}

// Len is the number of elements.
func (t Tensor) Len() int {
	if t.dtype == "" {
		return 0
	}
	n, _ := sizeOf(t.shape)
	return int(n)
}

// row is row i as a tensor of its own that shares t's memory.
func (t Tensor) row(i int) Tensor {
	rows := t.Rows()
	width := t.Len() / rows
	shape := slices.Clone(t.shape)
	shape[0] = 1
	return Tensor{dtype: t.dtype, shape: shape, data: reflect.ValueOf(t.data).Slice(i*width, (i+1)*width).Interface()}
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
	case []Float16:
		row := rowOf(d, i, rows)
		out := make([]float64, len(row))
		for j, x := range row {
			out[j] = float64(x.Float32())
		}
		return out, true
	case []bool:
		row := rowOf(d, i, rows)
		out := make([]float64, len(row))
		for j, b := range row {
			if b {
				out[j] = 1
			}
		}
		return out, true
	}
	return t.integers(i, rows)
}

func (t Tensor) integers(i, rows int) ([]float64, bool) {
	switch d := t.data.(type) {
	case []int8:
		return floats(rowOf(d, i, rows)), true
	case []int16:
		return floats(rowOf(d, i, rows)), true
	case []int32:
		return floats(rowOf(d, i, rows)), true
	case []int64:
		return floats(rowOf(d, i, rows)), true
	case []uint8:
		return floats(rowOf(d, i, rows)), true
	case []uint16:
		return floats(rowOf(d, i, rows)), true
	case []uint32:
		return floats(rowOf(d, i, rows)), true
	case []uint64:
		return floats(rowOf(d, i, rows)), true
	}
	return nil, false
}

func rowOf[T any](data []T, i, rows int) []T {
	width := len(data) / rows
	return data[i*width : (i+1)*width]
}

func floats[T float32 | int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64](row []T) []float64 {
	out := make([]float64, len(row))
	for j, x := range row {
		out[j] = float64(x)
	}
	return out
}

// badRows lists the rows that hold NaN or an infinity.
func (t Tensor) badRows() []int {
	switch d := t.data.(type) {
	case []float64:
		return rowsWith(d, t.Rows(), notFinite)
	case []float32:
		return rowsWith(d, t.Rows(), func(x float32) bool { return notFinite(float64(x)) })
	case []Float16:
		return rowsWith(d, t.Rows(), func(x Float16) bool { return !x.finite() })
	}
	return nil
}

func rowsWith[T any](data []T, rows int, bad func(T) bool) []int {
	if !slices.ContainsFunc(data, bad) {
		return nil
	}
	var out []int
	for i := range rows {
		if slices.ContainsFunc(rowOf(data, i, rows), bad) {
			out = append(out, i)
		}
	}
	return out
}

// spoil marks a row as having no answer: NaN where the type has it, else zero.
func (t Tensor) spoil(i int) {
	rows := t.Rows()
	switch d := t.data.(type) {
	case []float64:
		fill(rowOf(d, i, rows), math.NaN())
	case []float32:
		fill(rowOf(d, i, rows), float32(math.NaN()))
	case []Float16:
		fill(rowOf(d, i, rows), float16NaN)
	default:
		reflect.ValueOf(t.row(i).data).Clear()
	}
}

func fill[T any](row []T, x T) {
	for j := range row {
		row[j] = x
	}
}

func notFinite(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }
