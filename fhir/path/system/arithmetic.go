package system

import "galen/fhir/decimal"

// both returns two values as Integers, else as Decimals, else neither.
func both(a, b any) (ia, ib int64, da, db decimal.Decimal, integers, decimals bool) {
	ia, okA := a.(int64)
	ib, okB := b.(int64)
	if okA && okB {
		return ia, ib, da, db, true, false
	}
	da, okA = ToDecimal(a)
	db, okB = ToDecimal(b)
	return 0, 0, da, db, false, okA && okB
}

// Add is +: numbers, Strings, Quantities, and a duration to a date or time. In this and
// the other operations fits is false for types that have no such operation, and
// the result nil (FHIRPath's empty) where it has no value.
func Add(a, b any, units Converter) (result any, fits bool) {
	ia, ib, da, db, integers, decimals := both(a, b)
	switch {
	case integers:
		return ia + ib, true
	case decimals:
		return da.Add(db), true
	}
	if s, ok := a.(string); ok {
		t, ok := b.(string)
		return s + t, ok
	}
	if t, ok := a.(Temporal); ok {
		q, ok := b.(Quantity)
		return shift(t, q, ok)
	}
	qa, okA := ToQuantity(a)
	qb, okB := ToQuantity(b)
	if !okA || !okB {
		return nil, false
	}
	if sum, ok := AddQuantity(qa, qb, units); ok {
		return sum, true
	}
	return nil, true
}

// shift moves a date or time by a duration; a unit that is no duration is an
// error, a result outside the calendar is empty.
func shift(t Temporal, q Quantity, ok bool) (any, bool) {
	unit, weeks, isDuration := q.Duration()
	if !ok || !isDuration || t.kind == Time && unit < Hour {
		return nil, false
	}
	if moved, ok := t.Add(q.Value, unit, weeks); ok {
		return moved, true
	}
	return nil, true
}

// Subtract is -.
func Subtract(a, b any, units Converter) (result any, fits bool) {
	switch v := b.(type) {
	case int64:
		return Add(a, -v, units)
	case decimal.Decimal:
		return Add(a, v.Neg(), units)
	case Quantity:
		v.Value = v.Value.Neg()
		return Add(a, v, units)
	}
	return nil, false
}

// Multiply is *.
func Multiply(a, b any, _ Converter) (result any, fits bool) {
	ia, ib, da, db, integers, decimals := both(a, b)
	switch {
	case integers:
		return ia * ib, true // both have 32 bits
	case decimals:
		return da.Mul(db), true
	}
	qa, okA := ToQuantity(a)
	qb, okB := ToQuantity(b)
	return MulQuantity(qa, qb), okA && okB
}

// Divide is /; by zero it has no value.
func Divide(a, b any, _ Converter) (result any, fits bool) {
	da, okA := ToDecimal(a)
	db, okB := ToDecimal(b)
	if okA && okB {
		if q, ok := da.Quo(db); ok {
			return q, true
		}
		return nil, true
	}
	qa, okA := ToQuantity(a)
	qb, okB := ToQuantity(b)
	if !okA || !okB {
		return nil, false
	}
	if q, ok := DivQuantity(qa, qb); ok {
		return q, true
	}
	return nil, true
}

// Div is div. Quo rounds at 34 digits, which could round up to the
// next whole number, so the product is checked.
func Div(a, b any, _ Converter) (result any, fits bool) {
	da, okA := ToDecimal(a)
	db, okB := ToDecimal(b)
	if !okA || !okB {
		return nil, false
	}
	q, ok := wholeQuo(da, db)
	if !ok {
		return nil, true
	}
	n, ok := q.Int64()
	if !ok {
		return nil, true
	}
	return n, true
}

func wholeQuo(a, b decimal.Decimal) (decimal.Decimal, bool) {
	q, ok := a.Quo(b)
	if !ok {
		return q, false
	}
	q = q.Truncate(0)
	if q.Mul(b).Abs().Cmp(a.Abs()) > 0 {
		step := decimal.FromInt(int64(a.Sign() * b.Sign()))
		q = q.Sub(step)
	}
	return q, true
}

// Mod is mod.
func Mod(a, b any, _ Converter) (result any, fits bool) {
	ia, ib, da, db, integers, decimals := both(a, b)
	switch {
	case integers && ib == 0:
		return nil, true
	case integers:
		return ia % ib, true
	case !decimals:
		return nil, false
	}
	q, ok := wholeQuo(da, db)
	if !ok {
		return nil, true
	}
	return da.Sub(q.Mul(db)), true
}
