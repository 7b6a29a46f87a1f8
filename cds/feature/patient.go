package feature

import (
	"time"

	"galen/fhir"
)

const genderSystem = "http://hl7.org/fhir/administrative-gender"

// age counts completed years, months or days from Patient.birthDate
// (https://hl7.org/fhir/R4/patient.html), in the feature's UCUM unit. A birth
// date without a day counts from the middle of what it leaves open.
func (v *Value) age(ev Evidence, at time.Time) {
	root := ev.Patient.Resource.Root()
	period, precision, err := fhir.ParseDateTime(root.Get("birthDate").Text(), time.UTC)
	if err != nil {
		return
	}
	born := period.Low.Time()
	if precision < fhir.Day {
		born = born.Add(period.High.Time().Sub(born) / 2)
		v.Note = "the birth date is not complete"
	}
	if born.After(at) {
		v.Rejected = append(v.Rejected, Rejection{ev.Patient.Citation, reasonFuture})
		return
	}
	at = at.UTC()
	months := (at.Year()-born.Year())*12 + int(at.Month()) - int(born.Month())
	if at.Day() < born.Day() {
		months--
	}
	switch v.Feature.Unit {
	case "mo":
		v.Number = float64(months)
	case "d":
		v.Number = float64(int(at.Sub(born) / (24 * time.Hour)))
	default: // a
		v.Number = float64(months / 12)
	}
	v.Status, v.Time, v.Sources = Found, at, []string{ev.Patient.Citation}
}

// sex reads Patient.gender through the feature's categories.
func (v *Value) sex(ev Evidence) {
	gender := ev.Patient.Resource.Root().Get("gender").Text()
	if gender == "" {
		return
	}
	number, ok := v.Feature.Category(genderSystem, gender)
	if !ok {
		v.Rejected = append(v.Rejected, Rejection{ev.Patient.Citation, reasonCategory})
		return
	}
	v.Status, v.Number, v.Recorded = Found, number, gender
	v.Sources = []string{ev.Patient.Citation}
}
