package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// A clinician has a group assessed: one member can be, one lacks an input, one is
// not here; who may not, may not.
func TestAssessGroup(t *testing.T) {
	g, stop := start(t, t.TempDir())
	defer stop()
	clinician, admin := g.token("clinician"), g.token("admin")
	g.want(201, "PUT", "/fhir/Group/g", admin, `{"resourceType":"Group","id":"g","type":"person","actual":true,"member":[
		{"entity":{"reference":"Patient/demo-kidney"}},{"entity":{"reference":"Patient/demo-ward"}}]}`)
	const assess = "/fhir/Group/g/$assess?model=kfre-4v"
	g.want(403, "POST", assess, g.token("researcher"), "")
	g.want(404, "POST", "/fhir/Group/none/$assess?model=kfre-4v", clinician, "")
	g.want(404, "POST", "/fhir/Group/g/$assess?model=none", clinician, "")
	g.want(400, "POST", "/fhir/Group/g/$assess", clinician, "")
	res, _ := g.call("POST", assess, clinician, "", "Prefer", "respond-async")
	_, path, ok := strings.Cut(res.Header.Get("Content-Location"), "/fhir/_assess/")
	if res.StatusCode != 202 || !ok {
		t.Fatalf("kick-off %d %q", res.StatusCode, res.Header.Get("Content-Location"))
	}
	if err := g.jobs.Wait(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	done := g.want(200, "GET", "/fhir/_assess/"+path, clinician, "")
	if done.Get("model").Text() != "kfre-4v@1.0.0" || done.Get("output").Len() != 1 || done.Get("error").Len() != 1 {
		t.Fatalf("result %s", done.Raw())
	}
	fetch := func(list string) string {
		req, err := http.NewRequestWithContext(t.Context(), "GET", done.Get(list).Item(0).Get("url").Text(), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+clinician)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != 200 || res.Header.Get("Content-Type") != "application/fhir+ndjson" {
			t.Fatalf("%s: %d %v %s", list, res.StatusCode, err, text)
		}
		return string(text)
	}
	if text := fetch("output"); strings.Count(text, "\n") != 1 || !strings.Contains(text, "probabilityDecimal") || !strings.Contains(text, "Patient/demo-kidney") {
		t.Errorf("output %s", text)
	}
	if text := fetch("error"); !strings.Contains(text, "Patient/demo-ward") || !strings.Contains(text, "missing") {
		t.Errorf("error %s", text)
	}
	g.want(404, "GET", "/fhir/_assess/"+path, g.token("nurse"), "")
	g.want(202, "DELETE", "/fhir/_assess/"+path, clinician, "")
	g.want(404, "GET", "/fhir/_assess/"+path, clinician, "")
}
