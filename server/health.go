package server

import (
	"context"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"galen/fhir"
)

// readiness is what /readyz tells.
type readiness struct{ yes atomic.Bool }

func (r *readiness) set(yes bool) { r.yes.Store(yes) }

const plainJSON = "application/json; charset=utf-8"

func (s *Server) healthz(context.Context, *request) (response, error) {
	return response{kind: plainJSON, body: []byte(`{"status":"ok","version":` + strconv.Quote(s.Version) + `}`)}, nil
}

func (s *Server) readyz(context.Context, *request) (response, error) {
	if !s.ready.yes.Load() {
		return response{}, fhir.E("server.readyz", fhir.Unavailable, "", "starting or draining")
	}
	return response{kind: plainJSON, body: []byte(`{"status":"ready"}`)}, nil
}

// metrics are the server's own Prometheus figures.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	scrape   http.Handler
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "galen_http_request_duration_seconds",
			Help:    "Time from the request's first byte read to the response written.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"method", "route", "status"}),
	}
	m.registry.MustRegister(m.requests, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.scrape = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
	return m
}

func (m *metrics) observe(method, route string, status int, took time.Duration) {
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Observe(took.Seconds())
}
