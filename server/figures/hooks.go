package figures

import (
	"github.com/prometheus/client_golang/prometheus"

	"galen/hooks"
)

// hookFigures shows what hooks counts as Prometheus figures.
type hookFigures struct {
	hooks                        *hooks.Dispatcher
	cards, hidden, left, answers *prometheus.Desc
	overridden                   *prometheus.Desc
}

func newHookFigures(d *hooks.Dispatcher) *hookFigures {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("galen_hooks_"+name, help, labels, nil)
	}
	return &hookFigures{
		hooks:      d,
		cards:      desc("cards_total", "Cards given.", "service", "model", "indicator"),
		hidden:     desc("cards_hidden_total", "Findings that were not shown: suppressed, over the cap, or invalid.", "service", "model", "why"),
		left:       desc("models_left_total", "Runs of models that gave no result in time or for want of data.", "service", "model", "why"),
		answers:    desc("feedback_total", "Feedback on cards.", "service", "model", "outcome", "reason"),
		overridden: desc("override_ratio", "Part of the feedback on a model's cards that overrides them.", "service", "model"),
	}
}

// Describe lists the figures.
func (f *hookFigures) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{f.cards, f.hidden, f.left, f.answers, f.overridden} {
		out <- d
	}
}

// Collect reads the figures.
func (f *hookFigures) Collect(out chan<- prometheus.Metric) {
	type judged struct{ overridden, all uint64 }
	rates := map[[2]string]judged{}
	for _, c := range f.hooks.Counts() {
		l, v := c.Labels, float64(c.Value)
		emit := func(d *prometheus.Desc, labels ...string) {
			out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
		}
		switch c.Name {
		case hooks.CountCards:
			emit(f.cards, l.Service, l.Model, l.Kind)
		case hooks.CountHidden:
			emit(f.hidden, l.Service, l.Model, l.Kind)
		case hooks.CountLeft:
			emit(f.left, l.Service, l.Model, l.Kind)
		case hooks.CountFeedback:
			emit(f.answers, l.Service, l.Model, l.Kind, l.Reason)
			j := rates[[2]string{l.Service, l.Model}]
			if j.all += c.Value; l.Kind == "overridden" {
				j.overridden += c.Value
			}
			rates[[2]string{l.Service, l.Model}] = j
		}
	}
	for of, j := range rates {
		out <- prometheus.MustNewConstMetric(f.overridden, prometheus.GaugeValue, float64(j.overridden)/float64(j.all), of[0], of[1])
	}
}
