// Package catalog embeds the models that come with the program: one folder
// <name>/<version> each, with manifest.yaml, model.onnx, CARD.md and golden.json.
// To add a model, add its folder here and its maker to models/training; to change
// one, add a version: a published version never changes.
package catalog

import (
	"embed"
	"io/fs"
)

//go:embed */*/*
var files embed.FS

// FS is the tree of model folders.
func FS() fs.FS { return files }
