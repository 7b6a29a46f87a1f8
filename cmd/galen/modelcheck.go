package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v3"

	"galen/models"
	"galen/models/jail"
	"galen/models/parcel"
	"galen/models/serving"
)

const (
	uploadBytes = 1 << 30 // of an uploaded folder
	uploadFiles = 16
)

// openUploads makes what takes uploaded models. Without a list of what is trusted
// it takes none; what was uploaded before is served in any case.
func openUploads(o options) (*serving.Uploads, error) {
	dir := filepath.Join(o.data, "models", "uploaded")
	u := &serving.Uploads{Dir: dir, Limits: parcel.Limits{Bytes: uploadBytes, Files: uploadFiles}}
	if err := u.Sweep(); err != nil {
		return nil, err
	}
	if o.trust != "" {
		text, err := os.ReadFile(o.trust)
		if err != nil {
			return nil, err
		}
		if u.Trust, err = parcel.ParseTrust(string(text)); err != nil {
			return nil, fmt.Errorf("%s: %w", o.trust, err)
		}
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	u.Check = func(ctx context.Context, dir string, ref models.Ref) error {
		return jail.Run(ctx, program, []string{"model-check", "--onnxruntime", o.library, dir, ref.String()})
	}
	return u, nil
}

// modelCheckCommand loads one version and says whether it holds. It limits
// itself before it reads anything, for it is run on what is not known yet.
func modelCheckCommand() *cli.Command {
	return &cli.Command{
		Name: "model-check", Usage: "load one version of a model and say whether it holds", ArgsUsage: "DIR NAME@VERSION",
		Flags: []cli.Flag{text("onnxruntime", "", "path of the ONNX Runtime library; default: the user's cache")},
		Action: func(ctx context.Context, c *cli.Command) error {
			if c.NArg() != 2 {
				return errors.New("model-check needs a directory of models and NAME@VERSION")
			}
			ref, err := models.ParseRef(c.Args().Get(1))
			if err != nil || ref.Version == "" {
				return errors.New("model-check needs NAME@VERSION")
			}
			runtime, err := openRuntime(options{library: c.String("onnxruntime")})
			if err != nil {
				return err
			}
			if err := jail.Enter(); err != nil {
				return err
			}
			source, err := models.Dir(c.Args().Get(0))
			if err != nil {
				return err
			}
			info, err := models.Check(ctx, modelOptions(runtime), source, ref)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.Root().Writer, "%s holds; SHA-256 %s, %s a run\n", info.Ref, info.Digest, info.Cost)
			return err
		},
	}
}
