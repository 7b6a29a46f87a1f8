// Package pixel makes grey values of the pixels of a DICOM image: from stored bits
// by way of modality and VOI transformation to 0 (black) to 1 (white)
// (DICOM PS3.3 C.7.6.3, C.11.1, C.11.2).
//
// It takes one frame of one sample a pixel, native or compressed as RLE or
// baseline JPEG. What it does not understand it refuses with the reason: colour,
// look-up tables, other compressions. No input makes it panic, and none makes it
// take more memory than its own size allows.
package pixel

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/jpeg"
	"math"

	"galen/fhir"
)

// Format is how the pixels of an image are stored. Zero counts are as absent.
type Format struct {
	Rows, Columns    int
	Samples          int    // (0028,0002); 1 is grey
	Photometric      string // (0028,0004): MONOCHROME1 or MONOCHROME2
	BitsAllocated    int    // 8 or 16
	BitsStored       int
	HighBit          int
	Signed           bool     // (0028,0103)
	Slope, Intercept *float64 // (0028,1053), (0028,1052)
	Center, Width    *float64 // the first window; nil for none
	Function         string   // (0028,1056): LINEAR if empty, LINEAR_EXACT, SIGMOID
	Padding          *int     // (0028,0120), as stored
	LookUp           bool     // there is a modality or VOI look-up table
}

// maxSide bounds rows and columns, and maxRatio how much smaller than its pixels a
// compressed frame may be: PackBits makes 128 bytes of two, JPEG hardly more of
// what is a picture.
const (
	maxSide  = 8192
	maxRatio = 200
)

// The transfer syntaxes that frames are understood in (PS3.5 A.4, A.5).
const (
	ExplicitLittleEndian = "1.2.840.10008.1.2.1"
	ImplicitLittleEndian = "1.2.840.10008.1.2"
	RLE                  = "1.2.840.10008.1.2.5"
	JPEGBaseline         = "1.2.840.10008.1.2.4.50"
)

func refuse(reason string) error { return fhir.E("pixel.Decode", fhir.NotSupported, "", reason) }

// check refuses what is not understood.
func (f Format) check() error {
	switch {
	case f.Rows < 1 || f.Columns < 1 || f.Rows > maxSide || f.Columns > maxSide:
		return refuse("the image has no sides, or sides beyond 8,192 pixels")
	case f.Samples > 1:
		return refuse("the image has colours")
	case f.Photometric != "MONOCHROME1" && f.Photometric != "MONOCHROME2":
		return refuse("the photometric interpretation is not monochrome")
	case f.BitsAllocated != 8 && f.BitsAllocated != 16:
		return refuse("8 or 16 bits a pixel are understood")
	case f.BitsStored < 1 || f.BitsStored > f.BitsAllocated || f.HighBit < f.BitsStored-1 || f.HighBit >= f.BitsAllocated:
		return refuse("the bits of a pixel contradict each other")
	case f.LookUp:
		return refuse("the image has look-up tables for its values")
	}
	return nil
}

// Decode returns the grey values of one frame, row by row. Errors are of Kind
// NotSupported.
func Decode(f Format, frame []byte, syntax string) ([]float64, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	if len(frame) < f.Rows*f.Columns*f.BitsAllocated/8/maxRatio {
		return nil, refuse("the frame is too short for its rows and columns")
	}
	var err error
	switch syntax {
	case "", ExplicitLittleEndian, ImplicitLittleEndian:
	case RLE:
		frame, err = unrle(f, frame)
	case JPEGBaseline:
		frame, err = unjpeg(f, frame)
	default:
		err = refuse("the compression " + syntax + " is not decoded here, and the archive does not decode it either")
	}
	if err != nil {
		return nil, err
	}
	size := f.BitsAllocated / 8
	if len(frame) < f.Rows*f.Columns*size {
		return nil, refuse("the frame is shorter than its rows and columns")
	}
	out := make([]float64, f.Rows*f.Columns)
	for i := range out {
		word := uint32(frame[i*size])
		if size == 2 {
			word = uint32(binary.LittleEndian.Uint16(frame[2*i:]))
		}
		out[i] = f.grey(f.stored(word))
	}
	return out, nil
}

// stored takes the bits of a value out of its word, with its sign.
func (f Format) stored(word uint32) int {
	v := int(word>>(f.HighBit+1-f.BitsStored)) & (1<<f.BitsStored - 1)
	if f.Signed && v >= 1<<(f.BitsStored-1) {
		v -= 1 << f.BitsStored
	}
	return v
}

// grey is the value on the scale from black to white. Padding is black.
func (f Format) grey(stored int) float64 {
	if f.Padding != nil && stored == *f.Padding {
		return 0
	}
	slope, intercept := 1.0, 0.0
	if f.Slope != nil {
		slope = *f.Slope
	}
	if f.Intercept != nil {
		intercept = *f.Intercept
	}
	x := float64(stored)*slope + intercept
	var y float64
	switch {
	case f.Center != nil && f.Width != nil && *f.Width >= 1:
		y = window(x, *f.Center, *f.Width, f.Function)
	default: // the whole range that can be stored
		low, high := f.span()
		a, b := low*slope+intercept, high*slope+intercept
		y = (x - min(a, b)) / max(math.Abs(b-a), math.SmallestNonzeroFloat64)
	}
	y = min(max(y, 0), 1)
	if f.Photometric == "MONOCHROME1" {
		return 1 - y
	}
	return y
}

