package system

import (
	"strings"

	"galen/fhir/decimal"
)

// Logic is a three-valued truth (N1, 6.5).
type Logic uint8

// The truth values.
const (
	False Logic = iota
	Unknown
	True
)

// Known is True or False.
func Known(v bool) Logic {
	if v {
		return True
	}
	return False
}

// A System value is held as an any: bool, string, int64 (Integer),
// decimal.Decimal, Temporal or Quantity.

// ToDecimal converts an Integer or Decimal.
func ToDecimal(v any) (decimal.Decimal, bool) {
	switch v := v.(type) {
	case int64:
		return decimal.FromInt(v), true
	case decimal.Decimal:
		return v, true
	}
	return decimal.Decimal{}, false
}

// ToQuantity converts a Quantity or a number, whose unit is then 1.
func ToQuantity(v any) (Quantity, bool) {
	if q, ok := v.(Quantity); ok {
		return q, true
	}
	d, ok := ToDecimal(v)
	return Quantity{Value: d, Unit: "1"}, ok
}

// Compare orders two values, converting Integer to Decimal to Quantity and Date
// to DateTime. sameKind is false for values of types that have no order.
func Compare(a, b any, units Converter) (o Order, sameKind bool) {
	switch v := a.(type) {
	case string:
		w, ok := b.(string)
		if !ok {
			return Incomparable, false
		}
		return order(strings.Compare(v, w)), true
	case Temporal:
		w, ok := b.(Temporal)
		if !ok {
			return Incomparable, false
		}
		o = CompareTemporal(v, w)
		return o, o != Incomparable
	}
	da, okA := ToDecimal(a)
	db, okB := ToDecimal(b)
	if okA && okB {
		return order(da.Cmp(db)), true
	}
	qa, okA := ToQuantity(a)
	qb, okB := ToQuantity(b)
	if okA && okB {
		return CompareQuantity(qa, qb, units), true
	}
	return Incomparable, false
}

// Equivalent is ~ for values of one kind; values of different kinds are not
// (N1, 6.1.2).
func Equivalent(a, b any, units Converter) bool {
	switch v := a.(type) {
	case bool:
		return a == b
	case string:
		w, ok := b.(string)
		return ok && SameText(v, w)
	case Temporal:
		w, ok := b.(Temporal)
		return ok && EquivalentTemporal(v, w)
	}
	da, okA := ToDecimal(a)
	db, okB := ToDecimal(b)
	if okA && okB {
		return EquivalentDecimal(da, db)
	}
	qa, okA := ToQuantity(a)
	qb, okB := ToQuantity(b)
	return okA && okB && EquivalentQuantity(qa, qb, units)
}

// SameText compares ignoring case and counting any white space as one space.
func SameText(a, b string) bool {
	return strings.EqualFold(strings.Join(strings.Fields(a), " "), strings.Join(strings.Fields(b), " "))
}

// InRange reports whether n is a System.Integer, which has 32 bits.
func InRange(n int64) bool { return int64(int32(n)) == n }
