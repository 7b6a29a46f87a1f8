package main

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v3"

	"galen/cds/cohort"
	"galen/fhir/export"
	"galen/fhir/job"
	"galen/fhir/search/custom"
	"galen/fhir/upkeep"
	"galen/policies/compliance"
	"galen/policies/retention"
	"galen/store/sqlite"
)

// retentionFlags say how long classes of audit entries are kept.
func retentionFlags() []cli.Flag {
	var list []cli.Flag
	for _, class := range []retention.Class{retention.Access, retention.Security, retention.Models} {
		list = append(list, &cli.DurationFlag{
			Name: "retain-" + string(class), Usage: "how long audit entries about " + string(class) + " are kept, such as 52560h for six years; 0 is for ever",
		})
	}
	return list
}

func periodsOf(c *cli.Command) retention.Periods {
	periods := retention.Periods{}
	for _, class := range []retention.Class{retention.Access, retention.Security, retention.Models} {
		if d := c.Duration("retain-" + string(class)); d > 0 {
			periods[class] = d
		}
	}
	return periods
}

// openOffice opens the database, and what decides and records over it.
func (a *app) openOffice(ctx context.Context, o options, t tables) error {
	zone, err := time.LoadLocation(o.zone)
	if err != nil {
		return errors.New("--zone must be a time zone such as Europe/Berlin")
	}
	db, err := sqlite.Open(sqlite.Options{Dir: o.data, Random: rand.Reader, Key: a.key.Derive("store", 64)})
	if err != nil {
		return err
	}
	sealer, err := a.key.Sealer("audit/query", rand.Reader)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	a.params, err = custom.Open(ctx, custom.Options{
		Defs: t.defs, Engine: t.engine, Indexer: t.index, Parser: t.parser, Path: filepath.Join(o.data, "search-parameters.json"), Packaged: a.packages.All("SearchParameter"),
	}, db)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	a.office, err = compliance.Open(ctx, compliance.Config{
		Dir: o.data, Defs: t.defs, Criteria: t.parser, Driver: a.params.Driver(), Now: time.Now, NewID: newID, Random: rand.Reader,
		Zone: zone, CheckpointCopy: o.copy, Periods: o.periods, Veil: sealer,
	})
	if err != nil {
		return errors.Join(err, db.Close())
	}
	a.closers = append(a.closers, a.office.Close)
	if a.store, err = a.newStore(t, a.office.Driver); err != nil {
		return err
	}
	a.office.Serve(a.store, t.index)
	return nil
}

// serveJobs makes what works in jobs.
func (a *app) serveJobs() {
	a.upkeep = upkeep.New(upkeep.Config{REST: a.rest, Registry: a.params})
	a.export = export.New(export.Config{REST: a.rest, Now: time.Now})
	a.knowledge.Validator = custom.Validator{Next: a.knowledge.Validator, Registry: a.params}
}

// openJobs opens the jobs and goes on with those that ran; the models are there
// by then.
func (a *app) openJobs(o options) error {
	sealer, err := a.key.Sealer("jobs", rand.Reader)
	if err != nil {
		return err
	}
	settings := job.Options{
		Dir: filepath.Join(o.data, "jobs"), Now: time.Now, NewID: newID,
		Kinds: map[string]job.Runner{upkeep.Kind: a.upkeep.Work, export.Kind: a.export.Work, cohort.Kind: a.cohorts.Work},
	}
	if sealer != nil {
		a.export.Seal, a.cohorts.Seal, settings.Seal = sealer, sealer, sealer
	}
	room, err := job.Open(settings)
	if err != nil {
		return err
	}
	a.upkeep.Jobs, a.export.Jobs, a.cohorts.Jobs = room, room, room
	a.closers = append(a.closers, room.Close)
	return nil
}

// chores runs the office's background work until the function that it returns is
// called.
func (a *app) chores(ctx context.Context, log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ticker, done := time.NewTicker(time.Second), make(chan struct{})
	go func() {
		defer close(done)
		a.office.Run(ctx, ticker.C, func(err error) { log.ErrorContext(ctx, "compliance chore failed", slog.Any("error", err)) })
	}()
	return func() {
		ticker.Stop()
		cancel()
		<-done
	}
}
