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
	months := completedMonths(born, at)
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
	if gender := ev.Patient.Resource.Root().Get("gender").Text(); gender != "" {
		v.category(ev, genderSystem, gender, gender)
	}
}

// raceExtension is https://hl7.org/fhir/us/core/StructureDefinition-us-core-race.html.
const raceExtension = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"

// race reads the OMB categories of the US Core extension; of several the first
// that the feature's categories know.
func (v *Value) race(ev Evidence) {
	for ext := range ev.Patient.Resource.Root().Get("extension").Items() {
		if ext.Get("url").Text() != raceExtension {
			continue
		}
		for part := range ext.Get("extension").Items() {
			if coding := part.Get("valueCoding"); part.Get("url").Text() == "ombCategory" && v.Status != Found {
				v.category(ev, coding.Get("system").Text(), coding.Get("code").Text(), coding.Get("display").Text())
			}
		}
	}
}

// category takes a coded value of the Patient.
func (v *Value) category(ev Evidence, system, code, recorded string) {
	number, ok := v.Feature.Category(system, code)
	if !ok {
		v.Rejected = append(v.Rejected, Rejection{ev.Patient.Citation, reasonCategory})
		return
	}
	v.Status, v.Number, v.Recorded = Found, number, recorded
	v.Sources = []string{ev.Patient.Citation}
}
