package modeltest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing/fstest"

	"galen/models"
	"galen/models/manifest"
)

// Folder is a catalog folder <name>/<version> of the contract's model that holds
// every check, around that model file: Contract for a real runtime, anything for
// FakeOpener.
func Folder(ref models.Ref, file []byte) fstest.MapFS {
	sum := sha256.Sum256(file)
	dir := ref.Name + "/" + string(ref.Version) + "/"
	return fstest.MapFS{
		dir + "manifest.yaml": {Data: []byte(Manifest(ref, hex.EncodeToString(sum[:])))},
		dir + "model.onnx":    {Data: file},
		dir + "CARD.md":       {Data: []byte("# Contract\n")},
		dir + "golden.json":   {Data: []byte(Golden)},
	}
}

// Manifest is a manifest.yaml of the contract's model, for a model file with that
// SHA-256. Its order of ports is not the file's.
func Manifest(ref models.Ref, digest string) string {
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
`, ref.Name, ref.Version, digest)
	for _, a := range manifest.Attributes() {
		fmt.Fprintf(&b, "  %s: {unavailable: a test}\n", a.Key)
	}
	return b.String()
}

// Golden is a golden.json of the contract's model, with two cases.
const Golden = `{"tolerance": {"absolute": 1e-12, "relative": 0}, "cases": [
  {"name": "one", "source": "sums", "inputs": {"x": {"shape": [1, 2], "data": [1, 4]}, "work": {"shape": [1], "data": [0]}},
   "outputs": {"sum": {"shape": [1], "data": [5]}, "ratio": {"shape": [1], "data": [0.25]}}},
  {"name": "two", "source": "sums", "inputs": {"x": {"shape": [2, 2], "data": [1, 1, 2, 2]}, "work": {"shape": [2], "data": [0, 0]}},
   "outputs": {"sum": {"shape": [2], "data": [2, 4]}}}]}`
