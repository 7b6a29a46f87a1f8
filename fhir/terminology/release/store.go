package release

import (
	"bufio"
	"encoding/gob"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"galen/fhir"
)

// Shelf is the tables in a folder. It is safe for concurrent use.
type Shelf struct {
	dir string

	mu     sync.Mutex
	heads  map[string]head // by URL
	loaded map[string]*Table
}

// head is what the file begins with.
type head struct {
	Format             int
	URL, Version, Name string
	Concepts           int
	file               string
}

const (
	fileFormat = 1
	extension  = ".table"
)

// Open finds the tables of a folder, which need not exist. The error is of Kind
// Unavailable for a file that cannot be read or is of another format.
func Open(dir string) (*Shelf, error) {
	s := &Shelf{dir: dir, heads: map[string]head{}, loaded: map[string]*Table{}}
	names, err := filepath.Glob(filepath.Join(dir, "*"+extension))
	if err != nil {
		return nil, failure("release.Open", err)
	}
	for _, name := range names {
		h, err := readHead(name)
		if err != nil {
			return nil, failure("release.Open", err)
		}
		s.heads[h.URL] = h
	}
	return s, nil
}

func failure(op string, err error) error {
	return &fhir.Error{Op: op, Kind: fhir.Unavailable, Err: err}
}

func readHead(name string) (head, error) {
	f, err := os.Open(name)
	if err != nil {
		return head{}, err
	}
	defer func() { _ = f.Close() }()
	h := head{}
	if err := gob.NewDecoder(bufio.NewReader(f)).Decode(&h); err != nil {
		return head{}, err
	}
	if h.Format != fileFormat {
		return head{}, errors.New("the table of a code system is of another format: import it again")
	}
	h.file = name
	return h, nil
}

// Put writes a table in the place of one of the same URL.
func (s *Shelf) Put(t *Table) (err error) {
	const op = "release.Put"
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return failure(op, err)
	}
	name := filepath.Join(s.dir, fileName(t.URL))
	f, err := os.CreateTemp(s.dir, "importing")
	if err != nil {
		return failure(op, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(failure(op, err), os.Remove(f.Name()))
		}
	}()
	h := head{Format: fileFormat, URL: t.URL, Version: t.Version, Name: t.Name, Concepts: len(t.Concepts)}
	w := bufio.NewWriterSize(f, 1<<20)
	enc := gob.NewEncoder(w)
	err = errors.Join(enc.Encode(h), enc.Encode(t.Concepts), w.Flush(), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h.file = name
	s.heads[t.URL] = h
	delete(s.loaded, t.URL)
	return nil
}

// fileName is a URL as a file name.
func fileName(url string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' {
			return r
		}
		return '-'
	}, url) + extension
}

// Table returns the code system of a URL; false if it, or that version of it, is
// not here. It is read when it is first asked for, and kept.
func (s *Shelf) Table(url, version string) (*Table, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, ok := s.heads[url]
	if !ok || version != "" && version != h.Version && !strings.HasPrefix(h.Version, version+"/") {
		return nil, false, nil
	}
	if t := s.loaded[url]; t != nil {
		return t, true, nil
	}
	t, err := h.read()
	if err != nil {
		return nil, false, failure("release.Table", err)
	}
	s.loaded[url] = t
	return t, true, nil
}

func (h head) read() (*Table, error) {
	f, err := os.Open(h.file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	dec := gob.NewDecoder(bufio.NewReaderSize(f, 1<<20))
	t := &Table{URL: h.URL, Version: h.Version, Name: h.Name}
	if err := errors.Join(dec.Decode(&head{}), dec.Decode(&t.Concepts)); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(t.Concepts) != h.Concepts {
		return nil, errors.New("the table of a code system is cut short: import it again")
	}
	return t, nil
}
