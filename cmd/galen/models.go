package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v3"

	"galen/cds"
	"galen/cds/cohort"
	"galen/cds/feature"
	"galen/cds/imaging"
	"galen/cds/ondemand"
	"galen/cmd/galen/modelcmd"
	"galen/fhir/operation"
	"galen/models"
	"galen/models/catalog"
	"galen/models/manifest"
	"galen/models/serving"
	"galen/policies"
	"galen/policies/audit"
)

// modelSettings is where what people decided about models lies in the data
// directory.
func modelSettings(data string) string { return filepath.Join(data, "models", "settings.json") }

// modelFlags are the options that only models have.
type modelFlags struct {
	providers string // execution providers to prefer, separated by commas
	trust     string // file of what uploads may be taken in; "" for none
	servers   string // file of the servers that models may run on; "" for none
	archives  string // file of the image archives that may be read; "" for none
}

func flagsOfModels() []cli.Flag {
	return []cli.Flag{
		text("execution-providers", "", "ONNX Runtime execution providers to prefer, such as cuda:0,cpu"),
		text("model-trust", "", "file of the digests and keys of models that may be uploaded; default: uploads are off"),
		text("model-servers", "", "YAML file of the servers that models of runtime oip may run on; default: none"),
		text("dicomweb-servers", "", "YAML file of the DICOMweb archives that images may be read from; default: none"),
	}
}

func modelFlagsOf(c *cli.Command) modelFlags {
	return modelFlags{providers: c.String("execution-providers"), trust: c.String("model-trust"), servers: c.String("model-servers"), archives: c.String("dicomweb-servers")}
}

// openModels loads the models and makes the service over them.
func (a *app) openModels(ctx context.Context, o options, engine *policies.Engine, log *audit.Log) error {
	runtime, err := modelcmd.Runtime(o.library, o.providers)
	if err != nil {
		return err
	}
	settings := modelSettings(o.data)
	opts := modelcmd.Options(runtime)
	if opts.Openers[manifest.OIP], err = openServers(o.servers); err != nil {
		return err
	}
	if opts.Settings, err = serving.ReadSettings(settings); err != nil {
		return errors.Join(errors.New(settings+" cannot be read"), err)
	}
	opts.Save = func(s models.Settings) error { return serving.SaveSettings(settings, s) }
	sources := []models.Source{{Name: "built in", FS: catalog.FS()}}
	if o.models != "" {
		dir, err := models.Dir(o.models)
		if err != nil {
			return err
		}
		sources = append(sources, dir)
	}
	uploads, err := openUploads(o)
	if err != nil {
		return err
	}
	uploaded, err := models.Dir(uploads.Dir)
	if err != nil {
		return err
	}
	sources = append(sources, uploaded)
	if a.catalog, err = models.Load(ctx, opts, sources...); err != nil {
		return err
	}
	a.closers = append(a.closers, a.catalog.Close)
	ledger := cds.NewLedger(a.store)
	a.serving = serving.New(serving.Config{
		Catalog: a.catalog, Policies: engine, Audit: log, Now: time.Now, Uploads: uploads,
		Changed: func(ctx context.Context) error { return ledger.Devices(ctx, a.catalog.List()) },
	})
	return nil
}

// logBackends says which models do not run on the execution provider that was
// preferred.
func (a *app) logBackends(ctx context.Context, log *slog.Logger) {
	for _, info := range a.catalog.List() {
		for _, reason := range info.Backend.Fallbacks {
			log.WarnContext(ctx, "execution provider passed over", slog.String("model", info.Ref.String()), slog.String("reason", reason))
		}
	}
}

// onDemand are the operations that assess patients on request.
func (a *app) onDemand(o options, t tables, ledger *cds.Ledger, log *audit.Log) ([]operation.Extension, error) {
	engine := cds.New(feature.New(t.units), newID)
	archives, err := openArchives(o.archives)
	if err != nil {
		return nil, err
	}
	if archives != nil {
		a.closers = append(a.closers, archives.Close)
		engine = engine.WithPictures(imaging.Finder{Archive: archives})
	}
	service := ondemand.New(ondemand.Config{REST: a.rest, Catalog: a.catalog, Engine: engine, Ledger: ledger, Now: time.Now})
	a.cohorts = cohort.New(cohort.Config{Reader: a.rest, Audit: log, Assess: service, Now: time.Now})
	return service.Operations(), nil
}
