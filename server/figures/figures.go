// Package figures is what the server tells Prometheus
// (https://prometheus.io/docs/instrumenting/exposition_formats/): the time of
// requests, what CDS Hooks counts, and the process.
//
// Labels come from tables of the program, never from a client. It measures
// nothing by itself.
package figures

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"galen/hooks"
)

// Figures are one server's. They are safe for concurrent use.
type Figures struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	scrape   http.Handler
}

// New returns Figures with those of the process.
func New() *Figures {
	f := &Figures{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "galen_http_request_duration_seconds",
			Help:    "Time from the request's first byte read to the response written.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"method", "route", "status"}),
	}
	f.registry.MustRegister(f.requests, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	f.scrape = promhttp.HandlerFor(f.registry, promhttp.HandlerOpts{})
	return f
}

// Request is one request that was answered.
type Request struct {
	Method, Route string
	Status        int
	Took          time.Duration
}

// Observe counts a request.
func (f *Figures) Observe(r Request) {
	f.requests.WithLabelValues(r.Method, r.Route, strconv.Itoa(r.Status)).Observe(r.Took.Seconds())
}

// AddHooks shows what a Dispatcher counts.
func (f *Figures) AddHooks(d *hooks.Dispatcher) { f.registry.MustRegister(newHookFigures(d)) }

// ServeHTTP answers a scrape.
func (f *Figures) ServeHTTP(w http.ResponseWriter, r *http.Request) { f.scrape.ServeHTTP(w, r) }
