package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"galen/fhir/jsontree"
	"galen/server/auth"
	"galen/server/servertest"
)

// exported starts an export, waits for its end and returns what its files hold,
// as "Type/id", sorted, and the manifest.
func exported(t *testing.T, c servertest.Client, kickOff string) ([]string, jsontree.Node) {
	t.Helper()
	started := c.Do("GET", kickOff, "", "Prefer", "respond-async").Want(202)
	manifest := finish(t, c, started.Header.Get("Content-Location"))
	var lines []string
	for o := range manifest.Get("output").Items() {
		a := c.Do("GET", o.Get("url").Text(), "", "Accept", "application/fhir+ndjson").Want(200)
		if got := a.Header.Get("Content-Type"); got != "application/fhir+ndjson" {
			t.Errorf("Content-Type %q", got)
		}
		n := 0
		for line := range strings.Lines(string(a.Body)) {
			doc, err := jsontree.Parse([]byte(strings.TrimSuffix(line, "\n")), jsontree.Limits{})
			if err != nil {
				t.Fatalf("not a line of JSON: %v", err)
			}
			if got := doc.Root().Get("resourceType").Text(); got != o.Get("type").Text() {
				t.Errorf("a %s in the file of %s", got, o.Get("type").Text())
			}
			lines = append(lines, doc.Root().Get("resourceType").Text()+"/"+doc.Root().Get("id").Text())
			n++
		}
		if o.Get("count").Text() != fmt.Sprint(n) {
			t.Errorf("count %s of %d lines", o.Get("count").Text(), n)
		}
	}
	slices.Sort(lines)
	return lines, manifest
}

// Bulk Data Access: the system, all patients, a group; _type, _typeFilter and
// _since; every resource once, on one line, its decimals as they were.
func TestExport(t *testing.T) {
	eachDriver(t, func(t *testing.T, s *servertest.Server) {
		c := s.As("admin")
		for n := range 250 {
			c.Do("PUT", fmt.Sprintf("Patient/p%03d", n), fmt.Sprintf("{\n \"resourceType\":\"Patient\",\n \"id\":\"p%03d\", \"gender\":%q}", n, []string{"male", "female"}[n%2])).Want(201)
		}
		for _, id := range []string{"p001", "p002"} {
			c.Do("PUT", "Observation/o-"+id, `{"resourceType":"Observation","id":"o-`+id+`","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/`+id+`"},"valueQuantity":{"value":1.00}}`).Want(201)
		}
		c.Do("PUT", "Observation/none", `{"resourceType":"Observation","id":"none","status":"final","code":{"text":"x"}}`).Want(201)
		c.Do("PUT", "Organization/o", `{"resourceType":"Organization","id":"o","name":"O"}`).Want(201)
		c.Do("PUT", "Group/g", `{"resourceType":"Group","id":"g","type":"person","actual":true,"member":[{"entity":{"reference":"Patient/p001"}},{"entity":{"reference":"Patient/p002"},"inactive":true}]}`).Want(201)

		all, manifest := exported(t, c, "$export")
		if len(all) != 250+3+2 || len(slices.Compact(slices.Clone(all))) != len(all) {
			t.Errorf("the system has %d resources", len(all))
		}
		if manifest.Get("requiresAccessToken").Text() != "true" || manifest.Get("transactionTime").Text() == "" || !strings.HasSuffix(manifest.Get("request").Text(), "/fhir/$export") || manifest.Get("error").Len() != 0 {
			t.Errorf("manifest %s", manifest.Raw())
		}
		for kickOff, want := range map[string]string{
			"$export?_type=Organization,Group":               "Group/g Organization/o",
			"$export?_type=Observation&_outputFormat=ndjson": "Observation/none Observation/o-p001 Observation/o-p002",
			"Patient/$export?_type=Observation":              "Observation/o-p001 Observation/o-p002",
			"Group/g/$export":                                "Group/g Observation/o-p001 Patient/p001",
			"$export?_type=Patient&_typeFilter=Patient%3F_id%3Dp001,p003&_typeFilter=Patient%3F_id%3Dp003,p004": "Patient/p001 Patient/p003 Patient/p004",
			"$export?_since=2999-01-01T00:00:00Z": "",
		} {
			if got, _ := exported(t, c, kickOff); strings.Join(got, " ") != want {
				t.Errorf("%s: %v, want %s", kickOff, got, want)
			}
		}
		for kickOff, status := range map[string]int{
			"$export?_type=Foo": 400, "$export?_outputFormat=text/csv": 400, "$export?_since=yesterday": 400, "$export?_typeFilter=Patient%3Ffoo%3D1": 400,
			"$export?_typeFilter=Patient": 400, "$export?nonsense=1": 400, "Group/none/$export": 404, "Group/$export": 404, "Observation/$export": 404,
		} {
			if a := c.Do("GET", kickOff, ""); a.Status != status {
				t.Errorf("%s: status %d, want %d", kickOff, a.Status, status)
			}
		}
	})
}

// An export shows no more than searches do, and its files are its owner's.
func TestExportKeepsAccess(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	admin := s.As("admin")
	for _, id := range []string{"mine", "other"} {
		admin.Do("PUT", "Patient/"+id, `{"resourceType":"Patient","id":"`+id+`"}`).Want(201)
		admin.Do("PUT", "Observation/"+id, `{"resourceType":"Observation","id":"`+id+`","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/`+id+`"}}`).Want(201)
	}
	patient := s.As("patient", func(c *auth.Claims) { c.Patient = "mine" })
	if got, _ := exported(t, patient, "$export"); strings.Join(got, " ") != "Observation/mine Patient/mine" {
		t.Errorf("a patient exports %v", got)
	}
	s.As("ehr").Do("GET", "$export?_type=Patient", "").Want(403)
	s.Anonymous().Do("GET", "$export", "").Want(401)

	started := admin.Do("GET", "$export?_type=Patient", "").Want(202).Header.Get("Content-Location")
	file := finish(t, admin, started).Get("output").Item(0).Get("url").Text()
	patient.Do("GET", started, "").Want(404)
	patient.Do("GET", file, "").Want(404)
	patient.Do("DELETE", started, "").Want(404)
	admin.Do("GET", file+"x", "").Want(404)
	admin.Do("GET", file, "").Want(200)
	admin.Do("DELETE", started, "").Want(202)
	admin.Do("GET", started, "").Want(404)
	admin.Do("GET", file, "").Want(404)
}
