package cds

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"galen/models/manifest"
)

// Channels of a series stand step by step, channel by channel, feature by
// feature; each way to fill holds for the values only.
func TestPlanes(t *testing.T) {
	nan := math.NaN()
	steps := [][]float64{{nan, 5, nan}, {7, nan, nan}}
	step, err := manifest.ParseDuration("2h")
	if err != nil {
		t.Fatal(err)
	}
	value, mask, since := manifest.ChannelValue, manifest.ChannelMask, manifest.ChannelSince
	tests := []struct {
		name     string
		fill     manifest.Fill
		channels []manifest.Channel
		want     []float64
	}{
		{"as recorded", manifest.FillNaN, []manifest.Channel{value}, []float64{nan, 7, 5, nan, nan, nan}},
		{"carried forward", manifest.FillForward, []manifest.Channel{value}, []float64{nan, 7, 5, 7, 5, 7}},
		{"zero", manifest.FillZero, []manifest.Channel{value}, []float64{0, 7, 5, 0, 0, 0}},
		{"values, mask and hours since", manifest.FillZero, []manifest.Channel{value, mask, since}, []float64{
			0, 7, 0, 1, nan, 0,
			5, 0, 1, 0, 0, 2,
			0, 0, 0, 0, 2, 4,
		}},
	}
	same := cmp.Comparer(func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) })
	for _, tt := range tests {
		got := planes(&manifest.Series{Step: step, Length: 3, Channels: tt.channels, Fill: tt.fill}, steps)
		if diff := cmp.Diff(tt.want, got, same); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}
