package models_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"galen/models"
	"galen/models/manifest"
	"galen/models/modeltest"
)

// contractManifest is a manifest of the Runner contract's model.
func contractManifest(name, version, digest string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `name: %s
version: %s
title: Contract
description: The model of the Runner contract
developer: {name: Galen}
kind: diagnosis
file: model.onnx
sha256: %s
runtime: onnx
opset: 17
inputs:
  - {name: work, dtype: int64, shape: [-1], columns: [work]}
  - {name: x, dtype: float64, shape: [-1, 2], columns: [a, b]}
features:
  - {name: a, label: A, kind: age, unit: a, missing: required}
  - {name: b, label: B, kind: age, unit: a, missing: required}
  - {name: work, label: Work, kind: age, unit: a, missing: required}
outputs:
  - {name: ratio, dtype: float64, shape: [-1], label: Ratio, meaning: auxiliary}
  - name: sum
    dtype: float64
    shape: [-1]
    label: Sum
    meaning: points
    report: headline
    unit: "1"
    bands: [{label: any, indicator: info}]
hooks: [patient-view]
use: {intended: tests, population: none, users: none, contraindicated: [patients]}
limitations: [not a model]
citations: [{label: none, url: "https://example.org"}]
regulatory:
  class: none
  criteria:
    - {number: 1, met: false, answer: none}
    - {number: 2, met: false, answer: none}
    - {number: 3, met: false, answer: none}
    - {number: 4, met: false, answer: none}
transparency:
`, name, version, digest)
	for _, a := range manifest.Attributes() {
		fmt.Fprintf(&b, "  %s: {unavailable: a test}\n", a.Key)
	}
	return b.String()
}

// goldenText holds two cases, with the manifest's order of ports, not the file's.
const goldenText = `{"tolerance": {"absolute": 1e-12, "relative": 0}, "cases": [
  {"name": "one", "source": "sums", "inputs": {"x": {"shape": [1, 2], "data": [1, 4]}, "work": {"shape": [1], "data": [0]}},
   "outputs": {"sum": {"shape": [1], "data": [5]}, "ratio": {"shape": [1], "data": [0.25]}}},
  {"name": "two", "source": "sums", "inputs": {"x": {"shape": [2, 2], "data": [1, 1, 2, 2]}, "work": {"shape": [2], "data": [0, 0]}},
   "outputs": {"sum": {"shape": [2], "data": [2, 4]}}}]}`

// folder is a good catalog folder of the contract's model.
func folder(name, version string) fstest.MapFS {
	file := []byte("model " + name + version)
	sum := sha256.Sum256(file)
	dir := name + "/" + version + "/"
	return fstest.MapFS{
		dir + "manifest.yaml": {Data: []byte(contractManifest(name, version, hex.EncodeToString(sum[:])))},
		dir + "model.onnx":    {Data: file},
		dir + "CARD.md":       {Data: []byte("# Contract\n")},
		dir + "golden.json":   {Data: []byte(goldenText)},
	}
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
