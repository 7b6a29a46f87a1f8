package cds

import (
	"math"
	"time"

	"galen/cds/feature"
	"galen/models/manifest"
)

// addSeries reads the series that an input asks for: its features in the
// assessment become those of the series, and age and stay those of its beginning.
func (e *Engine) addSeries(in *manifest.Input, a *Assessment, ev feature.Evidence) {
	m, s := a.Model.Manifest, in.Series
	begin := time.Time{}
	switch stay := a.value(s.From); {
	case s.From == "":
		begin = a.At
		for range s.Length {
			begin = s.Step.Before(begin)
		}
	case stay != nil && stay.Status == feature.Found:
		begin = stay.Time
	}
	var features []*manifest.Feature
	for _, name := range s.Features {
		if f, ok := m.Feature(name); ok {
			features = append(features, f)
		}
	}
	series := e.extract.Series(features, s, ev, a.At, begin)
	for i := range series.Values {
		if v := a.value(series.Values[i].Feature.Name); v != nil {
			*v = series.Values[i]
		}
	}
	a.began, a.steps = series.Begin, map[string][][]float64{in.Name: series.Steps}
	if s.From != "" && !series.Begin.IsZero() {
		e.asOf(a, ev, series)
	}
}

// asOf makes ages those at the beginning of a series, and counts a stay that is
// not on record from there.
func (e *Engine) asOf(a *Assessment, ev feature.Evidence, s feature.Series) {
	for i := range a.Features {
		v := &a.Features[i]
		switch {
		case v.Feature.Kind == manifest.Age:
			*v = e.extract.Extract([]manifest.Feature{*v.Feature}, ev, s.Begin)[0]
			v.Feature = &a.Model.Manifest.Features[i]
		case v.Feature.Kind == manifest.Stay && s.Guess:
			v.Status, v.Number = feature.Defaulted, a.At.Sub(s.Begin).Hours()
			v.Note = "no stay in hospital is on record; counted from the first value"
		}
	}
}

// value is a feature's value, nil if there is no such feature.
func (a *Assessment) value(name string) *feature.Value {
	for i := range a.Features {
		if a.Features[i].Feature.Name == name {
			return &a.Features[i]
		}
	}
	return nil
}

// planes writes the channels of a series for one patient: step by step, channel
// by channel, feature by feature.
func planes(s *manifest.Series, steps [][]float64) []float64 {
	n, width := int(s.Length), len(s.Channels)*len(steps)
	out := make([]float64, n*width)
	hours := s.Step.After(time.Unix(0, 0)).Sub(time.Unix(0, 0)).Hours()
	for f, row := range steps {
		last, since := math.NaN(), math.NaN()
		for t, x := range row {
			recorded := !math.IsNaN(x)
			if since += hours; recorded {
				last, since = x, 0
			}
			for c, channel := range s.Channels {
				out[t*width+c*len(steps)+f] = plane(channel, s.Fill, x, last, since)
			}
		}
	}
	return out
}

func plane(c manifest.Channel, fill manifest.Fill, x, last, since float64) float64 {
	recorded := !math.IsNaN(x)
	switch {
	case c == manifest.ChannelSince:
		return since
	case c == manifest.ChannelMask && recorded:
		return 1
	case c == manifest.ChannelMask:
		return 0
	case recorded:
		return x
	case fill == manifest.FillForward:
		return last
	case fill == manifest.FillZero:
		return 0
	}
	return math.NaN()
}

// TimedPrediction is a prediction as of a moment in the past.
type TimedPrediction struct {
	At    time.Time // the end of the step, or the assessment if that is earlier
	Value float64   // in the scale of the output it is one of
}

// follow adds a trajectory to its prediction: the steps that have ended, or that
// the assessment lies in.
func (a *Assessment) follow(o *manifest.Output, row []float64) {
	s := a.Model.Manifest.Series()
	for i := range a.Predictions {
		p := &a.Predictions[i]
		if p.Output.Name != o.Of || s == nil || a.began.IsZero() {
			continue
		}
		begin := a.began
		for _, x := range row {
			if !begin.Before(a.At) {
				break
			}
			begin = s.Step.After(begin)
			end := begin
			if end.After(a.At) {
				end = a.At
			}
			p.Trajectory = append(p.Trajectory, TimedPrediction{end, x})
		}
	}
}
