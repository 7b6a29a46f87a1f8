package export

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"

	"galen/fhir"
)

// file is one NDJSON file.
type file struct {
	Type  string
	Name  string
	Size  int64 // bytes on disk
	Count int   // resources

	dirty bool
}

func failed(err error) error {
	if err == nil {
		return nil
	}
	return &fhir.Error{Op: "export.file", Kind: fhir.Unavailable, Err: err}
}

// cut makes the files as long as the cursor says.
func (w *writer) cut() error {
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		return failed(err)
	}
	for _, f := range w.Files {
		if err := os.Truncate(filepath.Join(w.dir, f.Name), f.Size); err != nil {
			return failed(err)
		}
	}
	return nil
}

// append writes text at the end of a file, where the cursor says that it is. A
// sealed piece has its length before it.
func (s *Service) append(dir string, f *file, text []byte) error {
	if s.Seal != nil {
		sealed, err := s.Seal.Seal(text)
		if err != nil {
			return failed(err)
		}
		text = append(binary.BigEndian.AppendUint32(nil, uint32(len(sealed))), sealed...)
	}
	out, err := os.OpenFile(filepath.Join(dir, f.Name), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return failed(err)
	}
	if f.Size == 0 { // what a lost run left
		err = out.Truncate(0)
	}
	if err == nil {
		_, err = out.WriteAt(text, f.Size)
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return failed(err)
	}
	f.Size += int64(len(text))
	f.Count++
	f.dirty = true
	return nil
}

// sync makes what was appended durable.
func (f *file) sync(dir string) error {
	if !f.dirty {
		return nil
	}
	f.dirty = false
	out, err := os.OpenFile(filepath.Join(dir, f.Name), os.O_WRONLY, 0)
	if err != nil {
		return failed(err)
	}
	return failed(errors.Join(out.Sync(), out.Close()))
}

// content reads a whole file, at most as long as it is known to be.
func (s *Service) content(dir string, f *file) ([]byte, error) {
	in, err := os.Open(filepath.Join(dir, f.Name))
	if err != nil {
		return nil, failed(err)
	}
	text, err := io.ReadAll(io.LimitReader(in, f.Size))
	if err = errors.Join(err, in.Close()); err != nil || s.Seal == nil {
		return text, failed(err)
	}
	var out []byte
	for len(text) > 0 {
		if len(text) < 4 {
			return nil, failed(io.ErrUnexpectedEOF)
		}
		n := int(binary.BigEndian.Uint32(text))
		if text = text[4:]; n > len(text) {
			return nil, failed(io.ErrUnexpectedEOF)
		}
		piece, ok := s.Seal.Open(text[:n])
		if !ok {
			return nil, failed(errors.New("a file cannot be decrypted with this key"))
		}
		out, text = append(out, piece...), text[n:]
	}
	return out, nil
}
