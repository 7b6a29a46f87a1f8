// Package feature reads the inputs of a model out of FHIR resources: each by
// its codes, in its unit, within its window and plausible range, with the
// versioned reference of every resource it came from.
//
// A value that cannot be trusted (another patient's, entered in error, without
// a unit, in a unit that does not convert, implausible, in the future) is never
// used and never silently dropped: it is listed with the reason. What is not
// there is missing, which is a result and not a zero.
//
// It knows FHIR and the manifest's feature specifications, and nothing of
// tensors or models.
package feature

import (
	"math"
	"time"

	"galen/fhir"
	"galen/fhir/ucum"
	"galen/models/manifest"
)

// Item is one resource of the evidence and how it is cited.
type Item struct {
	Resource fhir.Resource
	Citation string // versioned reference, relative or absolute: "Observation/1/_history/2"
}

// Evidence is what is known of one patient. A zero Patient is allowed: features
// that need it are then missing.
type Evidence struct {
	PatientID string // logical id; resources about anyone else are rejected
	Patient   Item
	Items     []Item
	// Unavailable are resource types of which there may be more than Items has,
	// because they could not be had. That a record has no such thing is then not
	// known.
	Unavailable []string
	// Terms are further words to look for in notes, beside the list of cds/text.
	Terms []string
}

// unknown reports whether what Items lacks may exist.
func (ev *Evidence) unknown(kind manifest.FeatureKind) bool {
	for _, t := range ev.Unavailable {
		if sources[t].carries(kind) {
			return true
		}
	}
	return false
}

// Status is how a feature got its value.
type Status uint8

// The statuses. The zero Status is Missing.
const (
	Missing   Status = iota // nothing usable: Number is NaN
	Found                   // from the record
	Defaulted               // nothing usable: Number is what the manifest assumes
)

// Rejection is a resource that carries the feature's code and was not used.
type Rejection struct {
	Citation string
	Reason   string // for people; holds no value
}

// Value is one feature of one patient.
type Value struct {
	Feature  *manifest.Feature
	Status   Status
	Number   float64   // in Feature.Unit; NaN when Missing
	Time     time.Time // when it was true; zero if Missing, Defaulted or timeless
	Recorded string    // as the record has it, "88.4 umol/L"; "" when computed from several
	Note     string    // for people: what was assumed or how it was read; may be ""
	Sources  []string  // citations, for RiskAssessment.basis
	Rejected []Rejection
}

// Present reports whether the value came from the record.
func (v *Value) Present() bool { return v.Status == Found }

// Extractor reads features. It is immutable and safe for concurrent use.
type Extractor struct{ units *ucum.Table }

// New returns an Extractor that converts units by the table.
func New(units *ucum.Table) *Extractor { return &Extractor{units} }

// Extract reads every feature as of a moment; values and features correspond by
// position. It cannot fail: what goes wrong is in the values.
func (x *Extractor) Extract(features []manifest.Feature, ev Evidence, at time.Time) []Value {
	out := make([]Value, len(features))
	index := byCode(ev.Items)
	for i := range features {
		out[i] = x.one(&features[i], ev, index, at)
	}
	return out
}

func (x *Extractor) one(f *manifest.Feature, ev Evidence, index coded, at time.Time) Value {
	v := Value{Feature: f, Number: math.NaN()}
	switch f.Kind {
	case manifest.Age:
		v.age(ev, at)
	case manifest.Sex:
		v.sex(ev)
	case manifest.Race:
		v.race(ev)
	case manifest.Stay:
		v.stay(ev, at)
	default:
		g := gatherer{feature: f, units: x.units, patient: ev.PatientID, at: at, born: born(ev)}
		for _, i := range index.of(f) {
			g.item(&ev.Items[i])
		}
		v.Rejected = g.rejected
		if len(g.candidates) > 0 || !ev.unknown(f.Kind) {
			v.aggregate(g.candidates)
		}
	}
	v.check()
	if v.Status == Missing && f.Missing == manifest.MissingDefault && f.Default != nil {
		v.Status, v.Number, v.Note = Defaulted, *f.Default, f.DefaultNote
	}
	return v
}

// check rejects an age or other whole value outside the plausible range;
// observations were checked one by one.
func (v *Value) check() {
	if v.Status != Found || v.Feature.Plausible == nil || v.Feature.Plausible.Contains(v.Number) {
		return
	}
	for _, s := range v.Sources {
		v.Rejected = append(v.Rejected, Rejection{s, reasonImplausible})
	}
	*v = Value{Feature: v.Feature, Number: math.NaN(), Rejected: v.Rejected}
}

// The reasons of a Rejection.
const (
	reasonImplausible = "outside the plausible range"
	reasonPatient     = "about another patient"
	reasonStatus      = "its status says not to use it"
	reasonNoValue     = "has no usable value"
	reasonNoUnit      = "has no unit"
	reasonUnit        = "its unit does not convert"
	reasonComparator  = "is a limit (< or >), not a value"
	reasonCategory    = "its coded value is not known to the model"
	reasonFuture      = "lies after the time of assessment"
	reasonOld         = "is too old"
	reasonOutside     = "lies outside the time that the model looks at"
	reasonNoTime      = "has no time"
)
