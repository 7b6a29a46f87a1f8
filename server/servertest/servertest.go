// Package servertest runs a whole FHIR server in process for tests: HTTP,
// tokens, policies, audit log and REST engine over a store in memory.
//
//	s := servertest.Start(t, servertest.Options{})
//	admin := s.As("admin")
//	made := admin.Do("POST", "/fhir/Patient", `{"resourceType":"Patient"}`).Want(201)
//	admin.Do("GET", made.Header.Get("Location"), "").Want(200)
//
// Requests go over a real connection, so headers, HEAD and compression are
// those of net/http. Everything ends with the test. There are no models: the
// CDS Hooks discovery is empty. It is for tests only.
package servertest

import (
	"bytes"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"galen/fhir/export"
	"galen/fhir/job"
	"galen/fhir/jsontree"
	"galen/fhir/operation"
	"galen/fhir/patch"
	"galen/fhir/patch/xmlpatch"
	"galen/fhir/path"
	"galen/fhir/rest"
	"galen/fhir/search/custom"
	"galen/fhir/search/index"
	"galen/fhir/search/parse"
	"galen/fhir/spec"
	"galen/fhir/ucum"
	"galen/fhir/upkeep"
	"galen/fhir/validate"
	"galen/fhir/xml"
	"galen/hooks"
	"galen/policies"
	"galen/policies/audit"
	"galen/policies/audit/balp"
	"galen/policies/compliance"
	"galen/server"
	"galen/server/auth"
	"galen/store"
	"galen/store/mem"
)

// Options vary a Server; the zero value will do.
type Options struct {
	Driver  store.Driver                              // of the resources, closed at the end; nil for store/mem
	Now     func() time.Time                          // the clock of store, REST and tokens; nil for time.Now
	BaseURL string                                    // as server.Config.BaseURL; "" takes it from each request
	MaxBody int64                                     // bytes; 0 for 8 MiB
	Rest    func(*rest.Config)                        // last changes to the REST engine; nil for none
	Policy  func(policies.Revision) policies.Revision // the policy to run; nil for the shipped one
}

// Server is a running server. Its fields are what it is made of, for tests that
// look behind the HTTP.
type Server struct {
	tb       testing.TB
	URL      string // of the server, no slash at its end; the FHIR base is URL + "/fhir"
	Handler  http.Handler
	Config   server.Config // of Handler
	REST     *rest.Service
	Store    *store.Store
	AuditLog *audit.Log
	Dir      string // of the audit log and what governs
	Office   *compliance.Office
	Logs     *Buffer // what was logged, JSON lines
	params   *custom.Registry
	issuer   *auth.Issuer
	client   *http.Client
}

// tables are immutable and costly: the servers of one test binary share them.
var tables = sync.OnceValues(loadTables)

type definitions struct {
	defs   *spec.Definitions
	units  *ucum.Table
	engine *path.Engine
}

func loadTables() (definitions, error) {
	defs, err := spec.Load()
	if err != nil {
		return definitions{}, err
	}
	units, err := ucum.Load()
	if err != nil {
		return definitions{}, err
	}
	return definitions{defs, units, path.New(defs, units)}, nil
}

