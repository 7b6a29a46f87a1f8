package decimal

import "github.com/cockroachdb/apd/v3"

// maxPower bounds exponents of Pow and Exp: beyond it a result that is not 1 or
// 0 leaves every bound above, and the work to find out grows without end.
const maxPower = 9 // digits left of the point

// Sqrt returns the square root to 34 digits; false for a negative value.
func (d Decimal) Sqrt() (Decimal, bool) {
	return d.function(d.Sign() >= 0, (*apd.Context).Sqrt)
}

// Ln returns the natural logarithm to 34 digits; false unless d is positive.
func (d Decimal) Ln() (Decimal, bool) {
	return d.function(d.Sign() > 0, (*apd.Context).Ln)
}

// Log10 returns the decimal logarithm to 34 digits; false unless d is positive.
func (d Decimal) Log10() (Decimal, bool) {
	return d.function(d.Sign() > 0, (*apd.Context).Log10)
}

// Exp returns e to the power d to 34 digits; false when the result passes
// 10^9,900 or falls under its inverse.
func (d Decimal) Exp() (Decimal, bool) {
	const most = 22_800 // apd raises its own precision up to 23,000
	limit := FromInt(most)
	return d.function(d.Abs().Cmp(limit) <= 0, (*apd.Context).Exp)
}

// Pow returns d to the power e to 34 digits. It is false where the power has no
// real value, for 0 to a power not positive, and for |e| of 10^9 or more.
func (d Decimal) Pow(e Decimal) (Decimal, bool) {
	ok := e.IsZero() && !d.IsZero() || e.adjusted() < maxPower
	return d.function(ok, func(c *apd.Context, r, x *apd.Decimal) (apd.Condition, error) {
		return c.Pow(r, x, e.apd())
	})
}

// function applies f at 34 digits to a value first rounded to a few more, so
// that the cost of a series does not depend on the length of the input.
func (d Decimal) function(ok bool, f func(c *apd.Context, r, x *apd.Decimal) (apd.Condition, error)) (Decimal, bool) {
	const guard = 6
	if !ok {
		return Decimal{}, false
	}
	x, r := new(apd.Decimal), new(apd.Decimal)
	if _, err := context(quoDigits+guard, apd.RoundHalfEven).Round(x, d.apd()); err != nil {
		return Decimal{}, false
	}
	if _, err := f(context(quoDigits, apd.RoundHalfEven), r, x); err != nil || r.Form != apd.Finite {
		return Decimal{}, false
	}
	return fromAPD(r), true
}
