package cds

import (
	"galen/fhir"
	"galen/fhir/jsontree"
)

// replayed are the members of a RiskAssessment that follow from the model and
// its inputs alone.
var replayed = []string{"method", "performer", "basis", "prediction", "mitigation", "note"}

// Differences are the members of a stored RiskAssessment that this assessment,
// of the same model on the same inputs as of the same time, would write
// otherwise, byte by byte; nil when it says the same. An assessment that is not
// Assessed differs in its prediction.
func (a *Assessment) Differences(recorded fhir.Resource) ([]string, error) {
	if a.Status != Assessed {
		return []string{"prediction"}, nil
	}
	body, err := a.risk(Context{Subject: "Patient/" + a.PatientID}, "").JSON()
	if err != nil {
		return nil, err
	}
	again, err := fhir.Parse(body, jsontree.Limits{})
	if err != nil {
		return nil, &fhir.Error{Op: "cds.Differences", Err: err}
	}
	var out []string
	for _, name := range replayed {
		if string(recorded.Root().Get(name).Raw()) != string(again.Root().Get(name).Raw()) {
			out = append(out, name)
		}
	}
	return out, nil
}
