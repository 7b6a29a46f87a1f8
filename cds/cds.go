// Package cds turns evidence about a patient into an assessment: features by
// the model's manifest, tensors, one run of the model, and what its numbers
// mean; then into a FHIR RiskAssessment with its Provenance.
//
// It never guesses. What a model needs and the record does not hold makes the
// result "not assessable" with the names of what is missing; a patient outside
// the model's range makes it "not applicable" with the reason. Every value keeps
// the versioned references it came from, so that an assessment can be replayed.
//
// It does not fetch evidence, decide who may see it, or draw cards.
package cds

import (
	"context"
	"errors"
	"math"
	"strings"
	"time"

	"galen/cds/feature"
	"galen/cds/imaging"
	"galen/fhir"
	"galen/models"
	"galen/models/manifest"
)

// Engine assesses patients with the models of a catalog. It is immutable and
// safe for concurrent use.
type Engine struct {
	extract  *feature.Extractor
	newID    func() string
	pictures Pictures // nil for none
}

// New returns an Engine; newID makes the identifier of each inference, a UUID.
func New(extract *feature.Extractor, newID func() string) *Engine {
	return &Engine{extract: extract, newID: newID}
}

// Status is how an assessment ended.
type Status uint8

// The statuses. Only Assessed has predictions that may be shown.
const (
	Assessed Status = iota + 1
	NotAssessable
	NotApplicable
)

// String names the status as clinicians read it.
func (s Status) String() string {
	return [...]string{"", "assessed", "not assessable", "not applicable"}[s]
}

// Prediction is one output that is an answer about the patient.
type Prediction struct {
	Output *manifest.Output
	Value  float64        // in the output's own scale: 0–1 for a probability
	Band   *manifest.Band // its reading; nil if the output has no bands
	// Trajectory is how it went over the steps of a series; nil without one.
	Trajectory []TimedPrediction
	Finding    *Finding // what it is about, of a model that reads notes
}

// Contribution is the part of one feature in the headline prediction.
type Contribution struct {
	Feature *manifest.Feature
	Amount  float64 // in the contribution output's Scale
	Scale   string
}

// Assessment is the outcome of one model on one patient at one time.
type Assessment struct {
	ID            string // UUID of the inference
	Model         *models.Info
	PatientID     string
	At            time.Time
	Status        Status
	Reason        string // why not Assessed; names features, holds no value
	Features      []feature.Value
	Predictions   []Prediction   // in the manifest's order; empty unless Assessed
	Contributions []Contribution // greatest first; empty if the model explains nothing
	// Outputs are the model's single numbers by name, auxiliary ones included;
	// nil unless it ran. Unlike Predictions they may lie where the model does not
	// apply: they say what was computed, not what to show.
	Outputs map[string]float64

	began time.Time              // of the series
	steps map[string][][]float64 // of each series input, by feature and step

	pictures map[string]imaging.Picture // of each image input
	notes    []string                   // citations of the notes that were read
}

// Headline is the prediction that decides summary and indicator.
func (a *Assessment) Headline() *Prediction {
	for i := range a.Predictions {
		if a.Predictions[i].Output.Report == manifest.ReportHeadline {
			return &a.Predictions[i]
		}
	}
	return nil
}

// Citations are the versioned references of every resource the features came
// from, each once, in the features' order: RiskAssessment.basis.
func (a *Assessment) Citations() []string {
	var out []string
	seen := map[string]bool{}
	for i := range a.Features {
		for _, c := range a.Features[i].Sources {
			if !seen[c] {
				seen[c] = true
				out = append(out, c)
			}
		}
	}
	for i := range a.Model.Manifest.Inputs {
		if p, ok := a.pictures[a.Model.Manifest.Inputs[i].Name]; ok {
			out = append(out, p.Citation, p.Endpoint)
		}
	}
	return append(out, a.notes...)
}

