// Command gen makes fhir/spec/r4.tsv.gz, the tables that package spec embeds,
// the code systems and value sets of fhir/terminology and the profiles of
// fhir/profile, from the official FHIR R4 4.0.1 definitions, and SOURCE.md, which
// says where they came from.
//
// Run it from the root of the repository:
//
//	go run ./fhir/spec/gen
//
// It gets the definitions through the go command (one Go module, pinned by its
// checksum), or reads them from the folder -dir. The same definitions give the
// same bytes. Where R4 contradicts itself, the list in corrections.go says what
// is changed and why; a correction that no longer fits is an error, as is any
// definition the tables cannot express.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
)

func main() {
	dir := flag.String("dir", "", "folder with the R4 definitions; empty gets them with the go command")
	out := flag.String("out", filepath.Join("fhir", "spec"), "folder to write to")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *dir, *out); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// The outputs, seen from package spec.
const (
	tablesFile      = "r4.tsv.gz"
	terminologyFile = "../terminology/r4.ndjson.gz"
	profilesFile    = "../profile/r4.ndjson.gz"
)

func run(ctx context.Context, dir, out string) error {
	if dir == "" {
		var err error
		if dir, err = download(ctx); err != nil {
			return err
		}
	}
	src, err := read(dir)
	if err != nil {
		return err
	}
	data, err := build(src)
	if err != nil {
		return err
	}
	outputs := map[string][]byte{}
	if outputs[tablesFile], err = pack(data); err != nil {
		return err
	}
	if outputs[terminologyFile], err = packTerminology(dir); err != nil {
		return err
	}
	if outputs[profilesFile], err = packProfiles(dir); err != nil {
		return err
	}
	outputs["SOURCE.md"] = provenance(outputs)
	for name, text := range outputs {
		if err := os.WriteFile(filepath.Join(out, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
