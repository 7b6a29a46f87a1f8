package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/urfave/cli/v3"

	"galen/cds"
	"galen/cds/cohort"
	"galen/cds/feature"
	"galen/fhir/definition"
	"galen/fhir/export"
	"galen/fhir/operation"
	"galen/fhir/patch"
	"galen/fhir/patch/xmlpatch"
	"galen/fhir/path"
	"galen/fhir/profile"
	"galen/fhir/rest"
	"galen/fhir/rest/integrity"
	"galen/fhir/search"
	"galen/fhir/search/custom"
	"galen/fhir/search/index"
	"galen/fhir/search/parse"
	"galen/fhir/search/vocabulary"
	"galen/fhir/spec"
	"galen/fhir/ucum"
	"galen/fhir/upkeep"
	"galen/fhir/validate"
	"galen/fhir/xml"
	"galen/hooks"
	"galen/models"
	"galen/models/serving"
	"galen/policies"
	"galen/policies/audit"
	"galen/policies/audit/balp"
	"galen/policies/compliance"
	"galen/policies/retention"
	"galen/server/auth/hookjwt"
	"galen/store"
	"galen/store/atrest"
	"galen/store/datadir"
	"galen/store/sqlite"
)

// options are what every command that opens the data needs.
type options struct {
	modelFlags

	data     string
	store    string
	models   string
	baseURL  string // without /fhir and without a slash at its end; "" for none
	library  string // ONNX Runtime
	level    string // of validation on write; "" is base
	entries  int64  // of a batch or transaction at most; 0 is 20,000
	words    string // of --full-text
	packages string // folder of FHIR packages; "" for none
	codes    codeServer
	whole    bool              // references between resources are kept whole
	deletes  int               // resources that one conditional delete may remove
	copy     string            // file of checkpoints elsewhere; "" for none
	keyFile  string            // of encryption at rest; "" for none
	zone     string            // of business hours, "Europe/Berlin"; "" is UTC
	periods  retention.Periods // of the audit; none is for ever
	hooks    hookOptions
}

func commonFlags() []cli.Flag {
	return append(flagsOfModels(), []cli.Flag{
		text("store", "sqlite", "where resources live: sqlite"),
		text("models", "", "directory of further models"),
		text("terminology-server", "", "FHIR base URL of a terminology server that is asked for code systems not known here"),
		text("terminology-token-file", "", "file with the bearer token for it"),
		text("full-text", "", "what _text and _content find, chosen for a new store: none, narrative (_text) or all (the default, a quarter more disk)"),
		text("packages", "", "directory of FHIR packages (.tgz): their profiles and code systems are known"),
		text("base-url", "", "absolute URL of the server as clients see it, without /fhir"),
		text("validation", "base", "what a resource must keep to be stored: none (a type of R4), base (structure, formats, required codes, invariants) or strict (also narratives, reference targets, claimed profiles, extensions)"),
		&cli.Int64Flag{Name: "max-entries", Value: maxEntries, Usage: "entries of a batch or transaction at most", Sources: env("max-entries")},
		&cli.BoolFlag{Name: "referential-integrity", Usage: "refuse references to what is not there and deletes of what is referred to", Sources: env("referential-integrity")},
		&cli.IntFlag{Name: "conditional-deletes", Value: 1, Usage: "resources that one conditional delete may remove; with 1, more than one match is an error", Sources: env("conditional-deletes")},
		text("checkpoint-copy", "", "file to which every checkpoint of the audit log is appended too; best on another machine"),
		text("encryption-key-file", "", "file of 64 hexadecimal digits: the databases and the queries in the audit log are encrypted with it; chosen for a new data directory"),
		text("zone", "UTC", "time zone of business hours, such as Europe/Berlin"),
		text("onnxruntime", "", "path of the ONNX Runtime library; default: the user's cache"),
	}...)
}

// maxEntries is the default of --max-entries.
const maxEntries = 20_000

