package report

import (
	"context"
	"slices"
	"strings"
	"time"

	"galen/fhir"
	"galen/policies/audit"
)

// Signs says what counts as unusual.
type Signs struct {
	Volume int // patients that one user may see on one day; 50 if 0
}

// The signs of an unusual access.
const (
	NoRelationship = "no-care-relationship" // the user does not care for the patient now
	Volume         = "volume"               // the user saw many patients that day
	OffHours       = "off-hours"            // at night or on a weekend
)

// day is one user's day.
type day struct{ subject, date string }

// Unusual lists allowed accesses to patients' data that bear a sign.
func (r *Reporter) Unusual(ctx context.Context, p Period, s Signs) ([]Access, error) {
	if s.Volume == 0 {
		s.Volume = 50
	}
	seen := map[day]map[string]bool{}
	list := []Access{}
	for e, err := range r.Log.Read(1) {
		if err == nil && ctx.Err() != nil {
			err = &fhir.Error{Op: "report.Unusual", Kind: fhir.Timeout, Err: ctx.Err()}
		}
		if err != nil {
			return nil, err
		}
		if !p.holds(e.Time) || len(e.Patients) == 0 || !allowed(&e) || !decided(&e) {
			continue
		}
		a := accessOf(&e)
		of := day{a.Subject, e.Time.In(r.zone()).Format(time.DateOnly)}
		if seen[of] == nil {
			seen[of] = map[string]bool{}
		}
		for _, patient := range e.Patients {
			seen[of][patient] = true
		}
		if a.Unusual, err = r.signs(ctx, &e); err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	for i := range list {
		of := day{list[i].Subject, list[i].Time.In(r.zone()).Format(time.DateOnly)}
		if len(seen[of]) > s.Volume {
			list[i].Unusual = append(list[i].Unusual, Volume)
		}
	}
	return slices.DeleteFunc(list, func(a Access) bool { return len(a.Unusual) == 0 }), nil
}

func (r *Reporter) zone() *time.Location {
	if r.Zone == nil {
		return time.UTC
	}
	return r.Zone
}

// signs are those that one access bears by itself.
func (r *Reporter) signs(ctx context.Context, e *audit.Entry) ([]string, error) {
	var signs []string
	at := e.Time.In(r.zone())
	if at.Weekday() == time.Saturday || at.Weekday() == time.Sunday || at.Hour() < 7 || at.Hour() >= 19 {
		signs = append(signs, OffHours)
	}
	user := fhir.ParseReference(e.Agent.FHIRUser).Key
	if r.Relations == nil || user.ID == "" || user.Type == "Patient" {
		return signs, nil
	}
	cared, err := r.Relations.Patients(ctx, user)
	if err != nil {
		return nil, err
	}
	stranger := func(patient string) bool { return !slices.Contains(cared, strings.TrimPrefix(patient, "Patient/")) }
	if slices.ContainsFunc(e.Patients, stranger) {
		signs = append(signs, NoRelationship)
	}
	return signs, nil
}

// ModelUse is how one version of a model was used.
type ModelUse struct {
	Model    string         `json:"model"`
	Version  string         `json:"version"`
	Digest   string         `json:"sha256"`
	Runs     int            `json:"runs"`
	Assessed int            `json:"assessments"` // RiskAssessments that were made
	Patients int            `json:"patients"`
	Without  map[string]int `json:"without,omitempty"` // runs that made none, by reason
	First    time.Time      `json:"first"`
	Last     time.Time      `json:"last"`
}

// Models lists how the models were used.
func (r *Reporter) Models(ctx context.Context, p Period) ([]ModelUse, error) {
	uses := map[audit.Model]*ModelUse{}
	patients := map[audit.Model]map[string]bool{}
	var order []audit.Model
	for e, err := range r.Log.Find(1, func(b []byte) bool { return strings.Contains(string(b), `"kind":"inference"`) }) {
		if err == nil && ctx.Err() != nil {
			err = &fhir.Error{Op: "report.Models", Kind: fhir.Timeout, Err: ctx.Err()}
		}
		if err != nil {
			return nil, err
		}
		if e.Kind != audit.Inference || !p.holds(e.Time) {
			continue
		}
		u := uses[e.Model]
		if u == nil {
			u = &ModelUse{Model: e.Model.Name, Version: e.Model.Version, Digest: e.Model.Digest, First: e.Time, Without: map[string]int{}}
			uses[e.Model], patients[e.Model] = u, map[string]bool{}
			order = append(order, e.Model)
		}
		u.Runs, u.Last = u.Runs+1, e.Time
		u.Assessed += len(e.Assessments)
		if len(e.Assessments) == 0 {
			u.Without[e.Reason]++
		}
		for _, patient := range e.Patients {
			patients[e.Model][patient] = true
		}
		u.Patients = len(patients[e.Model])
	}
	list := []ModelUse{}
	for _, m := range order {
		list = append(list, *uses[m])
	}
	return list, nil
}
