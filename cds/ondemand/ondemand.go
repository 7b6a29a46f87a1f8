// Package ondemand assesses patients on request rather than on a hook, as FHIR
// operations: Patient/[id]/$assess runs a model on the record and stores the
// RiskAssessment; RiskAssessment/[id]/$replay runs the same version on the same
// versions of the same inputs and says whether it says the same.
//
// It promises that all evidence is read as the caller may read it (fhir/rest), so
// that what the caller may not see makes no assessment rather than a wrong one;
// that an assessment is answered only when it and its audit record are durable;
// and that a replay stores nothing.
//
// What features and numbers mean is cds's; models run in models.
package ondemand

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"galen/cds"
	"galen/cds/feature"
	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/operation"
	"galen/fhir/rest"
	"galen/fhir/search/parse"
	"galen/models"
	"galen/models/manifest"
	"galen/policies"
	"galen/policies/audit"
	"galen/store"
)

// ServiceID is what the policies are asked about: an assessment is an invocation.
const ServiceID = "galen-risk"

const canonical = "http://galen.health/fhir/OperationDefinition/"

// Config is all a Service needs.
type Config struct {
	REST    *rest.Service
	Catalog *models.Catalog
	Engine  *cds.Engine
	Ledger  *cds.Ledger
	Now     func() time.Time
}

// Service performs the operations. It is safe for concurrent use.
type Service struct{ Config }

// New returns a Service.
func New(cfg Config) *Service { return &Service{cfg} }

// Operations are the operations for fhir/operation.
func (s *Service) Operations() []operation.Extension {
	return []operation.Extension{
		{
			Definition: operation.Definition{
				Name: "assess", URL: canonical + "Patient-assess", Types: []string{"Patient"}, Instance: true, Changes: true,
				Params: []operation.Param{{Name: "model", Type: "string"}, {Name: "term", Type: "string", Repeats: true}},
			},
			Perform: s.Assess,
		},
		{
			Definition: operation.Definition{Name: "replay", URL: canonical + "RiskAssessment-replay", Types: []string{"RiskAssessment"}, Instance: true},
			Perform:    s.replay,
		},
	}
}

// Resolve is the version that answers for a reference now. Errors: NotFound,
// Unavailable.
func (s *Service) Resolve(ref models.Ref) (models.Ref, error) {
	model, err := s.acquire(ref)
	if err != nil {
		return ref, err
	}
	defer model.Release()
	return model.Info().Ref, nil
}

// Permitted asks whether the caller may have anybody assessed, whoever it is.
// Errors: Forbidden.
func (s *Service) Permitted(ctx context.Context, r operation.Request) error {
	p := r.Principal
	p.Scopes = nil // see permit
	if d := s.REST.Policies.Decide(ctx, p, policies.Request{Action: policies.Invoke, Type: ServiceID}); !d.Allow {
		return d.Refusal("ondemand.Permitted")
	}
	if d := s.REST.Policies.Decide(ctx, r.Principal, policies.Request{Action: policies.Read, Type: "RiskAssessment"}); !d.Allow {
		return d.Refusal("ondemand.Permitted")
	}
	return nil
}

// Assess answers $assess with the RiskAssessment, 201. Errors: Required without a
// model, Forbidden, NotFound, Unprocessable with the reason when the model cannot
// or must not assess the patient, and those of models.
func (s *Service) Assess(ctx context.Context, r operation.Request, arguments map[string][]string) (operation.Result, error) {
	const op = "ondemand.Assess"
	if len(arguments["model"]) != 1 {
		return operation.Result{}, fhir.E(op, fhir.Required, "model", "want the parameter model: NAME, NAME@VERSION or NAME@challenger")
	}
	ref, err := models.ParseRef(arguments["model"][0])
	if err != nil {
		return operation.Result{}, fhir.E(op, fhir.Value, "model", "want NAME, NAME@VERSION or NAME@challenger")
	}
	d, err := s.permit(ctx, r)
	if err != nil {
		return operation.Result{}, err
	}
	model, err := s.acquire(ref)
	if err != nil {
		return operation.Result{}, err
	}
	defer model.Release()
	ev, err := s.gather(ctx, r.Caller, model.Info().Manifest, fhir.Key{Type: r.Type, ID: r.ID})
	if err != nil {
		return operation.Result{}, err
	}
	ev.Terms = arguments["term"]
	a, err := s.Engine.Assess(ctx, model, ev, s.Now())
	if err != nil {
		return operation.Result{}, s.record(ctx, r, d, model.Info(), nil, store.Record{}, err)
	}
	if a.Status != cds.Assessed {
		err := fhir.E(op, fhir.Unprocessable, "", a.Status.String()+": "+a.Reason)
		return operation.Result{}, s.record(ctx, r, d, model.Info(), a, store.Record{}, err)
	}
	stored, err := s.Ledger.Record(ctx, cds.Context{Subject: "Patient/" + r.ID, Policy: d.Revision}, []*cds.Assessment{a})
	if err != nil {
		return operation.Result{}, s.record(ctx, r, d, model.Info(), a, store.Record{}, err)
	}
	if err := s.record(ctx, r, d, model.Info(), a, stored[0], nil); err != nil {
		return operation.Result{}, err
	}
	return operation.Result{
		Status: http.StatusCreated, Body: stored[0].Body,
		Header: http.Header{"Location": {r.Base + "/" + fhir.VersionedReference(stored[0].Key, stored[0].Version)}, "Etag": {stored[0].ETag()}},
	}, nil
}

