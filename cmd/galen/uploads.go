package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

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
