package main

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/schollz/progressbar/v3"
	"github.com/urfave/cli/v3"
	"golang.org/x/term"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/rest"
	"galen/fhir/rest/bundle"
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
			files, err := listFiles(rest)
			if err != nil {
				return err
			}
			app, err := open(ctx, optionsOf(c))
			if err != nil {
				return err
			}
			in := importer{rest: app.rest, out: c.Root().Writer}
			return errors.Join(in.run(ctx, files), app.close())
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

// listFiles lists the files named and those in the folders named, by name, so
// that what others refer to can be put first.
func listFiles(args []string) ([]string, error) {
	var files []string
	for _, arg := range args {
		err := filepath.WalkDir(arg, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// importer loads files through the interactions, as the administrator.
type importer struct {
	rest   *rest.Service
	out    io.Writer
	loaded int
}

var importCaller = rest.Caller{
	Principal: policies.Principal{Subject: "galen import", Roles: []string{"admin"}}, RequestID: "import", Address: "local", Base: "http://localhost/fhir",
}

// run loads every file. One that fails because it refers to what another file
// brings is tried once more at the end.
func (in *importer) run(ctx context.Context, files []string) error {
	bar := progressbar.DefaultSilent(int64(len(files)))
	if term.IsTerminal(int(os.Stderr.Fd())) {
		bar = progressbar.Default(int64(len(files)), "importing")
	}
	var later []string
	var failures []error
	try := func(list []string, failed func(string, error)) {
		for _, file := range list {
			if ctx.Err() != nil {
				return
			}
			if err := in.file(ctx, file); err != nil {
				failed(file, err)
				continue
			}
			_ = bar.Add(1)
		}
	}
	try(files, func(file string, _ error) { later = append(later, file) })
	try(later, func(file string, err error) { failures = append(failures, fmt.Errorf("%s: %w", file, err)) })
	if err := ctx.Err(); err != nil {
		failures = append(failures, err)
	}
	_, err := fmt.Fprintf(in.out, "%d resources from %d of %d files\n", in.loaded, len(files)-len(failures), len(files))
	return errors.Join(append(failures, err)...)
}

func (in *importer) file(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // read only
	var reader io.Reader = bufio.NewReaderSize(f, 1<<20)
	name := path
	switch filepath.Ext(path) {
	case ".gz":
		if reader, err = gzip.NewReader(reader); err != nil {
			return err
		}
		name = strings.TrimSuffix(path, ".gz")
	case ".bz2":
		reader, name = bzip2.NewReader(reader), strings.TrimSuffix(path, ".bz2")
	}
	if slices.Contains([]string{".ndjson", ".jsonl"}, filepath.Ext(name)) {
		return in.lines(ctx, reader)
	}
	body, err := io.ReadAll(reader)
	if err != nil {
		return err
	}
	return in.resource(ctx, body)
}

// maxLine is the longest line of NDJSON, in bytes.
const maxLine = 64 << 20

func (in *importer) lines(ctx context.Context, r io.Reader) error {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(make([]byte, 1<<20), maxLine)
	for n := 1; scanner.Scan(); n++ {
		line := bytes.TrimSpace(scanner.Bytes())
		if len(line) == 0 {
			continue
		}
		if err := in.resource(ctx, bytes.Clone(line)); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return scanner.Err()
}

// resource loads a batch or transaction, or stores one resource: under its own
// id if it has one.
func (in *importer) resource(ctx context.Context, body []byte) error {
	r, err := fhir.Parse(body, jsontree.Limits{})
	if err != nil {
		return err
	}
	kind := r.Root().Get("type").Text()
	switch {
	case r.Type == "Bundle" && (kind == "transaction" || kind == "batch"):
		answer, err := bundle.Perform(ctx, in.rest, importCaller, bundle.In{Body: body})
		if err != nil {
			return err
		}
		in.loaded += r.Root().Get("entry").Len()
		return batchFailure(answer)
	case r.ID != "":
		_, err = in.rest.Update(ctx, importCaller, r.Key, body, "")
	default:
		_, err = in.rest.Create(ctx, importCaller, r.Type, body, "")
	}
	if err == nil {
		in.loaded++
	}
	return err
}

// batchFailure reports the first entry of a batch that was refused.
func batchFailure(answer []byte) error {
	r, err := fhir.Parse(answer, jsontree.Limits{})
	if err != nil {
		return err
	}
	n := 0
	for entry := range r.Root().Get("entry").Items() {
		response := entry.Get("response")
		if status := response.Get("status").Text(); status >= "4" {
			return fmt.Errorf("entry %d: %s: %s", n, status, response.Get("outcome").Get("issue").Item(0).Get("diagnostics").Text())
		}
		n++
	}
	return nil
}
