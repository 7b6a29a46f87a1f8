package modelcmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v3"

	"galen/cds/measure"
	"galen/models"
	"galen/models/catalog"
	"galen/models/evaluate"
)

func evaluateCommand() *cli.Command {
	return &cli.Command{
		Name: "evaluate", Usage: "run a model on a cohort with known outcomes and report how well it does",
		Flags: []cli.Flag{
			text("model", "", "NAME or NAME@VERSION"),
			text("cohort", "", "CSV file: columns named as the model's features, in its units, and the outcome (1 or 0)"),
			text("outcome", "outcome", "column of the outcome"),
			&cli.StringSliceFlag{Name: "group", Usage: "column whose values part the cohort; may be repeated", Sources: env("group")},
			text("output", "", "output of the model; default: its headline"),
			&cli.IntFlag{Name: "resamples", Value: 1000, Usage: "of the bootstrap"},
			&cli.Uint64Flag{Name: "seed", Value: 1, Usage: "of the bootstrap"},
			text("out", ".", "directory for report.json, report.html and MeasureReport.json"),
			text("models", "", "directory of further models"),
			text("onnxruntime", "", "path of the ONNX Runtime library; default: the user's cache"),
		},
		Action: func(ctx context.Context, c *cli.Command) error {
			report, err := evaluateModel(ctx, c)
			if err != nil {
				return err
			}
			return writeReport(c.Root().Writer, report, c.String("out"))
		},
	}
}

func evaluateModel(ctx context.Context, c *cli.Command) (_ *evaluate.Report, err error) {
	ref, err := models.ParseRef(c.String("model"))
	if err != nil {
		return nil, err
	}
	runtime, err := Runtime(c.String("onnxruntime"), "")
	if err != nil {
		return nil, err
	}
	sources := []models.Source{{Name: "built in", FS: catalog.FS()}}
	if dir := c.String("models"); dir != "" {
		source, err := models.Dir(dir)
		if err != nil {
			return nil, err
		}
		sources = append(sources, source)
	}
	all, err := models.Load(ctx, Options(runtime), sources...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, all.Close()) }()
	model, err := all.Acquire(ref)
	if err != nil {
		return nil, err
	}
	defer model.Release()
	file, err := os.Open(c.String("cohort"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // read only
	cohort, err := evaluate.ReadCSV(file, model.Info().Manifest, evaluate.Table{
		Name: filepath.Base(c.String("cohort")), Outcome: c.String("outcome"), Groups: c.StringSlice("group"),
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.String("cohort"), err)
	}
	return evaluate.Run(ctx, model, cohort, evaluate.Options{
		Output: c.String("output"), Resamples: c.Int("resamples"), Seed: c.Uint64("seed"), Now: time.Now().UTC(),
	})
}

// writeReport writes the report in its three forms and says the main figures.
func writeReport(out io.Writer, r *evaluate.Report, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	resource, err := measure.Report(r)
	if err != nil {
		return err
	}
	var page bytes.Buffer
	if err := r.HTML(&page); err != nil {
		return err
	}
	for name, content := range map[string][]byte{"report.json": append(data, '\n'), "MeasureReport.json": resource, "report.html": page.Bytes()} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	auc := "none"
	if v := r.Overall.AUC; v.Value != nil && v.Low != nil && v.High != nil {
		auc = fmt.Sprintf("%.3f (%.3f–%.3f)", *v.Value, *v.Low, *v.High)
	}
	_, err = fmt.Fprintf(out, "%s on %s: %d of %d assessed, %d with the outcome, AUC %s; written to %s\n",
		r.Model, r.Cohort, r.Overall.N, r.Patients, r.Overall.Events, auc, filepath.Join(dir, "report.html"))
	return err
}
