package decimal

import (
	"math/bits"

	"github.com/cockroachdb/apd/v3"
)

// quoDigits is the precision of quotients: IEEE 754 decimal128, which is more
// than any measured quantity and what other FHIR servers use.
const quoDigits = 34

// context returns the rules of arithmetic at a precision. It is made for each
// call because an apd.Context can be modified and shared state could not be
// promised constant.
func context(digits uint32, rounding apd.Rounder) *apd.Context {
	return &apd.Context{
		Precision: digits, Rounding: rounding,
		MaxExponent: apd.MaxExponent, MinExponent: apd.MinExponent,
	}
}

// apd returns the value for the library; the result must not be modified.
func (d Decimal) apd() *apd.Decimal {
	if d.big != nil {
		return d.big
	}
	return apd.New(d.coef, d.exp)
}

// fromAPD takes ownership of a result: it keeps short coefficients in an int64
// and holds the exponent within bounds.
func fromAPD(b *apd.Decimal) Decimal {
	var d Decimal
	if b.Form == apd.Finite && b.Coeff.IsInt64() && b.Coeff.Int64() < smallLimit {
		d = Decimal{coef: b.Coeff.Int64(), exp: b.Exponent}
		if b.Negative {
			d.coef = -d.coef
		}
	} else {
		d = Decimal{big: b}
	}
	return d.bounded(b.Form != apd.Finite, b.Negative)
}

// bounded saturates a result that left ±10^25,000 and flushes one under
// 10^-25,000 to zero, so that chains of operations cannot grow without end.
func (d Decimal) bounded(overflow, negative bool) Decimal {
	if !overflow && d.big == nil && d.exp > -maxAdjusted && d.exp < maxAdjusted-smallDigits {
		return d
	}
	switch {
	case overflow || d.adjusted() > maxAdjusted && !d.IsZero():
		if negative || d.Sign() < 0 {
			return Decimal{coef: 1 - smallLimit, exp: maxAdjusted - smallDigits + 1}
		}
		return Decimal{coef: smallLimit - 1, exp: maxAdjusted - smallDigits + 1}
	case d.IsZero():
		return Decimal{exp: min(max(d.exp, -maxAdjusted), maxAdjusted)}
	case d.adjusted() < -maxAdjusted:
		return Decimal{}
	}
	return d
}

// Neg returns -d with the same precision.
func (d Decimal) Neg() Decimal {
	if d.big != nil {
		return Decimal{big: new(apd.Decimal).Neg(d.big)}
	}
	return Decimal{coef: -d.coef, exp: d.exp}
}

// Abs returns the magnitude with the same precision.
func (d Decimal) Abs() Decimal {
	if d.Sign() < 0 {
		return d.Neg()
	}
	return d
}

// Add returns d + e, exact while the result has at most MaxDigits digits and
// rounded half to even to that many otherwise. The precision is that of the
// operand with more places: 1.0 + 1.25 = 2.25, 1.5 + 0.50 = 2.00.
func (d Decimal) Add(e Decimal) Decimal {
	if d.big == nil && e.big == nil {
		if a, b, exp, ok := align(d, e); ok {
			return small(a+b, exp)
		}
	}
	r := new(apd.Decimal)
	if _, err := context(MaxDigits, apd.RoundHalfEven).Add(r, d.apd(), e.apd()); err != nil {
		r.Form = apd.Infinite
	}
	return fromAPD(r)
}

// Sub returns d - e under the rules of Add.
func (d Decimal) Sub(e Decimal) Decimal { return d.Add(e.Neg()) }

// Mul returns d × e, exact while the result has at most MaxDigits digits, as
// the product of two parsed numbers always has. Places add up: 1.0 × 2.00 =
// 2.000. Results over 10^25,000 saturate there; under 10^-25,000 they are 0.
func (d Decimal) Mul(e Decimal) Decimal {
	if d.big == nil && e.big == nil {
		if p, ok := product(d.coef, e.coef); ok {
			return small(p, d.exp+e.exp)
		}
	}
	r := new(apd.Decimal)
	if _, err := context(MaxDigits, apd.RoundHalfEven).Mul(r, d.apd(), e.apd()); err != nil {
		r.Form = apd.Infinite
	}
	return fromAPD(r)
}

// Quo returns d ÷ e, exact when 34 digits hold the quotient and rounded half to
// even to 34 digits otherwise; false when e is zero. An exact quotient has the
// places of d less those of e, or as many more as it needs: 1.00 / 4 = 0.25.
func (d Decimal) Quo(e Decimal) (Decimal, bool) {
	if e.IsZero() {
		return Decimal{}, false
	}
	if d.big == nil && e.big == nil && d.coef%e.coef == 0 { // 98.6 [degF], and most of what divides at all
		return small(d.coef/e.coef, d.exp-e.exp), true
	}
	r := new(apd.Decimal)
	c := context(quoDigits, apd.RoundHalfEven)
	condition, err := c.Quo(r, d.apd(), e.apd())
	if err != nil {
		r.Form = apd.Infinite
		r.Negative = d.Sign()*e.Sign() < 0
	} else if !condition.Inexact() {
		shed(c, r, d.exponent()-e.exponent())
	}
	return fromAPD(r), true
}

