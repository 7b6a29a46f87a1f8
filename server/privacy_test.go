package server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"galen/policies/compliance"
	"galen/server/auth"
	"galen/server/servertest"
)

// Names and values of the invented patient, and of what a client may carelessly
// send, none of which may come out again where it does not belong.
const (
	familyName = "Zzyzxnamen"
	birthDate  = "1961-09-17"
	freeText   = "Qqxdiagnose"
	urlValue   = "Wwsuchwort"
	badValue   = "Vvbadvalue"
)

// What a patient's record holds, what a search names and what a token is must
// appear neither in the log, nor in an error, nor in metrics, nor in the entries
// of the audit log; the query of a search lies beside its entry, erasable.
func TestNoPatientDataInLogsErrorsMetricsAndAudit(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	admin, officer := s.As("admin"), s.As("compliance")
	patient := fmt.Sprintf(`{"resourceType":"Patient","id":"p","name":[{"family":%q}],"birthDate":%q}`, familyName, birthDate)
	admin.Do("PUT", "Patient/p", patient).Want(201)
	admin.Do("POST", "Condition", fmt.Sprintf(`{"resourceType":"Condition","subject":{"reference":"Patient/p"},"code":{"text":%q}}`, freeText)).Want(201)
	var errors strings.Builder
	bad := func(c servertest.Client, method, target, body string, headers ...string) {
		t.Helper()
		a := c.Do(method, target, body, headers...)
		if a.Status < 400 {
			t.Fatalf("%s %s: %d", method, target, a.Status)
		}
		errors.Write(a.Body)
	}
	admin.Do("GET", "Patient?name="+urlValue, "").Want(200)
	bad(admin, "GET", "Patient?birthdate="+badValue, "")
	bad(admin, "GET", "Patient?name:"+"nomodifier="+urlValue, "")
	bad(admin, "GET", "Patient/"+badValue+"_", "")
	bad(admin, "POST", "Patient", `{"resourceType":"Patient","birthDate":"`+badValue+`"}`)
	bad(admin, "POST", "Patient", `{"resourceType":"Patient","gender":"`+badValue+`","name":[{"family":"`+familyName+`"}]}`)
	bad(admin, "PUT", "Patient/q", patient)
	bad(admin, "POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":`+patient+`,"request":{"method":"POST","url":"Patient","ifNoneExist":"birthdate=`+badValue+`"}}]}`)
	bad(s.As("researcher"), "GET", "Patient?name="+urlValue, "")
	bad(s.As("clinician"), "POST", "/compliance/break-glass", `{"patient":"`+badValue+` x","reason":"`+freeText+`"}`, "Content-Type", jsonBody)
	bad(s.As("clinician", func(c *auth.Claims) { c.Scope = "user/Patient.r" }), "GET", "Condition?code:text="+urlValue, "")
	forged := s.Anonymous()
	forged.Token = admin.Token[:len(admin.Token)-8] + "AAAAAAAA"
	bad(forged, "GET", "Patient/p", "")
	s.As("clinician").Do("POST", "/compliance/break-glass", `{"patient":"p","reason":"`+freeText+`"}`, "Content-Type", jsonBody).Want(201)
	officer.Do("GET", "/compliance/access-report?patient=p", "").Want(200)
	metrics := string(s.Anonymous().Do("GET", "/metrics", "").Body)

	var canonical strings.Builder
	for c, err := range s.AuditLog.Canonical(1) {
		if err != nil {
			t.Fatal(err)
		}
		canonical.Write(c.JSON)
	}
	for where, text := range map[string]string{
		"log": s.Logs.String(), "errors": errors.String(), "metrics": metrics, "audit entries": canonical.String(),
	} {
		if len(text) == 0 {
			t.Errorf("%s: nothing was written, so nothing is tested", where)
		}
		for _, secret := range []string{familyName, birthDate, freeText, urlValue, badValue, admin.Token, forged.Token, admin.Token[strings.LastIndex(admin.Token, ".")+1:]} {
			if strings.Contains(text, secret) {
				at := strings.Index(text, secret)
				t.Errorf("%s hold %q: …%s", where, secret, text[max(0, at-80):min(len(text), at+60)])
			}
		}
	}
}

// Secrets on disk are for the server's user alone.
func TestFilesAreForTheOwner(t *testing.T) {
	dir := t.TempDir()
	if _, err := auth.OpenIssuer(dir, nil); err != nil {
		t.Fatal(err)
	}
	s := servertest.Start(t, servertest.Options{})
	s.As("admin").Do("GET", "Patient", "").Want(200)
	for _, root := range []string{dir, s.Dir} {
		err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %s", path, info.Mode())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(compliance.TreeDir(s.Dir)); err != nil {
		t.Error("the directory that was looked through is not the server's")
	}
}
