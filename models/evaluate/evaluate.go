// Package evaluate runs a model on a cohort whose outcomes are known and reports
// how well it did: as data, and as one HTML file that needs nothing else.
//
// It promises that whoever the model would not assess (inputs missing, outside
// its range, no finite answer) is counted with the reason and never scored; that
// figures carry 95 % bootstrap intervals; and that the same input gives the same
// report. It reads tabular models only.
package evaluate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"galen/models"
	"galen/models/evaluate/metric"
	"galen/models/manifest"
)

// Options are what an evaluation may be told.
type Options struct {
	Output    string // output to evaluate; "" is the headline
	Resamples int    // of the bootstrap; 0 is 1,000
	Seed      uint64
	Now       time.Time // stands in the report
}

// Report is the outcome of an evaluation.
type Report struct {
	Model    string    `json:"model"` // name@version
	Title    string    `json:"title"`
	Digest   string    `json:"sha256"`
	Output   string    `json:"output"`
	Label    string    `json:"label"`
	Cohort   string    `json:"cohort"`
	SHA256   string    `json:"cohort_sha256"`
	At       time.Time `json:"at"`
	Patients int       `json:"patients"`

	Excluded  []Excluded `json:"excluded,omitempty"`
	Overall   Group      `json:"overall"`
	Subgroups []Group    `json:"subgroups,omitempty"`

	// Probability says that the output is one, so that calibration means something.
	Probability bool           `json:"probability"`
	ROC         []metric.Point `json:"-"`
	PR          []metric.Point `json:"-"`
	Calibration []metric.Bin   `json:"calibration,omitempty"`
	Benefit     []metric.Point `json:"-"`
	TreatAll    []metric.Point `json:"-"`
	Operating   []Operating    `json:"operating_points,omitempty"`
}

// Excluded is how many were not scored, and why.
type Excluded struct {
	Reason string `json:"reason"`
	N      int    `json:"n"`
}

// Group is the figures of the whole cohort or a part of it.
type Group struct {
	Name      string   `json:"name"`
	N         int      `json:"n"`
	Events    int      `json:"events"`
	AUC       Interval `json:"auc"`
	AP        Interval `json:"average_precision"`
	Brier     Interval `json:"brier"`
	Slope     Interval `json:"calibration_slope"`
	Intercept Interval `json:"calibration_intercept"`
	OE        Interval `json:"observed_expected"`
}

// Interval is a figure with its 95 % interval; what does not exist is null in
// JSON.
type Interval struct {
	Value *float64 `json:"value"`
	Low   *float64 `json:"low"`
	High  *float64 `json:"high"`
}

func interval(f metric.Figure) Interval {
	return Interval{number(f.Value), number(f.Low), number(f.High)}
}