func (f Format) span() (low, high float64) {
	if f.Signed {
		return -float64(int(1) << (f.BitsStored - 1)), float64(int(1)<<(f.BitsStored-1) - 1)
	}
	return 0, float64(int(1)<<f.BitsStored - 1)
}

// window is PS3.3 C.11.2.1.2 and C.11.2.1.3 onto 0 to 1.
func window(x, center, width float64, function string) float64 {
	switch function {
	case "SIGMOID":
		return 1 / (1 + math.Exp(-4*(x-center)/width))
	case "LINEAR_EXACT":
		return (x-center)/width + 0.5
	}
	if width == 1 {
		if x <= center-0.5 {
			return 0
		}
		return 1
	}
	return (x-(center-0.5))/(width-1) + 0.5
}

// unrle undoes RLE compression (PS3.5 annex G): a segment for each byte of a
// pixel, the highest first.
func unrle(f Format, frame []byte) ([]byte, error) {
	size, n := f.BitsAllocated/8, f.Rows*f.Columns
	if len(frame) < 64 || int(binary.LittleEndian.Uint32(frame)) != size {
		return nil, refuse("the RLE header does not fit the image")
	}
	out := make([]byte, n*size)
	for s := range size {
		start := int(binary.LittleEndian.Uint32(frame[4+4*s:]))
		end := len(frame)
		if s+1 < size {
			end = int(binary.LittleEndian.Uint32(frame[8+4*s:]))
		}
		if start < 64 || start > end || end > len(frame) {
			return nil, refuse("the RLE segments do not fit the frame")
		}
		if unpack(frame[start:end], out, size-1-s, size) != n {
			return nil, refuse("an RLE segment is shorter than the image")
		}
	}
	return out, nil
}

// unpack writes PackBits into every step-th byte from at on, and returns how many.
func unpack(in, out []byte, at, step int) (n int) {
	put := func(b byte) {
		if i := at + n*step; i < len(out) {
			out[i] = b
			n++
		}
	}
	for i := 0; i < len(in); {
		c := int(int8(in[i]))
		i++
		switch {
		case c >= 0:
			for j := i; j < min(i+c+1, len(in)); j++ {
				put(in[j])
			}
			i += c + 1
		case c != -128 && i < len(in):
			for range 1 - c {
				put(in[i])
			}
			i++
		}
	}
	return n
}

// unjpeg undoes baseline JPEG of 8 bits (PS3.5 A.4.1).
func unjpeg(f Format, frame []byte) ([]byte, error) {
	about, err := jpeg.DecodeConfig(bytes.NewReader(frame))
	if err != nil || about.Width != f.Columns || about.Height != f.Rows || f.BitsAllocated != 8 {
		return nil, refuse("the JPEG does not fit the image, or is not baseline")
	}
	img, err := jpeg.Decode(bytes.NewReader(frame))
	grey, ok := img.(*image.Gray)
	if err != nil || !ok {
		return nil, refuse("the JPEG is not a grey baseline image")
	}
	out := make([]byte, 0, f.Rows*f.Columns)
	for y := range f.Rows {
		out = append(out, grey.Pix[y*grey.Stride:y*grey.Stride+f.Columns]...)
	}
	return out, nil
}

// Fit crops an image of rows × columns to its central square, for a square
// target, and averages it down to height × width by area; an image of that very
// size passes untouched. The error, of Kind NotSupported, is for one that would
// have to be made larger.
func Fit(grey []float64, rows, columns, height, width int) ([]float64, error) {
	if rows == height && columns == width {
		return grey, nil
	}
	top, left, h, w := 0, 0, rows, columns
	if height == width {
		h = min(rows, columns)
		w = h
		top, left = (rows-h)/2, (columns-w)/2
	}
	if h < height || w < width || len(grey) < rows*columns {
		return nil, refuse("the image is smaller than the model's")
	}
	out := make([]float64, height*width)
	across := shares(w, width)
	for y, down := range shares(h, height) {
		for x := range width {
			sum := 0.0
			for _, v := range down {
				for _, u := range across[x] {
					sum += v.weight * u.weight * grey[(top+v.at)*columns+left+u.at]
				}
			}
			out[y*width+x] = sum
		}
	}
	return out, nil
}

// share is how much of a target pixel a source pixel makes.
type share struct {
	at     int
	weight float64
}

// shares are the source pixels of each target pixel along one side.
func shares(from, to int) [][]share {
	out := make([][]share, to)
	step := float64(from) / float64(to)
	for i := range out {
		low, high := float64(i)*step, float64(i+1)*step
		for j := int(low); j < from && float64(j) < high; j++ {
			if part := min(high, float64(j+1)) - max(low, float64(j)); part > 1e-9 {
				out[i] = append(out[i], share{j, part / step})
			}
		}
	}
	return out
}
