package chart_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"galen/server/console/chart"
)

// A series runs from its oldest value on the left to its newest on the right,
// the greatest at the top; what is no number is not drawn.
func TestLay(t *testing.T) {
	at := func(day int) time.Time { return time.Date(2026, 3, day, 0, 0, 0, 0, time.UTC) }
	cases := []struct {
		name string
		in   []chart.Point
		want chart.Line
	}{
		{"none", nil, chart.Line{}},
		{"one is in the middle", []chart.Point{{at(1), 5, "five"}}, chart.Line{
			Dots: []chart.Dot{{"160.0", "48.0", "five"}}, Low: "5", High: "5", First: "1 Mar 2026", Last: "1 Mar 2026",
		}},
		{"out of order, with a gap", []chart.Point{{at(3), 10, "ten"}, {at(2), math.NaN(), "gap"}, {at(1), 0, "nought"}}, chart.Line{
			Path: "M8.0 88.0 L312.0 8.0", Dots: []chart.Dot{{"8.0", "88.0", "nought"}, {"312.0", "8.0", "ten"}},
			Low: "0", High: "10", First: "1 Mar 2026", Last: "3 Mar 2026",
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, chart.Lay(c.in)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
