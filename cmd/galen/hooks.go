package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/urfave/cli/v3"

	"galen/hooks"
	"galen/hooks/call"
	"galen/hooks/clients"
	"galen/hooks/feedback"
	"galen/hooks/remote"
	"galen/hooks/rules"
	"galen/models"
	"galen/server/auth/hookjwt"
)

// hookOptions are what the server may be told of CDS Hooks.
type hookOptions struct {
	clients  string // file of registrations, "" for none
	services string // file of service definitions, "" for none
	limits   hooks.Limits
}

func hookFlags() []cli.Flag {
	return []cli.Flag{
		text("hooks-clients", "", "JSON file of the CDS clients that may call with their own JWTs"),
		text("hooks-services", "", "JSON file of further CDS services: hook, models, thresholds, cards"),
		&cli.BoolFlag{Name: "hooks-private", Usage: "ask for a token for the discovery of CDS services as well"},
		&cli.DurationFlag{Name: "hooks-budget", Value: 500 * time.Millisecond, Usage: "longest time for a hook call; what is not ready then is left out"},
		&cli.DurationFlag{Name: "hooks-quiet", Usage: "how long a finding is not shown again to the same user unless it got worse; 0 shows it always"},
		&cli.Int64Flag{Name: "hooks-cards", Value: 10, Usage: "most cards in one answer"},
		&cli.Int64Flag{Name: "hooks-parallel", Value: 32, Usage: "hook calls that run at once"},
		&cli.Int64Flag{Name: "hooks-queue", Value: 128, Usage: "hook calls that wait; more are answered with 429"},
	}
}

func hookOptionsOf(c *cli.Command) hookOptions {
	return hookOptions{c.String("hooks-clients"), c.String("hooks-services"), hooks.Limits{
		Budget: c.Duration("hooks-budget"), Quiet: c.Duration("hooks-quiet"), Cards: int(c.Int64("hooks-cards")),
		Parallel: int(c.Int64("hooks-parallel")), Queue: int(c.Int64("hooks-queue")),
	}}
}

// hookServices are those of the models' own hooks, those that are shipped where
// no model has the hook, and those of the file.
func hookServices(zoo []*models.Info, file string) ([]hooks.Service, error) {
	services := hooks.Services(zoo)
	shipped, err := rules.Shipped(zoo, call.Known)
	if err != nil {
		return nil, err
	}
	for _, s := range hooks.Defined(shipped, zoo) {
		if !slices.ContainsFunc(services, func(have hooks.Service) bool { return have.ID == s.ID && have.Hook == s.Hook }) {
			services = append(services, s)
		}
	}
	if file == "" {
		return services, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	own, err := rules.Parse(text, zoo, call.Known)
	if err != nil {
		return nil, err
	}
	return append(services, hooks.Defined(own, zoo)...), nil
}

// openDispatcher adds to the configuration what is CDS Hooks' own and starts the
// dispatcher.
func (a *app) openDispatcher(o options, t tables, cfg hooks.Config) error {
	registry, err := clients.Load(o.hooks.clients)
	if err != nil {
		return err
	}
	if len(registry.All()) > 0 {
		replay, err := hookjwt.OpenReplay(filepath.Join(o.data, "hooks", "used-tokens"), time.Now)
		if err != nil {
			return err
		}
		a.closers = append(a.closers, replay.Close)
		if a.clients, err = hookjwt.New(hookjwt.Options{Registry: registry, Replay: replay, Now: time.Now}); err != nil {
			return err
		}
	}
	far := remote.New(remote.Options{})
	a.closers = append(a.closers, far.Close)
	if cfg.Services, err = hookServices(hooks.Champions(a.catalog), o.hooks.services); err != nil {
		return err
	}
	cfg.Local, cfg.Remote, cfg.Clients = localEvidence{store: a.store, parser: t.parser, engine: cfg.Policies}, far, registry
	cfg.Book, cfg.Paths, cfg.Limits = feedback.NewBook(a.store), t.engine, o.hooks.limits
	cfg.Log, cfg.Now, cfg.NewID = newLog(os.Stderr, slog.LevelWarn), time.Now, newID
	if a.hooks, err = hooks.New(cfg); err != nil {
		return err
	}
	a.closers = append(a.closers, a.hooks.Close)
	told := a.serving.Changed
	a.serving.Changed = func(ctx context.Context) error { // a promotion changes who answers
		services, err := hookServices(hooks.Champions(a.catalog), o.hooks.services)
		if err == nil {
			err = a.hooks.Serve(services)
		}
		return errors.Join(told(ctx), err)
	}
	return nil
}
