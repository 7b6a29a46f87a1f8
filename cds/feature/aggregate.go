package feature

import (
	"slices"
	"strings"

	"galen/models/manifest"
)

// aggregate makes the feature's value of its candidates.
func (v *Value) aggregate(all []candidate) {
	f := v.Feature
	if len(all) == 0 {
		if f.Kind.Recorded() || f.Aggregate == manifest.Count || f.Aggregate == manifest.Any {
			v.Status, v.Number = Found, 0
		}
		return
	}
	// Newest first; of one time the preferred code, then a fixed order, so that
	// the same evidence always gives the same value.
	slices.SortFunc(all, func(a, b candidate) int {
		if c := b.time.Compare(a.time); c != 0 {
			return c
		}
		if a.code != b.code {
			return a.code - b.code
		}
		return strings.Compare(a.citation, b.citation)
	})
	v.Status = Found
	switch f.Aggregate {
	case manifest.Earliest:
		v.take(all[len(all)-1])
	case manifest.Mean:
		v.whole(all, mean(all))
	case manifest.Sum:
		v.whole(all, mean(all)*float64(len(all)))
	case manifest.Min:
		v.take(slices.MinFunc(all, byNumber))
	case manifest.Max:
		v.take(slices.MaxFunc(all, byNumber))
	case manifest.Count:
		v.whole(all, float64(len(all)))
	case manifest.Any:
		v.whole(all, 1)
	default: // latest
		v.take(all[0])
	}
}

func byNumber(a, b candidate) int {
	switch {
	case a.number < b.number:
		return -1
	case a.number > b.number:
		return 1
	}
	return 0
}

func mean(all []candidate) float64 {
	sum := 0.0
	for _, c := range all {
		sum += c.number
	}
	return sum / float64(len(all))
}

// take makes one candidate the value.
func (v *Value) take(c candidate) {
	v.Number, v.Time, v.Recorded, v.Note, v.Sources = c.number, c.time, c.recorded, c.note, []string{c.citation}
}

// whole makes a number of all candidates the value; its time is the newest.
func (v *Value) whole(all []candidate, number float64) {
	v.Number, v.Time = number, all[0].time
	for _, c := range all {
		v.Sources = append(v.Sources, c.citation)
	}
}
