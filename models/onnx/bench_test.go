package onnx_test

import (
	"context"
	"os"
	"testing"

	"galen/models"
	"galen/models/catalog"
	"galen/models/manifest"
	"galen/models/onnx"
)

// BenchmarkPredict is one row through a shipped model, without and with a context
// that can end.
func BenchmarkPredict(b *testing.B) {
	path, err := onnx.DefaultPath(os.Getenv)
	if err != nil {
		b.Fatal(err)
	}
	rt, err := onnx.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	c, err := models.Load(b.Context(), models.Options{Openers: map[manifest.Runtime]models.Opener{manifest.ONNX: rt}},
		models.Source{Name: "built in", FS: catalog.FS()})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	m, err := c.Acquire(models.Ref{Name: "kfre-4v"})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Release()
	in, err := models.Row([]float64{55, 1, 45, 1, 120})
	if err != nil {
		b.Fatal(err)
	}
	ends, cancel := context.WithCancel(context.Background())
	defer cancel()
	for name, ctx := range map[string]context.Context{"endless": context.Background(), "cancellable": ends} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.Predict(ctx, []models.Tensor{in}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
