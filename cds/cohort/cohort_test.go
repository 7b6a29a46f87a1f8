package cohort_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"galen/cds/cohort"
	"galen/fhir"
	"galen/fhir/job"
	"galen/fhir/operation"
	"galen/fhir/rest"
	"galen/models"
	"galen/policies"
	"galen/policies/audit"
	"galen/store"
)

var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// hospital reads, records and assesses: patient p7 lacks an input, p9 may not be
// seen. It waits before each assessment until gate lets it.
type hospital struct {
	members int
	gate    chan struct{} // closed: do not wait
	mu      sync.Mutex
	asked   []string
	hidden  map[string]bool // RiskAssessments that may not be read any more
}

func (h *hospital) Read(_ context.Context, _ rest.Caller, key fhir.Key) (store.Record, error) {
	if key.ID != "g" {
		return store.Record{}, fhir.E("test", fhir.NotFound, "", "no such group")
	}
	var members []string
	for i := range h.members {
		members = append(members, fmt.Sprintf(`{"entity":{"reference":"Patient/p%d"}}`, i))
	}
	members = append(members, `{"entity":{"reference":"Patient/p0"}}`, `{"entity":{"reference":"Patient/gone"},"inactive":true}`, `{"entity":{"reference":"Device/d"}}`)
	return store.Record{Body: []byte(`{"resourceType":"Group","id":"g","member":[` + strings.Join(members, ",") + `]}`)}, nil
}

func (h *hospital) VRead(_ context.Context, _ rest.Caller, key fhir.Key, version string) (store.Record, error) {
	if h.hidden[key.ID] {
		return store.Record{}, fhir.E("test", fhir.Forbidden, "", "not any more")
	}
	return store.Record{Body: []byte("{\n \"resourceType\":\"RiskAssessment\",\"id\":\"" + key.ID + `","meta":{"versionId":"` + version + `"}}`)}, nil
}

func (h *hospital) Append(context.Context, ...audit.Entry) (uint64, error) { return 0, nil }

func (h *hospital) Resolve(ref models.Ref) (models.Ref, error) {
	ref.Version = "1.0.0"
	return ref, nil
}

func (h *hospital) Permitted(context.Context, operation.Request) error { return nil }

func (h *hospital) Assess(ctx context.Context, r operation.Request, arguments map[string][]string) (operation.Result, error) {
	select {
	case <-h.gate:
	case <-ctx.Done():
		return operation.Result{}, ctx.Err()
	}
	h.mu.Lock()
	h.asked = append(h.asked, r.ID+" "+arguments["model"][0]+" "+r.Principal.Subject)
	h.mu.Unlock()
	switch r.ID {
	case "p7":
		return operation.Result{}, fhir.E("test", fhir.Unprocessable, "", "not assessable: Creatinine missing")
	case "p9":
		return operation.Result{}, fhir.E("test", fhir.Forbidden, "", "the policies do not permit this")
	}
	return operation.Result{Status: 201, Body: []byte(`{"resourceType":"RiskAssessment","id":"r-` + r.ID + `","meta":{"versionId":"1"}}`)}, nil
}

// mask is a Sealer whose texts cannot be read.
type mask struct{}

func (mask) Seal(text []byte) ([]byte, error) {
	out := slices.Clone(text)
	for i := range out {
		out[i] ^= 0xA5
	}
	return out, nil
}

func (m mask) Open(sealed []byte) ([]byte, bool) {
	out, err := m.Seal(sealed)
	return out, err == nil
}

