package models_test

import (
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"galen/models"
	"galen/models/manifest"
	"galen/models/modeltest"
)

const goldenText = modeltest.Golden

// folder is a good catalog folder of the contract's model.
func folder(name, version string) fstest.MapFS {
	return modeltest.Folder(models.Ref{Name: name, Version: manifest.Version(version)}, []byte("model "+name+version))
}

// folders joins good folders named name@version.
func folders(refs ...string) fstest.MapFS {
	all := fstest.MapFS{}
	for _, ref := range refs {
		name, version, _ := strings.Cut(ref, "@")
		maps.Copy(all, folder(name, version))
	}
	return all
}

// options run fakes.
func options() models.Options {
	return models.Options{Openers: map[manifest.Runtime]models.Opener{manifest.ONNX: modeltest.FakeOpener()}}
}

func loadCatalog(t testing.TB, opts models.Options, sources ...models.Source) *models.Catalog {
	t.Helper()
	c, err := models.Load(t.Context(), opts, sources...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func acquire(t testing.TB, c *models.Catalog, ref string) *models.Model {
	t.Helper()
	r, err := models.ParseRef(ref)
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Acquire(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Release)
	return m
}

// inputs are one row in the manifest's order: work, then x.
func inputs(t testing.TB, work int64, a, b float64) []models.Tensor {
	t.Helper()
	w, err1 := models.NewTensor([]int64{1}, []int64{work})
	x, err2 := models.NewTensor([]int64{1, 2}, []float64{a, b})
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	return []models.Tensor{w, x}
}
