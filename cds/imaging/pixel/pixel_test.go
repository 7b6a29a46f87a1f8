package pixel_test

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"galen/cds/imaging/pixel"
	"galen/fhir"
)

var near = cmpopts.EquateApprox(0, 1e-9)

func grey8(rows, columns int) pixel.Format {
	return pixel.Format{Rows: rows, Columns: columns, Samples: 1, Photometric: "MONOCHROME2", BitsAllocated: 8, BitsStored: 8, HighBit: 7}
}

func words(values ...uint16) []byte {
	var out []byte
	for _, v := range values {
		out = binary.LittleEndian.AppendUint16(out, v)
	}
	return out
}

func number(x float64) *float64 { return &x }

// From stored bits to grey, clause by clause of DICOM PS3.3.
func TestDecode(t *testing.T) {
	sixteen := func(change func(*pixel.Format)) pixel.Format {
		f := grey8(1, 3)
		f.BitsAllocated, f.BitsStored, f.HighBit = 16, 12, 11
		change(&f)
		return f
	}
	padding := -2048
	tests := []struct {
		name   string
		format pixel.Format
		frame  []byte
		syntax string
		want   []float64
	}{
		{"8 bits, the whole range", grey8(1, 3), []byte{0, 51, 255}, pixel.ExplicitLittleEndian, []float64{0, 0.2, 1}},
		{"MONOCHROME1: the least is white", func() pixel.Format { f := grey8(1, 3); f.Photometric = "MONOCHROME1"; return f }(), []byte{0, 51, 255}, "", []float64{1, 0.8, 0}},
		{"12 of 16 bits, the rest masked", sixteen(func(*pixel.Format) {}), words(0, 0xF000|4095, 819), "", []float64{0, 1, 0.2}},
		{"high bit above", sixteen(func(f *pixel.Format) { f.HighBit = 15 }), words(0, 4095<<4, 819<<4|7), "", []float64{0, 1, 0.2}},
		{"signed, rescaled and windowed (C.11.2.1.2)", sixteen(func(f *pixel.Format) {
			f.Signed, f.Slope, f.Intercept, f.Center, f.Width = true, number(2), number(-10), number(40), number(101)
		}), words(0x0FFF, 25, 2047), "", []float64{0, 0.505, 1}},
		{"LINEAR_EXACT (C.11.2.1.3)", sixteen(func(f *pixel.Format) { f.Center, f.Width, f.Function = number(100), number(200), "LINEAR_EXACT" }), words(0, 50, 200), "", []float64{0, 0.25, 1}},
		{"SIGMOID (C.11.2.1.3)", sixteen(func(f *pixel.Format) { f.Center, f.Width, f.Function = number(100), number(200), "SIGMOID" }), words(100, 0, 200), "", []float64{0.5, 1 / (1 + math.Exp(2)), 1 / (1 + math.Exp(-2))}},
		{"a window of one", sixteen(func(f *pixel.Format) { f.Center, f.Width = number(100), number(1) }), words(99, 100, 101), "", []float64{0, 1, 1}},
		{"padding is black", sixteen(func(f *pixel.Format) { f.Signed, f.Padding, f.Photometric = true, &padding, "MONOCHROME1" }), words(0x0800, 2047, 0x0800), "", []float64{0, 0, 0}},
		{"RLE, 8 bits", grey8(1, 3), rle(t, []byte{2, 0, 51, 255}), pixel.RLE, []float64{0, 0.2, 1}},
		{"RLE, a run", grey8(1, 3), rle(t, []byte{0xFE, 51}), pixel.RLE, []float64{0.2, 0.2, 0.2}},
		{"RLE, 16 bits: high bytes first", sixteen(func(*pixel.Format) {}), rle(t, []byte{2, 0x0F, 0x03, 0}, []byte{2, 0xFF, 0x33, 0}), pixel.RLE, []float64{1, 0.2, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := pixel.Decode(tt.format, tt.frame, tt.syntax)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, near); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// rle makes a frame of segments (PS3.5 G.4).
func rle(t *testing.T, segments ...[]byte) []byte {
	t.Helper()
	header := make([]byte, 64)
	binary.LittleEndian.PutUint32(header, uint32(len(segments)))
	var body []byte
	for i, s := range segments {
		binary.LittleEndian.PutUint32(header[4+4*i:], uint32(64+len(body)))
		body = append(body, s...)
	}
	return append(header, body...)
}

func TestBaselineJPEG(t *testing.T) {
	img := image.NewGray(image.Rect(0, 0, 16, 8))
	for x := range 16 {
		for y := range 8 {
			img.SetGray(x, y, color.Gray{uint8(x * 16)})
		}
	}
	var file bytes.Buffer
	if err := jpeg.Encode(&file, img, &jpeg.Options{Quality: 100}); err != nil {
		t.Fatal(err)
	}
	got, err := pixel.Decode(grey8(8, 16), file.Bytes(), pixel.JPEGBaseline)
	if err != nil {
		t.Fatal(err)
	}
	for x := range 16 {
		if math.Abs(got[x]-float64(x*16)/255) > 1.5/255 {
			t.Errorf("column %d is %v", x, got[x])
		}
	}
}

// What is not understood is refused, never guessed.
func TestRefusals(t *testing.T) {
	change := func(f func(*pixel.Format)) pixel.Format {
		out := grey8(2, 2)
		f(&out)
		return out
	}
	tests := []struct {
		name   string
		format pixel.Format
		frame  []byte
		syntax string
	}{
		{"no sides", pixel.Format{}, nil, ""},
		{"absurd sides", change(func(f *pixel.Format) { f.Rows = 1 << 30 }), nil, ""},
		{"colours", change(func(f *pixel.Format) { f.Samples = 3 }), make([]byte, 12), ""},
		{"a palette", change(func(f *pixel.Format) { f.Photometric = "PALETTE COLOR" }), make([]byte, 4), ""},
		{"32 bits", change(func(f *pixel.Format) { f.BitsAllocated = 32 }), make([]byte, 16), ""},
		{"more bits stored than allocated", change(func(f *pixel.Format) { f.BitsStored = 12 }), make([]byte, 4), ""},
		{"a high bit below", change(func(f *pixel.Format) { f.HighBit = 3 }), make([]byte, 4), ""},
		{"look-up tables", change(func(f *pixel.Format) { f.LookUp = true }), make([]byte, 4), ""},
		{"a short frame", grey8(2, 2), []byte{1, 2, 3}, ""},
		{"JPEG 2000", grey8(2, 2), make([]byte, 4), "1.2.840.10008.1.2.4.90"},
		{"a JPEG of another size", grey8(2, 2), []byte{0xFF, 0xD8}, pixel.JPEGBaseline},
		{"RLE without header", grey8(2, 2), make([]byte, 10), pixel.RLE},
		{"RLE beyond the frame", grey8(2, 2), append([]byte{1, 0, 0, 0, 0xFF, 0xFF, 0, 0}, make([]byte, 56)...), pixel.RLE},
		{"a few bytes that claim 64 million pixels", change(func(f *pixel.Format) { f.Rows, f.Columns = 8192, 8192 }), rle(t, []byte{0, 1}), pixel.RLE},
		{"RLE too short", grey8(2, 2), rle(t, []byte{0, 1}), pixel.RLE},
	}
	for _, tt := range tests {
		if _, err := pixel.Decode(tt.format, tt.frame, tt.syntax); fhir.KindOf(err) != fhir.NotSupported {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// A larger image is averaged by area over its central square; one of the size
// passes untouched, a smaller one is refused.
func TestFit(t *testing.T) {
	tests := []struct {
		name          string
		grey          []float64
		rows, columns int
		size          int
		want          []float64
	}{
		{"the size itself", []float64{0.1, 0.2, 0.3, 0.4}, 2, 2, 2, []float64{0.1, 0.2, 0.3, 0.4}},
		{"half", []float64{0, 1, 0, 0, 0, 1, 0, 0, 1, 1, 0, 0.5, 1, 1, 0, 0.5}, 4, 4, 2, []float64{0.5, 0, 1, 0.25}},
		{"two thirds", []float64{0, 0, 0, 0.3, 0.3, 0.3, 0.6, 0.6, 0.6}, 3, 3, 2, []float64{0.1, 0.1, 0.5, 0.5}},
		{"the central square of a wide one", []float64{9, 0, 1, 9, 9, 1, 0, 9}, 2, 4, 2, []float64{0, 1, 1, 0}},
	}
	for _, tt := range tests {
		got, err := pixel.Fit(tt.grey, tt.rows, tt.columns, tt.size, tt.size)
		if diff := cmp.Diff(tt.want, got, near); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", tt.name, err, diff)
		}
	}
	if _, err := pixel.Fit(make([]float64, 4), 2, 2, 3, 3); fhir.KindOf(err) != fhir.NotSupported {
		t.Errorf("a smaller image: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(2, 2, 8, 8, 7, []byte{1, 2, 3, 4}, byte(0))
	f.Add(1, 3, 16, 12, 11, words(1, 2, 3), byte(1))
	f.Fuzz(func(t *testing.T, rows, columns, allocated, stored, high int, frame []byte, kind byte) {
		format := pixel.Format{Rows: rows, Columns: columns, Samples: 1, Photometric: "MONOCHROME2", BitsAllocated: allocated, BitsStored: stored, HighBit: high, Signed: kind&4 > 0}
		got, err := pixel.Decode(format, frame, []string{"", pixel.RLE, pixel.JPEGBaseline, "x"}[kind&3])
		if err != nil {
			return
		}
		for _, x := range got {
			if !(x >= 0 && x <= 1) {
				t.Fatalf("grey %v", x)
			}
		}
	})
}
