// Package release reads large code systems from the files in which they are
// released, LOINC (CSV), SNOMED CT (RF2) and RxNorm (RRF), and keeps each as one
// table in a folder: codes, displays, hierarchy with its closure, properties.
//
// It reads what the publishers' own files say and adds nothing; licences are the
// user's matter. A table is written whole or not at all and is read when it is
// first asked for.
package release

import (
	"archive/zip"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"galen/fhir"
)

// Concept is one code.
type Concept struct {
	Code, Display string
	Inactive      bool
	Synonyms      []string
	Properties    []Property
	Parents       []int32 // places in Table.Concepts
	Ancestors     []int32 // the closure of Parents, sorted
}

// Property is one property of a concept, as text.
type Property struct{ Code, Value string }

// Table is a code system.
type Table struct {
	URL, Version, Name string
	Concepts           []Concept
}

// format is how one system is released.
type format struct {
	name string
	mark string // the end of the path of the file that tells it
	read func(files fs.FS, marked string) (*Table, error)
}

func formats() []format {
	return []format{
		{"LOINC", "Loinc.csv", readLOINC},
		{"SNOMED CT", "Concept_Snapshot", readSNOMED},
		{"RxNorm", "RXNCONSO.RRF", readRxNorm},
	}
}

// Detect opens a folder or a zip file that holds a release. ok is false for
// anything else. Close must be called on it.
func Detect(name string) (r *Release, ok bool, err error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, false, err
	}
	r = &Release{}
	switch {
	case info.IsDir():
		r.files = os.DirFS(name)
	case path.Ext(name) == ".zip":
		z, err := zip.OpenReader(name)
		if err != nil {
			return nil, false, &fhir.Error{Op: "release.Detect", Kind: fhir.Invalid, At: name, Err: err}
		}
		r.files, r.close = z, z.Close
	default:
		return nil, false, nil
	}
	for _, f := range formats() {
		if marked := find(r.files, f.mark); marked != "" {
			r.format, r.marked = f, marked
			return r, true, nil
		}
	}
	return nil, false, r.Close()
}

// Release is an open release.
type Release struct {
	files  fs.FS
	format format
	marked string
	close  func() error
}

// Name is the code system's name.
func (r *Release) Name() string { return r.format.name }

// Close closes the zip file.
func (r *Release) Close() error {
	if r.close == nil {
		return nil
	}
	return r.close()
}

// Read reads the release. The error is of Kind Invalid and names the file.
func (r *Release) Read() (*Table, error) {
	t, err := r.format.read(r.files, r.marked)
	if err == nil && len(t.Concepts) == 0 {
		err = errors.New("it holds no concepts")
	}
	if err == nil {
		err = t.closure()
	}
	if err != nil {
		return nil, &fhir.Error{Op: "release.Read", Kind: fhir.Invalid, At: r.marked, Err: err}
	}
	return t, nil
}

// find is the file whose name has a mark: an RF2 file has it inside, others at
// their end.
func find(files fs.FS, mark string) string {
	found := ""
	_ = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		base := path.Base(name)
		if err == nil && d.Type().IsRegular() && found == "" && (base == mark || strings.Contains(base, mark) && path.Ext(base) == ".txt") {
			found = name
		}
		return nil
	})
	return found
}

// builder gathers concepts by code.
type builder struct {
	table *Table
	place map[string]int32
}

func newBuilder(t *Table) *builder { return &builder{t, map[string]int32{}} }

// concept is the concept of a code, made if it is new. It is valid until the
// next one is made.
func (b *builder) concept(code string) *Concept {
	i, ok := b.place[code]
	if !ok {
		i = int32(len(b.table.Concepts))
		b.place[code] = i
		b.table.Concepts = append(b.table.Concepts, Concept{Code: code})
	}
	return &b.table.Concepts[i]
}

// parent notes that one known code is the parent of another.
func (b *builder) parent(child, parent string) {
	c, ok := b.place[child]
	p, known := b.place[parent]
	if ok && known && c != p && !slices.Contains(b.table.Concepts[c].Parents, p) {
		b.table.Concepts[c].Parents = append(b.table.Concepts[c].Parents, p)
	}
}

var errCycle = errors.New("the hierarchy has a cycle")

// closure fills Ancestors, parents first.
func (t *Table) closure() error {
	const done = 2
	state := make([]uint8, len(t.Concepts))
	var visit func(i int32) error
	visit = func(i int32) error {
		switch state[i] {
		case done:
			return nil
		case 1:
			return errCycle
		}
		state[i] = 1
		c := &t.Concepts[i]
		for _, p := range c.Parents {
			if err := visit(p); err != nil {
				return err
			}
			c.Ancestors = append(append(c.Ancestors, p), t.Concepts[p].Ancestors...)
		}
		slices.Sort(c.Ancestors)
		c.Ancestors = slices.Clip(slices.Compact(c.Ancestors))
		state[i] = done
		return nil
	}
	for i := range t.Concepts {
		if err := visit(int32(i)); err != nil {
			return err
		}
	}
	return nil
}