// permit asks whether the caller may have this patient assessed and read the
// result. Reading the evidence is decided by rest, scopes included.
func (s *Service) permit(ctx context.Context, r operation.Request) (policies.Decision, error) {
	p := r.Principal
	p.Scopes = nil // SMART has no scope for this; rest holds every read to them
	d := s.REST.Policies.Decide(ctx, p, policies.Request{Action: policies.Invoke, Type: ServiceID, Patient: r.ID})
	if d.Allow {
		if read := s.REST.Policies.Decide(ctx, r.Principal, policies.Request{Action: policies.Read, Type: "RiskAssessment"}); !read.Allow {
			d = read
		}
	}
	if d.Allow {
		return d, nil
	}
	e := s.entry(r, d)
	e.Outcome, e.Reason = audit.Minor, string(d.Reason)
	if _, err := s.REST.Audit.Append(ctx, e); err != nil {
		return d, err
	}
	return d, d.Refusal("ondemand.permit")
}

func (s *Service) entry(r operation.Request, d policies.Decision) audit.Entry {
	return audit.Entry{
		Kind: audit.Inference, Agent: audit.AgentOf(r.Principal, r.Address), Decision: audit.DecisionOf(d),
		Request: r.RequestID, Service: "$" + r.Name, Patients: []string{"Patient/" + r.ID},
	}
}

// record puts a run on record, durably, and gives err back.
func (s *Service) record(ctx context.Context, r operation.Request, d policies.Decision, info *models.Info, a *cds.Assessment, risk store.Record, err error) error {
	e := s.entry(r, d)
	e.Model = audit.Model{Name: info.Ref.Name, Version: string(info.Ref.Version), Digest: info.Digest}
	if a != nil {
		e.Resources = a.Citations()
		if a.Status != cds.Assessed {
			e.Reason = a.Status.String()
		}
	}
	if risk.Exists() {
		e.Assessments = []string{fhir.VersionedReference(risk.Key, risk.Version)}
	}
	if err != nil {
		e.Outcome = audit.Minor
		if kind := fhir.KindOf(err); kind.Status() >= 500 {
			e.Outcome, e.Reason = audit.Serious, kind.Code()
		}
	}
	if _, failed := s.REST.Audit.Append(ctx, e); failed != nil {
		return failed
	}
	return err
}

// acquire holds a version. Errors: NotFound, Unavailable.
func (s *Service) acquire(ref models.Ref) (*models.Model, error) {
	model, err := s.Catalog.Acquire(ref)
	if err == nil {
		return model, nil
	}
	kind := fhir.Unavailable
	if models.KindOf(err) == models.NotFound {
		kind = fhir.NotFound
	}
	return nil, &fhir.Error{Op: "ondemand.acquire", Kind: kind, At: "model", Err: err}
}

// sources say which type of resource holds each kind of feature.
var sources = []struct {
	kinds        []manifest.FeatureKind
	resourceType string
	whole        bool // all of them, whatever their code
}{
	{[]manifest.FeatureKind{manifest.Observation}, "Observation", false},
	{[]manifest.FeatureKind{manifest.Condition, manifest.Onset}, "Condition", false},
	{[]manifest.FeatureKind{manifest.Medication}, "MedicationRequest", false},
	{[]manifest.FeatureKind{manifest.Medication}, "MedicationStatement", false},
	{[]manifest.FeatureKind{manifest.Procedure}, "Procedure", false},
	{[]manifest.FeatureKind{manifest.Stay}, "Encounter", true},
}

// most is how many resources of one type are read; a record with more is refused
// rather than read in part.
const most = 5000

// gather reads the patient and what the model's features are made of.
func (s *Service) gather(ctx context.Context, c rest.Caller, m *manifest.Manifest, patient fhir.Key) (feature.Evidence, error) {
	ev := feature.Evidence{PatientID: patient.ID}
	rec, err := s.REST.Read(ctx, c, patient)
	if err != nil {
		return ev, err
	}
	if ev.Patient, err = item(rec); err != nil {
		return ev, err
	}
	for _, source := range sources {
		criteria := "patient=" + patient.ID
		codes := codesOf(m, source.kinds)
		switch {
		case slices.ContainsFunc(m.Features, func(f manifest.Feature) bool { return source.whole && slices.Contains(source.kinds, f.Kind) }):
		case len(codes) > 0:
			criteria += "&code=" + strings.Join(codes, ",")
		default:
			continue
		}
		items, err := s.find(ctx, c, source.resourceType, criteria)
		if err != nil {
			return ev, err
		}
		ev.Items = append(ev.Items, items...)
	}
	if slices.ContainsFunc(m.Inputs, func(in manifest.Input) bool { return in.Image != nil }) {
		err = s.studies(ctx, c, &ev)
	}
	if slices.ContainsFunc(m.Inputs, func(in manifest.Input) bool { return in.Text != nil }) {
		err = errors.Join(err, s.notes(ctx, c, &ev))
	}
	return ev, err
}

// notes adds what may hold the patient's notes, and the Binaries that attachments
// name.
func (s *Service) notes(ctx context.Context, c rest.Caller, ev *feature.Evidence) error {
	for _, resourceType := range []string{"DocumentReference", "DiagnosticReport", "Composition"} {
		items, err := s.find(ctx, c, resourceType, "patient="+ev.PatientID)
		if err != nil {
			return err
		}
		ev.Items = append(ev.Items, items...)
		for _, it := range items {
			for content := range it.Resource.Root().Get("content").Items() {
				key := fhir.ParseReference(content.Get("attachment").Get("url").Text()).Key
				if key.Type != "Binary" {
					continue
				}
				if err := s.also(ctx, c, ev, key); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// also adds a resource that another one names; one that the caller may not see is
// as none.
func (s *Service) also(ctx context.Context, c rest.Caller, ev *feature.Evidence, key fhir.Key) error {
	if slices.ContainsFunc(ev.Items, func(it feature.Item) bool { return it.Resource.Key == key }) {
		return nil
	}
	rec, err := s.REST.Read(ctx, c, key)
	if kind := fhir.KindOf(err); err != nil && (kind == fhir.NotFound || kind == fhir.Deleted || kind == fhir.Forbidden) {
		return nil
	}
	if err != nil {
		return err
	}
	it, err := item(rec)
	ev.Items = append(ev.Items, it)
	return err
}

// studies adds the patient's imaging studies and the endpoints that they name.
func (s *Service) studies(ctx context.Context, c rest.Caller, ev *feature.Evidence) error {
	studies, err := s.find(ctx, c, "ImagingStudy", "patient="+ev.PatientID)
	if err != nil {
		return err
	}
	for _, it := range studies {
		lists := []jsontree.Node{it.Resource.Root().Get("endpoint")}
		for series := range it.Resource.Root().Get("series").Items() {
			lists = append(lists, series.Get("endpoint"))
		}
		for _, list := range lists {
			for ref := range list.Items() {
				if key := fhir.ParseReference(ref.Get("reference").Text()).Key; key.Type == "Endpoint" {
					if err := s.also(ctx, c, ev, key); err != nil {
						return err
					}
				}
			}
		}
	}
	ev.Items = append(ev.Items, studies...)
	return nil
}

func (s *Service) find(ctx context.Context, c rest.Caller, resourceType, criteria string) ([]feature.Item, error) {
	req, err := s.REST.Parser.Parse(resourceType, criteria, parse.Strict)
	if err != nil {
		return nil, &fhir.Error{Op: "ondemand.find", Err: err} // the manifest's codes, not the caller's
	}
	in := rest.QueryIn{Query: req.Query, Count: s.REST.Limits.MaxPage}
	var out []feature.Item
	for {
		page, err := s.REST.Query(ctx, c, in)
		if err != nil {
			return nil, err
		}
		for _, rec := range page.Matches {
			it, err := item(rec)
			if err != nil {
				return nil, err
			}
			out = append(out, it)
		}
		if len(out) > most {
			return nil, fhir.E("ondemand.find", fhir.TooCostly, resourceType, "the record holds too many resources for this model")
		}
		if in.After = page.Next; in.After == "" {
			return out, nil
		}
	}
}

func item(rec store.Record) (feature.Item, error) {
	r, err := fhir.Parse(rec.Body, jsontree.Limits{})
	if err != nil {
		return feature.Item{}, &fhir.Error{Op: "ondemand.item", Err: err}
	}
	return feature.Item{Resource: r, Citation: fhir.VersionedReference(rec.Key, rec.Version)}, nil
}

func codesOf(m *manifest.Manifest, kinds []manifest.FeatureKind) []string {
	var codes []string
	add := func(c manifest.Coding) {
		if code := c.System + "|" + c.Code; !slices.Contains(codes, code) {
			codes = append(codes, code)
		}
	}
	for i := range m.Features {
		if !slices.Contains(kinds, m.Features[i].Kind) {
			continue
		}
		for _, c := range m.Features[i].Codes {
			add(c.Coding)
			for _, panel := range c.Panels {
				add(panel)
			}
		}
	}
	return codes
}

// parameter is one part of a Parameters resource.
type parameter struct {
	Name    string `json:"name"`
	Boolean *bool  `json:"valueBoolean,omitempty"`
	String  string `json:"valueString,omitempty"`
}

func parameters(list []parameter) ([]byte, error) {
	body, err := json.Marshal(map[string]any{"resourceType": "Parameters", "parameter": list})
	if err != nil {
		return nil, &fhir.Error{Op: "ondemand.parameters", Err: err}
	}
	return body, nil
}
