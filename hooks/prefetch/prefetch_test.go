package prefetch_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/spec"
	"galen/fhir/ucum"
	"galen/hooks/prefetch"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func engine(t testing.TB) *path.Engine {
	t.Helper()
	defs, err := spec.Load()
	if err != nil {
		t.Fatal(err)
	}
	units, err := ucum.Load()
	if err != nil {
		t.Fatal(err)
	}
	return path.New(defs, units)
}

func rules(paths *path.Engine) prefetch.Rules {
	return prefetch.Rules{Fields: []string{"userId", "patientId", "encounterId", "performer"}, Resources: []string{"draftOrders"}, Paths: paths}
}

// Acceptance 2: only allowed tokens, only portable queries, dependencies in
// order.
func TestPlanRefusesWhatIsNotPortable(t *testing.T) {
	paths := engine(t)
	for name, tt := range map[string]struct {
		queries []string
		paths   *path.Engine
		ok      bool
	}{
		"read":                          {[]string{"Patient/{{context.patientId}}"}, nil, true},
		"read of a reference":           {[]string{"{{context.performer}}"}, nil, true},
		"read of the user":              {[]string{"Practitioner/{{userPractitionerId}}"}, nil, true},
		"search":                        {[]string{"Observation?patient={{context.patientId}}&code=http://loinc.org|1,http://loinc.org|2&date=ge2020-01-01&_sort=-date&_count=200"}, nil, true},
		":in":                           {[]string{"Condition?patient={{context.patientId}}&code:in=http://x.test/vs"}, nil, true},
		"no token":                      {[]string{"Practitioner?active=true"}, nil, true},
		"other member":                  {[]string{"Patient/{{context.other}}"}, nil, false},
		"resource of the context":       {[]string{"Patient/{{context.draftOrders}}"}, nil, false},
		"path without 3.0":              {[]string{"Observation?date=ge{{today()}}"}, nil, false},
		"token without end":             {[]string{"Patient/{{context.patientId"}, nil, false},
		"absolute":                      {[]string{"https://evil.test/Patient/{{context.patientId}}"}, nil, false},
		"climbing":                      {[]string{"../Patient/{{context.patientId}}"}, nil, false},
		"operation":                     {[]string{"Patient/{{context.patientId}}/$everything"}, nil, false},
		"system search":                 {[]string{"?patient={{context.patientId}}"}, nil, false},
		"_include":                      {[]string{"Observation?patient={{context.patientId}}&_include=Observation:subject"}, nil, false},
		"_has":                          {[]string{"Patient?_has:Observation:patient:code=1"}, nil, false},
		"chain":                         {[]string{"Observation?patient.name=x"}, nil, false},
		":missing":                      {[]string{"Observation?patient={{context.patientId}}&code:missing=true"}, nil, false},
		"prefix sa":                     {[]string{"Observation?date=sa2020-01-01"}, nil, false},
		"sort of the samples":           {[]string{"Observation?patient={{context.patientId}}&sort:desc=date"}, nil, false},
		"parameter without value":       {[]string{"Observation?patient="}, nil, false},
		"today minus days":              {[]string{"Observation?patient={{context.patientId}}&date=ge{{today() - 90 days}}"}, paths, true},
		"chaining":                      {[]string{"Medication?_id={{context.draftOrders.entry.resource.ofType(MedicationRequest).medication.reference}}"}, paths, true},
		"earlier key":                   {[]string{"Patient/{{context.patientId}}", "Practitioner?_id={{%key0.generalPractitioner.reference}}"}, paths, true},
		"later key, and so every cycle": {[]string{"Practitioner?_id={{%key1.id}}", "Patient/{{context.patientId}}"}, paths, false},
		"own key":                       {[]string{"Practitioner?_id={{%key0.id}}"}, paths, false},
		"no FHIRPath":                   {[]string{"Observation?date={{today(}}"}, paths, false},
		"path into another member":      {[]string{"Observation?date={{context.secret.id}}"}, paths, false},
	} {
		var templates []prefetch.Template
		for i, q := range tt.queries {
			templates = append(templates, prefetch.Template{Key: "key" + string(rune('0'+i)), Query: q})
		}
		_, err := prefetch.NewPlan(rules(tt.paths), templates)
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && fhir.KindOf(err) != fhir.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, keys := range [][]string{{""}, {" a"}, {"a", "a"}, {"a  b"}} {
		var templates []prefetch.Template
		for _, k := range keys {
			templates = append(templates, prefetch.Template{Key: k, Query: "Patient/{{context.patientId}}"})
		}
		if _, err := prefetch.NewPlan(rules(nil), templates); err == nil {
			t.Errorf("keys %q were taken", keys)
		}
	}
}

// server is a Source that answers by query and remembers what it was asked.
type server struct {
	mu      sync.Mutex
	asked   []string
	answers map[string]string
	err     error
}

func (s *server) Fetch(_ context.Context, query string) ([]prefetch.Item, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, query)
	if s.err != nil {
		return nil, s.err
	}
	text, ok := s.answers[query]
	if !ok {
		return nil, fhir.E("test", fhir.NotFound, "", "none")
	}
	r, err := fhir.Parse([]byte(text), jsontree.Limits{})
	return []prefetch.Item{{Resource: r, Citation: "cited/" + r.String()}}, err
}

