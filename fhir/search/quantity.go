package search

import (
	"galen/fhir/decimal"
	"galen/fhir/ucum"
)

// UCUM is the system of units that quantities are converted by
// (https://hl7.org/fhir/R4/search.html#quantity).
const UCUM = "http://unitsofmeasure.org"

// Canonical is a range in the base units of its UCUM code, so that 1 g and
// 1000 mg are found alike. It reports false, and the range is compared by code
// alone, where the system is not UCUM, the code is none of its units, or the
// unit's scale runs backwards ([pH]), which would turn order round.
func Canonical(units *ucum.Table, r Range, system, code string) (c Range, unit string, ok bool) {
	if system != UCUM || code == "" || !ascending(units, code) {
		return Range{}, "", false
	}
	c.OpenLow, c.OpenHigh = r.OpenLow, r.OpenHigh
	var err1, err2 error
	if !r.OpenLow {
		c.Low, unit, err1 = units.Canonical(r.Low, code)
	}
	switch {
	case r.OpenHigh:
	case !r.OpenLow && r.Low.Equal(r.High):
		c.High = c.Low
	default:
		c.High, unit, err2 = units.Canonical(r.High, code)
	}
	if err1 != nil || err2 != nil {
		return Range{}, "", false
	}
	return c, unit, true
}

// ascending reports whether greater numbers of a unit mean more of it.
func ascending(units *ucum.Table, code string) bool {
	u, err := units.Parse(code)
	if err != nil || !u.Special() {
		return err == nil
	}
	one, _, err1 := units.Canonical(decimal.FromInt(1), code)
	two, _, err2 := units.Canonical(decimal.FromInt(2), code)
	return err1 == nil && err2 == nil && one.Cmp(two) < 0
}
