package feature

import (
	"strings"
	"time"

	"galen/fhir"
	"galen/fhir/decimal"
	"galen/fhir/jsontree"
)

// onset reads the age in years at which a Condition began: onsetAge, or
// onsetDateTime or the start of onsetPeriod less the birth date
// (https://hl7.org/fhir/R4/condition-definitions.html#Condition.onset_x_).
func (g *gatherer) onset(root jsontree.Node, c *candidate) string {
	if age := root.Get("onsetAge"); age.Exists() {
		d, err := decimal.Parse(age.Get("value").Text())
		if err != nil {
			return reasonNoValue
		}
		years, err := g.units.Convert(d, unitOf(age), g.feature.Unit)
		if err != nil {
			return reasonUnit
		}
		c.recorded = strings.TrimSpace(d.String() + " " + unitOf(age))
		return g.place(years.Float64(), c)
	}
	text := root.Get("onsetDateTime").Text()
	if text == "" {
		text = root.Get("onsetPeriod").Get("start").Text()
	}
	began, precision, err := fhir.ParseDateTime(text, time.UTC)
	if err != nil || g.born.IsZero() {
		return reasonNoValue
	}
	c.recorded = text
	years := completedMonths(g.born, began.Low.Time().UTC()) / 12
	if precision == fhir.Year {
		years = began.Low.Time().Year() - g.born.Year()
	}
	return g.place(float64(years), c)
}

// born is the patient's birth date, the middle of what an incomplete one leaves
// open; zero if there is none.
func born(ev Evidence) time.Time {
	period, precision, err := fhir.ParseDateTime(ev.Patient.Resource.Root().Get("birthDate").Text(), time.UTC)
	if err != nil {
		return time.Time{}
	}
	low := period.Low.Time()
	if precision < fhir.Day {
		low = low.Add(period.High.Time().Sub(low) / 2)
	}
	return low
}

// completedMonths counts the whole months from one time to another.
func completedMonths(from, to time.Time) int {
	months := (to.Year()-from.Year())*12 + int(to.Month()) - int(from.Month())
	if to.Day() < from.Day() {
		months--
	}
	return months
}
