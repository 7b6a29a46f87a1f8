// Package upkeep performs what administrators do to the store as a whole:
// $reindex, after search parameters came (SearchParameter/[id]/$reindex for one),
// and $expunge, which removes versions for ever as HAPI FHIR's does.
//
// Promises: a reindex runs as a job, goes on after a restart, counts what it did
// and what it could not do, and lets searches use a parameter only when every
// resource is indexed by it. Both are decided by the policies and on record.
//
// What is indexed how is fhir/search's; what is stored how is store's.
package upkeep

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"galen/fhir"
	"galen/fhir/job"
	"galen/fhir/operation"
	"galen/fhir/rest"
	"galen/fhir/search/custom"
	"galen/policies"
	"galen/policies/audit"
)

// StatusPath is where the status of a job is, below the base.
const StatusPath = "_job"

const canonical = "http://galen.health/fhir/OperationDefinition/"

// Config is all a Service needs.
type Config struct {
	REST     *rest.Service
	Registry *custom.Registry
	Jobs     *job.Room
}

// Service performs the operations. It is safe for concurrent use.
type Service struct{ Config }

// New returns a Service.
func New(cfg Config) *Service { return &Service{cfg} }

// Operations are the operations for fhir/operation.
func (s *Service) Operations() []operation.Extension {
	expunge := operation.Definition{
		Name: "expunge", URL: canonical + "expunge", System: true, Type: true, Instance: true, Changes: true,
		Params: []operation.Param{
			{Name: "limit", Type: "integer"},
			{Name: "expungeDeletedResources", Type: "boolean"},
			{Name: "expungePreviousVersions", Type: "boolean"},
			{Name: "expungeEverything", Type: "boolean"},
			{Name: "version", Type: "id"},
		},
	}
	return []operation.Extension{
		{
			Definition: operation.Definition{
				Name: "reindex", URL: canonical + "reindex", System: true, Changes: true,
				Params: []operation.Param{{Name: "type", Type: "code", Repeats: true}, {Name: "everything", Type: "boolean"}},
			},
			Perform: s.reindex,
		},
		{
			Definition: operation.Definition{
				Name: "reindex", URL: canonical + "reindex", Types: []string{"SearchParameter"}, Instance: true, Changes: true,
			},
			Perform: s.reindex,
		},
		{Definition: expunge, Perform: s.expunge},
	}
}

// permit asks the policies. A refusal is on record.
func (s *Service) permit(ctx context.Context, r operation.Request, action policies.Action) (policies.Decision, error) {
	d := s.REST.Policies.Decide(ctx, r.Principal, policies.Request{Action: action, Type: r.Type, ID: r.ID})
	if d.Allow && d.Filter == nil {
		return d, nil
	}
	e := s.entry(r, d)
	return d, s.record(ctx, e, d.Refusal("upkeep.permit"))
}

func (s *Service) entry(r operation.Request, d policies.Decision) audit.Entry {
	e := audit.Entry{
		Kind: audit.Operation, Agent: audit.AgentOf(r.Principal, r.Address), Decision: audit.DecisionOf(d),
		Request: r.RequestID, Service: "$" + r.Name, Object: r.Type,
	}
	if !d.Allow {
		e.Reason = string(d.Reason)
	}
	return e
}

// record puts a call on record, durably, and gives err back.
func (s *Service) record(ctx context.Context, e audit.Entry, err error) error {
	if err != nil {
		e.Outcome = audit.Minor
		if kind := fhir.KindOf(err); kind.Status() >= http.StatusInternalServerError {
			e.Outcome = audit.Serious
		}
	}
	if _, failed := s.REST.Audit.Append(context.WithoutCancel(ctx), e); failed != nil {
		return failed
	}
	return err
}

// Status answers a request for a job's status
// (https://hl7.org/fhir/R4/async.html): 202 while it runs, then 200. Errors:
// NotFound, also for who may not run such jobs.
func (s *Service) Status(ctx context.Context, r operation.Request) (operation.Result, error) {
	r.Name = "reindex"
	if _, err := s.permit(ctx, r, policies.Reindex); err != nil {
		return operation.Result{}, err
	}
	state, ok := s.Jobs.Find(r.ID)
	if !ok || state.Kind != Kind {
		return operation.Result{}, errNoJob()
	}
	return answer(state), nil
}

// Cancel stops a job, or forgets one that has ended: 202. Errors as Status.
func (s *Service) Cancel(ctx context.Context, r operation.Request) (operation.Result, error) {
	r.Name = "reindex"
	d, err := s.permit(ctx, r, policies.Reindex)
	if err != nil {
		return operation.Result{}, err
	}
	err = errNoJob()
	if state, ok := s.Jobs.Find(r.ID); ok && state.Kind == Kind {
		_, err = s.Jobs.Cancel(r.ID)
	}
	e := s.entry(r, d)
	e.Reason = "cancel"
	return operation.Result{Status: http.StatusAccepted}, s.record(ctx, e, err)
}

func errNoJob() error { return fhir.E("upkeep.Status", fhir.NotFound, "", "there is no such job") }

// answer is a state as a Parameters resource.
func answer(state job.State) operation.Result {
	p := parameters{}
	p.add("jobId", "valueString", state.ID)
	p.add("status", "valueCode", string(state.Status))
	p.add("created", "valueInstant", state.Created.Format(instant))
	if !state.Ended.IsZero() {
		p.add("ended", "valueInstant", state.Ended.Format(instant))
	}
	p.add("total", "valueInteger", state.Total)
	p.add("processed", "valueInteger", state.Done)
	p.add("failed", "valueInteger", state.Failed)
	for _, message := range state.Errors {
		p.add("error", "valueString", message)
	}
	out := operation.Result{Body: p.bytes()}
	if state.Status == job.Running {
		out.Status = http.StatusAccepted
		out.Header = http.Header{"X-Progress": {progress(state)}, "Retry-After": {"1"}}
	}
	return out
}

// instant is a FHIR instant in UTC.
const instant = "2006-01-02T15:04:05.000Z"

func progress(state job.State) string {
	return strconv.Itoa(state.Done+state.Failed) + " of " + strconv.Itoa(state.Total) + " resources"
}

// flag is the value of a boolean argument.
func flag(arguments map[string][]string, name string) (bool, error) {
	switch values := arguments[name]; {
	case len(values) == 0 || values[0] == "false":
		return false, nil
	case values[0] == "true":
		return true, nil
	}
	return false, fhir.E("upkeep", fhir.Value, name, "true or false is needed")
}

// orNil is err, but for one of a Kind.
func orNil(err error, kind fhir.Kind) error {
	if errors.As(err, new(*fhir.Error)) && fhir.KindOf(err) == kind {
		return nil
	}
	return err
}
