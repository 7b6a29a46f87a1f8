package function

import (
	"galen/fhir/decimal"
	"galen/fhir/path/element"
	"galen/fhir/path/machine"
	"galen/fhir/path/system"
)

// numberFunctions are N1, 5.7, with the boundaries and precision of 2.1.
var numberFunctions = map[string]machine.Function{
	"abs":      {Run: math(func(v any, _ []decimal.Decimal) any { return system.Abs(v) })},
	"ceiling":  {Run: math(func(v any, _ []decimal.Decimal) any { return system.Whole(v, decimal.Decimal.Ceil) })},
	"floor":    {Run: math(func(v any, _ []decimal.Decimal) any { return system.Whole(v, decimal.Decimal.Floor) })},
	"truncate": {Run: math(func(v any, _ []decimal.Decimal) any { return system.Whole(v, decimal.Decimal.Truncate) })},
	"round":    {Max: 1, Run: math(round)},
	"exp":      {Run: math(func(v any, _ []decimal.Decimal) any { return system.Maybe(system.Numeric(v).Exp()) })},
	"ln":       {Run: math(func(v any, _ []decimal.Decimal) any { return system.Maybe(system.Numeric(v).Ln()) })},
	"sqrt":     {Run: math(func(v any, _ []decimal.Decimal) any { return system.Maybe(system.Numeric(v).Sqrt()) })},
	"log":      {Min: 1, Max: 1, Run: math(func(v any, a []decimal.Decimal) any { return system.Log(system.Numeric(v), a[0]) })},
	"power":    {Min: 1, Max: 1, Run: math(func(v any, a []decimal.Decimal) any { return system.Power(v, a[0]) })},

	"lowBoundary":  {Max: 1, Run: boundary(false)},
	"highBoundary": {Max: 1, Run: boundary(true)},
	"precision":    {Run: precision},
	"comparable":   {Min: 1, Max: 1, Run: comparable},
}

// math makes a function of one number (abs takes a Quantity too) and numbers as
// arguments. A nil result is empty.
func math(f func(v any, args []decimal.Decimal) any) body {
	return func(c *machine.Run, n *machine.Call, base int) error {
		it, ok, err := machine.One(c.Above(base), n.Offset)
		if err != nil {
			return err
		}
		c.Cut(base)
		args := make([]decimal.Decimal, 0, 1)
		for i := range n.Args {
			a, given, err := c.Arg(n, i)
			if err != nil {
				return err
			}
			d, isNumber := a.Decimal()
			if given && !isNumber {
				return machine.Misfit(n.Offset, "expected a number as argument")
			}
			args, ok = append(args, d), ok && given
		}
		if !ok || it.Vague() {
			return nil
		}
		v := it.Value()
		if _, isNumber := system.ToDecimal(v); !isNumber {
			if q, isQuantity := v.(system.Quantity); !isQuantity || len(args) > 0 {
				return machine.Misfit(n.Offset, "expected a number")
			} else if out, fits := onQuantity(q, f); fits {
				return c.PushValue(out, n.Offset)
			}
			return machine.Misfit(n.Offset, "expected a number")
		}
		const perCall = 64 // the series behind exp, ln, log and power
		if err := c.Spend(perCall, n.Offset); err != nil {
			return err
		}
		return c.PushValue(f(v, args), n.Offset)
	}
}

// onQuantity applies f to the value of a quantity if that keeps its unit's
// meaning: the result must be a number of the same kind, as for abs and floor.
func onQuantity(q system.Quantity, f func(v any, args []decimal.Decimal) any) (any, bool) {
	d, ok := system.ToDecimal(f(q.Value, nil))
	q.Value = d
	return q, ok
}

func round(v any, args []decimal.Decimal) any {
	if len(args) == 0 {
		return system.Round(v, decimal.Decimal{})
	}
	return system.Round(v, args[0])
}

// boundary makes lowBoundary and highBoundary
// (https://build.fhir.org/ig/HL7/FHIRPath, boundary functions).
func boundary(high bool) body {
	return func(c *machine.Run, n *machine.Call, base int) error {
		it, ok, err := machine.One(c.Above(base), n.Offset)
		if err != nil {
			return err
		}
		c.Cut(base)
		digits, given := int64(-1), false
		if len(n.Args) == 1 {
			a, _, err := c.Arg(n, 0)
			if err != nil {
				return err
			}
			if digits, given = a.Integer(); !given {
				return machine.Misfit(n.Offset, "expected an Integer")
			}
		}
		if !ok || given && digits < 0 || digits > system.MostPlaces {
			return nil
		}
		return c.PushValue(system.Boundary(it.Value(), high, int(digits)), n.Offset)
	}
}

func precision(c *machine.Run, n *machine.Call, base int) error {
	it, ok, err := machine.One(c.Above(base), n.Offset)
	if err != nil || !ok {
		c.Cut(base)
		return err
	}
	switch v := it.Value().(type) {
	case int64:
		return c.Result(base, element.IntegerItem(0))
	case decimal.Decimal:
		return c.Result(base, element.IntegerItem(int64(max(v.Places(), 0))))
	case system.Temporal:
		return c.Result(base, element.IntegerItem(int64(v.Digits())))
	case nil:
		c.Cut(base)
		return nil
	}
	return machine.Misfit(n.Offset, "expected a number, date or time")
}

// comparable reports whether two quantities measure the same dimension.
func comparable(c *machine.Run, n *machine.Call, base int) error {
	a, okA, err := machine.One(c.Above(base), n.Offset)
	if err != nil {
		return err
	}
	c.Cut(base)
	b, okB, err := c.Arg(n, 0)
	if err != nil || !okA || !okB {
		return err
	}
	qa, isA := system.ToQuantity(a.Value())
	qb, isB := system.ToQuantity(b.Value())
	if !isA || !isB {
		return machine.Misfit(n.Offset, "expected quantities")
	}
	o := system.CompareQuantity(qa, qb, c.Types.Units())
	c.Push(element.BoolItem(o != system.Incomparable && o != system.Uncertain))
	return nil
}