// shed drops the zeros apd leaves after an exact quotient, down to the places
// of d less those of e, as General Decimal Arithmetic asks: 1 / 4 is 0.25.
func shed(c *apd.Context, r *apd.Decimal, ideal int32) {
	r.Reduce(r)
	if r.Exponent <= ideal {
		return
	}
	padded := new(apd.Decimal)
	if _, err := c.Quantize(padded, r, ideal); err == nil && padded.Form == apd.Finite {
		r.Set(padded)
	}
}

// Round returns d rounded to places digits after the point, halves away from
// zero. A value with no more places than that is returned as it is; places may
// be negative.
func (d Decimal) Round(places int) Decimal { return d.cut(places, apd.RoundHalfUp) }

// Truncate returns d cut toward zero to places digits after the point.
func (d Decimal) Truncate(places int) Decimal { return d.cut(places, apd.RoundDown) }

// Floor returns d cut toward negative infinity to places digits after the point.
func (d Decimal) Floor(places int) Decimal { return d.cut(places, apd.RoundFloor) }

// Ceil returns d cut toward positive infinity to places digits after the point.
func (d Decimal) Ceil(places int) Decimal { return d.cut(places, apd.RoundCeiling) }

func (d Decimal) cut(places int, rounding apd.Rounder) Decimal {
	if d.Places() <= places {
		return d
	}
	exp := int32(min(-places, 2*maxAdjusted)) // -places > d's exponent, so it is bounded below
	if d.IsZero() || int(exp) > d.adjusted() {
		return Decimal{coef: d.carry(exp, rounding), exp: exp}.bounded(false, false)
	}
	r := new(apd.Decimal)
	if _, err := context(2*maxAdjusted, rounding).Quantize(r, d.apd(), exp); err != nil {
		r.Form = apd.Infinite
		r.Negative = d.Sign() < 0
	}
	return fromAPD(r)
}

// carry is what remains of a value whose every digit is cut: -1, 0 or 1 unit of
// 10^exp. (apd's Quantize leaves 0 for every rounding.)
func (d Decimal) carry(exp int32, rounding apd.Rounder) int64 {
	sign := d.Sign()
	switch {
	case rounding == apd.RoundHalfUp && d.Abs().Cmp(Decimal{coef: 5, exp: exp - 1}) >= 0,
		rounding == apd.RoundFloor && sign < 0, rounding == apd.RoundCeiling && sign > 0:
		return int64(sign)
	}
	return 0
}

// small wraps a coefficient an int64 holds, of any size.
func small(coef int64, exp int32) Decimal {
	if coef > -smallLimit && coef < smallLimit {
		return Decimal{coef: coef, exp: exp}.bounded(false, coef < 0)
	}
	return fromAPD(apd.New(coef, exp))
}

// align brings two short values to one exponent; false when a coefficient
// would pass 18 digits. The sum of the two then fits an int64.
func align(d, e Decimal) (a, b int64, exp int32, ok bool) {
	switch {
	case d.exp > e.exp:
		a, ok = scale(d.coef, int(d.exp-e.exp))
		return a, e.coef, e.exp, ok
	case d.exp < e.exp:
		b, ok = scale(e.coef, int(e.exp-d.exp))
		return d.coef, b, d.exp, ok
	}
	return d.coef, e.coef, d.exp, true
}

func scale(coef int64, by int) (int64, bool) {
	if coef == 0 {
		return 0, true
	}
	if by >= smallDigits {
		return 0, false
	}
	p, ok := product(coef, power10(by))
	return p, ok && p > -smallLimit && p < smallLimit
}

func product(a, b int64) (int64, bool) {
	hi, lo := bits.Mul64(uint64(max(a, -a)), uint64(max(b, -b)))
	if hi != 0 || lo >= 1<<63 {
		return 0, false
	}
	if (a < 0) != (b < 0) {
		return -int64(lo), true
	}
	return int64(lo), true
}

// power10 returns 10^n for n in 0..18.
func power10(n int) int64 {
	p := int64(1)
	for ; n > 0; n-- {
		p *= 10
	}
	return p
}

// countDigits returns the decimal digits of n ≥ 0; 1 for 0.
func countDigits(n int64) int {
	digits := 1
	for n >= 10 {
		n /= 10
		digits++
	}
	return digits
}