func optionsOf(c *cli.Command) options {
	return options{
		modelFlagsOf(c),
		c.String("data"), c.String("store"), c.String("models"), c.String("base-url"), c.String("onnxruntime"), c.String("validation"),
		c.Int64("max-entries"), c.String("full-text"), c.String("packages"),
		codeServer{c.String("terminology-server"), c.String("terminology-token-file")},
		c.Bool("referential-integrity"), c.Int("conditional-deletes"), c.String("checkpoint-copy"), c.String("encryption-key-file"), c.String("zone"), periodsOf(c),
		hookOptionsOf(c),
	}
}

// app is everything wired together.
type app struct {
	serving *serving.Service

	rest      *rest.Service
	hooks     *hooks.Dispatcher
	clients   *hookjwt.Verifier // of CDS Hooks
	store     *store.Store
	catalog   *models.Catalog
	knowledge operation.Knowledge
	office    *compliance.Office
	key       *atrest.Key
	packages  *definition.Packages // nil for none
	params    *custom.Registry     // search parameters beyond R4's
	upkeep    *upkeep.Service
	export    *export.Service
	cohorts   *cohort.Service
	cursors   []byte // store.Options.CursorKey
	closers   []func() error
}

// close releases everything, last opened first.
func (a *app) close() error {
	var errs []error
	for i := len(a.closers) - 1; i >= 0; i-- {
		errs = append(errs, a.closers[i]())
	}
	return errors.Join(errs...)
}

func newID() string { return uuid.NewString() }

// newResourceID makes ids in the order of time, so that what is created together
// lies together (RFC 9562, version 7).
func newResourceID() string {
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.NewString()
	}
	return id.String()
}

// tables are the immutable definitions that many packages share.
type tables struct {
	engine *path.Engine
	defs   *spec.Definitions
	units  *ucum.Table
	index  *index.Indexer
	parser *parse.Parser
	codes  *vocabulary.Vocabulary // of the parser
}

// patches are the formats that PATCH takes.
func (t tables) patches() patch.Formats {
	formats := patch.New(t.defs, t.engine, time.Now)
	xmlpatch.Add(formats, xml.New(t.defs))
	return formats
}

func loadTables(base string, words search.FullText) (tables, error) {
	defs, err := spec.Load()
	if err != nil {
		return tables{}, err
	}
	units, err := ucum.Load()
	if err != nil {
		return tables{}, err
	}
	t := tables{defs: defs, units: units, engine: path.New(defs, units), codes: &vocabulary.Vocabulary{}}
	if t.index, err = index.New(defs, t.engine, units, index.Options{Base: base, Zone: time.UTC, FullText: words}); err != nil {
		return tables{}, err
	}
	t.parser = parse.New(defs, units, parse.Options{
		Base: base, Zone: time.UTC, Now: time.Now, Own: []string{"_format", "_pretty", rest.PageParam},
		Terminology: t.codes, FullText: words,
	})
	return t, nil
}

// open wires the packages over the data directory.
func open(ctx context.Context, o options) (_ *app, err error) {
	a := &app{}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	if o.store != "sqlite" {
		return nil, errors.New("--store must be sqlite")
	}
	base := ""
	if o.baseURL != "" {
		base = o.baseURL + "/fhir/"
	}
	words, err := datadir.FullText(o.data, o.words)
	if err != nil {
		return nil, err
	}
	if a.key, err = atrest.Read(o.keyFile); err != nil {
		return nil, err
	}
	t, err := loadTables(base, words)
	if err != nil {
		return nil, err
	}
	if a.cursors, err = datadir.CursorKey(o.data, rand.Reader); err != nil {
		return nil, err
	}
	if a.packages, err = o.readPackages(); err != nil {
		return nil, err
	}
	if err := a.openOffice(ctx, o, t); err != nil {
		return nil, err
	}
	log, engine := a.office.Log, a.office.Engine
	audits, err := a.openAudits(t, log, filepath.Join(o.data, "audit", "index"), base)
	if err != nil {
		return nil, err
	}
	if a.knowledge, err = newKnowledge(t, a.store, o, a.packages); err != nil {
		return nil, err
	}
	t.codes.Service, t.codes.Store = a.knowledge.Terminology, a.store
	validator, err := newValidator(t, o.level, a.knowledge, a.params)
	if err != nil {
		return nil, err
	}
	var guard *integrity.Guard
	if o.whole {
		guard = integrity.New(t.defs, a.store)
	}
	a.rest = rest.New(rest.Config{
		Defs: t.defs, Parser: t.parser, Validator: validator, Store: a.store, Audits: audits, Index: t.index,
		Policies: engine, Audit: log, Now: time.Now, Started: time.Now(), Version: version,
		Limits:    rest.Limits{Page: 20, MaxPage: 1000, Entries: int(cmp.Or(o.entries, maxEntries)), Depth: 100, Deletes: o.deletes},
		Integrity: guard,
		Patches:   t.patches(),
	})
	return a, a.openServices(ctx, o, t)
}

