package evaluate

import (
	_ "embed" // for report.html
	"fmt"
	"html/template"
	"io"
	"math"
	"strconv"

	"galen/models/evaluate/metric"
)

//go:embed report.html
var page string

// HTML writes the report as one file that loads nothing else.
func (r *Report) HTML(w io.Writer) error {
	t, err := template.New("report").Funcs(template.FuncMap{
		"figure": figure, "percent": percent,
	}).Parse(page)
	if err != nil {
		return err
	}
	return t.Execute(w, struct {
		*Report
		Charts []chart
	}{r, r.charts()})
}

// figure is an interval for people.
func figure(i Interval) string {
	if i.Value == nil {
		return "–"
	}
	text := strconv.FormatFloat(*i.Value, 'f', 3, 64)
	if i.Low != nil && i.High != nil {
		text += fmt.Sprintf(" (%.3f–%.3f)", *i.Low, *i.High)
	}
	return text
}

func percent(x *float64) string {
	if x == nil {
		return "–"
	}
	return strconv.FormatFloat(100**x, 'f', 1, 64) + " %"
}

// chart is one plot; its lines are in the coordinates of the SVG.
type chart struct {
	Title, X, Y string
	Lines       []line
	Dots        []dot
	Zero        float64 // where y = 0 is drawn
	XTicks      []tick
	YTicks      []tick
}

type line struct {
	Name, Class, Points string
}

type dot struct{ X, Y float64 }

type tick struct {
	At   float64
	Text string
}

// The plot's area in the SVG.
const (
	left, top = 52.0, 12.0
	size      = 300.0
)

// axes place values within limits.
type axes struct{ x0, x1, y0, y1 float64 }

func (a axes) x(v float64) float64 { return left + size*(v-a.x0)/(a.x1-a.x0) }
func (a axes) y(v float64) float64 { return top + size*(1-(v-a.y0)/(a.y1-a.y0)) }

func (a axes) path(points []metric.Point) string {
	text := ""
	for _, p := range points {
		if y := max(p.Y, a.y0); !math.IsNaN(p.X) && !math.IsNaN(y) {
			text += fmt.Sprintf("%.1f,%.1f ", a.x(p.X), a.y(y))
		}
	}
	return text
}

func (a axes) ticks() (x, y []tick) {
	for i := range 6 {
		f := float64(i) / 5
		vx, vy := a.x0+f*(a.x1-a.x0), a.y0+f*(a.y1-a.y0)
		x = append(x, tick{a.x(vx), strconv.FormatFloat(vx, 'f', 1, 64)})
		y = append(y, tick{a.y(vy), strconv.FormatFloat(vy, 'f', 2, 64)})
	}
	return x, y
}

func (r *Report) charts() []chart {
	unit := axes{0, 1, 0, 1}
	diagonal := []metric.Point{{X: 0, Y: 0}, {X: 1, Y: 1}}
	share := float64(r.Overall.Events) / float64(r.Overall.N)
	out := []chart{
		newChart("ROC", "1 − specificity", "sensitivity", unit, line{"model", "model", unit.path(r.ROC)}, line{"chance", "base", unit.path(diagonal)}),
		newChart("Precision and recall", "recall", "precision", unit, line{"model", "model", unit.path(r.PR)},
			line{"prevalence", "base", unit.path([]metric.Point{{X: 0, Y: share}, {X: 1, Y: share}})}),
	}
	if !r.Probability {
		return out
	}
	var curve []metric.Point
	for _, b := range r.Calibration {
		curve = append(curve, metric.Point{X: b.Expected, Y: b.Observed})
	}
	calibration := newChart("Calibration, tenths", "predicted", "observed", unit, line{"model", "model", unit.path(curve)}, line{"perfect", "base", unit.path(diagonal)})
	for _, p := range curve {
		calibration.Dots = append(calibration.Dots, dot{unit.x(p.X), unit.y(p.Y)})
	}
	benefit := axes{0, 1, -0.05, max(share*1.1, 0.05)}
	return append(out, calibration, newChart("Decision curve", "threshold probability", "net benefit", benefit,
		line{"model", "model", benefit.path(r.Benefit)}, line{"treat all", "all", benefit.path(r.TreatAll)},
		line{"treat none", "base", benefit.path([]metric.Point{{X: 0, Y: 0}, {X: 1, Y: 0}})}))
}

func newChart(title, x, y string, a axes, lines ...line) chart {
	c := chart{Title: title, X: x, Y: y, Lines: lines, Zero: a.y(0)}
	c.XTicks, c.YTicks = a.ticks()
	return c
}
