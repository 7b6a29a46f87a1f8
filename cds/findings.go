package cds

import (
	"context"
	"slices"

	"galen/cds/feature"
	"galen/cds/text"
	"galen/models"
	"galen/models/manifest"
)

// Finding is a diagnosis or symptom that a note mentions.
type Finding struct {
	text.Mention
	Citation   string // of the note's resource
	Part       string // FHIRPath of what holds the text
	Historical bool   // past rather than present
}

// The outputs of a model of findings besides its headline.
const historicalOutput = "historical"

// reads returns the input that takes mentions, nil if the model reads no notes.
func reads(m *manifest.Manifest) *manifest.Input {
	for i := range m.Inputs {
		if t := m.Inputs[i].Text; t != nil && t.Hashes > 0 && len(m.Inputs) == 1 {
			return &m.Inputs[i]
		}
	}
	return nil
}

// findings runs a model on every mention of a finding in the patient's notes: a
// prediction for each.
func (e *Engine) findings(ctx context.Context, model *models.Model, in *manifest.Input, a *Assessment, ev feature.Evidence) (*Assessment, error) {
	notes := text.Notes(ev)
	if len(notes) == 0 {
		return a.end(NotAssessable, "notes missing (DocumentReference, DiagnosticReport or Composition with text)"), nil
	}
	lexicon := text.NewLexicon(ev.Terms...)
	var found []Finding
	var numbers []int64
	for _, n := range notes {
		for _, m := range lexicon.Mentions(n.Text, in.Text.Hashes, in.Text.MaxTokens) {
			found = append(found, Finding{Mention: m, Citation: n.Citation, Part: n.Part})
			numbers = append(numbers, m.Numbers...)
			numbers = append(numbers, make([]int64, int(in.Text.MaxTokens)-len(m.Numbers))...)
		}
		for _, c := range []string{n.Citation, n.Binary} {
			if c != "" && !slices.Contains(a.notes, c) {
				a.notes = append(a.notes, c)
			}
		}
	}
	if len(found) == 0 {
		return a.end(NotAssessable, "the notes mention no finding of the list of terms"), nil
	}
	tensor, err := models.NewTensor([]int64{int64(len(found)), in.Text.MaxTokens}, numbers)
	if err != nil {
		return nil, err
	}
	out, err := model.Predict(ctx, []models.Tensor{tensor})
	if err != nil {
		return nil, modelError(err)
	}
	return a.mention(found, out), nil
}

// mention makes a prediction of each finding.
func (a *Assessment) mention(found []Finding, out []models.Tensor) *Assessment {
	m := a.Model.Manifest
	headline, at := m.Headline()
	_, past, hasPast := m.Output(historicalOutput)
	none := func(string) (float64, bool) { return 0, false }
	for i := range found {
		row, ok := out[at].Floats(i)
		if !ok || len(row) == 0 {
			continue
		}
		if hasPast {
			p, ok := out[past].Floats(i)
			found[i].Historical = ok && len(p) > 0 && p[0] >= 0.5
		}
		p := Prediction{Output: headline, Value: row[0], Finding: &found[i]}
		p.Band, _ = headline.Band(row[0], none)
		a.Predictions = append(a.Predictions, p)
	}
	a.Status = Assessed
	return a
}
