package rest_test

import (
	"strings"
	"testing"

	"galen/server/servertest"
)

const foreignEvent = `{"resourceType":"AuditEvent","type":{"system":"http://dicom.nema.org/resources/ontology/DCM","code":"110114"},"recorded":"2026-11-24T08:00:00.10Z","agent":[{"requestor":true}],"source":{"observer":{"display":"other"}}`

// ITI-20: an AuditEvent of another system is kept as it came, is found, and can
// neither be changed nor deleted.
func TestReceivedAuditEvents(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	ehr, officer := s.As("ehr"), s.As("compliance")
	made := ehr.Do("POST", "/fhir/AuditEvent", foreignEvent+"}").Want(201)
	location := made.Header.Get("Location")
	got := officer.Do("GET", strings.TrimPrefix(location, s.URL), "").Want(200)
	if !strings.Contains(string(got.Body), `"recorded":"2026-11-24T08:00:00.10Z"`) {
		t.Errorf("%s", got.Body)
	}
	named := foreignEvent + `,"id":"theirs-1"}`
	admin := s.As("admin")
	ehr.Do("PUT", "/fhir/AuditEvent/theirs-1", named).Want(201)
	admin.Do("PUT", "/fhir/AuditEvent/theirs-1", named).Want(409)
	admin.Do("DELETE", "/fhir/AuditEvent/theirs-1", "").Want(405)
	admin.Do("PUT", "/fhir/AuditEvent/a99", foreignEvent+`,"id":"a99"}`).Want(400)
	officer.Do("POST", "/fhir/AuditEvent", foreignEvent+"}").Want(403)
	ehr.Do("POST", "/fhir/AuditEvent", `{"resourceType":"AuditEvent"}`).Want(400)
	found := officer.Do("GET", "/fhir/AuditEvent?type=110114&_summary=count", "").Want(200)
	if !strings.Contains(string(found.Body), `"total":2`) {
		t.Errorf("%s", found.Body)
	}
}
