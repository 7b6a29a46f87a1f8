package server

import (
	"context"

	"galen/fhir"
	"galen/fhir/operation"
	"galen/fhir/upkeep"
)

// jobPath is where the status of a job is (https://hl7.org/fhir/R4/async.html).
const jobPath = fhirPath + "/" + upkeep.StatusPath + "/:id"

func (s *Server) jobStatus(ctx context.Context, r *request) (response, error) {
	return s.job(ctx, r, (*upkeep.Service).Status)
}

func (s *Server) jobCancel(ctx context.Context, r *request) (response, error) {
	return s.job(ctx, r, (*upkeep.Service).Cancel)
}

func (s *Server) job(ctx context.Context, r *request, do func(*upkeep.Service, context.Context, operation.Request) (operation.Result, error)) (response, error) {
	if s.Upkeep == nil {
		return response{}, fhir.E("server.job", fhir.NotFound, "", "there are no jobs here")
	}
	out, err := do(s.Upkeep, ctx, operation.Request{Caller: r.Caller, ID: r.param("id"), Method: r.method})
	return response{status: out.Status, header: out.Header, body: out.Body}, err
}
