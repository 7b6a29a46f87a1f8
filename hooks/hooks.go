// Package hooks answers CDS Hooks calls (https://cds-hooks.hl7.org/2.0/)
// without HTTP: discovery from the model catalog, a call's checks, its evidence
// from prefetch or a Source, the assessments, the cards that show them, and the
// feedback on those.
//
// A card leaves only after the RiskAssessment it shows and the audit record of
// the call are durable, and only if it keeps the standard's rules. What is ready
// within the budget goes out, and the answer says what was left. Nothing of a
// caller's access token is kept or logged.
//
// It decides neither what a number means (cds) nor who may call (policies).
package hooks

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"galen/cds"
	"galen/fhir"
	"galen/fhir/path"
	"galen/hooks/call"
	"galen/hooks/clients"
	"galen/hooks/feedback"
	"galen/hooks/pace"
	"galen/hooks/prefetch"
	"galen/hooks/remote"
	"galen/models"
	"galen/policies"
	"galen/policies/audit"
)

// Caller is who calls and how.
type Caller struct {
	Principal policies.Principal
	RequestID string
	Address   string
	Base      string // absolute URL of this server, no slash at its end
	Alias     string // another such URL, by which the client reached this server; "" for none
}

// own is the FHIR base of this server as the caller knows it, with a slash at
// its end.
func (c *Caller) own() string { return c.Base + "/fhir/" }

// Local is the own store as evidence.
type Local interface {
	prefetch.Source
	prefetch.Holdings
}

// Personal is a Local that keeps from a caller what patients withhold and labels
// protect.
type Personal interface {
	For(p policies.Principal) prefetch.Source
}

// Config is all a Dispatcher needs.
type Config struct {
	Services []Service
	Catalog  *models.Catalog
	Engine   *cds.Engine
	Policies *policies.Engine
	Audit    *audit.Log
	Ledger   *cds.Ledger
	Book     *feedback.Book    // nil takes no feedback
	Local    Local             // nil for no own store
	Remote   *remote.Client    // nil reads from no client's server
	Clients  *clients.Registry // nil for none registered
	Paths    *path.Engine      // for prefetch tokens of CDS Hooks 3.0; nil for none
	Log      *slog.Logger      // nil for none
	Limits   Limits
	Now      func() time.Time
	NewID    func() string // UUIDs
}

// Limits are the bounds of calls; zero fields have defaults.
type Limits struct {
	Budget time.Duration // from the start of a call to its cards; 0 means 500 ms
	// Parallel is how many calls run at once, and Queue how many wait, for at
	// most half the budget; 0 means 32 and 128. Others are turned away.
	Parallel, Queue int
	Cards           int           // of one answer; 0 means 10
	Quiet           time.Duration // how long a finding is not shown again to the same user; 0 shows it always
}

func (l Limits) withDefaults() Limits {
	defaults := func(v *int, value int) {
		if *v <= 0 {
			*v = value
		}
	}
	defaults(&l.Parallel, 32)
	defaults(&l.Queue, 128)
	defaults(&l.Cards, 10)
	if l.Budget <= 0 {
		l.Budget = 500 * time.Millisecond
	}
	return l
}

// Dispatcher answers discovery, calls and feedback. It is safe for concurrent
// use; Close it when done.
type Dispatcher struct {
	Config
	table   atomic.Pointer[table] // what is served now
	gate    *pace.Gate
	quiet   *pace.Quiet
	tally   *tally
	running sync.WaitGroup // models that outlive their call
}

// New returns a Dispatcher. The error is of Kind Invalid for a service whose
// templates the standard does not allow.
func New(cfg Config) (*Dispatcher, error) {
	cfg.Limits = cfg.Limits.withDefaults()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	d := &Dispatcher{
		Config: cfg,
		gate:   pace.NewGate(cfg.Limits.Parallel, int64(cfg.Limits.Queue), cfg.Limits.Budget/2), quiet: pace.NewQuiet(cfg.Limits.Quiet), tally: newTally(),
	}
	return d, d.Serve(cfg.Services)
}

// table is the services of one moment; it never changes.
type table struct {
	discovery []byte
	byKey     map[key]*Service
	ids       map[string]bool
}

// Serve replaces the services from now on; calls that run keep those they began
// with. On an error, as of New, the services stay as they were.
func (d *Dispatcher) Serve(services []Service) error {
	services = slices.Clone(services)
	t := &table{byKey: map[key]*Service{}, ids: map[string]bool{}}
	for i := range services {
		s := &services[i]
		if err := s.prepare(d.Paths); err != nil {
			return err
		}
		if t.byKey[key{s.ID, s.Hook}] != nil {
			return fhir.E("hooks.Serve", fhir.Invalid, s.ID, "two services have the same id under one hook")
		}
		t.byKey[key{s.ID, s.Hook}], t.ids[s.ID] = s, true
	}
	t.discovery = discovery(services)
	d.table.Store(t)
	return nil
}

// serves reports whether there is a service of that id.
func (d *Dispatcher) serves(id string) bool { return d.table.Load().ids[id] }

// Close waits for models that outlived their call.
func (d *Dispatcher) Close() error {
	d.running.Wait()
	return nil
}

// Discovery is the body of GET /cds-services, not to be changed.
func (d *Dispatcher) Discovery() []byte { return d.table.Load().discovery }

// Call answers one call of a service with the body of the response. Errors are
// *fhir.Error: NotFound for an unknown service, Malformed, Required, Value or
// Invalid for a bad call, Forbidden, Precondition when needed data cannot be
// had, Throttled when too many calls run, and those of the models. Every call
// but a throttled one is on record.
func (d *Dispatcher) Call(ctx context.Context, c Caller, id string, body []byte) ([]byte, error) {
	leave, err := d.gate.Enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	in := d.newInvocation(c, id, audit.HookCall)
	answer, err := d.answer(ctx, in, body)
	if err != nil {
		return nil, d.end(ctx, in, err)
	}
	return answer, nil
}

// answer does the call; what it finds out on the way is in the invocation.
func (d *Dispatcher) answer(ctx context.Context, in *invocation, body []byte) ([]byte, error) {
	const op = "hooks.Call"
	now := d.table.Load()
	if !now.ids[in.id] {
		return nil, fhir.E(op, fhir.NotFound, "", "there is no such service")
	}
	r, err := call.Parse(body)
	in.about(r)
	if err != nil {
		return nil, err
	}
	service, ok := now.byKey[key{in.id, r.Hook}]
	if !ok {
		return nil, fhir.E(op, fhir.Value, "hook", "the service does not answer this hook")
	}
	if err := r.Context.Check(); err != nil {
		return nil, err
	}
	if err := d.permit(ctx, in, service, r); err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, d.Limits.Budget)
	defer cancel()
	out, err := d.assess(within, in, service, r)
	if err != nil {
		return nil, err
	}
	return d.publish(ctx, in, service, r, out)
}