// Assess runs a model on the evidence as of a moment. Missing or unfit evidence
// is a result, not an error. An error is an *fhir.Error: Unavailable or Timeout
// when the model is busy or too slow or an image archive does not answer,
// Unprocessable when it gives no finite answer, NotSupported for a kind of input
// that evidence cannot fill, Internal.
func (e *Engine) Assess(ctx context.Context, model *models.Model, ev feature.Evidence, at time.Time) (*Assessment, error) {
	info := model.Info()
	m := info.Manifest
	a := &Assessment{ID: e.newID(), Model: info, PatientID: ev.PatientID, At: at, Features: e.extract.Extract(m.Features, ev, at)}
	for i := range m.Inputs {
		if m.Inputs[i].Series != nil {
			e.addSeries(&m.Inputs[i], a, ev)
		}
	}
	if lacking := m.Lacking(a.present); len(lacking) > 0 {
		return a.end(NotAssessable, strings.Join(lacking, ", ")+" missing"), nil
	}
	for _, limit := range m.Applicable {
		if v, ok := a.feature(limit.Feature); ok && !limit.Contains(v) {
			return a.end(NotApplicable, limit.Reason), nil
		}
	}
	if in := reads(m); in != nil {
		return e.findings(ctx, model, in, a, ev)
	}
	if reason, err := e.addPictures(ctx, a, ev); err != nil || reason != "" {
		return a.end(NotAssessable, reason), err
	}
	in, err := tensors(m, a)
	if err != nil {
		return nil, err
	}
	out, err := model.Predict(ctx, in)
	if err != nil {
		return nil, modelError(err)
	}
	return a.read(out), nil
}

func (a *Assessment) end(s Status, reason string) *Assessment {
	a.Status, a.Reason = s, reason
	return a
}

func (a *Assessment) present(name string) bool {
	for i := range a.Features {
		if a.Features[i].Feature.Name == name {
			return a.Features[i].Present()
		}
	}
	return false
}

// feature is a feature's number, false if there is none.
func (a *Assessment) feature(name string) (float64, bool) {
	for i := range a.Features {
		if v := &a.Features[i]; v.Feature.Name == name {
			return v.Number, !math.IsNaN(v.Number)
		}
	}
	return 0, false
}

// read gives the output tensors their meaning.
func (a *Assessment) read(out []models.Tensor) *Assessment {
	m := a.Model.Manifest
	scalar := func(name string) (float64, bool) {
		_, i, ok := m.Output(name)
		if !ok {
			return 0, false
		}
		row, ok := out[i].Floats(0)
		return first(row), ok && len(row) > 0 && !math.IsNaN(row[0])
	}
	a.Outputs = map[string]float64{}
	for i := range m.Outputs {
		if x, ok := scalar(m.Outputs[i].Name); ok && m.Outputs[i].Meaning != manifest.Contribution && m.Outputs[i].Meaning != manifest.Trajectory {
			a.Outputs[m.Outputs[i].Name] = x
		}
	}
	for _, limit := range m.Applicable {
		if v, ok := scalar(limit.Output); limit.Output != "" && ok && !limit.Contains(v) {
			return a.end(NotApplicable, limit.Reason)
		}
	}
	for i := range m.Outputs {
		o := &m.Outputs[i]
		row, ok := out[i].Floats(0)
		switch {
		case !ok || len(row) == 0:
		case o.Meaning == manifest.Contribution:
			a.explain(o, row)
		case o.Prediction() && !math.IsNaN(row[0]):
			p := Prediction{Output: o, Value: row[0]}
			p.Band, _ = o.Band(row[0], scalar)
			a.Predictions = append(a.Predictions, p)
		}
	}
	for i := range m.Outputs {
		if row, ok := out[i].Floats(0); ok && m.Outputs[i].Meaning == manifest.Trajectory {
			a.follow(&m.Outputs[i], row)
		}
	}
	if a.Headline() == nil {
		a.Predictions = nil
		return a.end(NotAssessable, "the model gave no answer")
	}
	a.Status = Assessed
	return a
}

func first(row []float64) float64 {
	if len(row) == 0 {
		return math.NaN()
	}
	return row[0]
}

// modelError gives an error of models the kind that a client can act on.
func modelError(err error) error {
	const op = "cds.Assess"
	kind := fhir.Internal
	switch models.KindOf(err) {
	case models.Busy:
		kind = fhir.Throttled
	case models.Timeout:
		kind = fhir.Timeout
	case models.NotFinite:
		kind = fhir.Unprocessable
	case models.NotFound:
		kind = fhir.Unavailable
	}
	var cause *models.Error
	at := ""
	if errors.As(err, &cause) {
		at = cause.Model
	}
	return &fhir.Error{Op: op, Kind: kind, At: at, Err: err}
}
