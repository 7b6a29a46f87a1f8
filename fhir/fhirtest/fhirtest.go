// Package fhirtest gives tests the official R4 examples that lie beside the
// project (shared/data). Where they do not, a test that asks for them is skipped
// and says so.
package fhirtest

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"testing"
)

// Examples yields the name and the JSON of each example.
func Examples(t testing.TB) iter.Seq2[string, []byte] {
	t.Helper()
	return func(yield func(string, []byte) bool) {
		f := open(t, "r4-examples-half.tar.gz")
		defer func() { _ = f.Close() }()
		unzip, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		for files := tar.NewReader(unzip); ; {
			h, err := files.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if h.Typeflag != tar.TypeReg {
				continue
			}
			body, err := io.ReadAll(files)
			if err != nil {
				t.Fatal(err)
			}
			if !yield(filepath.Base(h.Name), body) {
				return
			}
		}
	}
}

// open finds a file of shared/data beside the project, wherever in it the test is.
func open(t testing.TB, name string) *os.File {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		f, err := os.Open(filepath.Join(dir, "shared", "data", name))
		if err == nil {
			return f
		}
		if !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if above := filepath.Dir(dir); above != dir {
			dir = above
			continue
		}
		t.Skip("skipped: ../shared not found")
	}
}