// must ends the test on an error.
func must[T any](tb testing.TB, v T, err error) T {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// Start runs a server until the test ends.
func Start(tb testing.TB, o Options) *Server {
	tb.Helper()
	if o.Driver == nil {
		o.Driver = mem.New()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxBody == 0 {
		o.MaxBody = 8 << 20
	}
	s := &Server{tb: tb, Logs: &Buffer{}, client: &http.Client{Transport: &http.Transport{
		DisableCompression: true, MaxIdleConnsPerHost: 64,
	}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	s.REST = s.rest(o)
	dir := tb.TempDir()
	issuer, err := auth.OpenIssuer(dir, o.Now)
	s.issuer = must(tb, issuer, err)
	verifier, err := auth.NewVerifier(s.issuer, o.Now)
	dispatcher, hooksErr := hooks.New(hooks.Config{Audit: s.AuditLog, Policies: s.REST.Policies, Now: o.Now, NewID: uuid.NewString})
	loaded, loadErr := tables()
	d := must(tb, loaded, loadErr)
	knowledge, knowledgeErr := operation.NewKnowledge(operation.KnowledgeOptions{Defs: d.defs, Engine: d.engine, Units: d.units, Store: s.Store, Now: o.Now})
	keeper, exporter := s.upkeep(o)
	knowledge.Extensions = append(keeper.Operations(), exporter.Operations()...)
	s.Config = server.Config{
		REST: s.REST, Knowledge: must(tb, knowledge, knowledgeErr), Hooks: must(tb, dispatcher, hooksErr), Auth: must(tb, verifier, err),
		Log:     slog.New(slog.NewJSONHandler(s.Logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		BaseURL: o.BaseURL, MaxBody: o.MaxBody, Timeout: 30 * time.Second, NewID: uuid.NewString, Version: "test",
		Compliance: s.Office, Upkeep: keeper, Export: exporter,
	}
	h := server.New(s.Config)
	if err := h.OpenConsole(rand.Reader, o.Now); err != nil {
		tb.Fatal(err)
	}
	h.Ready(true)
	s.Handler = h
	front := httptest.NewServer(h)
	s.URL = front.URL
	tb.Cleanup(func() {
		s.client.CloseIdleConnections()
		front.Close()
	})
	return s
}

// rest wires the engine as cmd/galen does, over the given driver.
func (s *Server) rest(o Options) *rest.Service {
	d, err := tables()
	must(s.tb, d, err)
	base := ""
	if o.BaseURL != "" {
		base = o.BaseURL + "/fhir/"
	}
	indexer, err := index.New(d.defs, d.engine, d.units, index.Options{Base: base, Zone: time.UTC})
	must(s.tb, indexer, err)
	parser := parse.New(d.defs, d.units, parse.Options{
		Base: base, Zone: time.UTC, Now: o.Now, Own: []string{"_format", "_pretty", rest.PageParam},
	})
	s.Dir = s.tb.TempDir()
	params, err := custom.Open(s.tb.Context(), custom.Options{
		Defs: d.defs, Engine: d.engine, Indexer: indexer, Parser: parser, Path: filepath.Join(s.Dir, "search-parameters.json"),
	}, o.Driver)
	s.params = must(s.tb, params, err)
	office, err := compliance.Open(s.tb.Context(), compliance.Config{
		Dir: s.Dir, Defs: d.defs, Criteria: parser, Driver: params.Driver(), Now: o.Now, NewID: uuid.NewString, Random: rand.Reader,
		Revision: o.Policy,
	})
	s.Office = must(s.tb, office, err)
	s.AuditLog = office.Log
	s.tb.Cleanup(func() {
		if err := office.Close(); err != nil {
			s.tb.Error(err)
		}
	})
	s.Store = s.store(o, office.Driver, indexer, d.defs)
	office.Serve(s.Store, indexer)
	audits := s.store(o, audit.NewIndex(office.Log, mem.New(), indexer, balp.Renderer{Site: "test", Base: base}), indexer, d.defs)
	validator, invalid := validate.New(d.defs, d.engine, validate.Base)
	cfg := rest.Config{
		Defs: d.defs, Validator: custom.Validator{Next: must(s.tb, validator, invalid), Registry: params}, Store: s.Store, Audits: audits, Index: indexer,
		Parser:   parser,
		Policies: office.Engine, Audit: office.Log, Now: o.Now, Started: o.Now(), Version: "test",
		Patches: patches(d, o.Now),
		Limits:  rest.Limits{Page: 20, MaxPage: 1000, Entries: 20_000, Depth: 100},
	}
	if o.Rest != nil {
		o.Rest(&cfg)
	}
	return rest.New(cfg)
}

// upkeep wires the jobs.
func (s *Server) upkeep(o Options) (*upkeep.Service, *export.Service) {
	keeper := upkeep.New(upkeep.Config{REST: s.REST, Registry: s.params})
	exporter := export.New(export.Config{REST: s.REST, Now: o.Now})
	jobs, err := job.Open(job.Options{
		Dir: filepath.Join(s.Dir, "jobs"), Now: o.Now, NewID: uuid.NewString, Kinds: map[string]job.Runner{upkeep.Kind: keeper.Work, export.Kind: exporter.Work},
	})
	keeper.Jobs = must(s.tb, jobs, err)
	exporter.Jobs = jobs
	s.tb.Cleanup(func() {
		if err := jobs.Close(); err != nil {
			s.tb.Error(err)
		}
	})
	return keeper, exporter
}

// patches are the formats that PATCH takes.
func patches(d definitions, now func() time.Time) patch.Formats {
	formats := patch.New(d.defs, d.engine, now)
	xmlpatch.Add(formats, xml.New(d.defs))
	return formats
}

func (s *Server) store(o Options, driver store.Driver, indexer store.Indexer, defs *spec.Definitions) *store.Store {
	made, err := store.New(store.Options{
		Driver: driver, Indexer: indexer, Now: o.Now, NewID: uuid.NewString, Random: rand.Reader,
		ReferenceParams: s.params.References,
		Types:           defs.ResourceTypes(),
	})
	must(s.tb, made, err)
	s.tb.Cleanup(func() {
		if err := made.Close(); err != nil {
			s.tb.Error(err)
		}
	})
	return made
}

// Buffer is a bytes.Buffer that may be written to and read at the same time.
type Buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write appends.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String is everything written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// Client makes requests as one principal. It is safe for concurrent use.
type Client struct {
	s     *Server
	tb    testing.TB
	Token string // of every request, "" for none
}

// In is the same client in a subtest: what fails ends that and not its parent.
func (c Client) In(tb testing.TB) Client {
	c.tb = tb
	return c
}

// As is a client with a token of that role ("admin", "clinician", "patient",
// …); more changes the token's claims before it is minted.
func (s *Server) As(role string, more ...func(*auth.Claims)) Client {
	s.tb.Helper()
	c := auth.Claims{Subject: "test-" + role, Roles: []string{role}, TTL: time.Hour}
	for _, change := range more {
		change(&c)
	}
	token, err := s.issuer.Mint(c)
	return Client{s, s.tb, must(s.tb, token, err)}
}

// Anonymous is a client without a token.
func (s *Server) Anonymous() Client { return Client{s: s, tb: s.tb} }

// Do makes one request. The target is a path on the server, a path relative to
// the FHIR base ("Patient/1"), or a whole URL. A body is sent as
// application/fhir+json; headers are pairs of name and value, and an empty value
// takes the header out. The answer's body is as it came: a client that asks for
// gzip gets gzip.
func (c Client) Do(method, target, body string, headers ...string) Answer {
	c.tb.Helper()
	switch {
	case strings.HasPrefix(target, "http://"), strings.HasPrefix(target, "https://"):
	case strings.HasPrefix(target, "/"):
		target = c.s.URL + target
	default:
		target = c.s.URL + "/fhir/" + target
	}
	req, err := http.NewRequestWithContext(c.tb.Context(), method, target, strings.NewReader(body))
	must(c.tb, req, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/fhir+json")
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			req.Header.Del(headers[i])
		}
	}
	res, err := c.s.client.Do(req)
	if err != nil {
		c.tb.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return Answer{c.tb, method + " " + target, res.StatusCode, res.Header, must(c.tb, text, err)}
}

// Answer is a response with its whole body.
type Answer struct {
	tb      testing.TB
	request string
	Status  int
	Header  http.Header
	Body    []byte
}

// Want ends the test unless the status is that one. It returns the answer.
func (a Answer) Want(status int) Answer {
	a.tb.Helper()
	if a.Status != status {
		a.tb.Fatalf("%s: status %d, want %d: %.800s", a.request, a.Status, status, a.Body)
	}
	return a
}

// JSON is the body's root; it ends the test if the body is no JSON. Without a
// body it is absent.
func (a Answer) JSON() jsontree.Node {
	a.tb.Helper()
	if len(a.Body) == 0 {
		return jsontree.Node{}
	}
	doc, err := jsontree.Parse(a.Body, jsontree.Limits{})
	if err != nil {
		a.tb.Fatalf("%s: %v in %.300s", a.request, err, a.Body)
	}
	return doc.Root()
}

// Issue is the first issue of the answer's OperationOutcome; it ends the test
// if the body is none.
func (a Answer) Issue() jsontree.Node {
	a.tb.Helper()
	root := a.JSON()
	issue := root.Get("issue").Item(0)
	if root.Get("resourceType").Text() != "OperationOutcome" || !issue.Exists() {
		a.tb.Fatalf("%s: status %d without an OperationOutcome: %.300s", a.request, a.Status, a.Body)
	}
	return issue
}

// ID is the logical id of the resource in the body.
func (a Answer) ID() string {
	a.tb.Helper()
	return a.JSON().Get("id").Text()
}
