// Package measure writes an evaluation of a model as a FHIR MeasureReport
// (https://hl7.org/fhir/R4/measurereport.html): a group for each figure, with the
// subgroups as strata and the 95 % interval as an extension.
//
// It computes nothing: galen/models/evaluate does.
package measure

import (
	"encoding/json"

	"galen/cds"
	"galen/fhir"
	"galen/models"
	"galen/models/evaluate"
)

const (
	// Canonical is MeasureReport.measure: how well a model predicts.
	Canonical = "http://galen.health/fhir/Measure/model-performance"
	// IntervalURL is the extension of a score's 95 % interval, a Range.
	IntervalURL = "http://galen.health/fhir/StructureDefinition/interval-95"

	populationSystem = "http://terminology.hl7.org/CodeSystem/measure-population"
)

type object = map[string]any

// figures are the figures of a group in their order.
var figures = []struct {
	name        string
	of          func(*evaluate.Group) evaluate.Interval
	probability bool // exists for probabilities only
}{
	{"area under the ROC curve", func(g *evaluate.Group) evaluate.Interval { return g.AUC }, false},
	{"average precision", func(g *evaluate.Group) evaluate.Interval { return g.AP }, false},
	{"Brier score", func(g *evaluate.Group) evaluate.Interval { return g.Brier }, true},
	{"observed to expected ratio", func(g *evaluate.Group) evaluate.Interval { return g.OE }, true},
	{"calibration slope", func(g *evaluate.Group) evaluate.Interval { return g.Slope }, true},
	{"calibration intercept", func(g *evaluate.Group) evaluate.Interval { return g.Intercept }, true},
}

// Report is the MeasureReport. Errors: Value for a report that names no version.
func Report(r *evaluate.Report) ([]byte, error) {
	ref, err := models.ParseRef(r.Model)
	if err != nil || ref.Version == "" {
		return nil, fhir.E("measure.Report", fhir.Value, "model", "want a model and its version")
	}
	day := r.At.UTC().Format("2006-01-02")
	var groups []object
	for _, f := range figures {
		if f.probability && !r.Probability {
			continue
		}
		g := scored(&r.Overall, f.of(&r.Overall))
		g["code"] = object{"text": f.name}
		var strata []object
		for i := range r.Subgroups {
			s := scored(&r.Subgroups[i], f.of(&r.Subgroups[i]))
			s["value"] = object{"text": r.Subgroups[i].Name}
			strata = append(strata, s)
		}
		if strata != nil {
			g["stratifier"] = []object{{"code": []object{{"text": "subgroup"}}, "stratum": strata}}
		}
		groups = append(groups, g)
	}
	body, err := json.Marshal(object{
		"resourceType": "MeasureReport", "status": "complete", "type": "summary", "measure": Canonical,
		"identifier": []object{{"system": cds.ModelSystem, "value": r.Model}},
		"date":       day, "period": object{"start": day, "end": day},
		"evaluatedResource": []object{{"reference": cds.DeviceKey(ref).String(), "display": r.Title + ", output " + r.Output}},
		"group":             groups,
	})
	if err != nil {
		return nil, &fhir.Error{Op: "measure.Report", Err: err}
	}
	return body, nil
}

// scored is the populations and the score that groups and strata share.
func scored(g *evaluate.Group, i evaluate.Interval) object {
	population := func(code string, n int) object {
		return object{"code": object{"coding": []object{{"system": populationSystem, "code": code}}}, "count": n}
	}
	out := object{"population": []object{population("denominator", g.N), population("numerator", g.Events)}}
	if i.Value == nil {
		return out
	}
	score := object{"value": *i.Value}
	if i.Low != nil && i.High != nil {
		score["extension"] = []object{{"url": IntervalURL, "valueRange": object{"low": object{"value": *i.Low}, "high": object{"value": *i.High}}}}
	}
	out["measureScore"] = score
	return out
}
