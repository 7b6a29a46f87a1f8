package ucum

import (
	"math/big"
	"strconv"
	"sync"

	"galen/fhir/decimal"
)

// ratio is a factor ready to apply: one decimal when it terminates, else a
// numerator and a denominator.
type ratio struct {
	numerator, denominator decimal.Decimal
	terminates, one        bool
}

func newRatio(r *big.Rat) ratio {
	if r.Sign() == 0 {
		return ratio{terminates: true}
	}
	if d, ok := terminating(r); ok {
		return ratio{numerator: d, terminates: true, one: d.Equal(decimal.FromInt(1))}
	}
	// Within maxBits both are under decimal.MaxText digits.
	n, _ := decimal.Parse(r.Num().String())
	d, _ := decimal.Parse(r.Denom().String())
	return ratio{numerator: n, denominator: d}
}

// terminating returns r as a decimal if it is one: a denominator 2^a × 5^b.
func terminating(r *big.Rat) (decimal.Decimal, bool) {
	places, exact := r.FloatPrec()
	if !exact {
		return decimal.Decimal{}, false
	}
	ten := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil)
	digits := ten.Div(ten.Mul(ten, r.Num()), r.Denom()).String()
	exponent := -places
	if len(digits) > 18 { // short enough for decimal's fast path when zeros are shed
		for digits[len(digits)-1] == '0' {
			digits = digits[:len(digits)-1]
			exponent++
		}
	}
	if exponent != 0 {
		digits += "e" + strconv.Itoa(exponent)
	}
	d, err := decimal.Parse(digits)
	return d, err == nil // too many digits: 34 of them will do
}

func (r ratio) apply(v decimal.Decimal) decimal.Decimal {
	switch {
	case r.one:
		return v
	case r.terminates:
		return v.Mul(r.numerator)
	}
	out, _ := v.Mul(r.numerator).Quo(r.denominator)
	return out
}

// undo divides by the ratio; false when it is 0.
func (r ratio) undo(v decimal.Decimal) (decimal.Decimal, bool) {
	switch {
	case r.one:
		return v, true
	case r.terminates:
		return v.Quo(r.numerator)
	}
	return v.Mul(r.denominator).Quo(r.numerator)
}

// toBaseValue returns v of this unit in base units.
func (u Unit) toBaseValue(v decimal.Decimal) (decimal.Decimal, bool) {
	if fn := u.measure.fn; fn != nil {
		var ok bool
		if v, ok = fn.inverse(u.scale.apply(v)); !ok {
			return decimal.Decimal{}, false
		}
	}
	return u.toBase.apply(v), true
}

// fromBaseValue returns v of base units in this unit.
func (u Unit) fromBaseValue(v decimal.Decimal) (decimal.Decimal, bool) {
	v, ok := u.toBase.undo(v)
	if !ok || u.measure.fn == nil {
		return v, ok
	}
	if v, ok = u.measure.fn.value(v); !ok {
		return decimal.Decimal{}, false
	}
	return u.scale.undo(v)
}

// pair is a conversion's key.
type pair struct{ from, to string }

// conversion takes values of one unit to a commensurable one: by one factor, or
// through base units when a special unit takes part.
type conversion struct {
	factor   ratio
	from, to *Unit // nil when the factor is all
}

func newConversion(from, to Unit) conversion {
	a, b := from.measure, to.measure
	if a.fn != b.fn && (a.fn == nil || b.fn == nil || a.fn.name != b.fn.name) || a.fn != nil && a.magnitude.Cmp(b.magnitude) != 0 {
		return conversion{from: &from, to: &to}
	}
	x, y := a.magnitude, b.magnitude
	if a.fn != nil { // one scale, say B[SPL] and dB[SPL]
		x, y = a.scale, b.scale
	}
	if y.Sign() == 0 {
		return conversion{from: &from, to: &to} // fails with ErrDomain
	}
	return conversion{factor: newRatio(new(big.Rat).Quo(x, y))}
}

func (c conversion) apply(v decimal.Decimal) (decimal.Decimal, bool) {
	if c.from == nil {
		return c.factor.apply(v), true
	}
	base, ok := c.from.toBaseValue(v)
	if !ok {
		return decimal.Decimal{}, false
	}
	return c.to.fromBaseValue(base)
}

// cacheSize bounds each cache: far more than the units of any record, and at
// most a few megabytes of codes from a client that makes them up.
const cacheSize = 4_096

// cache is a bounded concurrent map. When full it starts again empty, which
// needs no order to be kept and costs one parse for each unit still in use.
type cache[K comparable, V any] struct {
	mu sync.RWMutex
	m  map[K]V
}

func newCache[K comparable, V any]() *cache[K, V] { return &cache[K, V]{m: map[K]V{}} }

func (c *cache[K, V]) get(key K) (V, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	v, ok := c.m[key]
	return v, ok
}

func (c *cache[K, V]) put(key K, value V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.m) >= cacheSize {
		clear(c.m)
	}
	c.m[key] = value
}
