package fhir

import (
	"errors"
	"math"
	"time"
)

// Instant is a point in time in microseconds since 1970-01-01T00:00:00Z. It
// covers every year that FHIR can write, 0001 to 9999.
type Instant int64

// Beginning and End stand for the open ends of a Period.
const (
	Beginning Instant = math.MinInt64
	End       Instant = math.MaxInt64
)

// InstantOf converts, dropping what is below a microsecond.
func InstantOf(t time.Time) Instant { return Instant(t.UnixMicro()) }

// Time converts to UTC.
func (i Instant) Time() time.Time { return time.UnixMicro(int64(i)).UTC() }

// Period is the half-open interval [Low, High) of instants that a date,
// dateTime, instant or Period element covers at its precision.
type Period struct {
	Low, High Instant
}

// Precision is how exactly a date or dateTime is written.
type Precision uint8

// The precisions of https://hl7.org/fhir/R4/datatypes.html#dateTime.
const (
	Year Precision = iota + 1
	Month
	Day
	Minute // not a dateTime, but search accepts it
	Second
	Fraction
)

var errDate = errors.New("not a date or dateTime")

// ParseDateTime reads a date, dateTime or instant as the Period it covers: 1980
// covers the year, 1980-05-11T10:00:01Z one second. Without an offset the time
// is in zone. A fraction finer than a microsecond is widened to one.
func ParseDateTime(s string, zone *time.Location) (Period, Precision, error) {
	d := dateParser{text: s}
	year, month, day := d.digits(4), 1, 1
	precision := Year
	if d.skip('-') {
		month, precision = d.digits(2), Month
		if d.skip('-') {
			day, precision = d.digits(2), Day
		}
	}
	if d.bad || year == 0 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return Period{}, 0, errDate
	}
	if d.text == "" {
		return calendar(year, month, day, precision, zone), precision, nil
	}
	if precision != Day || !d.skip('T') {
		return Period{}, 0, errDate
	}
	return d.timeOfDay(time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC), zone)
}

// calendar is the period of a year, a month or a day.
func calendar(year, month, day int, precision Precision, zone *time.Location) Period {
	low := time.Date(year, time.Month(month), day, 0, 0, 0, 0, zone)
	high := low
	switch precision {
	case Year:
		high = low.AddDate(1, 0, 0)
	case Month:
		high = low.AddDate(0, 1, 0)
	default:
		high = low.AddDate(0, 0, 1)
	}
	return Period{InstantOf(low), InstantOf(high)}
}

type dateParser struct {
	text string
	bad  bool
}

func (d *dateParser) skip(c byte) bool {
	if d.text == "" || d.text[0] != c {
		return false
	}
	d.text = d.text[1:]
	return true
}

func (d *dateParser) digits(n int) int {
	if len(d.text) < n {
		d.bad = true
		return 0
	}
	v := 0
	for i := range n {
		c := d.text[i] - '0'
		if c > 9 {
			d.bad = true
			return 0
		}
		v = v*10 + int(c)
	}
	d.text = d.text[n:]
	return v
}

func (d *dateParser) timeOfDay(midnight time.Time, zone *time.Location) (Period, Precision, error) {
	hour := d.digits(2)
	d.bad = d.bad || !d.skip(':')
	minute, second, precision := d.digits(2), 0, Minute
	width := int64(time.Minute / time.Microsecond)
	var micros int64
	if d.skip(':') {
		second, precision, width = d.digits(2), Second, int64(time.Second/time.Microsecond)
		if d.skip('.') {
			precision = Fraction
			micros, width = d.fraction()
		}
	}
	// A leap second is legal text (datatypes.html: 00 to 60).
	if d.bad || hour > 23 || minute > 59 || second > 60 {
		return Period{}, 0, errDate
	}
	offset, ok := d.offset()
	if !ok {
		return Period{}, 0, errDate
	}
	t := midnight.Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second)
	if offset == noOffset {
		t = time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, zone)
	} else {
		t = t.Add(-time.Duration(offset) * time.Minute)
	}
	low := t.UnixMicro() + micros
	return Period{Instant(low), Instant(low + width)}, precision, nil
}

// fraction reads the digits after the point as microseconds and their width.
func (d *dateParser) fraction() (micros, width int64) {
	n := 0
	width = int64(time.Second / time.Microsecond)
	for n < len(d.text) && d.text[n]-'0' <= 9 {
		if n < 6 {
			width /= 10
			micros += int64(d.text[n]-'0') * width
		}
		n++
	}
	d.bad = d.bad || n == 0
	d.text = d.text[n:]
	return micros, width
}

const noOffset = math.MinInt

// offset reads Z, +hh:mm, -hh:mm or nothing, in minutes east of UTC.
func (d *dateParser) offset() (int, bool) {
	switch {
	case d.text == "":
		return noOffset, true
	case d.text == "Z":
		return 0, true
	}
	sign := 1
	if !d.skip('+') {
		if !d.skip('-') {
			return 0, false
		}
		sign = -1
	}
	hours := d.digits(2)
	d.bad = d.bad || !d.skip(':')
	minutes := d.digits(2)
	if d.bad || d.text != "" || minutes > 59 || hours*60+minutes > 14*60 {
		return 0, false
	}
	return sign * (hours*60 + minutes), true
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// FormatInstant writes t as a FHIR instant in UTC with milliseconds, the
// precision of meta.lastUpdated on this server.
func FormatInstant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
