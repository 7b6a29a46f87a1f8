package oip

import (
	"encoding/binary"
	"unicode/utf8"

	"galen/models"
	"galen/models/manifest"
)

// FromRaw makes a tensor of binary elements: little-endian numbers, BOOL as a
// byte, BYTES each with its length in four bytes before it. Errors: *Error.
func FromRaw(dtype models.DType, shape []int64, raw []byte) (models.Tensor, error) {
	n, ok := count(shape)
	w := width(dtype)
	if !ok || w > 0 && int64(len(raw)) != n*int64(w) || w == 0 && int64(len(raw)) < 4*n {
		return models.Tensor{}, fault("%d bytes of binary data do not fit the shape", len(raw))
	}
	if dtype == manifest.String {
		return rawTexts(shape, n, raw)
	}
	if dtype == manifest.Float16 {
		data := make([]models.Float16, n)
		for i := range data {
			data[i] = models.Float16(binary.LittleEndian.Uint16(raw[2*i:]))
		}
		return models.NewTensor(shape, data)
	}
	t, err := models.MakeTensor(dtype, shape)
	if err != nil {
		return t, err
	}
	if _, err := binary.Decode(raw, binary.LittleEndian, slice(t)); err != nil {
		return t, fault("binary data cannot be read")
	}
	return t, nil
}

func rawTexts(shape []int64, n int64, raw []byte) (models.Tensor, error) {
	texts := make([]string, n)
	for i := range texts {
		if len(raw) < 4 || uint64(binary.LittleEndian.Uint32(raw)) > uint64(len(raw)-4) {
			return models.Tensor{}, fault("BYTES data ends before its last element")
		}
		size := binary.LittleEndian.Uint32(raw)
		texts[i] = string(raw[4 : 4+size])
		if !utf8.ValidString(texts[i]) {
			return models.Tensor{}, fault("an element of BYTES is not UTF-8")
		}
		raw = raw[4+size:]
	}
	if len(raw) > 0 {
		return models.Tensor{}, fault("BYTES data goes on after its last element")
	}
	return models.NewTensor(shape, texts)
}

// AppendRaw appends a tensor's elements in binary.
func AppendRaw(dst []byte, t models.Tensor) []byte {
	if texts, ok := models.Data[string](t); ok {
		for _, text := range texts {
			dst = append(binary.LittleEndian.AppendUint32(dst, uint32(len(text))), text...)
		}
		return dst
	}
	if data, ok := models.Data[models.Float16](t); ok {
		for _, x := range data {
			dst = binary.LittleEndian.AppendUint16(dst, uint16(x))
		}
		return dst
	}
	out, err := binary.Append(dst, binary.LittleEndian, slice(t))
	if err != nil {
		return dst // cannot be: every other type has a fixed size
	}
	return out
}

// slice is the elements as the slice that they are, for package binary.
func slice(t models.Tensor) any {
	switch t.DType() {
	case manifest.Bool:
		return elementsOf[bool](t)
	case manifest.Uint8:
		return elementsOf[uint8](t)
	case manifest.Uint16:
		return elementsOf[uint16](t)
	case manifest.Uint32:
		return elementsOf[uint32](t)
	case manifest.Uint64:
		return elementsOf[uint64](t)
	case manifest.Int8:
		return elementsOf[int8](t)
	case manifest.Int16:
		return elementsOf[int16](t)
	case manifest.Int32:
		return elementsOf[int32](t)
	case manifest.Int64:
		return elementsOf[int64](t)
	case manifest.Float32:
		return elementsOf[float32](t)
	}
	return elementsOf[float64](t)
}

func elementsOf[T models.Element](t models.Tensor) []T {
	data, _ := models.Data[T](t)
	return data
}
