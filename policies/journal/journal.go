// Package journal keeps a short history of JSON values in one file, a line each,
// which is only ever added to: the lives of policies and of emergency accesses.
//
// It promises that what Append took is on disk when it returns and is read again
// in its order; a line that a crash cut short was never acknowledged and is cut
// off. It is no audit log: it is not chained, and kept short by its users.
package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"

	"galen/fhir"
)

// File is an open journal. It is safe for concurrent use.
type File struct {
	mu   sync.Mutex
	file *os.File
	size int64
	err  error // sticky: after a failed write nothing is accepted
}

// Open opens or makes the file and hands each line to read, in order. The error
// is of Kind Internal; one of read is returned as it is.
func Open(path string, read func(line []byte) error) (*File, error) {
	const op = "journal.Open"
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, &fhir.Error{Op: op, Err: err}
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, &fhir.Error{Op: op, Err: err}
	}
	f := &File{file: file}
	if err := f.load(read); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return f, nil
}

func (f *File) load(read func([]byte) error) error {
	content, err := os.ReadFile(f.file.Name())
	if err != nil {
		return &fhir.Error{Op: "journal.Open", Err: err}
	}
	for len(content) > 0 {
		line, rest, whole := bytes.Cut(content, []byte("\n"))
		if !whole {
			break
		}
		if err := read(line); err != nil {
			return err
		}
		f.size += int64(len(line)) + 1
		content = rest
	}
	if len(content) == 0 {
		return nil
	}
	if err := errors.Join(f.file.Truncate(f.size), f.file.Sync()); err != nil {
		return &fhir.Error{Op: "journal.Open", Err: err}
	}
	return nil
}

// Append adds a value, durably. The error is of Kind Unavailable; after one the
// journal takes nothing more until it is opened anew.
func (f *File) Append(value any) error {
	line, err := json.Marshal(value)
	if err != nil {
		return &fhir.Error{Op: "journal.Append", Err: err}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	line = append(line, '\n')
	if _, err = f.file.WriteAt(line, f.size); err == nil {
		err = f.file.Sync()
	}
	if err != nil {
		f.err = &fhir.Error{Op: "journal.Append", Kind: fhir.Unavailable, Err: err}
		return f.err
	}
	f.size += int64(len(line))
	return nil
}

// Close closes the file; later calls of Append fail.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = fhir.E("journal.Append", fhir.Unavailable, "", "the journal is closed")
	return f.file.Close()
}
