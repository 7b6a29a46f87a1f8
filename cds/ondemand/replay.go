package ondemand

import (
	"context"
	"time"

	"galen/cds"
	"galen/cds/feature"
	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/operation"
	"galen/models"
)

// replay answers $replay with Parameters: equal, the model and its digest, and
// each member that differs. Errors: Forbidden and NotFound for what the caller may
// not read, Unprocessable for a RiskAssessment that no model here made or whose
// inputs are not here in their versions, Unavailable.
func (s *Service) replay(ctx context.Context, r operation.Request, _ map[string][]string) (operation.Result, error) {
	rec, err := s.REST.Read(ctx, r.Caller, fhir.Key{Type: r.Type, ID: r.ID})
	if err != nil {
		return operation.Result{}, err
	}
	recorded, err := fhir.Parse(rec.Body, jsontree.Limits{})
	if err != nil {
		return operation.Result{}, &fhir.Error{Op: "ondemand.replay", Err: err}
	}
	ref, at, err := origin(recorded.Root())
	if err != nil {
		return operation.Result{}, err
	}
	model, err := s.acquire(ref)
	if err != nil {
		return operation.Result{}, err
	}
	defer model.Release()
	ev, err := s.inputs(ctx, r, recorded.Root())
	if err != nil {
		return operation.Result{}, err
	}
	a, err := s.Engine.Assess(ctx, model, ev, at)
	if err != nil {
		return operation.Result{}, err
	}
	differences, err := a.Differences(recorded)
	if err != nil {
		return operation.Result{}, err
	}
	return verdict(model.Info(), differences)
}

func verdict(info *models.Info, differences []string) (operation.Result, error) {
	equal := len(differences) == 0
	list := []parameter{
		{Name: "equal", Boolean: &equal}, {Name: "model", String: info.Ref.String()}, {Name: "sha256", String: info.Digest},
	}
	for _, name := range differences {
		list = append(list, parameter{Name: "differs", String: name})
	}
	body, err := parameters(list)
	return operation.Result{Body: body}, err
}

// origin is the version that made a RiskAssessment, and when.
func origin(risk jsontree.Node) (models.Ref, time.Time, error) {
	const op = "ondemand.origin"
	var ref models.Ref
	for c := range risk.Get("method").Get("coding").Items() {
		if c.Get("system").Text() != cds.ModelSystem {
			continue
		}
		if r, err := models.ParseRef(c.Get("code").Text()); err == nil && r.Version != "" {
			ref = r
		}
	}
	at, err := time.Parse(time.RFC3339Nano, risk.Get("occurrenceDateTime").Text())
	if ref.Name == "" || err != nil {
		return ref, at, fhir.E(op, fhir.Unprocessable, "RiskAssessment.method", "no model of this server made this RiskAssessment")
	}
	return ref, at, nil
}

// inputs reads the versions that the assessment was made of.
func (s *Service) inputs(ctx context.Context, r operation.Request, risk jsontree.Node) (feature.Evidence, error) {
	const op = "ondemand.inputs"
	subject := fhir.ParseReference(risk.Get("subject").Get("reference").Text())
	ev := feature.Evidence{PatientID: subject.Key.ID}
	for p := range risk.Get("prediction").Items() { // terms that the caller had added
		if outcome := p.Get("outcome"); outcome.Get("coding").Len() == 0 {
			ev.Terms = append(ev.Terms, outcome.Get("text").Text())
		}
	}
	for b := range risk.Get("basis").Items() {
		ref := fhir.ParseReference(b.Get("reference").Text())
		if ref.Version == "" || ref.Key.Type == "" || ref.Base != "" {
			return ev, fhir.E(op, fhir.Unprocessable, "RiskAssessment.basis", "an input lies elsewhere or has no version")
		}
		rec, err := s.REST.VRead(ctx, r.Caller, ref.Key, ref.Version)
		if err != nil {
			return ev, err
		}
		it, err := item(rec)
		if err != nil {
			return ev, err
		}
		if ref.Key.Type == "Patient" {
			ev.Patient = it
			continue
		}
		ev.Items = append(ev.Items, it)
	}
	return ev, nil
}
