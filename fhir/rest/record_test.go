package rest_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/patch"
	"galen/fhir/rest"
	"galen/policies"
	"galen/policies/audit"
	"galen/server/servertest"
)

const observation = `{"resourceType":"Observation","id":"o","identifier":[{"value":"1"}],"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/one"}}`

// last is the newest entry of the log in one line.
func last(t *testing.T, log *audit.Log) string {
	t.Helper()
	var out string
	for e, err := range log.Read(log.Head().Seq) {
		if err != nil {
			t.Fatal(err)
		}
		outcome := map[audit.Outcome]string{audit.Success: "success", audit.Minor: "minor", audit.Serious: "serious"}[e.Outcome]
		out = fmt.Sprintf("%s %s %v %v %q", e.Kind, outcome, e.Resources, e.Patients, e.Query)
	}
	return out
}

// Every interaction on single resources is on record with what was touched and
// whose data it was, whether it succeeded or not.
func TestInteractionsAreOnRecord(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	caller := rest.Caller{Principal: policies.Principal{Subject: "a", Roles: []string{"admin"}}, RequestID: "r", Base: "http://h/fhir"}
	nobody := rest.Caller{Principal: policies.Principal{Subject: "n"}, RequestID: "r", Base: "http://h/fhir"}
	o := fhir.Key{Type: "Observation", ID: "o"}
	read, err := s.REST.Patches.Read(patch.JSONPatch, []byte(`[{"op":"replace","path":"/status","value":"amended"}]`))
	if err != nil {
		t.Fatal(err)
	}
	broken, err := s.REST.Patches.Read(patch.JSONPatch, []byte(`[{"op":"remove","path":"/nothing"}]`))
	if err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		name string
		do   func(ctx context.Context) error
		kind fhir.Kind // of the error; Internal for none
		want string
	}{
		{"create at an id", func(ctx context.Context) error {
			_, err := s.REST.Update(ctx, caller, o, []byte(observation), "")
			return err
		}, 0, `update success [Observation/o/_history/1] [Patient/one] ""`},
		{"identical update", func(ctx context.Context) error {
			_, err := s.REST.Update(ctx, caller, o, []byte(observation), "")
			return err
		}, 0, `update success [Observation/o/_history/1] [Patient/one] ""`},
		{"update of another version", func(ctx context.Context) error {
			_, err := s.REST.Update(ctx, caller, o, []byte(observation), `W/"7"`)
			return err
		}, fhir.Precondition, `update minor [Observation/o] [] ""`},
		{"update only if absent", func(ctx context.Context) error {
			_, err := s.REST.UpdateAbsent(ctx, caller, o, []byte(observation))
			return err
		}, fhir.Precondition, `update minor [Observation/o] [] ""`},
		{"read", func(ctx context.Context) error {
			_, err := s.REST.Read(ctx, caller, o)
			return err
		}, 0, `read success [Observation/o/_history/1] [Patient/one] ""`},
		{"read without permission", func(ctx context.Context) error {
			_, err := s.REST.Read(ctx, nobody, o)
			return err
		}, fhir.Forbidden, `read minor [Observation/o] [Patient/one] ""`},
		{"patch", func(ctx context.Context) error {
			_, err := s.REST.Patch(ctx, caller, o, read, "")
			return err
		}, 0, `patch success [Observation/o/_history/2] [Patient/one] ""`},
		{"patch that does not fit", func(ctx context.Context) error {
			_, err := s.REST.Patch(ctx, caller, o, broken, "")
			return err
		}, fhir.Unprocessable, `patch minor [Observation/o] [] ""`},
		{"vread", func(ctx context.Context) error {
			_, err := s.REST.VRead(ctx, caller, o, "1")
			return err
		}, 0, `vread success [Observation/o/_history/1] [Patient/one] ""`},
		{"history", func(ctx context.Context) error {
			_, err := s.REST.History(ctx, caller, rest.HistoryIn{Type: o.Type, ID: o.ID, Query: url.Values{}})
			return err
		}, 0, `history-instance success [Observation/o/_history/2 Observation/o/_history/1] [Patient/one] ""`},
		{"conditional create that matches", func(ctx context.Context) error {
			out, err := s.REST.Create(ctx, caller, o.Type, []byte(observation), "identifier=1")
			if err == nil && (!out.Matched || out.Created || out.ID != "o") {
				t.Errorf("%+v", out)
			}
			return err
		}, 0, `create success [Observation/o/_history/2] [Patient/one] "identifier=1"`},
		{"conditional update", func(ctx context.Context) error {
			_, err := s.REST.UpdateWhere(ctx, caller, o.Type, "identifier=1", []byte(observation), "")
			return err
		}, 0, `update success [Observation/o/_history/3] [Patient/one] "identifier=1"`},
		{"conditional patch", func(ctx context.Context) error {
			_, err := s.REST.PatchWhere(ctx, caller, o.Type, "identifier=1", read, "")
			return err
		}, 0, `patch success [Observation/o/_history/4] [Patient/one] "identifier=1"`},
		{"conditional patch of nothing", func(ctx context.Context) error {
			_, err := s.REST.PatchWhere(ctx, caller, o.Type, "identifier=2", read, "")
			return err
		}, fhir.NotFound, `patch minor [] [] "identifier=2"`},
		{"conditional delete", func(ctx context.Context) error {
			_, err := s.REST.DeleteWhere(ctx, caller, o.Type, "identifier=1", "")
			return err
		}, 0, `delete success [Observation/o/_history/5] [Patient/one] "identifier=1"`},
		{"delete again", func(ctx context.Context) error {
			_, err := s.REST.Delete(ctx, caller, o, "")
			return err
		}, 0, `delete success [Observation/o/_history/5] [] ""`},
		{"read of what was deleted", func(ctx context.Context) error {
			rec, err := s.REST.Read(ctx, caller, o)
			if rec.Version != 5 || !rec.Deleted {
				t.Errorf("the tombstone is not told: %+v", rec)
			}
			return err
		}, fhir.Deleted, `read minor [Observation/o] [] ""`},
		{"brought back for another patient", func(ctx context.Context) error {
			_, err := s.REST.Update(ctx, caller, o, []byte(strings.Replace(observation, "Patient/one", "Patient/two", 1)), "")
			return err
		}, 0, `update success [Observation/o/_history/6] [Patient/two] ""`},
		{"moved to the other patient", func(ctx context.Context) error {
			_, err := s.REST.Update(ctx, caller, o, []byte(observation), "")
			return err
		}, 0, `update success [Observation/o/_history/7] [Patient/one Patient/two] ""`},
		{"type history", func(ctx context.Context) error {
			_, err := s.REST.History(ctx, caller, rest.HistoryIn{Type: o.Type, Query: url.Values{"_count": {"1"}}})
			return err
		}, 0, `history-type success [Observation/o/_history/7] [Patient/one] ""`},
	}
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			before := s.AuditLog.Head().Seq
			err := step.do(t.Context())
			if fhir.KindOf(err) != step.kind || (err != nil) != (step.kind != 0) {
				t.Errorf("error %v, want Kind %v", err, step.kind)
			}
			if n := s.AuditLog.Head().Seq - before; n != 1 {
				t.Errorf("%d entries", n)
			}
			if diff := cmp.Diff(step.want, last(t, s.AuditLog)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
