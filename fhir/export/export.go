// Package export performs $export of the Bulk Data Access guide
// (https://hl7.org/fhir/uv/bulkdata/STU2/export.html): the system's, all
// patients' or a group's resources as NDJSON files, written by a durable job.
//
// Promises: what is exported is what the caller would find by searching, decided
// and put on record page by page; memory is bounded by a page and a file; a job
// ends, after a restart too, with files that hold each resource once, or with an
// error file that says what is missing; only who asked for them gets the files,
// for a day.
//
// It reads nothing but by fhir/rest.
package export

import (
	"context"
	"net/http"
	"strings"
	"time"

	"galen/fhir"
	"galen/fhir/job"
	"galen/fhir/operation"
	"galen/fhir/rest"
	"galen/policies"
	"galen/policies/audit"
)

// Path is where jobs and their files are, below the base.
const Path = "_export"

// Kind is that of the jobs.
const Kind = "export"

// kept is how long files can be fetched.
const kept = 24 * time.Hour

// Config is all a Service needs.
type Config struct {
	REST *rest.Service
	Jobs *job.Room
	Now  func() time.Time
	Seal job.Sealer // nil leaves files as they are
}

// Service performs the operation. It is safe for concurrent use.
type Service struct{ Config }

// New returns a Service.
func New(cfg Config) *Service { return &Service{cfg} }

// Operations are the operations for fhir/operation.
func (s *Service) Operations() []operation.Extension {
	const base = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"
	params := []operation.Param{
		{Name: "_outputFormat", Type: "string"},
		{Name: "_since", Type: "instant"},
		{Name: "_type", Type: "string", Repeats: true},
		{Name: "_typeFilter", Type: "string", Repeats: true},
	}
	return []operation.Extension{
		{Definition: operation.Definition{Name: "export", URL: base + "export", System: true, Params: params}, Perform: s.start},
		{Definition: operation.Definition{Name: "export", URL: base + "patient-export", Types: []string{"Patient"}, Type: true, Params: params}, Perform: s.start},
		{Definition: operation.Definition{Name: "export", URL: base + "group-export", Types: []string{"Group"}, Instance: true, Params: params}, Perform: s.start},
	}
}

// start answers the kick-off: 202 with the URL of the status. Errors: those of
// the parameters, Forbidden, NotFound for a group that the caller does not see.
func (s *Service) start(ctx context.Context, r operation.Request, arguments map[string][]string) (operation.Result, error) {
	s.sweep()
	o, err := s.order(ctx, r, arguments)
	var state job.State
	if err == nil {
		state, err = s.Jobs.Start(Kind, r.Principal.Subject, o)
	}
	if err := s.record(ctx, r, err); err != nil {
		return operation.Result{}, err
	}
	return operation.Result{Status: http.StatusAccepted, Header: http.Header{"Content-Location": {r.Base + "/" + Path + "/" + state.ID}}}, nil
}

// sweep removes the files of jobs that ended long ago.
func (s *Service) sweep() {
	for _, state := range s.Jobs.List(Kind) {
		if !state.Ended.IsZero() && s.Now().Sub(state.Ended) > kept {
			_, _ = s.Jobs.Cancel(state.ID) // what cannot be removed now can be the next time
		}
	}
}

// record puts a call on record, durably, and gives err back.
func (s *Service) record(ctx context.Context, r operation.Request, err error) error {
	e := audit.Entry{
		Kind: audit.Operation, Agent: audit.AgentOf(r.Principal, r.Address), Decision: audit.DecisionOf(policies.Decision{Allow: fhir.KindOf(err) != fhir.Forbidden || err == nil}),
		Request: r.RequestID, Service: "$export", Object: r.Type, Query: []byte(r.Query),
	}
	if err != nil {
		e.Outcome = audit.Minor
		if fhir.KindOf(err).Status() >= http.StatusInternalServerError {
			e.Outcome = audit.Serious
		}
	}
	if _, failed := s.REST.Audit.Append(context.WithoutCancel(ctx), e); failed != nil {
		return failed
	}
	return err
}

// outputFormats are the names of NDJSON.
var outputFormats = []string{"application/fhir+ndjson", "application/ndjson", "ndjson"}

// words are the values of a parameter, lists taken apart.
func words(values []string) (out []string) {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
	}
	return out
}
