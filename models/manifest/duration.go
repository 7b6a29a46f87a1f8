package manifest

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is an ISO 8601 duration (P2Y, P6M, PT24H) or a short form: a whole
// number and h, d, w or y (24h, 365d). Years and months are calendar years and
// months. The zero value is no duration.
type Duration struct {
	years, months, days int
	clock               time.Duration

	// unread marks text that is no duration: a YAML library tells no line for an
	// error of UnmarshalText, so Lint refuses the mark and the line is known.
	unread bool
}

var errDuration = errors.New("not a duration: want ISO 8601 such as P2Y or PT24H, or 24h, 365d, 6w, 2y")

// maxUnits bounds each part of a duration, so that no arithmetic overflows.
const maxUnits = 1_000_000

// ParseDuration reads a duration.
func ParseDuration(s string) (Duration, error) {
	iso, ok := strings.CutPrefix(s, "P")
	if !ok {
		return parseShort(s)
	}
	date, clock, hasClock := strings.Cut(iso, "T")
	var d Duration
	if !d.parts(date, "YMWD", false) || !d.parts(clock, "HMS", true) ||
		date == "" && clock == "" || hasClock && clock == "" {
		return Duration{}, errDuration
	}
	return d, nil
}

func parseShort(s string) (Duration, error) {
	var d Duration
	if s == "" {
		return d, errDuration
	}
	clock := strings.HasSuffix(s, "h")
	if strings.ToLower(s) != s || !d.parts(strings.ToUpper(s), map[bool]string{true: "H", false: "YWD"}[clock], clock) {
		return Duration{}, errDuration
	}
	return d, nil
}

// parts reads "1Y2M…" where each unit appears at most once, in the order given.
func (d *Duration) parts(s, units string, clock bool) bool {
	for s != "" {
		i := strings.IndexAny(s, units)
		if i < 1 || s[0] == '+' || s[0] == '-' {
			return false
		}
		n, err := strconv.Atoi(s[:i])
		if err != nil || n > maxUnits {
			return false
		}
		d.add(n, s[i], clock)
		units = units[strings.IndexByte(units, s[i])+1:]
		s = s[i+1:]
	}
	return true
}

func (d *Duration) add(n int, unit byte, clock bool) {
	switch {
	case clock && unit == 'H':
		d.clock += time.Duration(n) * time.Hour
	case clock && unit == 'M':
		d.clock += time.Duration(n) * time.Minute
	case clock:
		d.clock += time.Duration(n) * time.Second
	case unit == 'Y':
		d.years += n
	case unit == 'M':
		d.months += n
	case unit == 'W':
		d.days += 7 * n
	default:
		d.days += n
	}
}

// IsZero says whether there is no duration.
func (d Duration) IsZero() bool { return d == Duration{} }

// After is the time a duration after t.
func (d Duration) After(t time.Time) time.Time {
	return t.AddDate(d.years, d.months, d.days).Add(d.clock)
}

// Before is the time a duration before t.
func (d Duration) Before(t time.Time) time.Time {
	return t.AddDate(-d.years, -d.months, -d.days).Add(-d.clock)
}

// String is the ISO 8601 form; empty for the zero value.
func (d Duration) String() string {
	if d.IsZero() || d.unread {
		return ""
	}
	var b strings.Builder
	part := func(n int, unit string) {
		if n != 0 {
			b.WriteString(strconv.Itoa(n) + unit)
		}
	}
	b.WriteByte('P')
	part(d.years, "Y")
	part(d.months, "M")
	part(d.days, "D")
	if d.clock != 0 {
		b.WriteByte('T')
		part(int(d.clock/time.Hour), "H")
		part(int(d.clock/time.Minute)%60, "M")
		part(int(d.clock/time.Second)%60, "S")
	}
	return b.String()
}

// Words is the duration for people: "2 years", "24 hours".
func (d Duration) Words() string {
	var words []string
	part := func(n int, unit string) {
		if n == 1 {
			words = append(words, "1 "+unit)
		} else if n != 0 {
			words = append(words, strconv.Itoa(n)+" "+unit+"s")
		}
	}
	part(d.years, "year")
	part(d.months, "month")
	part(d.days, "day")
	part(int(d.clock/time.Hour), "hour")
	part(int(d.clock/time.Minute)%60, "minute")
	part(int(math.Mod(d.clock.Seconds(), 60)), "second")
	return strings.Join(words, " ")
}

// UnmarshalText reads a duration; empty text is the zero value. Text that is no
// duration is refused by Lint, and so by Decode, with key and line.
func (d *Duration) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*d = Duration{}
		return nil
	}
	parsed, err := ParseDuration(string(text))
	parsed.unread = err != nil
	*d = parsed
	return nil
}

// MarshalText is String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }
