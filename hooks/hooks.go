// Package hooks answers CDS Hooks calls (https://cds-hooks.hl7.org/2.0/)
// without HTTP: discovery from the model catalog, a call's checks, its evidence
// from prefetch or a Source, the assessments, and the cards that show them.
//
// A card leaves only after the RiskAssessment it shows and the audit record of
// the call are durable. Nothing of a caller's access token is kept or logged.
//
// It decides neither what a number means (cds) nor who may call (policies).
package hooks

import (
	"context"
	"time"

	"galen/cds"
	"galen/cds/feature"
	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/hooks/prefetch"
	"galen/models"
	"galen/policies"
	"galen/policies/audit"
)

// Caller is who calls and how.
type Caller struct {
	Principal policies.Principal
	RequestID string
	Address   string
	Base      string // absolute URL of this server, no slash at its end
}

// Result is one assessment and the card that will show it.
type Result struct {
	*cds.Assessment
	Card string // uuid of the card
}

// Sources gives the Source of what a call left out.
type Sources interface {
	Local(c Caller) prefetch.Source
}

// Config is all a Dispatcher needs.
type Config struct {
	Services []Service
	Catalog  *models.Catalog
	Engine   *cds.Engine
	Policies *policies.Engine
	Audit    *audit.Log
	Ledger   *cds.Ledger
	Sources  Sources
	Now      func() time.Time
	NewID    func() string // UUIDs
}

// Dispatcher answers discovery and calls. It is immutable and safe for
// concurrent use.
type Dispatcher struct {
	Config
	discovery []byte
	byKey     map[key]*Service
	ids       map[string]bool
}

// New returns a Dispatcher.
func New(cfg Config) (*Dispatcher, error) {
	body, err := discovery(cfg.Services)
	if err != nil {
		return nil, err
	}
	d := &Dispatcher{Config: cfg, discovery: body, byKey: map[key]*Service{}, ids: map[string]bool{}}
	for i := range cfg.Services {
		s := &cfg.Services[i]
		d.byKey[key{s.ID, s.Hook}], d.ids[s.ID] = s, true
	}
	return d, nil
}

// Discovery is the body of GET /cds-services, not to be changed.
func (d *Dispatcher) Discovery() []byte { return d.discovery }

// Call answers one call of a service with the body of the response. Errors are
// *fhir.Error: NotFound for an unknown service, Malformed, Required, Value or
// Invalid for a bad call, Forbidden, Precondition when needed data cannot be
// had, and those of the models.
func (d *Dispatcher) Call(ctx context.Context, c Caller, id string, body []byte) ([]byte, error) {
	const op = "hooks.Call"
	if !d.ids[id] {
		return nil, fhir.E(op, fhir.NotFound, "", "there is no such service")
	}
	r, err := parseRequest(body)
	if err != nil {
		return nil, err
	}
	service, ok := d.byKey[key{id, r.hook}]
	if !ok {
		return nil, fhir.E(op, fhir.Value, "hook", "the service does not answer this hook")
	}
	if err := checkContext(r.hook, r.context); err != nil {
		return nil, err
	}
	in, err := d.begin(ctx, c, id, &r)
	if err != nil {
		return nil, err
	}
	results, err := d.run(ctx, c, service, r)
	if err != nil {
		return nil, d.end(ctx, in, err)
	}
	stored, err := d.record(ctx, in, results)
	if err != nil {
		return nil, err
	}
	return response(c.Base, results, stored)
}

// run gathers the evidence and assesses it.
func (d *Dispatcher) run(ctx context.Context, c Caller, service *Service, r request) ([]Result, error) {
	filler := prefetch.Filler{Server: r.server, Source: d.Sources.Local(c)}
	data, err := filler.Fill(ctx, service.Prefetch, r.context, r.prefetch)
	if err != nil {
		return nil, err
	}
	ev, err := evidence(r, data)
	if err != nil {
		return nil, err
	}
	return d.assess(ctx, service, ev)
}

// evidence sorts what the keys hold into the patient and the rest. A patient
// with another id than the context's is refused: prefetch of two patients mixed
// up must never make a card.
func evidence(r request, data []prefetch.Data) (feature.Evidence, error) {
	ev := feature.Evidence{PatientID: r.patient}
	seen := map[string]bool{}
	for _, d := range data {
		for _, it := range d.Items {
			item := feature.Item(it)
			if d.Key == patientKey {
				if it.Resource.Key != (fhir.Key{Type: "Patient", ID: r.patient}) {
					return ev, fhir.E("hooks.evidence", fhir.Value, "prefetch."+patientKey, "the Patient is not the one of context.patientId")
				}
				ev.Patient = item
				continue
			}
			if !seen[it.Citation] || it.Resource.ID == "" {
				seen[it.Citation] = true
				ev.Items = append(ev.Items, item)
			}
		}
	}
	if ev.Patient.Resource.Root().Kind() == jsontree.Absent {
		return ev, fhir.E("hooks.evidence", fhir.Precondition, "prefetch."+patientKey, "prefetch "+patientKey+" is needed and there is no such Patient")
	}
	return ev, nil
}

func (d *Dispatcher) assess(ctx context.Context, s *Service, ev feature.Evidence) ([]Result, error) {
	results := make([]Result, 0, len(s.Models))
	at := d.Now()
	for _, info := range s.Models {
		a, err := d.one(ctx, info, ev, at)
		if err != nil {
			return nil, err
		}
		results = append(results, Result{a, d.NewID()})
	}
	return results, nil
}

func (d *Dispatcher) one(ctx context.Context, info *models.Info, ev feature.Evidence, at time.Time) (*cds.Assessment, error) {
	model, err := d.Catalog.Acquire(info.Ref)
	if err != nil {
		return nil, &fhir.Error{Op: "hooks.assess", Kind: fhir.Unavailable, At: info.Ref.String(), Err: err}
	}
	defer model.Release()
	return d.Engine.Assess(ctx, model, ev, at)
}