func open(t *testing.T, h *hospital, dir string) *cohort.Service {
	t.Helper()
	s := cohort.New(cohort.Config{Reader: h, Audit: h, Assess: h, Now: func() time.Time { return noon }, Seal: mask{}})
	n := 0
	room, err := job.Open(job.Options{
		Dir: dir, Now: s.Now, NewID: func() string { n++; return fmt.Sprint("j", n) },
		Kinds: map[string]job.Runner{cohort.Kind: s.Work}, Seal: mask{},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Jobs = room
	t.Cleanup(func() { _ = room.Close() })
	return s
}

func asked(id string) operation.Request {
	c := rest.Caller{Principal: policies.Principal{Subject: "ann"}, Base: "http://h/fhir"}
	return operation.Request{Caller: c, Type: "Group", ID: id}
}

func begin(t *testing.T, s *cohort.Service) string {
	t.Helper()
	res, err := s.Operations()[0].Perform(t.Context(), asked("g"), map[string][]string{"model": {"m"}})
	if err != nil || res.Status != 202 {
		t.Fatalf("kick-off: %d %v", res.Status, err)
	}
	return strings.TrimPrefix(res.Header.Get("Content-Location"), "http://h/fhir/_assess/")
}

// pass lets n assessments go on.
func pass(h *hospital, n int) {
	for range n {
		h.gate <- struct{}{}
	}
}

// A job goes on after a restart: each member once, in parts, with what failed
// named, and nothing readable on the disk.
func TestResumes(t *testing.T) {
	h := &hospital{members: 450, gate: make(chan struct{}), hidden: map[string]bool{"r-p8": true}}
	dir := t.TempDir()
	s := open(t, h, dir)
	id := begin(t, s)
	pass(h, 321)
	if res, err := s.Status(t.Context(), asked(id)); err != nil || res.Status != 202 || !strings.HasSuffix(res.Header.Get("X-Progress"), " of 450 members") {
		t.Errorf("status %d %q %v", res.Status, res.Header.Get("X-Progress"), err)
	}
	if err := s.Jobs.Close(); err != nil {
		t.Fatal(err)
	}
	close(h.gate)
	s = open(t, h, dir)
	if err := s.Jobs.Wait(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	for i, who := range h.asked {
		if want := fmt.Sprintf("p%d m@1.0.0 ann", i); who != want {
			t.Fatalf("assessment %d is %s, want %s", i, who, want)
		}
	}
	if len(h.asked) != 450 {
		t.Fatalf("%d assessments", len(h.asked))
	}
	res, err := s.Status(t.Context(), asked(id))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Model         string
		Output, Error []struct {
			URL   string
			Count int
		}
	}
	if err := json.Unmarshal(res.Body, &got); err != nil {
		t.Fatal(err)
	}
	if got.Model != "m@1.0.0" || len(got.Output) != 3 || got.Output[0].Count != 198 || got.Output[2].Count != 50 || len(got.Error) != 1 || got.Error[0].Count != 2 {
		t.Errorf("result %s", res.Body)
	}
	for name, want := range map[string][]string{
		"OperationOutcome-1.ndjson": {`"code":"business-rule"`, "Patient/p7", "Creatinine missing", `"code":"forbidden"`, "Patient/p9"},
		"RiskAssessment-1.ndjson":   {`"r-p0"`, `"r-p199"`, "Patient/p8", "cannot be read any more"},
		"RiskAssessment-3.ndjson":   {`"r-p400"`, `"r-p449"`},
	} {
		res, err := s.File(t.Context(), asked(id), name)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range want {
			if !bytes.Contains(res.Body, []byte(part)) {
				t.Errorf("%s lacks %s", name, part)
			}
		}
		for line := range bytes.Lines(res.Body) {
			if !json.Valid(line) {
				t.Errorf("%s: not a line of JSON: %s", name, line)
			}
		}
	}
	for _, name := range []string{"RiskAssessment-4.ndjson", "RiskAssessment-0.ndjson", "OperationOutcome-2.ndjson", "RiskAssessment-01.ndjson", "../j1.json", "Patient-1.ndjson"} {
		if _, err := s.File(t.Context(), asked(id), name); fhir.KindOf(err) != fhir.NotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, _ error) error {
		if text, _ := os.ReadFile(path); bytes.Contains(text, []byte("p449")) || bytes.Contains(text, []byte("Creatinine")) {
			t.Errorf("%s can be read", d.Name())
		}
		return nil
	})
}

// A result is its owner's; DELETE stops the job and forgets it.
func TestOwnerAndCancel(t *testing.T) {
	h := &hospital{members: 5, gate: make(chan struct{})}
	s := open(t, h, t.TempDir())
	id := begin(t, s)
	pass(h, 2)
	other := asked(id)
	other.Principal.Subject = "bob"
	if _, err := s.Status(t.Context(), other); fhir.KindOf(err) != fhir.NotFound {
		t.Errorf("another's status: %v", err)
	}
	if _, err := s.Cancel(t.Context(), other); fhir.KindOf(err) != fhir.NotFound {
		t.Errorf("another's cancel: %v", err)
	}
	if res, err := s.Cancel(t.Context(), asked(id)); err != nil || res.Status != 202 {
		t.Errorf("cancel: %d %v", res.Status, err)
	}
	if _, err := s.Status(t.Context(), asked(id)); fhir.KindOf(err) != fhir.NotFound || len(h.asked) > 2 {
		t.Errorf("after cancel: %v, %d assessed", err, len(h.asked))
	}
}

func TestRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		group   string
		models  []string
		members int
		want    fhir.Kind
	}{
		"no model":      {"g", nil, 1, fhir.Required},
		"no name":       {"g", []string{"../m"}, 1, fhir.Value},
		"no such group": {"none", []string{"m"}, 1, fhir.NotFound},
		"too many":      {"g", []string{"m"}, 10_001, fhir.TooCostly},
	} {
		s := open(t, &hospital{members: c.members}, t.TempDir())
		_, err := s.Operations()[0].Perform(t.Context(), asked(c.group), map[string][]string{"model": c.models})
		if fhir.KindOf(err) != c.want {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
