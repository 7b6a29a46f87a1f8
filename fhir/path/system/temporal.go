package system

import (
	"strconv"
	"time"
)

// Kind tells the three temporal types apart.
type Kind uint8

// The temporal types.
const (
	Date Kind = iota
	DateTime
	Time
)

// Precision is the last component written. Seconds and their fraction count as
// one (N1, 6.2: comparison).
type Precision uint8

// The precisions.
const (
	Year Precision = iota + 1
	Month
	Day
	Hour
	Minute
	Second
	Millisecond
)

// NoZone is the offset of a time written without one.
const NoZone = -1 << 15

// Temporal is a Date, DateTime or Time. The zero value is none. Values are
// immutable; compare with CompareTemporal, not ==.
type Temporal struct {
	kind      Kind
	precision Precision
	digits    uint8 // of the fraction as written, 3 to 9 or fewer if read so
	zone      int16 // minutes east of UTC, or NoZone
	second    uint8
	minute    uint8
	hour      uint8
	day       uint8
	month     uint8
	year      int16
	nano      int32
}

// Kind returns the type.
func (t Temporal) Kind() Kind { return t.kind }

// Precision returns the last component that was given.
func (t Temporal) Precision() Precision { return t.precision }

// Of makes a DateTime of t to the millisecond, in t's zone.
func Of(t time.Time) Temporal {
	v := Temporal{kind: DateTime, precision: Millisecond, digits: 3}
	_, offset := t.Zone()
	v.zone = int16(offset / 60)
	return v.with(t.Truncate(time.Millisecond))
}

// As returns the Date or Time part of a DateTime, or a Date as a DateTime; false
// for anything else.
func (t Temporal) As(kind Kind) (Temporal, bool) {
	switch {
	case kind == t.kind:
	case kind == DateTime && t.kind == Date:
		t.kind = DateTime
	case kind == Date && t.kind == DateTime:
		t = t.cut(min(t.precision, Day))
		t.kind = Date
	case kind == Time && t.kind == DateTime && t.precision >= Hour:
		t.kind, t.zone, t.year, t.month, t.day = Time, NoZone, 0, 0, 0
	default:
		return Temporal{}, false
	}
	return t, true
}

// Parse reads a value of the kind as FHIR and FHIRPath write it, without @ and
// the T of a Time. A DateTime may end with a bare T (@2015T) and may stop at the
// hour, which FHIR elements may not.
func Parse(kind Kind, text string) (Temporal, bool) {
	p := reader{rest: text}
	t := Temporal{kind: kind, zone: NoZone}
	if kind == Time {
		p.clock(&t)
		return t, !p.bad && p.rest == ""
	}
	t.year, t.precision = int16(p.digits(4)), Year
	if p.skip('-') {
		t.month, t.precision = uint8(p.between(1, 12)), Month
		if p.skip('-') {
			t.day, t.precision = uint8(p.between(1, 31)), Day
		}
	}
	if kind == DateTime && p.skip('T') && p.rest != "" {
		if t.precision != Day {
			return Temporal{}, false
		}
		p.clock(&t)
		p.offset(&t)
	}
	if p.bad || p.rest != "" || t.year == 0 || t.precision >= Day && int(t.day) > daysIn(int(t.year), int(t.month)) {
		return Temporal{}, false
	}
	return t, true
}

// reader takes fixed-width numbers off the front of a text.
type reader struct {
	rest string
	bad  bool
}

