package models

import "math"

// Float16 is an IEEE 754 binary16 number as its bits: what ONNX and the Open
// Inference Protocol call FP16.
type Float16 uint16

const (
	float16NaN      Float16 = 0x7e00
	float16Exponent Float16 = 0x7c00
)

func (f Float16) finite() bool { return f&float16Exponent != float16Exponent }

// Float32 is the number, exactly.
func (f Float16) Float32() float32 {
	sign := uint32(f&0x8000) << 16
	exponent, fraction := uint32(f>>10)&0x1f, uint32(f)&0x3ff
	switch exponent {
	case 0x1f: // infinity or NaN
		return math.Float32frombits(sign | 0x7f800000 | fraction<<13)
	case 0: // zero or subnormal: fraction × 2⁻²⁴
		x := float32(fraction) / (1 << 24)
		if sign != 0 {
			return -x
		}
		return x
	}
	return math.Float32frombits(sign | (exponent+112)<<23 | fraction<<13)
}

// ToFloat16 rounds half to even; what is too large becomes an infinity.
func ToFloat16(x float32) Float16 {
	bits := math.Float32bits(x)
	sign := Float16(bits >> 16 & 0x8000)
	magnitude := bits & 0x7fffffff
	switch {
	case magnitude > 0x7f800000:
		return sign | float16NaN
	case magnitude >= 0x477ff000: // 65520 and above round to infinity
		return sign | float16Exponent
	case magnitude < 0x38800000: // below 2⁻¹⁴: subnormal, in steps of 2⁻²⁴
		return sign | Float16(math.RoundToEven(float64(math.Float32frombits(magnitude))*(1<<24)))
	}
	// Rounding carries into the exponent by itself.
	rounded := magnitude + 0xfff + magnitude>>13&1
	return sign | Float16((rounded>>13)-(112<<10))
}
