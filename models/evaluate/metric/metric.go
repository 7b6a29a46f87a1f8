// Package metric computes how well scores tell those with an outcome from those
// without it, and how well probabilities agree with what happened: discrimination,
// calibration and net benefit, with intervals by bootstrap.
//
// Every function takes scores and outcomes of the same length and gives NaN where
// a figure does not exist, as with only one class. It knows nothing of models.
package metric

import (
	"cmp"
	"math"
	"slices"
)

// Case is one patient.
type Case struct {
	Score   float64 // higher means more likely; a probability where one is needed
	Outcome bool
}

// events counts the outcomes.
func events(cases []Case) int {
	n := 0
	for _, c := range cases {
		if c.Outcome {
			n++
		}
	}
	return n
}

// ranked is cases by score, highest first.
func ranked(cases []Case) []Case {
	out := slices.Clone(cases)
	slices.SortFunc(out, func(a, b Case) int { return cmp.Compare(b.Score, a.Score) })
	return out
}

// Point is a point of a curve.
type Point struct {
	X, Y float64
	At   float64 // the threshold: scores of At and above count as positive
}

// ROC is sensitivity (Y) against 1 − specificity (X), from (0,0) to (1,1), one
// point for each distinct score.
func ROC(cases []Case) []Point {
	positives := float64(events(cases))
	negatives := float64(len(cases)) - positives
	out := []Point{{0, 0, math.Inf(1)}}
	var tp, fp float64
	sorted := ranked(cases)
	for i, c := range sorted {
		if c.Outcome {
			tp++
		} else {
			fp++
		}
		if i+1 == len(sorted) || sorted[i+1].Score != c.Score {
			out = append(out, Point{fp / negatives, tp / positives, c.Score})
		}
	}
	return out
}

// AUC is the area under the ROC curve: the chance that one with the outcome scores
// higher than one without it, ties counting half (the C statistic).
func AUC(cases []Case) float64 {
	area := 0.0
	points := ROC(cases)
	for i := 1; i < len(points); i++ {
		area += (points[i].X - points[i-1].X) * (points[i].Y + points[i-1].Y) / 2
	}
	if n := events(cases); n == 0 || n == len(cases) {
		return math.NaN()
	}
	return area
}

// PR is precision (Y) against recall (X), one point for each distinct score.
func PR(cases []Case) []Point {
	positives := float64(events(cases))
	var out []Point
	var tp, n float64
	sorted := ranked(cases)
	for i, c := range sorted {
		n++
		if c.Outcome {
			tp++
		}
		if i+1 == len(sorted) || sorted[i+1].Score != c.Score {
			out = append(out, Point{tp / positives, tp / n, c.Score})
		}
	}
	return out
}

// AveragePrecision is the area under the PR curve as a sum of steps.
func AveragePrecision(cases []Case) float64 {
	if events(cases) == 0 {
		return math.NaN()
	}
	sum, last := 0.0, 0.0
	for _, p := range PR(cases) {
		sum += (p.X - last) * p.Y
		last = p.X
	}
	return sum
}

// Brier is the mean squared error of the probabilities.
func Brier(cases []Case) float64 {
	sum := 0.0
	for _, c := range cases {
		sum += (c.Score - indicator(c.Outcome)) * (c.Score - indicator(c.Outcome))
	}
	return sum / float64(len(cases))
}

func indicator(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// ObservedExpected is the number of outcomes over the sum of probabilities.
func ObservedExpected(cases []Case) float64 {
	sum := 0.0
	for _, c := range cases {
		sum += c.Score
	}
	return float64(events(cases)) / sum
}

// Bin is a group of cases of neighbouring scores.
type Bin struct {
	N        int
	Expected float64 // mean probability
	Observed float64 // share with the outcome
}

// Calibration groups the cases by score into n bins of equal size.
func Calibration(cases []Case, n int) []Bin {
	sorted := ranked(cases)
	slices.Reverse(sorted)
	var out []Bin
	for i := range n {
		part := sorted[i*len(sorted)/n : (i+1)*len(sorted)/n]
		if len(part) == 0 {
			continue
		}
		b := Bin{N: len(part), Observed: float64(events(part)) / float64(len(part))}
		for _, c := range part {
			b.Expected += c.Score / float64(len(part))
		}
		out = append(out, b)
	}
	return out
}

// ECE is the expected calibration error over n bins: the mean distance between
// expected and observed, weighted by size.
func ECE(cases []Case, n int) float64 {
	sum := 0.0
	for _, b := range Calibration(cases, n) {
		sum += math.Abs(b.Expected-b.Observed) * float64(b.N)
	}
	return sum / float64(len(cases))
}

// Recalibration is the logistic regression of the outcome on the logit of the
// probability: slope 1 and intercept 0 are perfect; a slope below 1 says that the
// probabilities are too extreme.
func Recalibration(cases []Case) (intercept, slope float64) {
	if n := events(cases); n == 0 || n == len(cases) {
		return math.NaN(), math.NaN()
	}
	a, b := 0.0, 1.0
	for range 50 {
		var ga, gb, haa, hab, hbb float64
		for _, c := range cases {
			x := logit(c.Score)
			p := 1 / (1 + math.Exp(-a-b*x))
			w, r := p*(1-p), indicator(c.Outcome)-p
			ga, gb = ga+r, gb+r*x
			haa, hab, hbb = haa+w, hab+w*x, hbb+w*x*x
		}
		det := haa*hbb - hab*hab
		if det < 1e-12 {
			return math.NaN(), math.NaN()
		}
		da, db := (hbb*ga-hab*gb)/det, (haa*gb-hab*ga)/det
		a, b = a+da, b+db
		if math.Abs(da)+math.Abs(db) < 1e-10 {
			return a, b
		}
	}
	return math.NaN(), math.NaN() // the classes can be told apart: no maximum
}

// logit keeps 0 and 1 finite.
func logit(p float64) float64 {
	const edge = 1e-9
	p = min(max(p, edge), 1-edge)
	return math.Log(p / (1 - p))
}

// NetBenefit is the decision curve: at each threshold probability t, true
// positives less false positives weighted by t/(1−t), per patient, of acting on
// the model (Y), beside which All is that of acting on everybody; on nobody it is 0
// (Vickers and Elkin 2006).
func NetBenefit(cases []Case, thresholds []float64) (model, all []Point) {
	n := float64(len(cases))
	share := float64(events(cases)) / n
	for _, t := range thresholds {
		var tp, fp float64
		for _, c := range cases {
			switch {
			case c.Score < t:
			case c.Outcome:
				tp++
			default:
				fp++
			}
		}
		odds := t / (1 - t)
		model = append(model, Point{t, tp/n - fp/n*odds, t})
		all = append(all, Point{t, share - (1-share)*odds, t})
	}
	return model, all
}

// Operating is what a threshold means in practice.
type Operating struct {
	Threshold                          float64
	Sensitivity, Specificity, PPV, NPV float64
	Positives                          int
}

// At counts the cases at a threshold.
func At(cases []Case, threshold float64) Operating {
	var tp, fp, fn, tn float64
	for _, c := range cases {
		switch positive := c.Score >= threshold; {
		case positive && c.Outcome:
			tp++
		case positive:
			fp++
		case c.Outcome:
			fn++
		default:
			tn++
		}
	}
	return Operating{threshold, tp / (tp + fn), tn / (tn + fp), tp / (tp + fp), tn / (tn + fn), int(tp + fp)}
}
