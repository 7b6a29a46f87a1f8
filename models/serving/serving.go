// Package serving is models as a service without HTTP or gRPC: who may run and
// change which model, what is put on record, and how often each is used.
//
// It promises that no model runs and none changes unless the policies permit it;
// that every call is on record, changes and refusals durably before it returns,
// runs on tensors, which name no patient, a few milliseconds later; and that a
// change reaches those who must know of it. Errors are *fhir.Error and hold no
// element of a tensor.
//
// It reads no wire format (models/oip, server) and runs nothing itself (models).
package serving

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"galen/fhir"
	"galen/models"
	"galen/models/oip"
	"galen/policies"
	"galen/policies/audit"
)

// Caller is who calls and how.
type Caller struct {
	Principal policies.Principal
	RequestID string
	Address   string
}

// Config is all a Service needs.
type Config struct {
	Catalog  *models.Catalog
	Policies *policies.Engine
	Audit    *audit.Log
	Now      func() time.Time

	// Changed is told after what is served has changed; nil for nobody. Its error
	// is that of the call that made the change.
	Changed func(ctx context.Context) error
	// Uploads takes uploaded models; nil refuses them.
	Uploads *Uploads
}

// Service is the service. It is safe for concurrent use.
type Service struct {
	Config
	usage usage
}

// New returns a Service.
func New(cfg Config) *Service { return &Service{Config: cfg} }

// Call is one inference on tensors.
type Call struct {
	Model   models.Ref
	Inputs  []oip.Named
	Outputs []string // nil for all
}

// Answer is the result of a Call.
type Answer struct {
	Model   *models.Info
	Outputs []oip.Named
	Refused []int // rows without an answer
}

// Infer runs a model. Errors: Forbidden, NotFound, Value for tensors that do not
// fit, Unprocessable when no row has a finite answer, Throttled, Timeout,
// Unavailable for a model that is stopped, refused or out of reach, Internal.
func (s *Service) Infer(ctx context.Context, c Caller, call Call) (Answer, error) {
	a := s.begin(ctx, c, audit.Inference, call.Model, policies.ModelInfer)
	if !a.decision.Allow {
		return Answer{}, a.end(ctx, forbidden)
	}
	model, err := s.Catalog.Acquire(call.Model)
	if err != nil {
		return Answer{}, a.end(ctx, failure(err))
	}
	defer model.Release()
	info := model.Info()
	a.entry.Model = audit.Model{Name: info.Ref.Name, Version: string(info.Ref.Version), Digest: info.Digest}
	start := s.Now()
	out, err := s.run(ctx, model, call)
	s.usage.count(info.Ref, c.client(), len(out.Refused), start, s.Now(), err)
	if err != nil {
		return Answer{}, a.end(ctx, err)
	}
	if len(out.Refused) > 0 {
		a.entry.Reason = "refused-rows"
	}
	if _, err := s.Audit.Submit(a.entry); err != nil {
		return Answer{}, err
	}
	return out, nil
}

// client is whom a use counts for.
func (c *Caller) client() string {
	if c.Principal.Client != "" {
		return c.Principal.Client
	}
	return c.Principal.Subject
}

func (s *Service) run(ctx context.Context, model *models.Model, call Call) (Answer, error) {
	info := model.Info()
	in, err := arrange(info, call.Inputs)
	if err != nil {
		return Answer{}, err
	}
	wanted, err := choose(info, call.Outputs)
	if err != nil {
		return Answer{}, err
	}
	out, failed, err := model.PredictRows(ctx, in)
	if err == nil && len(out) > 0 && len(failed) == out[0].Rows() {
		err = failed[0].Err
	}
	if err != nil {
		return Answer{}, failure(err)
	}
	answer := Answer{Model: info, Outputs: make([]oip.Named, len(wanted))}
	for i, j := range wanted {
		answer.Outputs[i] = oip.Named{Name: info.Manifest.Outputs[j].Name, Tensor: out[j]}
	}
	for _, f := range failed {
		answer.Refused = append(answer.Refused, f.Row)
	}
	return answer, nil
}

// arrange puts the inputs into the manifest's order.
func arrange(info *models.Info, inputs []oip.Named) ([]models.Tensor, error) {
	ports := info.Manifest.Inputs
	in := make([]models.Tensor, len(ports))
	for _, given := range inputs {
		i := 0
		for i < len(ports) && ports[i].Name != given.Name {
			i++
		}
		switch {
		case i == len(ports):
			return nil, bad(fmt.Errorf("the model has no input %q", given.Name))
		case in[i].DType() != "":
			return nil, bad(fmt.Errorf("input %s is given twice", given.Name))
		case given.Tensor.DType() != ports[i].DType:
			return nil, bad(fmt.Errorf("input %s wants %s, not %s", given.Name, oip.Datatype(ports[i].DType), oip.Datatype(given.Tensor.DType())))
		}
		in[i] = given.Tensor
	}
	for i := range in {
		if in[i].DType() == "" {
			return nil, bad(fmt.Errorf("input %s is missing", ports[i].Name))
		}
	}
	return in, nil
}

