package ucum

import (
	"math"

	"galen/fhir/decimal"
)

// function is the scale of a special unit (UCUM §21): value takes a number of
// the unit beneath, such as K, to the special scale; inverse the other way.
// Both report false outside their domain.
type function struct {
	name           string
	value, inverse func(decimal.Decimal) (decimal.Decimal, bool)
}

// functions returns the function of a name in the table, nil if unknown. The
// names are those of UCUM tables 5 and up (§§26-46).
func functions(name string) *function {
	all := [...]function{
		offset("Cel", 27315),   // 273.15 K is 0 Cel
		offset("degF", 45967),  // in steps of 5/9 K
		offset("degRe", 21852), // in steps of 5/4 K
		logarithm("pH", -1, 10),
		logarithm("ln", 1, 0),
		logarithm("lg", 1, 10),
		logarithm("lgTimes2", 2, 10),
		logarithm("ld", 1, 2),
		logarithm("hpX", -1, 10), // retired homeopathic scales
		logarithm("hpC", -1, 100),
		logarithm("hpM", -1, 1_000),
		logarithm("hpQ", -1, 50_000),
		{
			"sqrt", decimal.Decimal.Sqrt,
			func(v decimal.Decimal) (decimal.Decimal, bool) { return v.Mul(v), true },
		},
		{
			"tanTimes100",
			func(v decimal.Decimal) (decimal.Decimal, bool) { return decimal.FromFloat(100 * math.Tan(v.Float64())) },
			func(v decimal.Decimal) (decimal.Decimal, bool) {
				return decimal.FromFloat(math.Atan(v.Float64() / 100))
			},
		},
	}
	for i := range all {
		if all[i].name == name {
			return &all[i]
		}
	}
	return nil
}

// offset is a scale whose zero lies hundredths above that of the unit beneath.
func offset(name string, hundredths int64) function {
	zero, _ := decimal.FromInt(hundredths).Quo(decimal.FromInt(100))
	return function{
		name,
		func(v decimal.Decimal) (decimal.Decimal, bool) { return v.Sub(zero), true },
		func(v decimal.Decimal) (decimal.Decimal, bool) { return v.Add(zero), true },
	}
}

// logarithm is times × log v to a base; base 0 stands for e.
func logarithm(name string, times, base int64) function {
	multiple, radix := decimal.FromInt(times), decimal.FromInt(base)
	log := func(v decimal.Decimal) (decimal.Decimal, bool) {
		numerator, ok := v.Ln()
		if !ok || base == 0 {
			return numerator, ok
		}
		denominator, _ := radix.Ln()
		return numerator.Quo(denominator)
	}
	if base == 10 {
		log = decimal.Decimal.Log10
	}
	power := func(v decimal.Decimal) (decimal.Decimal, bool) {
		if base == 0 {
			return v.Exp()
		}
		return radix.Pow(v)
	}
	return function{
		name,
		func(v decimal.Decimal) (decimal.Decimal, bool) {
			l, ok := log(v)
			return l.Mul(multiple), ok
		},
		func(v decimal.Decimal) (decimal.Decimal, bool) {
			exponent, _ := v.Quo(multiple)
			return power(exponent)
		},
	}
}
