package feature

import (
	"time"

	"galen/fhir"
	"galen/fhir/jsontree"
)

// inpatient are the classes of Encounters that are stays
// (http://terminology.hl7.org/CodeSystem/v3-ActCode).
var inpatient = map[string]bool{"IMP": true, "ACUTE": true, "NONAC": true, "EMER": true, "OBSENC": true, "SS": true}

// stay takes the stay that began last: of the Encounters that are stays, or of
// all if none says so. Its number is the hours from there to the assessment, its
// time the beginning.
func (v *Value) stay(ev Evidence, at time.Time) {
	var begun time.Time
	best := -1
	certain := false
	for i := range ev.Items {
		it := &ev.Items[i]
		if it.Resource.Type != "Encounter" {
			continue
		}
		root := it.Resource.Root()
		start, reason := admission(root, ev.PatientID, at)
		if reason != "" {
			v.Rejected = append(v.Rejected, Rejection{it.Citation, reason})
			continue
		}
		is := inpatient[root.Get("class").Get("code").Text()]
		if best < 0 || is && !certain || is == certain && start.After(begun) {
			best, certain, begun = i, is, start
		}
	}
	if best >= 0 {
		v.Status, v.Number, v.Time, v.Sources = Found, at.Sub(begun).Hours(), begun, []string{ev.Items[best].Citation}
	}
}

// admission is when an Encounter began, or why it does not count.
func admission(root jsontree.Node, patient string, at time.Time) (time.Time, string) {
	if fhir.ParseReference(root.Get("subject").Get("reference").Text()).Key != (fhir.Key{Type: "Patient", ID: patient}) {
		return time.Time{}, reasonPatient
	}
	if !statusIn("arrived", "triaged", "in-progress", "onleave", "finished")(root) {
		return time.Time{}, reasonStatus
	}
	p, _, err := fhir.ParseDateTime(root.Get("period").Get("start").Text(), time.UTC)
	switch start := p.Low.Time(); {
	case err != nil:
		return start, reasonNoTime
	case start.After(at):
		return start, reasonFuture
	default:
		return start, ""
	}
}
