package server

import (
	"context"

	"galen/cds/cohort"
	"galen/fhir"
	"galen/fhir/export"
	"galen/fhir/operation"
	"galen/fhir/upkeep"
)

// exportPath is where exports and their files are.
const exportPath = fhirPath + "/" + export.Path + "/:id"

// cohortPath is where assessments of groups and their results are.
const cohortPath = fhirPath + "/" + cohort.Path + "/:id"

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

func (s *Server) exportStatus(ctx context.Context, r *request) (response, error) {
	return s.exported(ctx, r, (*export.Service).Status)
}

func (s *Server) exportCancel(ctx context.Context, r *request) (response, error) {
	return s.exported(ctx, r, (*export.Service).Cancel)
}

func (s *Server) exportFile(ctx context.Context, r *request) (response, error) {
	return s.exported(ctx, r, func(x *export.Service, ctx context.Context, o operation.Request) (operation.Result, error) {
		return x.File(ctx, o, r.param("file"))
	})
}

func (s *Server) exported(ctx context.Context, r *request, do func(*export.Service, context.Context, operation.Request) (operation.Result, error)) (response, error) {
	if s.Export == nil {
		return response{}, fhir.E("server.export", fhir.NotFound, "", "there are no exports here")
	}
	out, err := do(s.Export, ctx, operation.Request{Caller: r.Caller, ID: r.param("id"), Method: r.method})
	return response{status: out.Status, header: out.Header, kind: out.Kind, body: out.Body}, err
}

func (s *Server) cohortStatus(ctx context.Context, r *request) (response, error) {
	return s.cohort(ctx, r, (*cohort.Service).Status)
}

func (s *Server) cohortCancel(ctx context.Context, r *request) (response, error) {
	return s.cohort(ctx, r, (*cohort.Service).Cancel)
}

func (s *Server) cohortFile(ctx context.Context, r *request) (response, error) {
	return s.cohort(ctx, r, func(c *cohort.Service, ctx context.Context, o operation.Request) (operation.Result, error) {
		return c.File(ctx, o, r.param("file"))
	})
}

func (s *Server) cohort(ctx context.Context, r *request, do func(*cohort.Service, context.Context, operation.Request) (operation.Result, error)) (response, error) {
	if s.Cohorts == nil {
		return response{}, fhir.E("server.cohort", fhir.NotFound, "", "there are no such jobs here")
	}
	out, err := do(s.Cohorts, ctx, operation.Request{Caller: r.Caller, ID: r.param("id"), Method: r.method})
	return response{status: out.Status, header: out.Header, kind: out.Kind, body: out.Body}, err
}
