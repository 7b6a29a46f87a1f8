package ucum

import (
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// maxBits bounds numerators and denominators of magnitudes, so that a code of
// 255 bytes cannot ask for numbers of millions of digits. Nine factors 10*99 fit;
// the greatest magnitudes in use have under 200 bits.
const maxBits = 3_000

// power is one factor of a dimension: a base unit, or an arbitrary unit, which
// is a dimension of its own.
type power struct {
	unit      string
	exponent  int
	arbitrary bool
}

// measure is a unit in base units: magnitude × dims. A special unit has fn, and
// a value v in it means fn⁻¹(v × scale) × magnitude × dims (UCUM §21).
type measure struct {
	magnitude, scale *big.Rat
	dims             []power // sorted by unit, no exponent 0
	fn               *function
}

// base returns the expression in base units, itself a UCUM code.
func (m measure) base() string {
	if len(m.dims) == 0 {
		return "1"
	}
	var b strings.Builder
	for i, p := range m.dims {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(p.unit)
		if p.exponent != 1 {
			b.WriteString(strconv.Itoa(p.exponent))
		}
	}
	return b.String()
}

// number reports whether the measure is a plain number.
func (m measure) number() bool { return m.fn == nil && len(m.dims) == 0 }

// times multiplies. A special unit is only scaled by a number (UCUM §22).
func (m measure) times(n measure) (measure, error) {
	switch {
	case m.fn == nil && n.fn == nil:
		magnitude := new(big.Rat).Mul(m.magnitude, n.magnitude)
		dims, err := merge(m.dims, n.dims)
		if err == nil {
			err = bounded(magnitude)
		}
		return measure{magnitude: magnitude, dims: dims}, err
	case m.fn == nil && m.number():
		m, n = n, m
		fallthrough
	case m.fn != nil && n.number():
		m.scale = new(big.Rat).Mul(m.scale, n.magnitude)
		return m, bounded(m.scale)
	}
	return measure{}, ErrSpecial
}

// raised returns the measure to an integer power.
func (m measure) raised(exponent int) (measure, error) {
	if exponent == 1 {
		return m, nil
	}
	if m.fn != nil {
		return measure{}, ErrSpecial
	}
	e := max(exponent, -exponent)
	num, den := m.magnitude.Num(), m.magnitude.Denom()
	if max(num.BitLen(), den.BitLen()) > 1 && max(num.BitLen(), den.BitLen())*e > maxBits {
		return measure{}, ErrLimit
	}
	num = new(big.Int).Exp(num, big.NewInt(int64(e)), nil)
	den = new(big.Int).Exp(den, big.NewInt(int64(e)), nil)
	if exponent < 0 {
		num, den = den, num
	}
	if den.Sign() == 0 { // a factor 0
		return measure{}, ErrSyntax
	}
	out := measure{magnitude: new(big.Rat).SetFrac(num, den)}
	for _, p := range m.dims {
		if p.exponent *= exponent; p.exponent != 0 {
			out.dims = append(out.dims, p)
		}
		if p.exponent > MaxExponent || p.exponent < -MaxExponent {
			return measure{}, ErrLimit
		}
	}
	return out, nil
}

func bounded(r *big.Rat) error {
	if max(r.Num().BitLen(), r.Denom().BitLen()) > maxBits {
		return ErrLimit
	}
	return nil
}

// merge adds the exponents of two sorted dimensions, each held to MaxExponent so
// that a base expression is a code too.
func merge(a, b []power) ([]power, error) {
	if len(b) == 0 {
		return a, nil
	}
	out := slices.Clone(a)
	for _, p := range b {
		i, found := slices.BinarySearchFunc(out, p.unit, func(q power, unit string) int { return strings.Compare(q.unit, unit) })
		if !found {
			out = slices.Insert(out, i, p)
		} else if out[i].exponent += p.exponent; out[i].exponent == 0 {
			out = slices.Delete(out, i, i+1)
		}
		if found && i < len(out) && (out[i].exponent > MaxExponent || out[i].exponent < -MaxExponent) {
			return nil, ErrLimit
		}
	}
	return out, nil
}