func parse(t testing.TB, text string) jsontree.Node {
	t.Helper()
	doc, err := jsontree.Parse([]byte(text), jsontree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return doc.Root()
}

func fill(t *testing.T, f prefetch.Filler, queries map[string]string, order []string, context, sent string) []prefetch.Data {
	t.Helper()
	var templates []prefetch.Template
	for _, key := range order {
		templates = append(templates, prefetch.Template{Key: key, Query: queries[key]})
	}
	plan, err := prefetch.NewPlan(rules(engine(t)), templates)
	if err != nil {
		t.Fatal(err)
	}
	f.Now = noon
	data, err := f.Fill(t.Context(), plan, parse(t, context).Get, parse(t, sent))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Acceptance 8, 9, 10: given, null, OperationOutcome and paged are taken as
// such; only what is absent is fetched, by exactly the template's query.
func TestFillKeyByKey(t *testing.T) {
	src := &server{answers: map[string]string{"Observation?patient=p1&code=a%7Cb": `{"resourceType":"Observation","id":"o9"}`}}
	queries := map[string]string{
		"given": "Patient/{{context.patientId}}", "null": "Condition?patient={{context.patientId}}", "outcome": "Procedure?patient={{context.patientId}}",
		"bundle": "Observation?patient={{context.patientId}}", "absent": "Observation?patient={{context.patientId}}&code=a%7Cb", "nowhere": "Goal?patient={{context.patientId}}",
	}
	data := fill(t, prefetch.Filler{Server: "https://ehr.test/fhir/", Source: src}, queries,
		[]string{"given", "null", "outcome", "bundle", "absent", "nowhere"}, `{"patientId":"p1"}`, `{
			"given":{"resourceType":"Patient","id":"p1","meta":{"versionId":"7"}}, "null":null, "unknown key":{"x":1},
			"outcome":{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"exception"}]},
			"bundle":{"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"resourceType":"Observation","id":"o1"}},
				{"search":{"mode":"outcome"},"resource":{"resourceType":"OperationOutcome"}},{"fullUrl":"x"}]}}`)
	type row struct {
		Key    string
		State  prefetch.State
		Items  string
		Absent bool
	}
	var got []row
	for _, d := range data {
		var items []string
		for _, it := range d.Items {
			items = append(items, it.Citation)
		}
		got = append(got, row{d.Key, d.State, strings.Join(items, " "), d.Missing()})
	}
	want := []row{
		{"given", prefetch.Given, "https://ehr.test/fhir/Patient/p1/_history/7", false},
		{"null", prefetch.NoData, "", false},
		{"outcome", prefetch.Outcome, "", true},
		{"bundle", prefetch.Given, "https://ehr.test/fhir/Observation/o1", false},
		{"absent", prefetch.Fetched, "cited/Observation/o9", false},
		{"nowhere", prefetch.Failed, "", true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(src.asked) != 2 {
		t.Errorf("asked %q: only the absent keys may be fetched", src.asked)
	}
}

// The tokens of the CDS Hooks 3.0 ballot.
func TestTokensOfTheBallot(t *testing.T) {
	src := &server{answers: map[string]string{
		"Patient/p1": `{"resourceType":"Patient","id":"p1","generalPractitioner":[{"reference":"Practitioner/g1"},{"reference":"Practitioner/g2"}]}`,
	}}
	queries := map[string]string{
		"patient": "Patient/{{context.patientId}}",
		"recent":  "Observation?patient={{context.patientId}}&date=ge{{today() - 90 days}}",
		"gp":      "PractitionerRole?practitioner={{%patient.generalPractitioner.reference}}",
		"meds":    "Medication?_id={{context.draftOrders.entry.resource.ofType(MedicationRequest).id | context.draftOrders.entry.resource.ofType(ServiceRequest).id}}",
		"nothing": "Device?patient={{context.draftOrders.entry.resource.ofType(Device).id}}",
		"user":    "PractitionerRole?practitioner={{userPractitionerId}}",
		"role":    "PractitionerRole/{{userPractitionerRoleId}}",
	}
	data := fill(t, prefetch.Filler{Source: src}, queries, []string{"patient", "recent", "gp", "meds", "nothing", "user", "role"}, `{"patientId":"p1","userId":"Practitioner/u1",
		"draftOrders":{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"MedicationRequest","id":"m1"}},{"resource":{"resourceType":"MedicationRequest","id":"m2"}},{"resource":{"resourceType":"ServiceRequest","id":"s1"}}]}}`, `{}`)
	asked := map[string]bool{}
	for _, q := range src.asked {
		asked[q] = true
	}
	want := map[string]bool{
		"Patient/p1": true, "Observation?patient=p1&date=ge2026-08-26": true,
		"PractitionerRole?practitioner=Practitioner%2Fg1,Practitioner%2Fg2": true,
		"Medication?_id=m1,m2,s1": true, "PractitionerRole?practitioner=u1": true,
	}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("queries (-want +got):\n%s", diff)
	}
	if data[4].State != prefetch.NoData {
		t.Errorf("an expression without a value: state %d, want no data", data[4].State)
	}
	if data[6].State != prefetch.Failed {
		t.Errorf("a user of another type: state %d, want failed", data[6].State)
	}
}

// A value of the call cannot change which server, type or resource is asked.
func TestHostileContextStaysInItsPlace(t *testing.T) {
	for _, value := range []string{"../../admin", "x/../y", "https://evil.test/Patient/1", "Patient/1?x=y", "1&_include=*", "a b", ".."} {
		src := &server{}
		plan, err := prefetch.NewPlan(rules(nil), []prefetch.Template{{Key: "a", Query: "{{context.performer}}"}})
		if err != nil {
			t.Fatal(err)
		}
		context := map[string]string{"performer": value}
		call := func(name string) jsontree.Node { return parse(t, string(jsontree.AppendString(nil, context[name]))) }
		if _, err := (prefetch.Filler{Source: src}).Fill(t.Context(), plan, call, jsontree.Node{}); fhir.KindOf(err) != fhir.Value || len(src.asked) != 0 {
			t.Errorf("%q: %v, asked %q", value, err, src.asked)
		}
		plan, err = prefetch.NewPlan(rules(nil), []prefetch.Template{{Key: "a", Query: "Observation?performer={{context.performer}}"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (prefetch.Filler{Source: src}).Fill(t.Context(), plan, call, jsontree.Node{}); err != nil || strings.ContainsAny(src.asked[0][len("Observation?performer="):], "&?#/ ") {
			t.Errorf("%q: %v, asked %q", value, err, src.asked)
		}
	}
}

// holds has one version of one resource.
type holds struct{ body string }

func (h holds) Holds(_ context.Context, all []fhir.Resource) ([]bool, error) {
	out := make([]bool, len(all))
	for i, r := range all {
		out[i] = string(r.Bytes()) == h.body
	}
	return out, nil
}

// What was sent without a server is cited as a local version only if this
// server has that very version.
func TestCitationsOfWhatWasSentWithoutServer(t *testing.T) {
	mine := `{"resourceType":"Patient","id":"p1","meta":{"versionId":"2"}}`
	queries := map[string]string{"patient": "Patient/{{context.patientId}}"}
	for sent, want := range map[string]string{
		mine: "Patient/p1/_history/2",
		`{"resourceType":"Patient","id":"p1","meta":{"versionId":"2"},"gender":"male"}`: "urn:galen:sha256:",
		`{"resourceType":"Patient"}`: "urn:galen:sha256:",
	} {
		data := fill(t, prefetch.Filler{Holds: holds{mine}}, queries, []string{"patient"}, `{"patientId":"p1"}`, `{"patient":`+sent+`}`)
		if got := data[0].Items[0].Citation; !strings.HasPrefix(got, want) {
			t.Errorf("%s is cited as %s", sent, got)
		}
	}
}

// Acceptance 11: the pages after the one that was given are read by its next
// link where the source can, else the whole query is asked; what cannot be read
// is told.
func TestPagesOfAGivenBundle(t *testing.T) {
	queries := map[string]string{"all": "Observation?patient={{context.patientId}}"}
	sent := `{"all":{"resourceType":"Bundle","link":[{"relation":"next","url":"https://ehr.test/fhir?page=2"}],"entry":[{"resource":{"resourceType":"Observation","id":"o1"}}]}}`
	whole := &server{answers: map[string]string{"Observation?patient=p1": `{"resourceType":"Observation","id":"o2"}`}}
	for name, tt := range map[string]struct {
		source  prefetch.Source
		ids     string
		partial bool
	}{
		"a source that follows":    {follower{next: "https://ehr.test/fhir?page=2"}, "o1 o3", false},
		"a source that will not":   {follower{next: "https://other.test/"}, "o1", true},
		"a source without pages":   {whole, "o2", false},
		"a source that has it not": {&server{}, "o1", true},
		"no source":                {nil, "o1", true},
	} {
		d := fill(t, prefetch.Filler{Server: "https://ehr.test/fhir/", Source: tt.source}, queries, []string{"all"}, `{"patientId":"p1"}`, sent)[0]
		var ids []string
		for _, it := range d.Items {
			ids = append(ids, it.Resource.ID)
		}
		if got := strings.Join(ids, " "); got != tt.ids || d.Partial != tt.partial || d.Missing() {
			t.Errorf("%s: %s, partial %t, state %d", name, got, d.Partial, d.State)
		}
	}
}

// follower is a Pager that trusts one link.
type follower struct{ next string }

func (f follower) Fetch(context.Context, string) ([]prefetch.Item, error) {
	return nil, fhir.E("test", fhir.NotFound, "", "none")
}

func (f follower) Follow(_ context.Context, next string) ([]prefetch.Item, error) {
	if next != f.next {
		return nil, fhir.E("test", fhir.Unavailable, "", "elsewhere")
	}
	r, err := fhir.Parse([]byte(`{"resourceType":"Observation","id":"o3"}`), jsontree.Limits{})
	return []prefetch.Item{{Resource: r, Citation: "x"}}, err
}

func TestTooManyResources(t *testing.T) {
	plan, err := prefetch.NewPlan(rules(nil), []prefetch.Template{{Key: "a", Query: "Observation?patient={{context.patientId}}"}})
	if err != nil {
		t.Fatal(err)
	}
	sent := `{"a":{"resourceType":"Bundle","entry":[` + strings.Repeat(`{"resource":{"resourceType":"Observation"}},`, 10_001) + `{}]}}`
	if _, err := (prefetch.Filler{}).Fill(t.Context(), plan, parse(t, `{"patientId":"p1"}`).Get, parse(t, sent)); fhir.KindOf(err) != fhir.TooLong {
		t.Errorf("10,001 resources: %v", err)
	}
}

func TestFillErrors(t *testing.T) {
	plan, err := prefetch.NewPlan(rules(nil), []prefetch.Template{{Key: "a", Query: "Patient/{{context.patientId}}"}})
	if err != nil {
		t.Fatal(err)
	}
	context := parse(t, `{"patientId":"p1"}`).Get
	for name, sent := range map[string]string{
		"a number": `{"a":1}`, "an array": `{"a":[]}`, "no resource": `{"a":{"id":"x"}}`, "a bad entry": `{"a":{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"no type"}}]}}`,
	} {
		var e *fhir.Error
		if _, err := (prefetch.Filler{}).Fill(t.Context(), plan, context, parse(t, sent)); !errors.As(err, &e) || e.Kind.Status() != 400 || !strings.HasPrefix(e.At, "prefetch.a") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for kind, fails := range map[fhir.Kind]bool{fhir.Internal: true, fhir.Unavailable: false, fhir.Timeout: false, fhir.Forbidden: false, fhir.NotFound: false} {
		data, err := (prefetch.Filler{Source: &server{err: fhir.E("test", kind, "", "x")}}).Fill(t.Context(), plan, context, jsontree.Node{})
		if (err != nil) != fails || (!fails && data[0].State != prefetch.Failed) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func FuzzNewPlan(f *testing.F) {
	for _, q := range []string{"Patient/{{context.patientId}}", "A?b={{today() - 1 day}}", "{{", "}}{{", "Patient/{{%a.id}}", "A?_sort=-date&_count=1"} {
		f.Add(q)
	}
	paths := engine(f)
	f.Fuzz(func(t *testing.T, q string) {
		plan, err := prefetch.NewPlan(rules(paths), []prefetch.Template{{Key: "k", Query: q}})
		if err != nil {
			return
		}
		src := &server{}
		context := parse(t, `{"patientId":"p1","userId":"Practitioner/1"}`).Get
		_, _ = prefetch.Filler{Source: src, Now: noon}.Fill(t.Context(), plan, context, jsontree.Node{})
		for _, asked := range src.asked {
			if strings.Contains(asked, "://") && !strings.Contains(asked[:strings.Index(asked, "://")], "?") {
				t.Errorf("%q asks %q", q, asked)
			}
		}
	})
}

// A source that panics fails the call and not the process.
func TestPanicOfASource(t *testing.T) {
	plan, err := prefetch.NewPlan(rules(nil), []prefetch.Template{{Key: "a", Query: "Patient/{{context.patientId}}"}, {Key: "b", Query: "Goal?patient={{context.patientId}}"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (prefetch.Filler{Source: broken{}}).Fill(t.Context(), plan, parse(t, `{"patientId":"p1"}`).Get, jsontree.Node{}); fhir.KindOf(err) != fhir.Internal {
		t.Errorf("%v", err)
	}
}

type broken struct{}

func (broken) Fetch(context.Context, string) ([]prefetch.Item, error) { panic("broken") }