// newValidator is what a resource must pass to be stored.
func newValidator(t tables, name string, known operation.Knowledge, params *custom.Registry) (rest.Validator, error) {
	level, ok := validate.ParseLevel(cmp.Or(name, "base"))
	if !ok {
		return nil, errors.New("--validation must be none, base or strict")
	}
	base, err := validate.New(t.defs, t.engine, level)
	if err != nil || level != validate.Strict {
		return custom.Validator{Next: base, Registry: params}, err
	}
	return custom.Validator{Next: profile.Claims{Base: base, Codes: known.Codes, Profiles: known.Profiles}, Registry: params}, nil
}

func (a *app) newStore(t tables, driver store.Driver) (*store.Store, error) {
	s, err := store.New(store.Options{
		Driver: driver, Indexer: t.index, Now: time.Now, NewID: newResourceID, Random: rand.Reader,
		ReferenceParams: a.params.References,
		Types:           t.defs.ResourceTypes(),
		CursorKey:       a.cursors,
	})
	if err != nil {
		return nil, errors.Join(err, driver.Close())
	}
	a.closers = append(a.closers, s.Close)
	return s, nil
}

// openAudits makes the searchable view of the audit log.
func (a *app) openAudits(t tables, log *audit.Log, dir, base string) (*store.Store, error) {
	db, err := sqlite.Open(sqlite.Options{Dir: dir, Random: rand.Reader, Readers: 2, Unsynced: true, Key: a.key.Derive("audit/index", 64)})
	if err != nil {
		return nil, err
	}
	site, err := os.Hostname()
	if err != nil {
		site = "galen"
	}
	return a.newStore(t, audit.NewIndex(log, db, t.index, balp.Renderer{Site: site, Base: base}))
}

// openServices opens what works on the store: models and hooks, then the jobs.
func (a *app) openServices(ctx context.Context, o options, t tables) error {
	a.serveJobs()
	if err := a.openHooks(ctx, o, t, a.office.Engine, a.office.Log); err != nil {
		return err
	}
	return a.openJobs(o)
}

// openHooks loads the models and makes the services of their hooks.
func (a *app) openHooks(ctx context.Context, o options, t tables, engine *policies.Engine, log *audit.Log) error {
	if err := a.openModels(ctx, o, engine, log); err != nil {
		return err
	}
	ledger := cds.NewLedger(a.store)
	if err := ledger.Devices(ctx, a.catalog.List()); err != nil {
		return err
	}
	assess, err := a.onDemand(o, t, ledger, log)
	if err != nil {
		return err
	}
	a.knowledge.Extensions = slices.Concat(assess, a.cohorts.Operations(), a.upkeep.Operations(), a.export.Operations())
	return a.openDispatcher(o, t, hooks.Config{
		Catalog: a.catalog, Engine: cds.New(feature.New(t.units), newID), Policies: engine, Audit: log, Ledger: ledger,
	})
}

// newLog writes JSON lines; fhir errors hold no patient data.
func newLog(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
}
