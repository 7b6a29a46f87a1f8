package system

import (
	"errors"
	"strings"

	"galen/fhir/decimal"
	"galen/fhir/path/parse"
	"galen/fhir/ucum"
)

// Quantity is a value with a UCUM unit or a calendar duration's unit.
type Quantity struct {
	Value decimal.Decimal
	// Unit is a UCUM code, or with Calendar a word (day, months).
	Unit     string
	Calendar bool
	// Loose marks the value of a FHIR element, whose units of time stand for
	// calendar durations and UCUM units alike
	// (https://hl7.org/fhir/R4/fhirpath.html#quantity).
	Loose bool
}

// String writes 1.5 'mg' or 4 days.
func (q Quantity) String() string {
	if q.Calendar {
		return q.Value.String() + " " + q.Unit
	}
	return q.Value.String() + " '" + q.Unit + "'"
}

// ParseQuantity reads "4 days", "1.5 'mg'" or "7", as toQuantity() does.
func ParseQuantity(text string) (Quantity, bool) {
	text = strings.Trim(text, " \t\r\n")
	end := strings.IndexAny(text, " '\t\r\n")
	if end < 0 {
		end = len(text)
	}
	value, ok := ParseDecimal(text[:end])
	unit := strings.Trim(text[end:], " \t\r\n")
	q := Quantity{Value: value, Unit: "1"}
	switch {
	case unit == "":
	case len(unit) > 2 && unit[0] == '\'' && unit[len(unit)-1] == '\'':
		q.Unit = unit[1 : len(unit)-1]
		ok = ok && !strings.Contains(q.Unit, "'")
	default:
		q.Unit, q.Calendar = unit, true
		ok = ok && parse.CalendarUnit(unit) != ""
	}
	return q, ok
}

// ParseDecimal reads (+|-)?digits(.digits)?, the form of toDecimal(), which
// knows no exponent.
func ParseDecimal(text string) (decimal.Decimal, bool) {
	text = strings.TrimPrefix(text, "+")
	if strings.ContainsAny(text, "eE") {
		return decimal.Decimal{}, false
	}
	// Leading zeros are legal here and not in JSON.
	sign := ""
	if rest, ok := strings.CutPrefix(text, "-"); ok {
		sign, text = "-", rest
	}
	for len(text) > 1 && text[0] == '0' && text[1] != '.' {
		text = text[1:]
	}
	d, err := decimal.Parse(sign + text)
	return d, err == nil
}

// durations are the calendar units with the UCUM unit that measures the same:
// exactly so from weeks down, near enough for equivalence above (N1, 2.3).
var durations = map[string]struct {
	ucum  string
	exact bool
	unit  Precision
	weeks bool
}{
	"year": {"a", false, Year, false}, "month": {"mo", false, Month, false},
	"week": {"wk", true, Day, true}, "day": {"d", true, Day, false},
	"hour": {"h", true, Hour, false}, "minute": {"min", true, Minute, false},
	"second": {"s", true, Second, false}, "millisecond": {"ms", true, Millisecond, false},
}

// Duration reads the quantity as a step for Temporal.Add. Above weeks only
// calendar units (or a FHIR element's) are one: a UCUM year has 365.25 days.
func (q Quantity) Duration() (unit Precision, weeks, ok bool) {
	word := parse.CalendarUnit(q.Unit) // also in quotes: 1 'month'
	if d, found := durations[word]; found {
		return d.unit, d.weeks, true
	}
	for _, d := range durations {
		if d.ucum == q.Unit && (d.exact || q.Loose) {
			return d.unit, d.weeks, true
		}
	}
	return 0, false, false
}

// Converter converts between UCUM units; *ucum.Table is one.
type Converter interface {
	Convert(v decimal.Decimal, from, to string) (decimal.Decimal, error)
	Commensurable(a, b string) bool
}

var _ Converter = (*ucum.Table)(nil)

// align expresses both in one unit. known is Equal if it could, Incomparable for
// values that measure different things, and Uncertain for a unit that is not
// known or a calendar year against a UCUM one.
func align(a, b Quantity, units Converter, equivalent bool) (av, bv decimal.Decimal, known Order) {
	ua, exactA := a.ucum()
	ub, exactB := b.ucum()
	bothCalendar := (a.Calendar || a.Loose && b.Calendar) && (b.Calendar || b.Loose && a.Calendar)
	if !equivalent && (a.Calendar || b.Calendar) && exactA != exactB {
		return av, bv, Uncertain
	}
	if !equivalent && !bothCalendar && (!exactA || !exactB) && a.Calendar != b.Calendar {
		return av, bv, Uncertain
	}
	if ua == ub {
		return a.Value, b.Value, Equal
	}
	if units == nil {
		return av, bv, Uncertain
	}
	if bothCalendar && !exactA && !exactB { // 1 year = 12 months, in months
		return a.months(), b.months(), Equal
	}
	bv, err := units.Convert(b.Value, ub, ua)
	switch {
	case errors.Is(err, ucum.ErrIncommensurable):
		return av, bv, Incomparable
	case err != nil: // a unit that is not UCUM's
		return av, bv, Uncertain
	}
	return a.Value, bv, Equal
}

