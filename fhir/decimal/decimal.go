// Package decimal holds exact decimal numbers as FHIR means them: the text is
// the value's precision, so 1.00 and 1.0 are equal and still told apart
// (https://hl7.org/fhir/R4/datatypes.html#decimal).
//
// Promises: values are immutable and safe to share; no operation passes through
// binary floating point unless its name says Float; sizes are bounded, so no
// input makes a number explode. Errors carry an offset, never the text.
//
// It is not a general arithmetic library: FHIR needs comparison, ranges, sort
// keys and the four operations, and gets only those. It is the only importer of
// apd, which serves coefficients over 18 digits; shorter ones live in an int64.
package decimal

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/cockroachdb/apd/v3"
)

// Bounds of parsed numbers and of results.
const (
	MaxText     = 1_000  // characters Parse accepts
	MaxExponent = 10_000 // greatest written exponent, either sign, Parse accepts
	MaxDigits   = 2_000  // significant digits of a result; a product of two parsed numbers always fits
	maxAdjusted = 25_000 // greatest power of ten of a result's first digit, either sign
	smallDigits = 18     // digits kept in an int64
	smallLimit  = 1_000_000_000_000_000_000
)

// Reasons inside an [Error].
var (
	ErrSyntax   = errors.New("not a JSON number")
	ErrTooLong  = fmt.Errorf("over the limit of %d characters", MaxText)
	ErrExponent = fmt.Errorf("exponent over the limit of %d", MaxExponent)
)

// Error is what Parse returns: the reason and the byte offset of the first
// character that made the text unacceptable. It never holds the text.
type Error struct {
	At  int
	Err error
}

func (e *Error) Error() string { return fmt.Sprintf("decimal: offset %d: %v", e.At, e.Err) }

// Unwrap returns ErrSyntax, ErrTooLong or ErrExponent.
func (e *Error) Unwrap() error { return e.Err }

// Decimal is coefficient × 10^exponent, with the text it was parsed from. The
// zero value is 0. Compare with Equal or Cmp: == also compares the text.
type Decimal struct {
	text string       // as parsed; "" when computed
	big  *apd.Decimal // set exactly when the coefficient has over 18 digits; never modified
	coef int64        // |coef| < smallLimit; unused when big is set
	exp  int32        // unused when big is set
}

// FromInt returns n.
func FromInt(n int64) Decimal {
	if n > -smallLimit && n < smallLimit {
		return Decimal{coef: n}
	}
	return Decimal{big: apd.New(n, 0)}
}

// FromFloat returns the shortest decimal that reads back as f, in plain
// notation between 1e-7 and 1e21. It reports false for NaN and infinities.
func FromFloat(f float64) (Decimal, bool) {
	format := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-7 || a >= 1e21) {
		format = 'e'
	}
	d, err := Parse(strconv.FormatFloat(f, format, -1, 64))
	return d, err == nil
}

// Parse reads a number in the JSON grammar, -?int frac? exp?
// (https://www.rfc-editor.org/rfc/rfc8259#section-6). The result keeps text; an
// *Error names the offset and the limit or rule broken.
func Parse(text string) (Decimal, error) {
	if len(text) > MaxText {
		return Decimal{}, &Error{MaxText, ErrTooLong}
	}
	s := scanner{text: text}
	if !s.number() {
		return Decimal{}, &Error{s.at, ErrSyntax}
	}
	if s.exp > MaxExponent || s.exp < -MaxExponent {
		return Decimal{}, &Error{s.expAt, ErrExponent}
	}
	if s.digits > smallDigits {
		b := new(apd.Decimal)
		if _, _, err := b.SetString(text); err != nil {
			return Decimal{}, &Error{0, ErrSyntax} // cannot happen: the grammar here is narrower
		}
		return Decimal{text: text, big: b}, nil
	}
	if s.negative {
		s.coef = -s.coef
	}
	return Decimal{text: text, coef: s.coef, exp: int32(s.exp - s.places)}, nil
}

// scanner walks one JSON number. at is the first byte not understood.
type scanner struct {
	text           string
	at, expAt      int
	coef           int64
	digits, places int // significant digits; digits after the point
	exp            int
	negative       bool
}

