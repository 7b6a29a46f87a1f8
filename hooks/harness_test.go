package hooks_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"galen/cds"
	"galen/cds/feature"
	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/path"
	"galen/fhir/search"
	"galen/fhir/search/index"
	"galen/fhir/search/parse"
	"galen/fhir/spec"
	"galen/fhir/ucum"
	"galen/fhir/validate"
	"galen/hooks"
	"galen/hooks/feedback"
	"galen/hooks/prefetch"
	"galen/models"
	"galen/models/catalog"
	"galen/models/manifest"
	"galen/models/onnx"
	"galen/policies"
	"galen/policies/audit"
	"galen/store"
	"galen/store/mem"
)

// noon is the time at which the harness lives; the worked examples are as of it.
var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

const (
	base     = "https://galen.test"
	instance = "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea"
)

// harness is a Dispatcher with the shipped models over a store in memory.
type harness struct {
	testing.TB
	*hooks.Dispatcher
	defs   *spec.Definitions
	store  *store.Store
	parser *parse.Parser
	audit  *audit.Log
	dir    string // of the audit log
	now    time.Time
	valid  *validate.Validator

	fetched atomic.Int64 // queries that the own store was asked
	// block, if set, is called before the own store answers a query.
	block func(ctx context.Context, query string) error
}

// ehr is a caller that may call every service.
var ehr = hooks.Caller{
	Principal: policies.Principal{Subject: "ehr-1", Roles: []string{"ehr"}},
	RequestID: "r1", Address: "192.0.2.7", Base: base,
}

// tables are immutable and costly: all harnesses share them.
var tables = sync.OnceValues(func() (out struct {
	units *ucum.Table
	defs  *spec.Definitions
	paths *path.Engine
}, err error,
) {
	if out.units, err = ucum.Load(); err != nil {
		return out, err
	}
	out.defs, err = spec.Load()
	out.paths = path.New(out.defs, out.units)
	return out, err
})

func newHarness(t testing.TB, change ...func(*hooks.Config)) *harness {
	return newHarnessOn(t, nil, change...)
}

func newHarnessOn(t testing.TB, driver store.Driver, change ...func(*hooks.Config)) *harness {
	t.Helper()
	h := &harness{TB: t, now: noon}
	clock := func() time.Time { return h.now }
	shared := must(tables())(t)
	units, paths := shared.units, shared.paths
	h.defs = shared.defs
	indexer := must(index.New(h.defs, paths, units, index.Options{Base: base + "/fhir/", Zone: time.UTC}))(t)
	h.parser = parse.New(h.defs, units, parse.Options{Base: base + "/fhir/", Zone: time.UTC, Now: clock})
	if driver == nil {
		driver = mem.New()
	}
	h.store = must(store.New(store.Options{
		Driver: driver, Indexer: indexer, Now: clock, NewID: uuid.NewString, Random: rand.Reader,
	}))(t)
	t.Cleanup(func() { _ = h.store.Close() })
	h.valid = must(validate.New(h.defs, paths, validate.Base))(t)
	h.dir = t.TempDir()
	h.audit = must(audit.Open(h.dir, audit.Options{Now: clock}))(t)
	t.Cleanup(func() { _ = h.audit.Close() })
	zoo := shipped(t)
	ledger := cds.NewLedger(h.store)
	if err := ledger.Devices(t.Context(), zoo.List()); err != nil {
		t.Fatal(err)
	}
	cfg := hooks.Config{
		Services: hooks.Services(two(hooks.Champions(zoo))), Catalog: zoo, Engine: cds.New(feature.New(units), uuid.NewString),
		Policies: must(policies.New(policies.Shipped(), h.defs))(t), Audit: h.audit, Ledger: ledger, Book: feedback.NewBook(h.store),
		Local: h, Paths: paths, Now: clock, NewID: uuid.NewString,
	}
	for _, c := range change {
		c(&cfg)
	}
	h.Dispatcher = must(hooks.New(cfg))(t)
	t.Cleanup(func() { _ = h.Dispatcher.Close() })
	return h
}

// two are the models that the tests are about, whatever else the zoo holds.
func two(zoo []*models.Info) []*models.Info {
	return slices.DeleteFunc(zoo, func(i *models.Info) bool {
		return i.Manifest.Name != "kfre-4v" && i.Manifest.Name != "news2"
	})
}

