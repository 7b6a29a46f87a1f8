// Package load loads files of FHIR JSON through the interactions: resources,
// batches and transactions, one to a file or one to a line (NDJSON), plain, .gz
// or .bz2. What a file holds is validated, decided on and put on record like any
// request.
package load

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/rest"
	"galen/fhir/rest/bundle"
)

// Files lists the files named and those in the folders named, by name, so
// that what others refer to can be put first.
func Files(args []string) ([]string, error) {
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

// Loader loads files. It belongs to one goroutine.
type Loader struct {
	REST      *rest.Service
	Caller    rest.Caller
	Loaded    func() // called for each file that was loaded
	Resources int    // that were loaded so far
}

// Run loads every file and returns what went wrong with each that was not. One
// that fails, since it refers to what another file brings, is tried once more at
// the end. It stops when ctx ends.
func (in *Loader) Run(ctx context.Context, files []string) (failures []error) {
	var later []string
	try := func(list []string, failed func(string, error)) {
		for _, file := range list {
			if ctx.Err() != nil {
				return
			}
			if err := in.file(ctx, file); err != nil {
				failed(file, err)
				continue
			}
			in.Loaded()
		}
	}
	try(files, func(file string, _ error) { later = append(later, file) })
	try(later, func(file string, err error) { failures = append(failures, fmt.Errorf("%s: %w", file, err)) })
	return failures
}

func (in *Loader) file(ctx context.Context, path string) error {
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

func (in *Loader) lines(ctx context.Context, r io.Reader) error {
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
func (in *Loader) resource(ctx context.Context, body []byte) error {
	r, err := fhir.Parse(body, jsontree.Limits{})
	if err != nil {
		return err
	}
	kind := r.Root().Get("type").Text()
	switch {
	case r.Type == "Bundle" && (kind == "transaction" || kind == "batch"):
		answer, err := bundle.Perform(ctx, in.REST, in.Caller, bundle.In{Body: body})
		if err != nil {
			return err
		}
		in.Resources += r.Root().Get("entry").Len()
		return batchFailure(answer)
	case r.ID != "":
		_, err = in.REST.Update(ctx, in.Caller, r.Key, body, "")
	default:
		_, err = in.REST.Create(ctx, in.Caller, r.Type, body, "")
	}
	if err == nil {
		in.Resources++
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
