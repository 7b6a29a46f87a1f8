// Package compliance joins what decides and what records into one: the policy
// engine with its layers, the audit log with its transparency log, the life of
// policies, the emergency accesses and the reports, over one data directory.
//
// It promises that they see each other: a consent that is written counts at the
// next decision, an access under break-glass is on record as one, and what was
// active before a restart is active after it. Each part keeps its own promises.
//
// It knows no HTTP; server asks the policies before it calls a part, and records.
package compliance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"galen/fhir/spec"
	"galen/policies"
	"galen/policies/audit"
	"galen/policies/breakglass"
	"galen/policies/care"
	"galen/policies/consent"
	"galen/policies/label"
	"galen/policies/proposal"
	"galen/policies/report"
	"galen/policies/retention"
	"galen/policies/simulate"
	"galen/policies/transparency"
	"galen/policies/watch"
	"galen/store"
)

// Config is all that Open needs; zero values have the defaults that they name.
type Config struct {
	Dir      string // of the data
	Defs     *spec.Definitions
	Criteria policies.Criteria
	Driver   store.Driver // of the resources
	Now      func() time.Time
	NewID    func() string
	Random   io.Reader

	Revision func(policies.Revision) policies.Revision // changes the shipped policy; nil for none

	Zone             *time.Location // of business hours and off hours; nil is UTC
	CheckpointEvery  uint64         // entries; 0 is 1000
	CheckpointTime   time.Duration  // 0 is a minute
	CheckpointCopy   string         // file beside the log; "" for none
	AuditSegmentSize int64          // bytes; 0 is 64 MiB
	Periods          retention.Periods
	Veil             audit.Veil // encrypts the queries in the audit log; nil for none
}

// LogDir is where the audit log lies in the data directory.
func LogDir(data string) string { return filepath.Join(data, "audit", "log") }

// TreeDir is where its transparency log lies.
func TreeDir(data string) string { return filepath.Join(data, "audit", "tree") }

// Office is everything opened. Its fields are its parts; none may be replaced.
type Office struct {
	Defs      *spec.Definitions
	Driver    store.Driver // the one of Config, watched: the store must be built on it
	Engine    *policies.Engine
	Log       *audit.Log
	Tree      *transparency.Log
	Book      *proposal.Book
	Glass     *breakglass.Registry
	Reporter  *report.Reporter
	Keeper    *retention.Keeper
	Explainer *simulate.Explainer // its Store and Index are set by Serve

	closers []func() error
}

// Open opens what lies under the data directory and takes over the consents in
// the store. The errors are those of the parts.
func Open(ctx context.Context, c Config) (o *Office, err error) {
	o = &Office{Defs: c.Defs}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.Close())
		}
	}()
	if c.Zone == nil {
		c.Zone = time.UTC
	}
	consents, relations := consent.New(c.Defs, c.Now), care.New(c.Driver)
	if err := consents.Load(ctx, c.Driver); err != nil {
		return nil, err
	}
	labels, err := label.Open(ctx, filepath.Join(c.Dir, "compliance", "labels.jsonl"), c.Driver)
	if err != nil {
		return nil, err
	}
	o.closers = append(o.closers, labels.Close)
	o.Driver = &watch.Driver{Driver: c.Driver, Seen: func(writes []store.Write) {
		consents.Seen(writes)
		relations.Seen(writes)
		labels.Seen(writes)
	}}
	if o.Glass, err = breakglass.Open(filepath.Join(c.Dir, "compliance", "break-glass.jsonl"), c.Now, c.NewID); err != nil {
		return nil, err
	}
	o.closers = append(o.closers, o.Glass.Close)
	revision := policies.Shipped()
	if c.Revision != nil {
		revision = c.Revision(revision)
	}
	o.Engine, err = policies.NewLayered(revision, c.Defs, policies.Layers{
		Criteria: c.Criteria, Consents: consents, Relations: relations, Emergencies: o.Glass, Labels: labels,
		Now: func() time.Time { return c.Now().In(c.Zone) },
	})
	if err != nil {
		return nil, err
	}
	if err := o.openRecord(c, revision); err != nil {
		return nil, err
	}
	o.Reporter = &report.Reporter{Log: o.Log, Relations: relations, Zone: c.Zone}
	return o, nil
}

