// Package cohort performs $assess on a Group: one model on every member, as a
// durable job, by the asynchronous pattern of FHIR
// (https://hl7.org/fhir/R4/async.html).
//
// Promises: each member is assessed as if the caller had asked for that member
// alone, so that access is decided, and put on record, patient by patient; all
// members are assessed with the version that answered at the start; what cannot
// be assessed is named with its reason; a job goes on after a restart and repeats
// at most the member that was under way; only who asked gets the result, for a
// day, and its RiskAssessments are read when they are fetched, as the caller may
// read them then. No clinical value lies in the job.
//
// It runs no model and stores no assessment itself (cds/ondemand).
package cohort

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"galen/fhir"
	"galen/fhir/job"
	"galen/fhir/jsontree"
	"galen/fhir/operation"
	"galen/fhir/rest"
	"galen/models"
	"galen/policies"
	"galen/policies/audit"
	"galen/store"
)

// Path is where jobs and their files are, below the base.
const Path = "_assess"

// Kind is that of the jobs.
const Kind = "assess"

const (
	kept = 24 * time.Hour // how long a result can be fetched
	most = 10_000         // members of one group
)

// Reader reads resources as a caller may, *rest.Service.
type Reader interface {
	Read(ctx context.Context, c rest.Caller, key fhir.Key) (store.Record, error)
	VRead(ctx context.Context, c rest.Caller, key fhir.Key, version string) (store.Record, error)
}

// Recorder puts entries on record durably, *audit.Log.
type Recorder interface {
	Append(ctx context.Context, entries ...audit.Entry) (uint64, error)
}

// Assessor assesses one patient, *ondemand.Service.
type Assessor interface {
	// Resolve is the version that answers for a reference now.
	Resolve(ref models.Ref) (models.Ref, error)
	// Permitted asks whether the caller may have anybody assessed at all.
	Permitted(ctx context.Context, r operation.Request) error
	// Assess is Patient/[id]/$assess.
	Assess(ctx context.Context, r operation.Request, arguments map[string][]string) (operation.Result, error)
}

// Config is all a Service needs. Assess is set before Jobs is opened.
type Config struct {
	Reader Reader
	Audit  Recorder
	Assess Assessor
	Jobs   *job.Room
	Now    func() time.Time
	Seal   Sealer // nil leaves files as they are
}

// Sealer encrypts what lies in files, *atrest.Sealer.
type Sealer interface {
	Seal(text []byte) ([]byte, error)
	Open(sealed []byte) (text []byte, ok bool)
}

// Service performs the operation. It is safe for concurrent use.
type Service struct{ Config }

// New returns a Service.
func New(cfg Config) *Service { return &Service{cfg} }

// Operations are the operations for fhir/operation.
func (s *Service) Operations() []operation.Extension {
	return []operation.Extension{{
		Definition: operation.Definition{
			Name: "assess", URL: "http://galen.health/fhir/OperationDefinition/Group-assess", Types: []string{"Group"}, Instance: true, Changes: true,
			Params: []operation.Param{{Name: "model", Type: "string"}},
		},
		Perform: s.start,
	}}
}

// order is what a job is to do.
type order struct {
	Principal policies.Principal
	Base      string // absolute FHIR base
	Request   string // absolute URL of the kick-off
	RequestID string
	Address   string
	Model     string   // NAME@VERSION
	Members   []string // ids of patients
}

// caller is who assesses in the job.
func (o *order) caller() rest.Caller {
	return rest.Caller{Principal: o.Principal, RequestID: o.RequestID, Address: o.Address, Base: o.Base, Operation: "$assess"}
}

// start answers the kick-off: 202 with the URL of the status. Errors: Required and
// Value for the model, NotFound for it or a group that the caller does not see,
// Forbidden, Unprocessable for a group without patients, TooCostly for one with
// more than 10,000.
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

func (s *Service) order(ctx context.Context, r operation.Request, arguments map[string][]string) (order, error) {
	const op = "cohort.start"
	o := order{Principal: r.Principal, Base: r.Base, Request: r.Base + "/Group/" + r.ID + "/$assess", RequestID: r.RequestID, Address: r.Address}
	if len(arguments["model"]) != 1 {
		return o, fhir.E(op, fhir.Required, "model", "want the parameter model: NAME, NAME@VERSION or NAME@challenger")
	}
	ref, err := models.ParseRef(arguments["model"][0])
	if err != nil {
		return o, fhir.E(op, fhir.Value, "model", "want NAME, NAME@VERSION or NAME@challenger")
	}
	if ref, err = s.Assess.Resolve(ref); err != nil {
		return o, err
	}
	o.Model = ref.String()
	if o.Members, err = s.members(ctx, r); err != nil {
		return o, err
	}
	return o, s.Assess.Permitted(ctx, r)
}

