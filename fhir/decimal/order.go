package decimal

import (
	"cmp"
	"strconv"
)

// Cmp returns -1, 0 or +1 as d is less than, equal to or greater than e, by
// value: 1.0 and 1.00 are equal. It is exact and cheap at any exponent.
func (d Decimal) Cmp(e Decimal) int {
	if d.big == nil && e.big == nil && d.exp == e.exp {
		return cmp.Compare(d.coef, e.coef)
	}
	sign := d.Sign()
	if c := cmp.Compare(sign, e.Sign()); c != 0 || sign == 0 {
		return c
	}
	if c := cmp.Compare(d.adjusted(), e.adjusted()); c != 0 {
		return c * sign
	}
	if d.big == nil && e.big == nil {
		if a, b, _, ok := align(d, e); ok {
			return cmp.Compare(a, b)
		}
	}
	return d.apd().Cmp(e.apd())
}

// Equal reports whether the values are equal; precision does not count. go-cmp
// uses it too.
func (d Decimal) Equal(e Decimal) bool { return d.Cmp(e) == 0 }

// Sign returns -1, 0 or +1; -0 is 0.
func (d Decimal) Sign() int {
	if d.big != nil {
		return d.big.Sign()
	}
	return cmp.Compare(d.coef, 0)
}

// IsZero reports whether the value is 0 or -0, at any precision.
func (d Decimal) IsZero() bool { return d.big == nil && d.coef == 0 }

// Interval returns the half-open range [low, high) that a number stands for in
// a search, half a unit of its last significant digit to each side: 100 is
// [99.5, 100.5), 100.00 is [99.995, 100.005)
// (https://hl7.org/fhir/R4/search.html#number).
//
// The standard's third example, 1e2 as [95, 105), has one digit more than the
// rule gives. It is followed: a single digit left of the units counts as two
// significant digits, so 1e2 and 1.0e2 mean the same range.
func (d Decimal) Interval() (low, high Decimal) {
	unit := d.exponent()
	if unit > 0 && d.Digits() == 1 {
		unit--
	}
	half := Decimal{coef: 5, exp: unit - 1}
	return d.Sub(half), d.Add(half)
}

// The alphabet of sort keys, in byte order: ASCII letters and digits only, so a
// key is fit for TEXT, BLOB, a Mongo string or a file name.
const (
	keyAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	keyMiddle   = 30 // index of exponent 0
	keySpan     = 25 // exponents written as one character
	keyNegative = 'n'
	keyZero     = 'o'
	keyPositive = 'p'
)

// SortKey returns a string of ASCII letters and digits whose byte order is the
// order of the values, and which is the same for equal values: key order is
// Cmp. A lab value takes 4 to 6 bytes, none over MaxDigits + 8.
//
// Layout: sign letter; power of ten of the first digit, one letter from -25 to
// 25, else '0' or 'z' and five digits; the digits without trailing zeros. For
// negative numbers every part after the sign is complemented and 'z' ends it.
func (d Decimal) SortKey() string {
	sign := d.Sign()
	if sign == 0 {
		return string(keyZero)
	}
	var buf [40]byte
	adjusted := d.adjusted()
	if sign > 0 {
		return string(d.appendDigits(appendExponent(append(buf[:0], keyPositive), adjusted)))
	}
	// The complement of an exponent's code is the code of its negation.
	key := appendExponent(append(buf[:0], keyNegative), -adjusted)
	start := len(key)
	key = d.appendDigits(key)
	for i := start; i < len(key); i++ {
		key[i] = '0' + '9' - key[i]
	}
	return string(append(key, 'z'))
}

func appendExponent(key []byte, adjusted int) []byte {
	const span = 100_000 // five digits
	switch {
	case adjusted > keySpan:
		key = append(key, keyAlphabet[len(keyAlphabet)-1])
		return append(key, strconv.Itoa(span + adjusted)[1:]...)
	case adjusted < -keySpan:
		key = append(key, keyAlphabet[0])
		return append(key, strconv.Itoa(2*span + adjusted)[1:]...)
	}
	return append(key, keyAlphabet[keyMiddle+adjusted])
}

// appendDigits writes the significant digits without trailing zeros or sign.
func (d Decimal) appendDigits(key []byte) []byte {
	if d.big == nil {
		n := max(d.coef, -d.coef)
		for n%10 == 0 {
			n /= 10
		}
		return strconv.AppendInt(key, n, 10)
	}
	key = d.big.Coeff.Append(key, 10)
	for key[len(key)-1] == '0' {
		key = key[:len(key)-1]
	}
	return key
}
