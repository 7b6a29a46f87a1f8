package system

import (
	"strings"

	"galen/fhir/decimal"
)

// Numeric is an Integer or Decimal as a Decimal, else 0.
func Numeric(v any) decimal.Decimal {
	d, _ := ToDecimal(v)
	return d
}

// Maybe is d, or nil if it is none.
func Maybe(d decimal.Decimal, ok bool) any {
	if !ok {
		return nil
	}
	return d
}

// Abs is the magnitude of a number.
func Abs(v any) any {
	if n, ok := v.(int64); ok {
		return max(n, -n)
	}
	return Numeric(v).Abs()
}

// Whole rounds to an Integer; one out of range is empty.
func Whole(v any, f func(d decimal.Decimal, places int) decimal.Decimal) any {
	n, ok := f(Numeric(v), 0).Int64()
	if !ok {
		return nil
	}
	return n
}

// Round rounds half away from zero to places, which has no value below zero.
func Round(v any, to decimal.Decimal) any {
	places, ok := to.Int64()
	if !ok || places < 0 {
		return nil
	}
	if n, ok := v.(int64); ok {
		return n
	}
	return Numeric(v).Round(int(min(places, decimal.MaxDigits)))
}

// Log is ln d / ln base; where that is a whole number but for the last
// digit, the whole number.
func Log(d, base decimal.Decimal) any {
	a, okA := d.Ln()
	b, okB := base.Ln()
	if !okA || !okB {
		return nil
	}
	q, ok := a.Quo(b)
	if !ok {
		return nil
	}
	const guard = 30
	if near := q.Round(0); q.Round(guard).Equal(near) {
		if back, ok := base.Pow(near); ok && back.Equal(d) {
			return near
		}
	}
	return q
}

// Power is v to a power; of Integers an Integer where it is one.
func Power(v any, to decimal.Decimal) any {
	if to.IsZero() {
		return int64(1)
	}
	p, ok := Numeric(v).Pow(to)
	if !ok {
		return nil
	}
	if _, isInteger := v.(int64); isInteger {
		if n, ok := p.Int64(); ok && InRange(n) {
			return n
		}
	}
	return p
}

// Places that lowBoundary and highBoundary give numbers: without an argument, and
// at most.
const (
	defaultPlaces = 8
	MostPlaces    = 28
)

// Boundary is the least or greatest value that v may stand for at its precision,
// written with digits (of a date: 4 for years … 17) or places; below 0 the
// default. No value is nil.
func Boundary(v any, high bool, digits int) any {
	switch v := v.(type) {
	case Temporal:
		if digits == 0 {
			return nil
		}
		if t, ok := v.Boundary(high, max(digits, 0)); ok {
			return t
		}
	case Quantity:
		v.Value = edge(v.Value, high, digits)
		return v
	case int64, decimal.Decimal:
		return edge(Numeric(v), high, digits)
	}
	return nil
}

// edge is the end of the interval that a number stands for, half a unit of its
// last digit away, at the given places.
func edge(d decimal.Decimal, high bool, places int) decimal.Decimal {
	if places < 0 {
		places = defaultPlaces
	}
	low, top := d.Interval()
	if high {
		return padded(top.Ceil(places), places)
	}
	return padded(low.Floor(places), places)
}

// padded writes a number with at least the given places: adding 0.00 does.
func padded(d decimal.Decimal, places int) decimal.Decimal {
	if places == 0 {
		return d
	}
	zero, err := decimal.Parse("0." + strings.Repeat("0", places))
	if err != nil {
		return d
	}
	return d.Add(zero)
}