// members are the patients of a group, each once, in its order.
func (s *Service) members(ctx context.Context, r operation.Request) ([]string, error) {
	const op = "cohort.start"
	rec, err := s.Reader.Read(ctx, r.Caller, fhir.Key{Type: r.Type, ID: r.ID})
	if err != nil {
		return nil, err
	}
	doc, err := jsontree.Parse(rec.Body, jsontree.Limits{})
	if err != nil {
		return nil, &fhir.Error{Op: op, Err: err}
	}
	var out []string
	seen := map[string]bool{}
	for m := range doc.Root().Get("member").Items() {
		ref := fhir.ParseReference(m.Get("entity").Get("reference").Text())
		if ref.Key.Type == "Patient" && ref.Base == "" && m.Get("inactive").Text() != "true" && !seen[ref.Key.ID] {
			seen[ref.Key.ID] = true
			out = append(out, ref.Key.ID)
		}
	}
	switch {
	case len(out) == 0:
		return nil, fhir.E(op, fhir.Unprocessable, "Group.member", "no active member of the group is a patient of this server")
	case len(out) > most:
		return nil, fhir.E(op, fhir.TooCostly, "Group.member", "the group has more than 10,000 patients")
	}
	return out, nil
}

// sweep removes jobs that ended long ago.
func (s *Service) sweep() {
	for _, state := range s.Jobs.List(Kind) {
		if s.over(state) {
			_, _ = s.Jobs.Cancel(state.ID) // what cannot be removed now can be the next time
		}
	}
}

func (s *Service) over(state job.State) bool {
	return !state.Ended.IsZero() && s.Now().Sub(state.Ended) > kept
}

// record puts a call on record, durably, and gives err back.
func (s *Service) record(ctx context.Context, r operation.Request, err error) error {
	e := audit.Entry{
		Kind: audit.Operation, Agent: audit.AgentOf(r.Principal, r.Address),
		Decision: audit.DecisionOf(policies.Decision{Allow: err == nil || fhir.KindOf(err) != fhir.Forbidden}),
		Request:  r.RequestID, Service: "$assess", Object: "Group", Query: []byte(r.Query),
	}
	if err != nil {
		e.Outcome = audit.Minor
		if fhir.KindOf(err).Status() >= http.StatusInternalServerError {
			e.Outcome = audit.Serious
		}
	}
	if _, failed := s.Audit.Append(context.WithoutCancel(ctx), e); failed != nil {
		return failed
	}
	return err
}

// line is what became of one member.
type line struct {
	Member string // id of the patient
	// Risk is the versioned reference of the RiskAssessment; "" if there is none,
	// and Code and Reason say why.
	Risk   string `json:",omitempty"`
	Code   string `json:",omitempty"` // of an OperationOutcome's issue
	Reason string `json:",omitempty"` // holds no value of the record
}

// Work is the Runner of the jobs.
func (s *Service) Work(ctx context.Context, run *job.Run) error {
	var o order
	var c cursor
	state := run.State()
	if err := json.Unmarshal(state.Input, &o); err != nil {
		return &fhir.Error{Op: "cohort.Work", Err: err}
	}
	if len(state.Cursor) > 0 {
		if err := json.Unmarshal(state.Cursor, &c); err != nil {
			return &fhir.Error{Op: "cohort.Work", Err: err}
		}
	}
	for c.done() < len(o.Members) {
		l, err := s.member(ctx, &o, o.Members[c.done()])
		if err != nil {
			return err
		}
		if err := s.keep(run, &c, l, len(o.Members)); err != nil {
			return err
		}
	}
	return nil
}

// member assesses one member. An error ends the job, or stops it until the next
// start; what is only this member's is in the line.
func (s *Service) member(ctx context.Context, o *order, id string) (line, error) {
	out := line{Member: id}
	r := operation.Request{Caller: o.caller(), Name: "assess", Type: "Patient", ID: id, Method: http.MethodPost}
	res, err := s.Assess.Assess(ctx, r, map[string][]string{"model": {o.Model}})
	if err != nil && ctx.Err() != nil {
		return out, &fhir.Error{Op: "cohort.member", Kind: fhir.Timeout, Err: ctx.Err()}
	}
	if err != nil {
		issue := fhir.IssuesOf(err)[0]
		out.Code, out.Reason = fhir.KindOf(err).Code(), issue.Diagnostics
		return out, nil
	}
	doc, err := jsontree.Parse(res.Body, jsontree.Limits{})
	if err != nil {
		return out, &fhir.Error{Op: "cohort.member", Err: err}
	}
	key := fhir.Key{Type: "RiskAssessment", ID: doc.Root().Get("id").Text()}
	out.Risk = key.String() + "/_history/" + doc.Root().Get("meta").Get("versionId").Text()
	return out, nil
}

// own is a job of the caller's own. Errors: NotFound.
func (s *Service) own(r operation.Request) (job.State, order, error) {
	var o order
	state, ok := s.Jobs.Find(r.ID)
	if !ok || state.Kind != Kind || state.Owner != r.Principal.Subject || state.Status == job.Cancelled {
		return state, o, fhir.E("cohort.Status", fhir.NotFound, "", "there is no such job")
	}
	if err := json.Unmarshal(state.Input, &o); err != nil {
		return state, o, &fhir.Error{Op: "cohort.Status", Err: err}
	}
	return state, o, nil
}

// Cancel stops a job and forgets its result: 202; what was assessed stays in the
// record. Errors as Status.
func (s *Service) Cancel(ctx context.Context, r operation.Request) (operation.Result, error) {
	state, _, err := s.own(r)
	if err == nil {
		_, err = s.Jobs.Cancel(r.ID)
	}
	if err == nil && state.Status == job.Running && s.Jobs.Wait(ctx, r.ID) == nil {
		_, err = s.Jobs.Cancel(r.ID) // stopped; its files go too
	}
	return operation.Result{Status: http.StatusAccepted}, s.record(ctx, r, err)
}