func (s *scanner) number() bool {
	if s.peek() == '-' {
		s.negative = true
		s.at++
	}
	if s.peek() == '0' {
		s.at++
	} else if s.run() == 0 {
		return false
	}
	if s.peek() == '.' {
		s.at++
		if s.places = s.run(); s.places == 0 {
			return false
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.at++
		if !s.exponent() {
			return false
		}
	}
	return s.at == len(s.text)
}

func (s *scanner) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

// run takes digits into the coefficient and returns how many there were. The
// coefficient is right only up to 18 significant digits; digits says so.
func (s *scanner) run() int {
	start := s.at
	for ; s.at < len(s.text); s.at++ {
		c := s.text[s.at] - '0'
		if c > 9 {
			break
		}
		if s.digits++; s.digits <= smallDigits {
			s.coef = s.coef*10 + int64(c)
		}
		if s.coef == 0 {
			s.digits = 0 // a leading zero is not significant
		}
	}
	return s.at - start
}

func (s *scanner) exponent() bool {
	negative := s.peek() == '-'
	if negative || s.peek() == '+' {
		s.at++
	}
	s.expAt = s.at
	for ; s.at < len(s.text) && s.text[s.at]-'0' <= 9; s.at++ {
		if s.exp <= MaxExponent { // beyond it the exact figure no longer matters
			s.exp = s.exp*10 + int(s.text[s.at]-'0')
		}
	}
	if negative {
		s.exp = -s.exp
	}
	return s.at > s.expAt
}

// String returns the text as parsed, or for a computed value the usual
// scientific string: plain digits, except an exponent (1.2E+2) when the last
// digit stands left of the units or the value is under 1e-6. It is always a
// JSON number and reads back with the same value and precision.
func (d Decimal) String() string {
	if d.text != "" {
		return d.text
	}
	if d.big != nil {
		return layout(d.big.Coeff.String(), d.big.Exponent, d.big.Negative)
	}
	var buf [20]byte
	return layout(string(strconv.AppendInt(buf[:0], max(d.coef, -d.coef), 10)), d.exp, d.coef < 0)
}

// layout writes digits × 10^exp as the General Decimal Arithmetic
// to-scientific-string does.
func layout(digits string, exp int32, negative bool) string {
	out := make([]byte, 0, len(digits)+16)
	if negative {
		out = append(out, '-')
	}
	adjusted := int(exp) + len(digits) - 1
	switch {
	case exp == 0:
		out = append(out, digits...)
	case exp > 0 || adjusted < -6:
		out = append(out, digits[0])
		if len(digits) > 1 {
			out = append(append(out, '.'), digits[1:]...)
		}
		out = append(out, 'E')
		if adjusted >= 0 {
			out = append(out, '+')
		}
		out = strconv.AppendInt(out, int64(adjusted), 10)
	case adjusted >= 0:
		point := len(digits) + int(exp)
		out = append(append(append(out, digits[:point]...), '.'), digits[point:]...)
	default:
		out = append(out, "0.00000"[:1-adjusted]...)
		out = append(out, digits...)
	}
	return string(out)
}

// MarshalJSON writes the number as String does, precision kept.
func (d Decimal) MarshalJSON() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalJSON reads a JSON number as Parse does; a quoted number is refused.
func (d *Decimal) UnmarshalJSON(text []byte) error {
	v, err := Parse(string(text))
	if err == nil {
		*d = v
	}
	return err
}

// Places returns the digits after the decimal point that the precision covers:
// 2 for 1.00, 0 for 100, -2 for 1e2.
func (d Decimal) Places() int { return -int(d.exponent()) }

// Digits returns the number of significant digits, leading zeros not counted: 3
// for 1.00 and 100, 1 for 1e2, 0.01 and 0.
func (d Decimal) Digits() int {
	if d.big != nil {
		return int(d.big.NumDigits())
	}
	return countDigits(max(d.coef, -d.coef))
}

func (d Decimal) exponent() int32 {
	if d.big != nil {
		return d.big.Exponent
	}
	return d.exp
}

// adjusted is the power of ten of the first digit.
func (d Decimal) adjusted() int { return int(d.exponent()) + d.Digits() - 1 }

// Float64 returns the nearest float64, ties to even; magnitudes over the
// greatest float64 become infinite.
func (d Decimal) Float64() float64 {
	const exactInt, exactPower = 1 << 53, 22 // both operands exact, so one rounding
	if d.big == nil && d.coef >= -exactInt && d.coef <= exactInt && d.exp >= -exactPower && d.exp <= exactPower {
		if d.exp < 0 {
			return float64(d.coef) / math.Pow10(int(-d.exp))
		}
		return float64(d.coef) * math.Pow10(int(d.exp))
	}
	f, _ := strconv.ParseFloat(d.String(), 64) // the only error left is range, and f is then ±Inf
	return f
}

// Int64 returns the value as an integer; false when it has a fraction that is
// not zero or lies outside int64.
func (d Decimal) Int64() (int64, bool) {
	if d.big == nil && d.exp == 0 {
		return d.coef, true
	}
	if d.IsZero() {
		return 0, true
	}
	if d.adjusted() > smallDigits {
		return 0, false
	}
	whole := d.Truncate(0)
	if !whole.Equal(d) {
		return 0, false
	}
	n, err := whole.apd().Int64()
	return n, err == nil
}