// choose finds the outputs that are asked for.
func choose(info *models.Info, names []string) ([]int, error) {
	if names == nil {
		wanted := make([]int, len(info.Manifest.Outputs))
		for i := range wanted {
			wanted[i] = i
		}
		return wanted, nil
	}
	wanted := make([]int, len(names))
	for i, name := range names {
		_, j, ok := info.Manifest.Output(name)
		if !ok || slices.Contains(wanted[:i], j) {
			return nil, bad(fmt.Errorf("the model has no output %q, or it is asked for twice", name))
		}
		wanted[i] = j
	}
	return wanted, nil
}

func bad(err error) error { return &fhir.Error{Op: "serving.Infer", Kind: fhir.Value, Err: err} }

// Description is what is told of a model.
type Description struct {
	*models.Info
	Versions []string // that are served, newest first
}

// Describe tells of a version to whom may run it or read about models. Errors:
// Forbidden, NotFound, Unavailable.
func (s *Service) Describe(ctx context.Context, c Caller, ref models.Ref) (Description, error) {
	if err := s.mayRead(ctx, c, ref); err != nil {
		return Description{}, err
	}
	model, err := s.Catalog.Acquire(ref)
	if err != nil {
		return Description{}, failure(err)
	}
	defer model.Release()
	d := Description{Info: model.Info()}
	for _, info := range s.Catalog.List() {
		if info.Ref.Name == ref.Name {
			d.Versions = append(d.Versions, string(info.Ref.Version))
		}
	}
	return d, nil
}

// mayRead permits who may run the model or read about models; only a refusal is
// put on record, for what is read is about no patient.
func (s *Service) mayRead(ctx context.Context, c Caller, ref models.Ref) error {
	if s.Policies.Decide(ctx, c.Principal, policies.Request{Action: policies.ModelInfer, Type: ref.Name}).Allow {
		return nil
	}
	a := s.begin(ctx, c, audit.ModelChange, ref, policies.ModelRead)
	if a.decision.Allow {
		return nil
	}
	return a.end(ctx, forbidden)
}

var forbidden = fhir.E("serving", fhir.Forbidden, "", "the policies do not permit this")

// act is a call on its way to its record.
type act struct {
	log      *audit.Log
	decision policies.Decision
	entry    audit.Entry
}

func (s *Service) begin(ctx context.Context, c Caller, kind audit.Kind, ref models.Ref, action policies.Action) act {
	d := s.Policies.Decide(ctx, c.Principal, policies.Request{Action: action, Type: ref.Name})
	return act{s.Audit, d, audit.Entry{
		Kind: kind, Agent: audit.AgentOf(c.Principal, c.Address), Decision: audit.DecisionOf(d), Request: c.RequestID,
		Model: audit.Model{Name: ref.Name, Version: string(ref.Version)}, Service: string(action),
	}}
}

// end puts the call on record with how it ended, and gives err back.
func (a *act) end(ctx context.Context, err error) error {
	if err != nil {
		kind := fhir.KindOf(err)
		a.entry.Outcome = audit.Minor
		if kind.Status() >= 500 {
			a.entry.Outcome = audit.Serious
		}
		a.entry.Reason = kind.Code()
		if !a.decision.Allow {
			a.entry.Reason = string(a.decision.Reason)
		}
	}
	// A client that went away or a deadline that passed must not keep the record
	// from the disk.
	if _, failed := a.log.Append(context.WithoutCancel(ctx), a.entry); failed != nil {
		return failed
	}
	return err
}

// failure gives an error of models the kind that a client can act on.
func failure(err error) error {
	var known *fhir.Error
	if errors.As(err, &known) {
		return err
	}
	kind := fhir.Internal
	switch models.KindOf(err) {
	case models.NotFound:
		kind = fhir.NotFound
	case models.BadInput:
		kind = fhir.Value
	case models.NotFinite:
		kind = fhir.Unprocessable
	case models.Busy:
		kind = fhir.Throttled
	case models.Timeout:
		kind = fhir.Timeout
	case models.Refused, models.Stopped, models.Unavailable:
		kind = fhir.Unavailable
	case models.Exists:
		kind = fhir.Conflict
	}
	var e *models.Error
	if !errors.As(err, &e) {
		return &fhir.Error{Op: "serving", Err: err}
	}
	return &fhir.Error{Op: "serving", Kind: kind, At: e.Model, Err: err}
}

// Refused puts a call without a valid token on record and gives the error to
// answer with, of Kind Unauthorized.
func (s *Service) Refused(ctx context.Context, c Caller) error {
	a := act{s.Audit, policies.Decision{}, audit.Entry{
		Kind: audit.Login, Agent: audit.AgentOf(c.Principal, c.Address), Request: c.RequestID,
	}}
	a.decision.Reason = "token"
	return a.end(ctx, fhir.E("serving.Refused", fhir.Unauthorized, "", "a valid token is needed"))
}
