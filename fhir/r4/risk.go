package r4

import (
	"time"

	samply "github.com/samply/golang-fhir-models/fhir-models/fhir"
)

// ScoreExtension holds the value of a prediction that is no probability: points,
// an eGFR, a MELD (valueDecimal for points, valueQuantity with a unit).
const ScoreExtension = ExtensionBase + "prediction-value"

// TrajectoryExtension holds a prediction as of earlier moments: extensions step,
// each of at (dateTime) and percent (decimal, 0 to 100).
const TrajectoryExtension = ExtensionBase + "prediction-trajectory"

// FindingExtension tells of a prediction that it is about a finding in a note:
// extensions source (Reference, versioned), part (string, a FHIRPath), start and
// end (integer, bytes of the text in UTF-8), negated, historical and relative
// (boolean).
const FindingExtension = ExtensionBase + "text-finding"

// RiskAssessment is one assessment (https://hl7.org/fhir/R4/riskassessment.html).
// It is always written with status preliminary, for no one has reviewed it, and
// with the AIAST label. References are literal: relative or absolute, those in
// Basis versioned.
type RiskAssessment struct {
	Identifiers []Identifier
	Method      Concept // the model with its version
	Code        Concept // what kind of assessment
	Subject     string
	Encounter   string
	Occurrence  time.Time
	Performer   string   // the Device
	Basis       []string // every input
	Predictions []Prediction
	Mitigation  string
	Notes       []string // limits and missing inputs
}

// Prediction is RiskAssessment.prediction. At most one of Percent and Score is
// set.
type Prediction struct {
	Outcome   Concept
	Percent   string // decimal text, 0 to 100: R4 ras-2 takes a decimal as percent
	Score     string // decimal text of a value that is no probability
	Unit      string // UCUM, of Score; "" or "1" for a plain number
	Risk      Coding // http://terminology.hl7.org/CodeSystem/risk-probability
	When      Period
	Rationale string
	// Trajectory is the prediction as of earlier moments, oldest first.
	Trajectory []Step
	Finding    *Finding // nil for none
}

// Finding is a mention in a note.
type Finding struct {
	Source     string // versioned reference of the note
	Part       string
	Start, End int // bytes
	// Negated: it is denied. Historical: it is past. Relative: it is a relative's.
	Negated, Historical, Relative bool
}

func (f Finding) samply() samply.Extension {
	source := reference(f.Source)
	out := samply.Extension{Url: FindingExtension, Extension: []samply.Extension{
		{Url: "source", ValueReference: &source},
		{Url: "part", ValueString: opt(f.Part)},
		{Url: "start", ValueInteger: &f.Start},
		{Url: "end", ValueInteger: &f.End},
	}}
	for _, b := range []struct {
		url   string
		value bool
	}{{"negated", f.Negated}, {"historical", f.Historical}, {"relative", f.Relative}} {
		out.Extension = append(out.Extension, samply.Extension{Url: b.url, ValueBoolean: &b.value})
	}
	return out
}

// Step is a prediction as of one moment.
type Step struct {
	At      time.Time
	Percent string // decimal text, 0 to 100
}

func trajectory(steps []Step) samply.Extension {
	out := samply.Extension{Url: TrajectoryExtension}
	for _, s := range steps {
		out.Extension = append(out.Extension, samply.Extension{Url: "step", Extension: []samply.Extension{
			{Url: "at", ValueDateTime: moment(s.At)}, {Url: "percent", ValueDecimal: number(s.Percent)},
		}})
	}
	return out
}

// JSON writes the resource.
func (r RiskAssessment) JSON() ([]byte, error) {
	out := samply.RiskAssessment{
		Meta: security([]Coding{AIAST}), Identifier: identifiers(r.Identifiers),
		Status: samply.ObservationStatusPreliminary, Method: concept(r.Method), Code: concept(r.Code),
		Subject: reference(r.Subject), Encounter: optReference(r.Encounter), OccurrenceDateTime: moment(r.Occurrence),
		Performer: optReference(r.Performer), Basis: references(r.Basis), Mitigation: opt(r.Mitigation), Note: notes(r.Notes),
	}
	for _, p := range r.Predictions {
		out.Prediction = append(out.Prediction, p.samply())
	}
	return marshal("r4.RiskAssessment", out)
}

func (p Prediction) samply() samply.RiskAssessmentPrediction {
	out := samply.RiskAssessmentPrediction{
		Outcome: concept(p.Outcome), ProbabilityDecimal: number(p.Percent), Rationale: opt(p.Rationale),
	}
	if p.Risk != (Coding{}) {
		out.QualitativeRisk = concept(Concept{Codings: []Coding{p.Risk}})
	}
	if p.When != (Period{}) {
		out.WhenPeriod = &samply.Period{Start: moment(p.When.Start), End: moment(p.When.End)}
	}
	if p.Score != "" {
		value := samply.Extension{Url: ScoreExtension, ValueDecimal: number(p.Score)}
		if p.Unit != "" && p.Unit != "1" {
			value.ValueDecimal = nil
			value.ValueQuantity = &samply.Quantity{
				Value: number(p.Score), Unit: opt(p.Unit), System: opt("http://unitsofmeasure.org"), Code: opt(p.Unit),
			}
		}
		out.Extension = []samply.Extension{value}
	}
	if len(p.Trajectory) > 0 {
		out.Extension = append(out.Extension, trajectory(p.Trajectory))
	}
	if p.Finding != nil {
		out.Extension = append(out.Extension, p.Finding.samply())
	}
	return out
}