// ucum is the UCUM code of the unit and whether it measures exactly.
func (q Quantity) ucum() (code string, exact bool) {
	if q.Calendar {
		d := durations[parse.CalendarUnit(q.Unit)]
		return d.ucum, d.exact
	}
	return q.Unit, q.Unit != "a" && q.Unit != "mo"
}

func (q Quantity) months() decimal.Decimal {
	if code, _ := q.ucum(); code == "a" {
		return q.Value.Mul(decimal.FromInt(12))
	}
	return q.Value
}

// CompareQuantity orders two quantities, converted by units (nil: equal units
// only).
func CompareQuantity(a, b Quantity, units Converter) Order {
	av, bv, known := align(a, b, units, false)
	if known != Equal {
		return known
	}
	return order(av.Cmp(bv))
}

// EquivalentQuantity compares after rounding to the less precise operand
// (N1, 6.1.2). A calendar year is equivalent to a UCUM one.
func EquivalentQuantity(a, b Quantity, units Converter) bool {
	av, bv, known := align(a, b, units, true)
	if known != Equal {
		return false
	}
	// Conversion moves the point, so each side's own precision is taken in the
	// unit compared in: 4040 mg is 4.040 g.
	return EquivalentDecimal(av, bv)
}

// EquivalentDecimal compares two numbers rounded to the fewer decimals of the
// two, trailing zeros not counted.
func EquivalentDecimal(a, b decimal.Decimal) bool {
	places := max(min(significant(a), significant(b)), 0)
	return a.Round(places).Equal(b.Round(places))
}

// significant is the number of decimals without trailing zeros.
func significant(d decimal.Decimal) int {
	low, high := 0, max(d.Places(), 0)
	for low < high { // the digits cut are all zero from some place on
		mid := (low + high) / 2
		if d.Truncate(mid).Equal(d) {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return low
}

// AddQuantity adds b, in a's unit; false if they measure different things.
func AddQuantity(a, b Quantity, units Converter) (Quantity, bool) {
	av, bv, known := align(a, b, units, false)
	if known != Equal {
		return Quantity{}, false
	}
	ua, exact := a.ucum()
	if ub, _ := b.ucum(); !exact && ua != ub && (a.Calendar || b.Calendar) { // align went to months
		return Quantity{Value: av.Add(bv), Unit: "month", Calendar: true}, true
	}
	return Quantity{Value: av.Add(bv), Unit: a.Unit, Calendar: a.Calendar, Loose: a.Loose}, true
}

// MulQuantity multiplies values and units.
func MulQuantity(a, b Quantity) Quantity {
	ua, _ := a.ucum()
	ub, _ := b.ucum()
	switch {
	case ua == "1":
		ua = ub
	case ub != "1":
		ua += "." + grouped(ub)
	}
	return Quantity{Value: a.Value.Mul(b.Value), Unit: ua}
}

// DivQuantity divides values and units; false for a zero divisor.
func DivQuantity(a, b Quantity) (Quantity, bool) {
	v, ok := a.Value.Quo(b.Value)
	ua, _ := a.ucum()
	ub, _ := b.ucum()
	switch {
	case ua == ub:
		ua = "1"
	case ub != "1":
		ua += "/" + grouped(ub)
	}
	return Quantity{Value: v, Unit: ua}, ok
}

func grouped(unit string) string {
	if strings.ContainsAny(unit, "./") {
		return "(" + unit + ")"
	}
	return unit
}

// ConvertQuantity expresses q in a UCUM unit or a calendar duration's unit;
// false if it measures another thing.
func ConvertQuantity(q Quantity, unit string, units Converter) (Quantity, bool) {
	to := Quantity{Unit: unit, Calendar: parse.CalendarUnit(unit) != ""}
	target, _ := to.ucum()
	from, _ := q.ucum()
	v, err := units.Convert(q.Value, from, target)
	to.Value = v
	return to, err == nil
}