// must stops the test at an error.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// shipped is the catalog of built-in models.
func shipped(t testing.TB) *models.Catalog {
	t.Helper()
	library := must(onnx.DefaultPath(os.Getenv))(t)
	runtime := must(onnx.Open(library))(t)
	zoo := must(models.Load(t.Context(), models.Options{Openers: map[manifest.Runtime]models.Opener{manifest.ONNX: runtime}},
		models.Source{Name: "built in", FS: catalog.FS()}))(t)
	t.Cleanup(func() { _ = zoo.Close() })
	return zoo
}

// Holds looks for the very version with the same content.
func (h *harness) Holds(ctx context.Context, resources []fhir.Resource) ([]bool, error) {
	out := make([]bool, len(resources))
	for i, r := range resources {
		record, err := h.store.ReadVersion(ctx, r.Key, r.Version)
		if err != nil || r.Version == 0 {
			continue
		}
		mine := must(fhir.Parse(record.Body, jsontree.Limits{}))(h)
		out[i] = jsontree.Equal(mine.Root(), r.Root())
	}
	return out, nil
}

// Fetch reads or searches the store.
func (h *harness) Fetch(ctx context.Context, query string) ([]prefetch.Item, error) {
	h.fetched.Add(1)
	if h.block != nil {
		if err := h.block(ctx, query); err != nil {
			return nil, err
		}
	}
	resourceType, criteria, isSearch := strings.Cut(query, "?")
	var records []store.Record
	if isSearch {
		request, err := h.parser.Parse(resourceType, criteria, parse.Strict)
		if err != nil {
			return nil, err
		}
		page, err := h.store.Search(ctx, store.SearchInput{Query: &request.Query, Count: request.Count})
		if err != nil {
			return nil, err
		}
		records = page.Matches
	} else {
		record, err := h.store.Read(ctx, fhir.ParseReference(query).Key)
		if err != nil {
			return nil, err
		}
		records = []store.Record{record}
	}
	items := make([]prefetch.Item, len(records))
	for i, r := range records {
		resource, err := fhir.Parse(r.Body, jsontree.Limits{})
		if err != nil {
			return nil, err
		}
		items[i] = prefetch.Item{Resource: resource, Citation: fhir.VersionedReference(r.Key, r.Version)}
	}
	return items, nil
}

// put stores resources.
func (h *harness) put(resources ...string) {
	h.Helper()
	for _, text := range resources {
		r := must(fhir.Parse([]byte(text), jsontree.Limits{}))(h)
		if _, err := h.store.Update(h.Context(), r, store.UpdateOptions{}); err != nil {
			h.Fatal(err)
		}
	}
}

// call calls the service and reads the answer.
func (h *harness) call(c hooks.Caller, body string) (jsontree.Node, error) {
	h.Helper()
	answer, err := h.Call(h.Context(), c, hooks.ServiceID, []byte(body))
	if err != nil {
		return jsontree.Node{}, err
	}
	return must(jsontree.Parse(answer, jsontree.Limits{}))(h).Root(), nil
}

// cards calls the service, which must answer, and returns its cards.
func (h *harness) cards(body string) []jsontree.Node {
	h.Helper()
	root, err := h.call(ehr, body)
	if err != nil {
		h.Fatal(err)
	}
	var out []jsontree.Node
	for card := range root.Get("cards").Items() {
		out = append(out, card)
	}
	return out
}

// cardAbout is the card whose source names the text.
func (h *harness) cardAbout(cards []jsontree.Node, text string) jsontree.Node {
	h.Helper()
	for _, c := range cards {
		if strings.Contains(c.Get("source").Get("label").Text(), text) {
			return c
		}
	}
	h.Fatalf("no card from %q among %d", text, len(cards))
	return jsontree.Node{}
}

// request is a hook call as a test writes it.
type request struct {
	hook     string
	context  map[string]any
	prefetch map[string]any
	more     map[string]any
}

// String is the body of the call; the hook is patient-view unless it is named.
func (r request) String() string {
	body := map[string]any{"hook": r.hook, "hookInstance": instance, "context": r.context}
	if r.hook == "" {
		body["hook"] = "patient-view"
	}
	if r.context == nil {
		body["context"] = map[string]any{"userId": "Practitioner/1", "patientId": "p1"}
	}
	if r.prefetch != nil {
		body["prefetch"] = r.prefetch
	}
	for name, value := range r.more {
		body[name] = value
	}
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// raw is JSON in a request.
func raw(format string, args ...any) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(format, args...))
}

// bundle is a searchset of resources.
func bundle(resources ...string) json.RawMessage {
	entries := make([]string, len(resources))
	for i, r := range resources {
		entries[i] = `{"resource":` + r + `}`
	}
	return raw(`{"resourceType":"Bundle","type":"searchset","entry":[%s]}`, strings.Join(entries, ","))
}

