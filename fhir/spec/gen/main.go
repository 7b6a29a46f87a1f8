// Command gen makes fhir/spec/r4.tsv.gz, the tables that package spec embeds,
// and fhir/terminology/r4.ndjson.gz, the code systems and value sets, from the
// official FHIR R4 4.0.1 definitions, and SOURCE.md, which says where they came
// from.
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

// terminologyFile is what package terminology embeds, seen from package spec.
const terminologyFile = "../terminology/r4.ndjson.gz"

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
	packed, err := pack(data)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "r4.tsv.gz"), packed, 0o644); err != nil {
		return err
	}
	codes, err := packTerminology(dir)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, terminologyFile), codes, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, "SOURCE.md"), provenance(packed, codes), 0o644)
}
