package balp_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/spec"
	"galen/fhir/validate"
	"galen/policies/audit"
	"galen/policies/audit/balp"
)

var (
	noon     = time.Date(2026, 11, 24, 12, 0, 0, 123456000, time.UTC)
	renderer = balp.Renderer{Site: "galen-1", Base: "https://galen.example/fhir"}
)

const profile = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."

func kinds() []audit.Kind {
	return []audit.Kind{
		audit.Read, audit.VRead, audit.Search, audit.SearchSystem, audit.HistoryInstance, audit.HistoryType,
		audit.HistorySystem, audit.Create, audit.Update, audit.Patch, audit.Delete, audit.Transaction, audit.Batch,
		audit.Operation, audit.HookCall, audit.HookFeedback, audit.Inference, audit.Login, audit.PolicyChange,
		audit.BreakGlass, audit.BreakGlassStop, audit.AuditUse, audit.AuditExport, audit.ModelChange, audit.Import,
		audit.Start, audit.Stop,
	}
}

func entry(kind audit.Kind) audit.Entry {
	e := audit.Entry{
		Seq: 12, Time: noon, Kind: kind, Decision: audit.Decision{Allow: true, Rule: "staff-read", Revision: "d1"},
		Agent: audit.Agent{
			Subject: "dr-a", FHIRUser: "Practitioner/1", Client: "app", Org: "ward", Roles: []string{"clinician", "nurse"},
			Purpose: "TREAT", Address: "10.0.0.1", TokenID: "jti-1",
		},
		Request: "req-1", Patients: []string{"Patient/p1"}, Resources: []string{"Observation/o1/_history/2"},
	}
	if kind == audit.Search || kind == audit.SearchSystem {
		e.Query, e.Commitment = []byte("GET /fhir/Patient?name=Secret"), "c0"
	}
	return e
}

