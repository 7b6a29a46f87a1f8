package feature

import (
	"math"
	"slices"
	"strings"
	"time"

	"galen/models/manifest"
)

// Series is what was recorded of some features, step by step.
type Series struct {
	Begin  time.Time   // of the first step
	Guess  bool        // no stay is on record: Begin is the time of the first value
	Values []Value     // by feature: the latest value, with the citations of all that count
	Steps  [][]float64 // by feature and step, in the feature's unit; NaN where nothing was recorded
}

// Series reads features into the steps of s, from begin on: zero is the time of
// their first value. Nothing after the assessment counts.
func (x *Extractor) Series(features []*manifest.Feature, s *manifest.Series, ev Evidence, at, begin time.Time) Series {
	out := Series{Begin: begin, Values: make([]Value, len(features)), Steps: make([][]float64, len(features))}
	all, index := make([][]candidate, len(features)), byCode(ev.Items)
	for i, f := range features {
		g := gatherer{feature: f, units: x.units, patient: ev.PatientID, at: at, born: born(ev)}
		for _, j := range index.of(f) {
			g.item(&ev.Items[j])
		}
		all[i] = g.candidates
		out.Values[i] = Value{Feature: f, Number: math.NaN(), Rejected: g.rejected}
	}
	if begin.IsZero() {
		out.Begin, out.Guess = firstOf(all), true
	}
	ends := make([]time.Time, s.Length)
	for i, t := 0, out.Begin; i < len(ends); i++ {
		t = s.Step.After(t)
		ends[i] = t
	}
	for i := range features {
		out.Steps[i] = out.Values[i].steps(all[i], out.Begin, ends)
	}
	return out
}

// firstOf is the time of the earliest value, zero if there is none.
func firstOf(all [][]candidate) (first time.Time) {
	for _, list := range all {
		for _, c := range list {
			if !c.time.IsZero() && (first.IsZero() || c.time.Before(first)) {
				first = c.time
			}
		}
	}
	return first
}

// steps sorts candidates into steps and makes one number of each step; the value
// is the latest of all.
func (v *Value) steps(all []candidate, begin time.Time, ends []time.Time) []float64 {
	slices.SortFunc(all, func(a, b candidate) int { // the same evidence gives the same sums
		if c := a.time.Compare(b.time); c != 0 {
			return c
		}
		return strings.Compare(a.citation, b.citation)
	})
	in := make([][]candidate, len(ends))
	last := len(ends) - 1
	for _, c := range all {
		step, _ := slices.BinarySearchFunc(ends, c.time, func(end, t time.Time) int {
			if end.After(t) {
				return 1
			}
			return -1
		})
		if step == len(ends) && c.time.Equal(ends[last]) {
			step = last
		}
		if c.time.Before(begin) || step > last {
			v.Rejected = append(v.Rejected, Rejection{c.citation, reasonOutside})
			continue
		}
		in[step] = append(in[step], c)
		v.Sources = append(v.Sources, c.citation)
		v.Status, v.Number, v.Time, v.Recorded, v.Note = Found, c.number, c.time, c.recorded, c.note
	}
	out := make([]float64, len(ends))
	for i, list := range in {
		one := Value{Feature: v.Feature, Number: math.NaN()}
		if len(list) > 0 {
			one.aggregate(slices.Clone(list))
		}
		out[i] = one.Number
	}
	return out
}
