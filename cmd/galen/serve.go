package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"galen/fhir/rest/bundle"
	"galen/server"
	"galen/server/auth"
)

func serveCommand() *cli.Command {
	file := newConfigFile()
	flags := append([]cli.Flag{
		dataFlag(),
		text("addr", "127.0.0.1:8080", "address to listen on"),
		&cli.BoolFlag{Name: "demo", Usage: "load demo data"},
		&cli.DurationFlag{Name: "timeout", Value: 30 * time.Second, Usage: "longest time for one request"},
		&cli.DurationFlag{Name: "drain", Value: 20 * time.Second, Usage: "time that running requests get at the end"},
		&cli.Int64Flag{Name: "max-body", Value: 64 << 20, Usage: "longest request body in bytes"},
		text("log-level", "info", "debug, info, warn or error"),
	}, slices.Concat(securityFlags(), retentionFlags(), grpcFlags(), commonFlags(), hookFlags())...)
	for _, f := range flags {
		configurable(f, file)
	}
	return &cli.Command{
		Name: "serve", Usage: "start the server", Flags: append([]cli.Flag{file.flag()}, flags...),
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := file.check(flags); err != nil {
				return err
			}
			return serve(ctx, c)
		},
	}
}

// configurable lets a flag take its value from the environment or the file.
func configurable(f cli.Flag, file *configFile) {
	switch f := f.(type) {
	case *cli.StringFlag:
		f.Sources = file.sources(f.Name)
	case *cli.BoolFlag:
		f.Sources = file.sources(f.Name)
	case *cli.DurationFlag:
		f.Sources = file.sources(f.Name)
	case *cli.Int64Flag:
		f.Sources = file.sources(f.Name)
	}
}

func serve(ctx context.Context, c *cli.Command) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.String("log-level"))); err != nil {
		return err
	}
	log := newLog(os.Stderr, level)
	listener, scheme, err := listen(ctx, c, log)
	if err != nil {
		return err
	}
	o := optionsOf(c)
	if o.baseURL == "" {
		o.baseURL = scheme + "://" + listener.Addr().String()
	}
	issuer, err := auth.OpenIssuer(o.data, time.Now)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	holders, err := readHolders(c.String("tls-clients"))
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	authenticator, endpoints, err := authentication(c, listener.Addr(), issuer, o.baseURL+"/fhir", log)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	a, err := open(ctx, o)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	if cut := a.office.Log.Recovered(); cut.Bytes > 0 {
		log.WarnContext(ctx, "audit log recovered after a crash", slog.Uint64("seq", cut.Seq), slog.Int64("bytes", cut.Bytes))
	}
	for _, r := range a.catalog.Refused() {
		log.WarnContext(ctx, "model refused", slog.String("model", r.Path), slog.Any("error", r.Err))
	}
	a.logBackends(ctx, log)
	s := server.New(server.Config{
		Models: a.serving, REST: a.rest, Hooks: a.hooks, HookClients: a.clients, HooksPrivate: c.Bool("hooks-private"), Auth: authenticator, Log: log, BaseURL: c.String("base-url"),
		Knowledge: a.knowledge, Upkeep: a.upkeep, Export: a.export, Cohorts: a.cohorts, MaxBody: c.Int64("max-body"), Timeout: c.Duration("timeout"), NewID: newID, Version: version,
		Compliance: a.office, Holders: holders, Authorization: endpoints, Rate: float64(c.Int64("rate")), Burst: int(c.Int64("burst")),
	})
	err = s.OpenConsole(rand.Reader, time.Now)
	if err == nil && c.Bool("demo") {
		err = a.demo(ctx, c.Root().Writer, issuer, o.baseURL)
	}
	if err == nil {
		log.InfoContext(ctx, "serving", slog.String("addr", listener.Addr().String()))
		stop := a.chores(ctx, log)
		err = alongside(ctx, c, a.serving, authenticator, log, func(ctx context.Context) error { return s.Serve(ctx, listener, c.Duration("drain")) })
		stop()
	}
	return errors.Join(err, a.close())
}

// demo loads the demo patients unless they are there, and says what to try.
func (a *app) demo(ctx context.Context, out io.Writer, issuer *auth.Issuer, base string) error {
	body := strings.ReplaceAll(demoBundle, "{{now}}", time.Now().UTC().Add(-time.Hour).Format(time.RFC3339))
	if _, err := bundle.Perform(ctx, a.rest, importCaller, bundle.In{Body: []byte(body)}); err != nil {
		return err
	}
	token, err := issuer.Mint(auth.Claims{Subject: "demo-ehr", Roles: []string{"ehr", "clinician"}, TTL: 24 * time.Hour})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, tryNext, base, base, base, base, base, token, base)
	return err
}

const tryNext = `
Galen is ready.
  FHIR           %s/fhir/metadata
  CDS Hooks      %s/cds-services
  Console        %s/console
  Health         %s/readyz   %s/metrics

Ask for a patient's risk as an EHR would:

curl -s -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' %s/cds-services/galen-risk -d '{"hook":"patient-view","hookInstance":"d1577c69-dfbe-44ad-ba6d-3e05e953b2ea","context":{"userId":"Practitioner/demo","patientId":"demo-kidney"}}'

`