// openRecord opens the audit log, its tree and the book of policies.
func (o *Office) openRecord(c Config, shipped policies.Revision) error {
	var err error
	o.Log, err = audit.Open(LogDir(c.Dir), audit.Options{Now: c.Now, Random: c.Random, SegmentSize: c.AuditSegmentSize, Veil: c.Veil, Annotate: o.annotate})
	if err != nil {
		return err
	}
	o.closers = append(o.closers, o.Log.Close)
	o.Tree, err = transparency.Open(TreeDir(c.Dir), o.Log, transparency.Options{
		Every: c.CheckpointEvery, Interval: c.CheckpointTime, Copy: c.CheckpointCopy, Random: c.Random,
	})
	if err != nil {
		return err
	}
	o.closers = append(o.closers, o.Tree.Close)
	o.Keeper, err = retention.Open(retention.Config{
		Path: filepath.Join(c.Dir, "compliance", "holds.jsonl"), Log: o.Log, Tree: o.Tree, Periods: c.Periods, Now: c.Now, NewID: c.NewID,
	})
	if err != nil {
		return err
	}
	o.closers = append(o.closers, o.Keeper.Close)
	o.Book, err = proposal.Open(filepath.Join(c.Dir, "compliance", "policies.jsonl"), o.Engine, shipped, c.Now)
	if err != nil {
		return err
	}
	o.closers = append(o.closers, o.Book.Close)
	return nil
}

// annotate puts the purpose of an open emergency access on record with what is
// done to that patient's data.
func (o *Office) annotate(e *audit.Entry) {
	if len(e.Patients) == 0 {
		return
	}
	if purpose := o.Glass.Purpose(e.Agent.Subject, e.Patients); purpose != "" {
		e.Agent.Purpose = purpose
	}
}

// Serve gives the explainer the store that was built on Driver.
func (o *Office) Serve(s *store.Store, index store.Indexer) {
	o.Explainer = &simulate.Explainer{Engine: o.Engine, Log: o.Log, Store: s, Index: index}
}

// pruneEvery is how often the log is looked through for what may go.
const pruneEvery = time.Hour

// Run does the office's chores until ctx ends: checkpoints when they are due, the
// ends of emergency accesses on record, and the pruning of what need not be kept.
// Look at each tick; errors are handed
// to report.
func (o *Office) Run(ctx context.Context, ticks <-chan time.Time, report func(error)) {
	signs := make(chan time.Time)
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.Tree.Run(ctx, signs, report)
	}()
	defer func() { <-done }()
	var pruned time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case at := <-ticks:
			if err := o.expire(ctx); err != nil && ctx.Err() == nil {
				report(err)
			}
			if at.Sub(pruned) >= pruneEvery {
				pruned = at
				if err := o.prune(ctx); err != nil && ctx.Err() == nil {
					report(err)
				}
			}
			select {
			case signs <- at:
			case <-ctx.Done():
				return
			}
		}
	}
}

// expire puts the end of emergency accesses on record.
func (o *Office) expire(ctx context.Context) error {
	over, err := o.Glass.Expire()
	for _, a := range over {
		entry := audit.Entry{
			Kind: audit.BreakGlassStop, Agent: audit.Agent{Subject: a.Subject, FHIRUser: a.User, Client: a.Client, Purpose: a.Purpose},
			Patients: []string{"Patient/" + a.Patient}, Object: a.ID, Reason: "expired",
		}
		if _, failed := o.Log.Append(ctx, entry); failed != nil {
			return errors.Join(err, failed)
		}
	}
	return err
}

// prune lets go what need not be kept, and puts that on record.
func (o *Office) prune(ctx context.Context) error {
	gone, err := o.Keeper.Prune(ctx)
	for _, s := range gone {
		entry := audit.Entry{Kind: audit.AuditUse, Object: fmt.Sprintf("pruned entries %d to %d", s.First, s.Last)}
		if _, failed := o.Log.Append(ctx, entry); failed != nil {
			return errors.Join(err, failed)
		}
	}
	return err
}

// Close closes the parts, last opened first; not the driver.
func (o *Office) Close() error {
	var errs []error
	for i := len(o.closers) - 1; i >= 0; i-- {
		errs = append(errs, o.closers[i]())
	}
	return errors.Join(errs...)
}