func render(t *testing.T, e audit.Entry) []fhir.Resource {
	t.Helper()
	events, err := renderer.Render(e)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// Every kind, full and bare, successful and not, is a valid R4 AuditEvent.
func TestEveryKindIsValidR4(t *testing.T) {
	defs, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	v, err := validate.New(defs, path.New(defs, nil), validate.Base)
	if err != nil {
		t.Fatal(err)
	}
	hook := entry(audit.HookCall)
	hook.Service, hook.Call, hook.Cards, hook.Object = "kfre", "d1577c69", []string{"u1", "u2"}, "x"
	hook.Model, hook.Assessments = audit.Model{Name: "kfre", Version: "1", Digest: "ab"}, []string{"RiskAssessment/1"}
	all := []audit.Entry{hook, {Seq: 1, Time: noon, Kind: "unheard-of"}}
	for _, kind := range kinds() {
		failed, erased := entry(kind), entry(kind)
		failed.Outcome, failed.Reason = audit.Minor, "policy"
		erased.Query = nil
		all = append(all, entry(kind), failed, erased, audit.Entry{Seq: 1, Time: noon, Kind: kind})
	}
	for _, e := range all {
		for _, r := range render(t, e) {
			for _, issue := range v.Validate(r) {
				if issue.Severity <= fhir.SeverityError {
					t.Errorf("%s: %s: %s\n%s", e.Kind, issue.At, issue.Diagnostics, r.Bytes())
				}
			}
			if r.Type != "AuditEvent" || r.Version != 1 || !r.LastUpdated.Equal(noon.Truncate(time.Millisecond)) {
				t.Errorf("%s: header %+v", e.Kind, r.Header)
			}
		}
	}
}

// codes are the codes of the codings of a node, in order.
func codes(n jsontree.Node) []string {
	var list []string
	for c := range n.Items() {
		list = append(list, c.Get("code").Text())
	}
	return list
}

// slice finds the one item whose type coding has the code.
func slice(t *testing.T, list jsontree.Node, code string) jsontree.Node {
	t.Helper()
	var found []jsontree.Node
	for item := range list.Items() {
		kind := item.Get("type")
		if c := kind.Get("coding"); c.Exists() {
			kind = c.Item(0)
		}
		if kind.Get("code").Text() == code {
			found = append(found, item)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d items of type %s in %s", len(found), code, list.Raw())
	}
	return found[0]
}

func texts(n jsontree.Node) []string {
	var list []string
	for item := range n.Items() {
		list = append(list, item.Text())
	}
	return list
}

// BALP 1.1: PatientRead, PatientQuery, PatientCreate, PatientUpdate,
// PatientDelete and their forms without patient, with OAUTHaccessTokenUse.
func TestBALPShapes(t *testing.T) {
	const source, destination = "110153", "110152"
	for _, c := range []struct {
		kind                          audit.Kind
		action, profile, client, user string
	}{
		{audit.Read, "R", "Read", destination, "IRCP"},
		{audit.VRead, "R", "Read", destination, "IRCP"},
		{audit.Search, "E", "Query", source, "IRCP"},
		{audit.SearchSystem, "E", "Query", source, "IRCP"},
		{audit.Create, "C", "Create", source, "AUT"},
		{audit.Update, "U", "Update", source, "AUT"},
		{audit.Patch, "U", "Update", source, "AUT"},
		{audit.Delete, "D", "Delete", source, "AUT"},
	} {
		t.Run(string(c.kind), func(t *testing.T) {
			r := render(t, entry(c.kind))[0].Root()
			got := []string{
				r.Get("type").Get("code").Text(), r.Get("subtype").Item(0).Get("system").Text(), r.Get("subtype").Item(0).Get("code").Text(),
				r.Get("action").Text(), r.Get("outcome").Text(), r.Get("recorded").Text(),
			}
			want := []string{"rest", "http://hl7.org/fhir/restful-interaction", string(c.kind), c.action, "0", "2026-11-24T12:00:00.123Z"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			profiles := []string{profile + "Patient" + c.profile, profile + "OAUTHaccessTokenUse.Minimal"}
			if diff := cmp.Diff(profiles, texts(r.Get("meta").Get("profile"))); diff != "" {
				t.Errorf("profiles (-want +got):\n%s", diff)
			}
			checkAgents(t, r, c.client, map[string]string{source: destination, destination: source}[c.client], c.user)
			checkEntities(t, r, c.profile == "Query")
			if r.Get("source").Get("observer").Len() == 0 {
				t.Error("no source.observer")
			}
		})
	}
}

func checkAgents(t *testing.T, r jsontree.Node, clientType, serverType, userType string) {
	t.Helper()
	client, server := slice(t, r.Get("agent"), clientType), slice(t, r.Get("agent"), serverType)
	if client.Get("who").Get("identifier").Get("value").Text() != "app" || client.Get("network").Get("address").Text() != "10.0.0.1" ||
		client.Get("network").Get("type").Text() != "2" || client.Get("requestor").Kind() != jsontree.False {
		t.Errorf("client: %s", client.Raw())
	}
	if !server.Get("who").Exists() || server.Get("network").Get("type").Text() != "5" || server.Get("requestor").Kind() != jsontree.False {
		t.Errorf("server: %s", server.Raw())
	}
	user := slice(t, r.Get("agent"), userType)
	if user.Get("who").Get("reference").Text() != "Practitioner/1" || user.Get("requestor").Kind() != jsontree.True ||
		user.Get("network").Exists() || user.Get("role").Item(1).Get("text").Text() != "nurse" || user.Get("altId").Text() != "dr-a" ||
		!slices.Equal(codes(user.Get("purposeOfUse").Item(0).Get("coding")), []string{"TREAT"}) ||
		!slices.Equal(texts(user.Get("policy")), []string{"urn:galen:policy:d1:staff-read"}) {
		t.Errorf("user: %s", user.Raw())
	}
	token := slice(t, r.Get("agent"), "UserOauthAgent")
	if !slices.Equal(texts(token.Get("policy")), []string{"urn:ietf:params:oauth:jti:jti-1"}) || token.Get("requestor").Kind() != jsontree.True {
		t.Errorf("token: %s", token.Raw())
	}
}

func checkEntities(t *testing.T, r jsontree.Node, query bool) {
	t.Helper()
	patient := slice(t, r.Get("entity"), "1")
	if patient.Get("what").Get("reference").Text() != "Patient/p1" || patient.Get("role").Get("code").Text() != "1" {
		t.Errorf("patient: %s", patient.Raw())
	}
	transaction := slice(t, r.Get("entity"), "XrequestId")
	if transaction.Get("what").Get("identifier").Get("value").Text() != "req-1" {
		t.Errorf("transaction: %s", transaction.Raw())
	}
	object := slice(t, r.Get("entity"), "2") // exactly one: entity[data] or entity[query] is 1..1
	if !query {
		if object.Get("what").Get("reference").Text() != "Observation/o1/_history/2" || object.Get("role").Get("code").Text() != "4" {
			t.Errorf("data: %s", object.Raw())
		}
		return
	}
	raw, err := base64.StdEncoding.DecodeString(object.Get("query").Text())
	if err != nil || string(raw) != "GET /fhir/Patient?name=Secret" || object.Get("role").Get("code").Text() != "24" || object.Get("what").Exists() {
		t.Errorf("query: %s %v", object.Raw(), err)
	}
}

// BALP PatientQuery: one AuditEvent for every patient in the result.
func TestOneEventForEachPatient(t *testing.T) {
	e := entry(audit.Search)
	e.Patients = []string{"Patient/b", "Patient/a", "Patient/b"}
	var got []string
	for _, r := range render(t, e) {
		got = append(got, r.ID, slice(t, r.Root().Get("entity"), "1").Get("what").Get("reference").Text())
	}
	if diff := cmp.Diff([]string{"a12-1", "Patient/a", "a12-2", "Patient/b"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	e.Patients = nil
	one := render(t, e)
	if len(one) != 1 || one[0].ID != "a12" || texts(one[0].Root().Get("meta").Get("profile"))[0] != profile+"Query" {
		t.Errorf("without patients: %s", one[0].Bytes())
	}
}

// BALP's profiles are for successes: what does not meet one does not claim it.
func TestProfilesAreOnlyClaimedWhenMet(t *testing.T) {
	for name, change := range map[string]func(*audit.Entry){
		"failure":         func(e *audit.Entry) { e.Outcome = audit.Minor },
		"no address":      func(e *audit.Entry) { e.Agent.Address = "" },
		"query erased":    func(e *audit.Entry) { e.Kind, e.Query = audit.Search, nil },
		"two resources":   func(e *audit.Entry) { e.Resources = append(e.Resources, "Patient/2") },
		"no BALP profile": func(e *audit.Entry) { e.Kind = audit.Transaction },
	} {
		e := entry(audit.Read)
		change(&e)
		if r := render(t, e)[0].Root(); r.Get("meta").Get("profile").Exists() {
			t.Errorf("%s: %s", name, r.Raw())
		}
	}
}

func TestDenialShowsItsReason(t *testing.T) {
	e := entry(audit.Read)
	e.Outcome, e.Reason, e.Decision = audit.Minor, "policy-deny", audit.Decision{Rule: "no", Revision: "d2"}
	r := render(t, e)[0].Root()
	if r.Get("outcome").Text() != "4" || r.Get("outcomeDesc").Text() != "policy-deny" ||
		!strings.Contains(string(r.Raw()), "urn:galen:policy:d2:no") {
		t.Errorf("%s", r.Raw())
	}
}

// DICOM PS3.16: emergency override and log use have their codes.
func TestSecurityEventCodes(t *testing.T) {
	for kind, want := range map[audit.Kind][2]string{
		audit.BreakGlass:     {"110113", "110127"},
		audit.BreakGlassStop: {"110113", "110138"},
		audit.PolicyChange:   {"110113", "110129"},
		audit.AuditUse:       {"110101", "audit-use"},
		audit.Login:          {"110114", "110122"},
		audit.HookCall:       {"110100", "hook-call"},
	} {
		r := render(t, entry(kind))[0].Root()
		if got := [2]string{r.Get("type").Get("code").Text(), codes(r.Get("subtype"))[0]}; got != want {
			t.Errorf("%s: %v", kind, got)
		}
	}
}

func TestInferenceNamesModelAndCards(t *testing.T) {
	e := entry(audit.HookCall)
	e.Service, e.Call, e.Cards = "kfre", "d1577c69", []string{"u1", "u2"}
	e.Model, e.Assessments = audit.Model{Name: "kfre-4v", Version: "1.0.0", Digest: "abc"}, []string{"RiskAssessment/9/_history/1"}
	text := string(render(t, e)[0].Bytes())
	for _, want := range []string{
		`"value":"kfre"`, `"hookInstance","valueString":"d1577c69"`, `"valueString":"u1 u2"`, `"value":"kfre-4v"`,
		`"type":"version","valueString":"1.0.0"`, `"type":"sha256","valueString":"abc"`, `"reference":"RiskAssessment/9/_history/1"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}
