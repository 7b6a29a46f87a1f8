package server

import (
	"context"
	"strconv"
	"sync/atomic"

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
