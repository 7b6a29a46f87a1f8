package system

import (
	"strings"

	"galen/fhir/decimal"
)

// Conversion is a function to… of N1, 5.5: nil if the value does not convert.
type Conversion func(v any) any

// Conversions are the conversions by the type they give; Quantity, which takes a
// unit, is AsQuantity.
func Conversions() map[string]Conversion {
	return map[string]Conversion{
		"Boolean": toBoolean, "Integer": toInteger, "Decimal": convertDecimal, "String": toText,
		"Date": toTemporal(Date), "DateTime": toTemporal(DateTime), "Time": toTemporal(Time),
	}
}

func toBoolean(v any) any {
	switch v := v.(type) {
	case bool:
		return v
	case string:
		switch strings.ToLower(v) {
		case "true", "t", "yes", "y", "1", "1.0":
			return true
		case "false", "f", "no", "n", "0", "0.0":
			return false
		}
	case int64, decimal.Decimal:
		d := Numeric(v)
		if d.IsZero() || d.Equal(decimal.FromInt(1)) {
			return !d.IsZero()
		}
	}
	return nil
}

func toInteger(v any) any {
	switch v := v.(type) {
	case bool:
		if v {
			return int64(1)
		}
		return int64(0)
	case int64:
		return v
	case string:
		if d, ok := ParseDecimal(v); ok && !strings.Contains(v, ".") {
			if n, ok := d.Int64(); ok && InRange(n) {
				return n
			}
		}
	}
	return nil
}

func convertDecimal(v any) any {
	switch v := v.(type) {
	case bool:
		if v {
			return decimal.FromInt(1)
		}
		return decimal.FromInt(0)
	case int64, decimal.Decimal:
		return Numeric(v)
	case string:
		return Maybe(ParseDecimal(v))
	}
	return nil
}

// Format writes a System value as toString() does.
func Format(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		if v {
			return "true", true
		}
		return "false", true
	case int64:
		return decimal.FromInt(v).String(), true
	case decimal.Decimal:
		return v.String(), true
	case Temporal:
		return v.String(), true
	case Quantity:
		return v.String(), true
	}
	return "", false
}

func toText(v any) any {
	if s, ok := Format(v); ok {
		return s
	}
	return nil
}

func toTemporal(kind Kind) func(v any) any {
	return func(v any) any {
		var t Temporal
		var ok bool
		switch v := v.(type) {
		case Temporal:
			t, ok = v.As(kind)
			ok = ok && (v.Kind() == Time) == (kind == Time)
		case string:
			if t, ok = Parse(kind, v); !ok && kind == Date {
				if t, ok = Parse(DateTime, v); ok {
					t, ok = t.As(Date)
				}
			}
		}
		if !ok {
			return nil
		}
		return t
	}
}

// AsQuantity is ToQuantity() without a unit.
func AsQuantity(v any) (Quantity, bool) {
	switch v := v.(type) {
	case bool:
		return ToQuantity(convertDecimal(v))
	case string:
		return ParseQuantity(v)
	}
	return ToQuantity(v)
}
