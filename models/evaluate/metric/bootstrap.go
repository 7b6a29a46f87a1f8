package metric

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Figure is an estimate with its 95 % interval.
type Figure struct {
	Value, Low, High float64
}

// Bootstrap resamples the cases and gives each statistic with the 2.5th and
// 97.5th percentile of its resamples; the same seed gives the same interval.
// Resamples in which a statistic does not exist are left out; with fewer than 20
// left the interval is NaN.
func Bootstrap(cases []Case, resamples int, seed uint64, statistics ...func([]Case) float64) []Figure {
	random := rand.New(rand.NewPCG(seed, 0))
	values := make([][]float64, len(statistics))
	sample := make([]Case, len(cases))
	for range resamples {
		for i := range sample {
			sample[i] = cases[random.IntN(len(cases))]
		}
		for j, statistic := range statistics {
			if x := statistic(sample); !math.IsNaN(x) && !math.IsInf(x, 0) {
				values[j] = append(values[j], x)
			}
		}
	}
	out := make([]Figure, len(statistics))
	for j, statistic := range statistics {
		out[j] = Figure{statistic(cases), percentile(values[j], 0.025), percentile(values[j], 0.975)}
	}
	return out
}

func percentile(values []float64, q float64) float64 {
	if len(values) < 20 {
		return math.NaN()
	}
	slices.Sort(values)
	at := q * float64(len(values)-1)
	low := int(at)
	if low+1 == len(values) {
		return values[low]
	}
	return values[low] + (at-float64(low))*(values[low+1]-values[low])
}