func (p *reader) skip(c byte) bool {
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func (p *reader) digits(n int) int {
	if len(p.rest) < n {
		p.bad = true
		return 0
	}
	v := 0
	for i := range n {
		c := p.rest[i] - '0'
		if c > 9 {
			p.bad = true
			return 0
		}
		v = v*10 + int(c)
	}
	p.rest = p.rest[n:]
	return v
}

func (p *reader) between(low, high int) int {
	v := p.digits(2)
	p.bad = p.bad || v < low || v > high
	return v
}

func (p *reader) clock(t *Temporal) {
	t.hour, t.precision = uint8(p.between(0, 23)), Hour
	if !p.skip(':') {
		return
	}
	t.minute, t.precision = uint8(p.between(0, 59)), Minute
	if !p.skip(':') {
		return
	}
	t.second, t.precision = uint8(p.between(0, 60)), Second // 60: a leap second
	if !p.skip('.') {
		return
	}
	t.precision = Millisecond
	scale := int32(time.Second)
	for p.rest != "" && p.rest[0]-'0' <= 9 {
		if scale /= 10; scale > 0 {
			t.nano += int32(p.rest[0]-'0') * scale
			t.digits++
		}
		p.rest = p.rest[1:]
	}
	p.bad = p.bad || t.digits == 0
}

func (p *reader) offset(t *Temporal) {
	if p.skip('Z') {
		t.zone = 0
		return
	}
	sign := int16(1)
	if !p.skip('+') {
		if !p.skip('-') {
			return
		}
		sign = -1
	}
	hours := p.between(0, 14)
	p.bad = p.bad || !p.skip(':')
	t.zone = sign * int16(hours*60+p.between(0, 59))
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// String writes the value as FHIR does, without @; a Time has no T either.
func (t Temporal) String() string {
	b := make([]byte, 0, 32)
	if t.kind != Time {
		b = pad(b, int(t.year), 4)
		for i, part := range [...]uint8{t.month, t.day} {
			if t.precision >= Month+Precision(i) {
				b = pad(append(b, '-'), int(part), 2)
			}
		}
		if t.precision >= Hour {
			b = append(b, 'T')
		}
	}
	if t.precision < Hour {
		return string(b)
	}
	b = pad(b, int(t.hour), 2)
	for i, part := range [...]uint8{t.minute, t.second} {
		if t.precision >= Minute+Precision(i) {
			b = pad(append(b, ':'), int(part), 2)
		}
	}
	if t.precision == Millisecond {
		fraction := pad(nil, int(t.nano), 9)
		b = append(append(b, '.'), fraction[:t.digits]...)
	}
	switch {
	case t.zone == NoZone:
	case t.zone == 0:
		b = append(b, 'Z')
	default:
		sign, z := byte('+'), int(t.zone)
		if z < 0 {
			sign, z = '-', -z
		}
		b = pad(append(pad(append(b, sign), z/60, 2), ':'), z%60, 2)
	}
	return string(b)
}

func pad(b []byte, v, width int) []byte {
	s := strconv.Itoa(v)
	for range width - len(s) {
		b = append(b, '0')
	}
	return append(b, s...)
}

// clock is the value as wall-clock time in a zone of its own: components that
// are missing are at their least.
func (t Temporal) clock() time.Time {
	month, day := max(t.month, 1), max(t.day, 1)
	return time.Date(int(t.year), time.Month(month), int(day), int(t.hour), int(t.minute), int(t.second), int(t.nano), time.UTC)
}

// with takes the components of a wall-clock time.
func (t Temporal) with(c time.Time) Temporal {
	t.hour, t.minute, t.second, t.nano = uint8(c.Hour()), uint8(c.Minute()), uint8(c.Second()), int32(c.Nanosecond())
	if t.kind != Time {
		t.year, t.month, t.day = int16(c.Year()), uint8(c.Month()), uint8(c.Day())
	}
	return t
}

// cut lowers the precision; what lies below it is zero.
func (t Temporal) cut(to Precision) Temporal {
	if to >= t.precision {
		return t
	}
	parts := [...]*uint8{Month: &t.month, Day: &t.day, Hour: &t.hour, Minute: &t.minute, Second: &t.second}
	for p := to + 1; p <= Second; p++ {
		*parts[p] = 0
	}
	t.nano, t.digits, t.precision = 0, 0, to
	if to < Hour {
		t.zone = NoZone
	}
	return t
}

// zoneSpan is how far two times may be apart although their clocks agree:
// zones reach from -12:00 to +14:00.
const zoneSpan = 26 * time.Hour

// CompareTemporal orders two values component by component: if one of them ends before
// they differ, the order is uncertain. A Date compares with a DateTime as one
// without time; a Time compares only with a Time.
func CompareTemporal(a, b Temporal) Order {
	if (a.kind == Time) != (b.kind == Time) {
		return Incomparable
	}
	pa, pb := min(a.precision, Second), min(b.precision, Second)
	ca, cb := a.clock(), b.clock()
	timed := pa >= Hour && pb >= Hour && a.kind != Time
	switch {
	case timed && a.zone != NoZone && b.zone != NoZone:
		ca, cb = ca.Add(-time.Duration(a.zone)*time.Minute), cb.Add(-time.Duration(b.zone)*time.Minute)
	case timed && (a.zone != NoZone || b.zone != NoZone):
		// N1 leaves the default zone to the implementation; a server has none.
		if d := ca.Sub(cb); d > -zoneSpan && d < zoneSpan {
			return Uncertain
		}
	}
	if pa == pb {
		return order(ca.Compare(cb))
	}
	coarse := min(pa, pb)
	if c := floor(ca, coarse).Compare(floor(cb, coarse)); c != 0 {
		return order(c)
	}
	return Uncertain
}

// floor is the first instant of the year, month … that holds c.
func floor(c time.Time, p Precision) time.Time {
	switch p {
	case Year:
		return time.Date(c.Year(), 1, 1, 0, 0, 0, 0, time.UTC)
	case Month:
		return time.Date(c.Year(), c.Month(), 1, 0, 0, 0, 0, time.UTC)
	case Day:
		return c.Truncate(24 * time.Hour)
	case Hour:
		return c.Truncate(time.Hour)
	case Minute:
		return c.Truncate(time.Minute)
	}
	return c
}

// EquivalentTemporal reports whether two values are the same to the same precision
// (N1, 6.1.2).
func EquivalentTemporal(a, b Temporal) bool {
	return (a.kind == Time) == (b.kind == Time) &&
		min(a.precision, Second) == min(b.precision, Second) && CompareTemporal(a, b) == Equal
}

// boundaryDigits maps the digits that lowBoundary and highBoundary take to
// precisions: 4 year … 17 millisecond; a Time counts from its hour.
var boundaryDigits = map[Kind]map[int]Precision{
	Date:     {4: Year, 6: Month, 8: Day},
	DateTime: {4: Year, 6: Month, 8: Day, 10: Hour, 12: Minute, 14: Second, 17: Millisecond},
	Time:     {2: Hour, 4: Minute, 6: Second, 9: Millisecond},
}

// Digits returns the digits of the precision: 4 for a year, 17 for a DateTime to
// the millisecond, 9 for a Time so.
func (t Temporal) Digits() int {
	for digits, p := range boundaryDigits[t.kind] {
		if p == t.precision {
			return digits
		}
	}
	return 0
}

// Boundary returns the first (or last) value of the given digits that t may
// stand for; 0 digits are the most its kind has. False if the kind has no such
// precision. A time without zone may be in any, +14:00 first and -12:00 last.
func (t Temporal) Boundary(last bool, digits int) (Temporal, bool) {
	most := map[Kind]int{Date: 8, DateTime: 17, Time: 9}
	if digits == 0 {
		digits = most[t.kind]
	}
	to, ok := boundaryDigits[t.kind][digits]
	if !ok {
		return Temporal{}, false
	}
	from := t.precision
	if to <= from {
		return t.cut(to), true
	}
	if last {
		t = t.fillHigh(from)
	} else {
		t.month, t.day = max(t.month, 1), max(t.day, 1)
	}
	if t.kind == DateTime && t.zone == NoZone && to >= Hour {
		t.zone = 14 * 60
		if last {
			t.zone = -12 * 60
		}
	}
	t.precision, t.digits = Millisecond, 3
	if t.kind == Time {
		t.year, t.month, t.day = 0, 0, 0
	}
	return t.cut(to), true
}

// fillHigh sets what is missing to its greatest. An hour alone is a whole hour
// and no minute missing: lowBoundary's definition gives T08 the end
// T08:00:59.999 (https://build.fhir.org/ig/HL7/FHIRPath, highBoundary).
func (t Temporal) fillHigh(from Precision) Temporal {
	if from < Month {
		t.month = 12
	}
	if from < Day {
		t.day = uint8(daysIn(int(t.year), int(t.month)))
	}
	if from < Hour {
		t.hour, t.minute = 23, 59
	}
	if from < Second {
		t.second = 59
	}
	if from < Millisecond {
		t.nano = 999_000_000
	}
	return t
}