func number(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

// errKind says what cannot be evaluated.
var errKind = errors.New("only models with one tabular input can be evaluated from a table")

// scored is a patient that the model assessed.
type scored struct {
	metric.Case
	row int
}

// Run evaluates a model on a cohort. Errors: of models, and for a model or output
// that cannot be evaluated.
func Run(ctx context.Context, model *models.Model, cohort *Cohort, opts Options) (*Report, error) {
	info := model.Info()
	m := info.Manifest
	output, at := m.Headline()
	if opts.Output != "" {
		var ok bool
		if output, at, ok = m.Output(opts.Output); !ok {
			return nil, fmt.Errorf("the model has no output %q", opts.Output)
		}
	}
	if len(m.Inputs) != 1 || len(m.Inputs[0].Columns) == 0 || !output.Prediction() || output.Meaning == manifest.Class {
		return nil, errKind
	}
	if opts.Resamples <= 0 {
		opts.Resamples = 1000
	}
	s := scorer{model: model, cohort: cohort, at: at, excluded: map[string]int{}}
	cases, err := s.score(ctx)
	if err != nil {
		return nil, err
	}
	r := &Report{
		Model: info.Ref.String(), Title: m.Title, Digest: info.Digest, Output: output.Name, Label: output.Label,
		Cohort: cohort.Name, SHA256: cohort.SHA256, At: opts.Now, Patients: len(cohort.Outcome),
		Probability: output.Meaning == manifest.Probability, Excluded: s.reasons(),
	}
	if len(cases) == 0 {
		return nil, errors.New("the model assessed nobody of the cohort")
	}
	r.figures(cases, output, opts)
	r.subgroups(cases, cohort, opts)
	return r, nil
}

// bins is how many groups a calibration curve has.
const bins = 10

func (r *Report) figures(cases []scored, output *manifest.Output, opts Options) {
	all := plain(cases)
	r.Overall = r.group("all", all, opts)
	r.ROC, r.PR = metric.ROC(all), metric.PR(all)
	if r.Probability {
		r.Calibration = metric.Calibration(all, bins)
		var thresholds []float64
		for t := 1; t < 100; t++ {
			thresholds = append(thresholds, float64(t)/100)
		}
		r.Benefit, r.TreatAll = metric.NetBenefit(all, thresholds)
	}
	for _, threshold := range edges(output) {
		r.Operating = append(r.Operating, operating(metric.At(all, threshold)))
	}
}

// Operating is what reading scores from a threshold on as positive means.
type Operating struct {
	Threshold   float64  `json:"threshold"`
	Positives   int      `json:"positives"`
	Sensitivity *float64 `json:"sensitivity"`
	Specificity *float64 `json:"specificity"`
	PPV         *float64 `json:"ppv"`
	NPV         *float64 `json:"npv"`
}

func operating(o metric.Operating) Operating {
	return Operating{o.Threshold, o.Positives, number(o.Sensitivity), number(o.Specificity), number(o.PPV), number(o.NPV)}
}

// edges are the lower limits of the output's bands: where its reading changes.
func edges(o *manifest.Output) []float64 {
	var out []float64
	for _, b := range o.Bands {
		for _, end := range []*float64{b.GE, b.GT} {
			if end != nil && !slices.Contains(out, *end) {
				out = append(out, *end)
			}
		}
	}
	slices.Sort(out)
	return out
}

func plain(cases []scored) []metric.Case {
	out := make([]metric.Case, len(cases))
	for i, c := range cases {
		out[i] = c.Case
	}
	return out
}

func (r *Report) group(name string, cases []metric.Case, opts Options) Group {
	g := Group{Name: name, N: len(cases)}
	for _, c := range cases {
		if c.Outcome {
			g.Events++
		}
	}
	statistics := []func([]metric.Case) float64{metric.AUC, metric.AveragePrecision}
	if r.Probability {
		statistics = append(statistics, metric.Brier, metric.ObservedExpected,
			func(c []metric.Case) float64 { _, slope := metric.Recalibration(c); return slope },
			func(c []metric.Case) float64 { intercept, _ := metric.Recalibration(c); return intercept })
	}
	f := metric.Bootstrap(cases, opts.Resamples, opts.Seed, statistics...)
	g.AUC, g.AP = interval(f[0]), interval(f[1])
	if r.Probability {
		g.Brier, g.OE, g.Slope, g.Intercept = interval(f[2]), interval(f[3]), interval(f[4]), interval(f[5])
	}
	return g
}

func (r *Report) subgroups(cases []scored, cohort *Cohort, opts Options) {
	for _, group := range cohort.Groups {
		parts := map[string][]metric.Case{}
		var names []string
		for _, c := range cases {
			value := group.Values[c.row]
			if _, known := parts[value]; !known {
				names = append(names, value)
			}
			parts[value] = append(parts[value], c.Case)
		}
		slices.Sort(names)
		for _, name := range names {
			r.Subgroups = append(r.Subgroups, r.group(group.Name+" = "+orElse(name, "not given"), parts[name], opts))
		}
	}
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}
