package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/schollz/progressbar/v3"
	"github.com/urfave/cli/v3"
	"golang.org/x/term"

	"galen/fhir/rest"
	"galen/fhir/rest/load"
	"galen/fhir/terminology/release"
	"galen/policies"
)

func importCommand() *cli.Command {
	return &cli.Command{
		Name: "import", Usage: "load resources and Bundles (NDJSON, JSON, .gz, .bz2), or the release of LOINC, SNOMED CT (RF2) or RxNorm, a folder or a zip file", ArgsUsage: "FILE|DIR…",
		Flags: append([]cli.Flag{dataFlag()}, commonFlags()...),
		Action: func(ctx context.Context, c *cli.Command) error {
			if c.NArg() == 0 {
				return errors.New("import needs files or folders")
			}
			rest, err := importReleases(c.Args().Slice(), c.String("data"), c.Root().Writer)
			if err != nil || len(rest) == 0 {
				return err
			}
			files, err := load.Files(rest)
			if err != nil {
				return err
			}
			app, err := open(ctx, optionsOf(c))
			if err != nil {
				return err
			}
			return errors.Join(importFiles(ctx, app.rest, files, c.Root().Writer), app.close())
		},
	}
}

// importReleases takes the releases of large code systems among the arguments
// into the data directory and returns the other arguments. A running server
// knows them from its next start on.
func importReleases(args []string, data string, out io.Writer) (rest []string, err error) {
	shelf, err := release.Open(shelfDir(data))
	if err != nil {
		return nil, err
	}
	for _, arg := range args {
		r, ok, err := release.Detect(arg)
		if err != nil {
			return nil, err
		}
		if !ok {
			rest = append(rest, arg)
			continue
		}
		t, err := r.Read()
		if err == nil {
			err = shelf.Put(t)
		}
		if err = errors.Join(err, r.Close()); err != nil {
			return nil, err
		}
		if _, err := fmt.Fprintf(out, "%s %s: %d concepts\n", t.Name, t.Version, len(t.Concepts)); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

var importCaller = rest.Caller{
	Principal: policies.Principal{Subject: "galen import", Roles: []string{"admin"}}, RequestID: "import", Address: "local", Base: "http://localhost/fhir",
}

// importFiles loads files as the administrator, with a bar on a terminal.
func importFiles(ctx context.Context, service *rest.Service, files []string, out io.Writer) error {
	bar := progressbar.DefaultSilent(int64(len(files)))
	if term.IsTerminal(int(os.Stderr.Fd())) {
		bar = progressbar.Default(int64(len(files)), "importing")
	}
	in := load.Loader{REST: service, Caller: importCaller, Loaded: func() { _ = bar.Add(1) }}
	failures := in.Run(ctx, files)
	_, err := fmt.Fprintf(out, "%d resources from %d of %d files\n", in.Resources, len(files)-len(failures), len(files))
	return errors.Join(append(failures, ctx.Err(), err)...)
}
