package serving

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"galen/fhir"
	"galen/models"
	"galen/models/manifest"
	"galen/models/parcel"
	"galen/policies"
)

// Uploads takes uploaded models into a directory that is a source of the catalog.
type Uploads struct {
	Dir    string
	Trust  parcel.Trust
	Limits parcel.Limits
	// Check loads the version in the folder <dir>/<name>/<version> in another
	// process, so that a bad file cannot take this one down. Its error says why the
	// version does not hold.
	Check func(ctx context.Context, dir string, ref models.Ref) error
}

// Upload is a version that is handed in.
type Upload struct {
	Model     models.Ref // pinned
	Type      string     // Content-Type of the body
	Signature string     // Ed25519 over the folder's sums (parcel.Sums), base64; "" for none
	Body      io.Reader
}

// incoming begins the names of folders that are being taken in; a catalog passes
// over names that start with an underscore.
const incoming = "_incoming-"

// Upload takes a version in: the folder must be trusted and must hold every check
// in a process of its own before it appears in the directory, in one step, and is
// served. Nothing of one that does not hold stays. Errors: Forbidden,
// NotSupported without Uploads, Conflict when there is such a version, Malformed,
// TooLong, Unprocessable with the reason, Timeout.
func (s *Service) Upload(ctx context.Context, c Caller, up Upload) (*models.Info, error) {
	var info *models.Info
	err := s.change(ctx, c, up.Model, policies.ModelPromote, "upload", func(ctx context.Context) (err error) {
		info, err = s.upload(ctx, up)
		return err
	})
	if err != nil {
		return nil, err
	}
	return info, nil
}

const opUpload = "serving.Upload"

func (s *Service) upload(ctx context.Context, up Upload) (*models.Info, error) {
	if s.Uploads == nil {
		return nil, fhir.E(opUpload, fhir.NotSupported, "", "uploads are off: no list of trusted digests and keys is configured")
	}
	if !manifest.ValidName(up.Model.Name) || !up.Model.Version.Valid() {
		return nil, fhir.E(opUpload, fhir.Value, "", "want a model's name and version, such as 1.0.0")
	}
	if err := s.absent(up.Model); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.Uploads.Dir, 0o700); err != nil {
		return nil, &fhir.Error{Op: opUpload, Err: err}
	}
	work, err := os.MkdirTemp(s.Uploads.Dir, incoming)
	if err != nil {
		return nil, &fhir.Error{Op: opUpload, Err: err}
	}
	info, err := s.takeIn(ctx, work, up)
	if left := os.RemoveAll(work); left != nil && err == nil {
		err = &fhir.Error{Op: opUpload, Err: left}
	}
	return info, err
}

// absent refuses a version that is there already: a published one never changes.
func (s *Service) absent(ref models.Ref) error {
	known, err := s.Catalog.Known()
	if err != nil {
		return failure(err)
	}
	for _, k := range known {
		if k.Ref == ref {
			return fhir.E(opUpload, fhir.Conflict, "", "this version is there already; a published version never changes")
		}
	}
	return nil
}

// takeIn unpacks, checks and publishes.
func (s *Service) takeIn(ctx context.Context, work string, up Upload) (*models.Info, error) {
	u := s.Uploads
	folder := filepath.Join(work, up.Model.Name, string(up.Model.Version))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, &fhir.Error{Op: opUpload, Err: err}
	}
	if err := u.unpack(folder, up); err != nil {
		return nil, err
	}
	if err := u.Check(ctx, work, up.Model); err != nil {
		if ctx.Err() != nil {
			return nil, &fhir.Error{Op: opUpload, Kind: fhir.Timeout, Err: context.Cause(ctx)}
		}
		return nil, &fhir.Error{Op: opUpload, Kind: fhir.Unprocessable, Err: err}
	}
	home := filepath.Join(u.Dir, up.Model.Name)
	err := os.Mkdir(home, 0o700)
	if errors.Is(err, os.ErrExist) {
		err = nil
	}
	place := filepath.Join(home, string(up.Model.Version))
	if err == nil {
		err = errors.Join(syncDir(folder), os.Rename(folder, place))
	}
	if err == nil {
		err = errors.Join(syncDir(home), syncDir(u.Dir))
	}
	if err != nil {
		return nil, &fhir.Error{Op: opUpload, Err: err}
	}
	return s.serveNew(ctx, up.Model, place)
}

// unpack writes the files and checks that they are trusted, before any is read.
func (u *Uploads) unpack(folder string, up Upload) error {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return &fhir.Error{Op: opUpload, Err: err}
	}
	defer func() { _ = root.Close() }()
	if err := parcel.Unpack(up.Body, up.Type, root, u.Limits); err != nil {
		kind := fhir.Internal
		switch {
		case errors.Is(err, parcel.ErrType):
			kind = fhir.MediaUnknown
		case errors.Is(err, parcel.ErrLarge), errors.Is(err, parcel.ErrMany):
			kind = fhir.TooLong
		case errors.Is(err, parcel.ErrName), errors.Is(err, parcel.ErrArchive):
			kind = fhir.Malformed
		}
		return &fhir.Error{Op: opUpload, Kind: kind, Err: err}
	}
	sums, err := parcel.Sums(root.FS())
	if err != nil {
		return &fhir.Error{Op: opUpload, Err: err}
	}
	if err := u.Trust.Check(sums, up.Signature); err != nil {
		return &fhir.Error{Op: opUpload, Kind: fhir.Unprocessable, Err: err}
	}
	return nil
}

// serveNew loads what was published; what this process does not take after all is
// taken away again.
func (s *Service) serveNew(ctx context.Context, ref models.Ref, place string) (*models.Info, error) {
	if err := s.Catalog.Reload(ctx, ref); err != nil {
		return nil, errors.Join(failure(err), os.RemoveAll(place))
	}
	model, err := s.Catalog.Acquire(ref)
	if err != nil {
		return nil, failure(err)
	}
	defer model.Release()
	return model.Info(), nil
}

// Sweep removes what uploads that were cut off left behind. It is called before
// the directory is a source.
func (u *Uploads) Sweep() error {
	entries, err := os.ReadDir(u.Dir)
	if errors.Is(err, os.ErrNotExist) {
		return os.MkdirAll(u.Dir, 0o700)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), incoming) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(u.Dir, e.Name())))
		}
	}
	return err
}