// lab is a final Observation of patient p1 with a LOINC code.
func lab(id, loinc, value, unit string) string {
	return fmt.Sprintf(`{"resourceType":"Observation","id":%q,"meta":{"versionId":"3"},"status":"final","code":{"coding":[{"system":"http://loinc.org","code":%q}]},
		"subject":{"reference":"Patient/p1"},"effectiveDateTime":"2026-11-24T09:00:00Z","valueQuantity":{"value":%s,"unit":%q,"system":"http://unitsofmeasure.org","code":%q}}`,
		id, loinc, value, unit, unit)
}

// patientOf is patient p1, of that sex and age in years.
func patientOf(gender string, age int) string {
	return fmt.Sprintf(`{"resourceType":"Patient","id":"p1","meta":{"versionId":"2"},"gender":%q,"birthDate":"%d-06-01"}`, gender, noon.Year()-age)
}

// alert is an Observation that the patient is alert.
const alert = `{"resourceType":"Observation","id":"avpu","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"67775-7"}]},
	"subject":{"reference":"Patient/p1"},"effectiveDateTime":"2026-11-24T09:00:00Z","valueCodeableConcept":{"coding":[{"system":"http://loinc.org","code":"LA9340-6"}]}}`

// kidneyPatient is the worked example of the Kidney Failure Risk Equation: a man
// of 55, eGFR 45, ACR 120 mg/g, 1.24707 % in two years (Tangri 2016).
func kidneyPatient() []string {
	return []string{patientOf("male", 55), lab("egfr", "98979-8", "45", "mL/min/{1.73_m2}"), lab("acr", "9318-7", "120", "mg/g")}
}

// wardVitals is the worked example of NEWS2: RR 22, SpO2 93 on air, SBP 105, HR
// 105, alert, 38.5 °C make 7 points (RCP 2017).
func wardVitals() []string {
	return []string{
		lab("rr", "9279-1", "22", "/min"), lab("spo2", "59408-5", "93", "%"), lab("sbp", "8480-6", "105", "mm[Hg]"),
		lab("hr", "8867-4", "105", "/min"), alert, lab("temp", "8310-5", "38.5", "Cel"),
	}
}

// full is a prefetch with every key that the patient-view service asks for.
func (h *harness) full(patient string, observations ...string) map[string]any {
	h.Helper()
	out := map[string]any{}
	for key, query := range h.templates("patient-view") {
		switch {
		case strings.HasPrefix(query, "Patient/"):
			out[key] = raw("%s", patient)
		case strings.HasPrefix(query, "Observation?"):
			out[key] = bundle(observations...)
		default:
			out[key] = bundle()
		}
	}
	return out
}

// templates are the prefetch templates that discovery shows under a hook.
func (h *harness) templates(hook string) map[string]string {
	h.Helper()
	out := map[string]string{}
	root := must(jsontree.Parse(h.Discovery(), jsontree.Limits{}))(h).Root()
	for s := range root.Get("services").Items() {
		if s.Get("hook").Text() == hook {
			for key, query := range s.Get("prefetch").Members() {
				out[key] = query.Text()
			}
		}
	}
	return out
}

// entries are the audit entries of a kind, oldest first.
func (h *harness) entries(kind audit.Kind) []audit.Entry {
	h.Helper()
	var out []audit.Entry
	for e, err := range h.audit.Read(1) {
		if err != nil {
			h.Fatal(err)
		}
		if e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

// last is the last audit entry of a kind.
func (h *harness) last(kind audit.Kind) audit.Entry {
	h.Helper()
	all := h.entries(kind)
	if len(all) == 0 {
		h.Fatalf("no %s on record", kind)
	}
	return all[len(all)-1]
}

// stored are the resources of a type in the store, each held against R4.
func (h *harness) stored(resourceType string) []jsontree.Node {
	h.Helper()
	page := must(h.store.Search(h.Context(), store.SearchInput{Query: &search.Query{Types: []string{resourceType}}, Count: 1000}))(h)
	var out []jsontree.Node
	for _, m := range page.Matches {
		r := must(fhir.Parse(m.Body, jsontree.Limits{}))(h)
		h.validR4(r)
		out = append(out, r.Root())
	}
	return out
}

// validR4 fails for a resource that is not valid R4.
func (h *harness) validR4(r fhir.Resource) {
	h.Helper()
	for _, issue := range h.valid.Validate(r) {
		if issue.Severity <= fhir.SeverityError {
			h.Errorf("%s is not valid R4: %s: %s", r.Type, issue.At, issue.Diagnostics)
		}
	}
}
