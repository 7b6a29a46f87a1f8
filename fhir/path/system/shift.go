package system

import (
	"time"

	"galen/fhir/decimal"
)

// Add moves the value by a calendar or definite duration (N1, 6.6.7: a part of
// the duration below the value's precision is converted to that precision and
// truncated; a fraction counts only for seconds). False if unit is no duration
// that fits the value or the result leaves the years 1 to 9999.
func (t Temporal) Add(amount decimal.Decimal, unit Precision, weeks bool) (Temporal, bool) {
	n, ok := amount.Truncate(0).Int64()
	const most = 1 << 40 // more than all milliseconds of any span that fits would need days
	if !ok || n > most || n < -most || t.kind == Time && unit < Hour {
		return Temporal{}, false
	}
	if weeks {
		n *= 7
	}
	last := t.precision
	if last == Second && unit == Millisecond {
		last = Millisecond
	}
	if unit > last { // convert: 1 year is 12 months, 1 month 30 days
		for ; unit > min(last, Second); unit-- {
			n /= perUnit[unit]
		}
		return t.shift(n, unit)
	}
	if unit >= Second {
		return t.shiftSeconds(amount, unit)
	}
	return t.shift(n, unit)
}

// perUnit is how many of a unit make one of the next greater.
var perUnit = [...]int64{Month: 12, Day: 30, Hour: 24, Minute: 60, Second: 60, Millisecond: 1000}

func (t Temporal) shift(n int64, unit Precision) (Temporal, bool) {
	c := t.clock()
	switch unit {
	case Year, Month:
		const mostMonths = 12 * 10_000
		if unit == Year {
			n *= 12
		}
		if n > mostMonths || n < -mostMonths {
			return Temporal{}, false
		}
		return t.shiftMonths(int(n))
	case Day:
		if n > 4_000_000 || n < -4_000_000 {
			return Temporal{}, false
		}
		c = c.AddDate(0, 0, int(n))
	default:
		width := map[Precision]time.Duration{Hour: time.Hour, Minute: time.Minute, Second: time.Second}[unit]
		if limit := int64(1<<63-1) / int64(width); n > limit || n < -limit {
			return Temporal{}, false
		}
		c = c.Add(time.Duration(n) * width)
	}
	return t.settle(c)
}

// shiftMonths keeps the day, or takes the month's last if it has no such day.
func (t Temporal) shiftMonths(n int) (Temporal, bool) {
	months := int(t.year)*12 + int(max(t.month, 1)) - 1 + n
	year, month := months/12, months%12+1
	if months < 12 || year > 9999 {
		return Temporal{}, false
	}
	t.year = int16(year)
	if t.precision >= Month {
		t.month = uint8(month)
	}
	if t.precision >= Day {
		t.day = uint8(min(int(t.day), daysIn(year, month)))
	}
	return t, true
}

// shiftSeconds adds seconds or milliseconds with their fraction.
func (t Temporal) shiftSeconds(amount decimal.Decimal, unit Precision) (Temporal, bool) {
	scale := decimal.FromInt(int64(time.Second))
	if unit == Millisecond {
		scale = decimal.FromInt(int64(time.Millisecond))
	}
	n, ok := amount.Mul(scale).Truncate(0).Int64()
	if !ok {
		return Temporal{}, false
	}
	if t.precision == Second && n%int64(time.Second) != 0 {
		t.precision, t.digits = Millisecond, 3
	}
	return t.settle(t.clock().Add(time.Duration(n)))
}

func (t Temporal) settle(c time.Time) (Temporal, bool) {
	if t.kind != Time && (c.Year() < 1 || c.Year() > 9999) {
		return Temporal{}, false
	}
	return t.with(c).cutClock(), true
}

// cutClock clears what lies below the precision, which a shift may have set.
func (t Temporal) cutClock() Temporal {
	p := t.precision
	t.precision = Millisecond
	digits, zone := t.digits, t.zone
	t = t.cut(p)
	t.digits, t.zone = digits, zone
	return t
}
