package servertest_test

import (
	"testing"

	"galen/server/servertest"
)

func TestServerAnswersWithTokensPoliciesAndAudit(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	admin := s.As("admin")
	made := admin.Do("POST", "Patient", `{"resourceType":"Patient","active":true}`).Want(201)
	read := admin.Do("GET", made.Header.Get("Location"), "").Want(200)
	if read.ID() != made.ID() || read.ID() == "" {
		t.Errorf("read %q, made %q", read.ID(), made.ID())
	}
	if code := s.Anonymous().Do("GET", "Patient/"+made.ID(), "").Want(401).Issue().Get("code").Text(); code != "login" {
		t.Errorf("issue code %q", code)
	}
	s.As("ehr").Do("GET", "/fhir/Patient/"+made.ID(), "").Want(403)
	events := s.As("compliance").Do("GET", "AuditEvent?entity=Patient/"+made.ID(), "").Want(200)
	if n := events.JSON().Get("entry").Len(); n < 3 {
		t.Errorf("%d AuditEvents, want those of the create, the read and the refusal: %s", n, events.Body)
	}
}
