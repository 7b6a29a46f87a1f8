// Package parcel takes a model folder out of what a client sends: a tar, a
// gzipped tar, a zip, or a form with one file in each part.
//
// It promises that only plain files with plain names are written, each once, in
// one folder, within a limit of bytes and files that holds for what is unpacked
// and not for what is sent; and that a folder is trusted only when its digest is
// on a list or its list of digests is signed by a key on it. What the files mean
// it does not know: galen/models checks that.
package parcel

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"os"
	"path"
	"regexp"
)

// Limits bound what is unpacked.
type Limits struct {
	Bytes int64 // of all files together
	Files int
}

// The errors of Unpack that are the sender's fault. Their texts name no more than
// a file.
var (
	ErrType    = errors.New("want application/x-tar, application/gzip, application/zip or multipart/form-data")
	ErrLarge   = errors.New("the files are larger than allowed")
	ErrMany    = errors.New("there are more files than allowed")
	ErrName    = errors.New("want plain files with plain names in one folder, each once")
	ErrArchive = errors.New("the archive cannot be read")
)

var namePattern = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$`)

// unpacker writes files into one folder.
type unpacker struct {
	dir    *os.Root
	limits Limits
	files  int
	parent string // of the first file's path in the archive
}

// Unpack writes the files of body into dir, which is empty. contentType is the
// request's. An error of the sender's wraps one of the errors above; what was
// written before it stays.
func Unpack(body io.Reader, contentType string, dir *os.Root, limits Limits) error {
	u := &unpacker{dir: dir, limits: limits}
	err := u.unpack(body, contentType)
	if err == nil && u.files == 0 {
		return ErrArchive
	}
	return err
}

func (u *unpacker) unpack(body io.Reader, contentType string) error {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return ErrType
	}
	switch kind {
	case "application/x-tar", "application/tar":
		return u.tar(body)
	case "application/gzip", "application/x-gzip", "application/x-gtar", "application/x-compressed-tar":
		unzip, err := gzip.NewReader(body)
		if err != nil {
			return ErrArchive
		}
		return u.tar(unzip)
	case "application/zip", "application/x-zip-compressed":
		return u.zip(body)
	case "multipart/form-data":
		return u.form(multipart.NewReader(body, params["boundary"]))
	}
	return ErrType
}

func (u *unpacker) tar(body io.Reader) error {
	for archive := tar.NewReader(bufio.NewReader(body)); ; {
		h, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return ErrArchive
		case h.Typeflag == tar.TypeDir || h.Typeflag == tar.TypeXGlobalHeader:
			continue
		case h.Typeflag != tar.TypeReg:
			return fmt.Errorf("%w: %q is no plain file", ErrName, path.Base(h.Name))
		}
		if err := u.file(h.Name, archive); err != nil {
			return err
		}
	}
}

// zip needs the whole archive: its list of files is at its end.
func (u *unpacker) zip(body io.Reader) error {
	f, err := os.CreateTemp("", "galen-parcel-*")
	if err != nil {
		return err
	}
	defer func() { _ = errors.Join(f.Close(), os.Remove(f.Name())) }()
	size, err := io.Copy(f, io.LimitReader(body, u.limits.Bytes+1))
	switch {
	case err != nil:
		return ErrArchive
	case size > u.limits.Bytes:
		return ErrLarge
	}
	archive, err := zip.NewReader(f, size)
	if err != nil {
		return ErrArchive
	}
	for _, entry := range archive.File {
		if entry.FileInfo().IsDir() {
			continue
		}
		if !entry.Mode().IsRegular() {
			return fmt.Errorf("%w: %q is no plain file", ErrName, path.Base(entry.Name))
		}
		if err := u.zipped(entry); err != nil {
			return err
		}
	}
	return nil
}

func (u *unpacker) zipped(entry *zip.File) error {
	r, err := entry.Open()
	if err != nil {
		return ErrArchive
	}
	return errors.Join(u.file(entry.Name, r), r.Close())
}

func (u *unpacker) form(parts *multipart.Reader) error {
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return ErrArchive
		}
		if err := u.file(part.FileName(), part); err != nil {
			return err
		}
	}
}

// file writes one file.
func (u *unpacker) file(name string, content io.Reader) error {
	parent, base := path.Split(path.Clean("/" + name))
	if u.files == 0 {
		u.parent = parent
	}
	if parent != u.parent || !namePattern.MatchString(base) {
		return fmt.Errorf("%w: %q", ErrName, base)
	}
	if u.files++; u.files > u.limits.Files {
		return ErrMany
	}
	f, err := u.dir.OpenFile(base, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%w: %q is there twice", ErrName, base)
	}
	if err != nil {
		return err
	}
	n, err := io.Copy(f, &source{r: io.LimitReader(content, u.limits.Bytes+1)})
	u.limits.Bytes -= n
	err = errors.Join(err, f.Sync(), f.Close())
	if u.limits.Bytes < 0 {
		return ErrLarge
	}
	return err
}

// source tells an archive that cannot be read from a disk that cannot be written.
type source struct{ r io.Reader }

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = ErrArchive
	}
	return n, err
}
