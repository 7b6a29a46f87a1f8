package oip

import (
	"math"
	"strconv"
	"unsafe"

	"galen/models"
	"galen/models/manifest"
)

// elements reads a JSON array, flat or nested, into a tensor.
func (s *scanner) elements(dtype models.DType, shape []int64) models.Tensor {
	n, ok := count(shape)
	// Two bytes is the least that an element takes ("0," and "0]").
	if !ok || n > int64(len(s.text)-s.at)/2+1 {
		s.fail("the data is shorter than the shape says")
		return models.Tensor{}
	}
	switch dtype {
	case manifest.Float64:
		return read(s, shape, n, func() float64 { return s.float(64) })
	case manifest.Float32:
		return read(s, shape, n, func() float32 { return float32(s.float(32)) })
	case manifest.Float16:
		return read(s, shape, n, func() models.Float16 { return models.ToFloat16(float32(s.float(32))) })
	case manifest.Bool:
		return read(s, shape, n, s.boolean)
	case manifest.String:
		return read(s, shape, n, s.word)
	}
	return s.integers(dtype, shape, n)
}

func (s *scanner) integers(dtype models.DType, shape []int64, n int64) models.Tensor {
	switch dtype {
	case manifest.Int8:
		return read(s, shape, n, func() int8 { return int8(s.signed(8)) })
	case manifest.Int16:
		return read(s, shape, n, func() int16 { return int16(s.signed(16)) })
	case manifest.Int32:
		return read(s, shape, n, func() int32 { return int32(s.signed(32)) })
	case manifest.Int64:
		return read(s, shape, n, func() int64 { return s.signed(64) })
	case manifest.Uint8:
		return read(s, shape, n, func() uint8 { return uint8(s.unsigned(8)) })
	case manifest.Uint16:
		return read(s, shape, n, func() uint16 { return uint16(s.unsigned(16)) })
	case manifest.Uint32:
		return read(s, shape, n, func() uint32 { return uint32(s.unsigned(32)) })
	}
	return read(s, shape, n, func() uint64 { return s.unsigned(64) })
}

func read[T models.Element](s *scanner, shape []int64, n int64, one func() T) models.Tensor {
	data := make([]T, 0, n)
	if n == 0 {
		s.want('[')
		s.want(']')
	} else {
		data = nested(s, data, int(n), 0, one)
	}
	if s.err == nil && int64(len(data)) != n {
		s.fail("the data is shorter than the shape says")
	}
	if s.err != nil {
		return models.Tensor{}
	}
	t, err := models.NewTensor(shape, data)
	if err != nil {
		s.fail("the shape is not one")
	}
	return t
}

// nested reads the elements of an array and of the arrays in it, row-major.
func nested[T any](s *scanner, data []T, n, depth int, one func() T) []T {
	s.want('[')
	if depth > maxDepth {
		s.fail("nested too deeply")
	}
	for s.err == nil {
		switch {
		case s.peek() == '[':
			data = nested(s, data, n, depth+1, one)
		case len(data) == n:
			s.fail("the data is longer than the shape says")
		default:
			data = append(data, one())
		}
		if s.take(']') {
			break
		}
		s.want(',')
	}
	return data
}

// count is the number of elements of a shape.
func count(shape []int64) (int64, bool) {
	const most = 1 << 28
	n := int64(1)
	for _, d := range shape {
		if d < 0 || d > most || n*d > most {
			return 0, false
		}
		n *= d
	}
	return n, len(shape) > 0
}

// float reads a number; null, NaN, Infinity and -Infinity are what Python and
// others write for what JSON has no number for.
func (s *scanner) float(bits int) float64 {
	switch c := s.peek(); c {
	case 'n', 'N':
		if s.literal("null") || s.literal("NaN") {
			return math.NaN()
		}
	case 'I':
		if s.literal("Infinity") {
			return math.Inf(1)
		}
	case '-':
		if s.literal("-Infinity") {
			return math.Inf(-1)
		}
	}
	text := s.number()
	if s.err != nil {
		return 0
	}
	x, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(text), len(text)), bits)
	if err != nil {
		s.fail("a number is out of its type's range")
	}
	return x
}

func (s *scanner) signed(bits uint) int64 {
	n := s.integer()
	if limit := int64(1) << (bits - 1); bits < 64 && (n < -limit || n >= limit) {
		s.fail("a number is out of its type's range")
	}
	return n
}

func (s *scanner) unsigned(bits uint) uint64 {
	text := s.number()
	if s.err != nil {
		return 0
	}
	n, ok := parseUint(text)
	if !ok || bits < 64 && n>>bits != 0 {
		s.fail("a number is out of its type's range")
	}
	return n
}

// parseInt reads the text of a JSON number that is a whole one.
func parseInt(text []byte) (int64, bool) {
	negative := len(text) > 0 && text[0] == '-'
	if negative {
		text = text[1:]
	}
	n, ok := parseUint(text)
	switch {
	case !ok:
		return 0, false
	case negative:
		return -int64(n), n <= 1<<63
	}
	return int64(n), n < 1<<63
}

func parseUint(text []byte) (uint64, bool) {
	n := uint64(0)
	for _, c := range text {
		d := uint64(c - '0')
		if d > 9 || n > (math.MaxUint64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, len(text) > 0
}
