package main

import (
	"strings"
	"testing"

	"galen/fhir/jsontree"
	"galen/server/auth"
)

func parameter(root jsontree.Node, name string) string {
	for p := range root.Get("parameter").Items() {
		if p.Get("name").Text() == name {
			return p.Get("valueBoolean").Text() + p.Get("valueString").Text()
		}
	}
	return ""
}

// A clinician has a patient assessed, and the assessment replays from its basis,
// also after the record has gone on, until a version of an input is another.
func TestAssessAndReplay(t *testing.T) {
	g, stop := start(t, t.TempDir())
	defer stop()
	clinician, admin := g.token("clinician"), g.token("admin")
	const assess = "/fhir/Patient/demo-kidney/$assess?model=kfre-4v"
	res, risk := g.call("POST", assess, clinician, "")
	if res.StatusCode != 201 || !strings.Contains(res.Header.Get("Location"), "/fhir/RiskAssessment/") {
		t.Fatalf("%d %s: %.400s", res.StatusCode, res.Header.Get("Location"), risk.Raw())
	}
	if risk.Get("prediction").Item(0).Get("probabilityDecimal").Text() == "" || risk.Get("basis").Len() < 3 {
		t.Errorf("RiskAssessment %s", risk.Raw())
	}
	path := "/fhir/RiskAssessment/" + risk.Get("id").Text()
	replay := g.want(200, "GET", path+"/$replay", clinician, "")
	if parameter(replay, "equal") != "true" || parameter(replay, "model") != "kfre-4v@1.0.0" || len(parameter(replay, "sha256")) != 64 {
		t.Errorf("replay %s", replay.Raw())
	}

	acr := g.want(200, "GET", "/fhir/Observation/demo-acr", admin, "")
	g.want(200, "PUT", "/fhir/Observation/demo-acr", admin, strings.Replace(string(acr.Raw()), `"value": `, `"value": 1`, 1))
	if again := g.want(200, "POST", path+"/$replay", clinician, ""); parameter(again, "equal") != "true" {
		t.Errorf("after the record went on: %s", again.Raw())
	}

	// A RiskAssessment that was changed by hand no longer says what the model says.
	body := strings.Replace(string(risk.Raw()), `"probabilityDecimal":`, `"probabilityDecimal":1`, 1)
	g.want(200, "PUT", path, admin, body)
	if forged := g.want(200, "GET", path+"/$replay", clinician, ""); parameter(forged, "equal") != "false" || parameter(forged, "differs") != "prediction" {
		t.Errorf("forged: %s", forged.Raw())
	}
	officer := g.token("compliance")
	if audits := g.want(200, "GET", "/fhir/AuditEvent?_count=200", officer, ""); !strings.Contains(string(audits.Raw()), "$assess") {
		t.Error("the assessment is not on record")
	}
}

func TestAssessRefuses(t *testing.T) {
	g, stop := start(t, t.TempDir())
	defer stop()
	clinician := g.token("clinician")
	const patient = "/fhir/Patient/demo-kidney/$assess"
	for _, tt := range []struct {
		name          string
		status        int
		method, path  string
		token, reason string
	}{
		{"no model", 400, "POST", patient, clinician, "model"},
		{"no name", 400, "POST", patient + "?model=../x", clinician, "NAME"},
		{"no such model", 404, "POST", patient + "?model=none", clinician, "no such model"},
		{"no such version", 404, "POST", patient + "?model=kfre-4v@9.9.9", clinician, "no such model"},
		{"no such patient", 404, "POST", "/fhir/Patient/nobody/$assess?model=kfre-4v", clinician, ""},
		{"GET", 405, "GET", patient + "?model=kfre-4v", clinician, ""},
		{"other parameter", 400, "POST", patient + "?modell=kfre-4v", clinician, "no such parameter"},
		{"missing inputs", 422, "POST", "/fhir/Patient/demo-ward/$assess?model=kfre-4v", clinician, "missing"},
		{"researcher", 403, "POST", patient + "?model=kfre-4v", g.token("researcher"), ""},
		{"an EHR may not read the record", 403, "POST", patient + "?model=kfre-4v", g.token("ehr"), ""},
		{"scopes that read less", 403, "POST", patient + "?model=kfre-4v", g.token("clinician", func(c *auth.Claims) { c.Scope = "user/Patient.rs user/RiskAssessment.rs" }), ""},
		{"no RiskAssessment", 404, "GET", "/fhir/RiskAssessment/none/$replay", clinician, ""},
	} {
		root := g.want(tt.status, tt.method, tt.path, tt.token, "")
		if !strings.Contains(string(root.Raw()), tt.reason) {
			t.Errorf("%s: %s, want %q", tt.name, root.Raw(), tt.reason)
		}
	}
	admin := g.token("admin")
	made := g.want(201, "POST", "/fhir/RiskAssessment", admin, `{"resourceType":"RiskAssessment","status":"final","subject":{"reference":"Patient/demo-kidney"}}`)
	g.want(422, "GET", "/fhir/RiskAssessment/"+made.Get("id").Text()+"/$replay", clinician, "")
}
