package onnx_test

import (
	"strings"
	"sync"
	"testing"

	"galen/models"
	"galen/models/manifest"
	"galen/models/modeltest"
)

// The library from npm holds no GPU: what was preferred is passed over, and said.
func TestProvidersFallBack(t *testing.T) {
	rt, err := openRuntime(t).Providers("cuda:0", "openvino", "cpu", "tensorrt")
	if err != nil {
		t.Fatal(err)
	}
	r, err := rt.Open(t.Context(), &manifest.Manifest{Opset: modeltest.ContractOpset}, modeltest.Contract())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	b := r.(models.Described).Backend()
	if b.Provider != "cpu" || len(b.Fallbacks) != 2 || !strings.HasPrefix(b.Fallbacks[0], "cuda:0: ") || !strings.HasPrefix(b.Platform, "onnxruntime ") {
		t.Errorf("Backend = %+v", b)
	}
	if _, err := openRuntime(t).Providers("abacus"); models.KindOf(err) != models.BadInput {
		t.Errorf("Providers(abacus) = %v, want BadInput", err)
	}
}

// Calls of many shapes at once, some with a context that ends: what is used again
// is never mixed up.
func TestKitsKeepApart(t *testing.T) {
	r, err := open(t, modeltest.Contract())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	var wg sync.WaitGroup
	for g := range 12 {
		wg.Go(func() {
			rows := make([][2]float64, g+1)
			for i := range rows {
				rows[i] = [2]float64{float64(g), float64(i + 1)}
			}
			for range 50 {
				out, err := r.Predict(t.Context(), modeltest.Inputs(t, 1, rows...))
				if err != nil {
					t.Error(err)
					return
				}
				sums, _ := models.Data[float64](out[0])
				for i := range rows {
					if sums[i] != rows[i][0]+rows[i][1] {
						t.Errorf("sum %v of %v", sums[i], rows[i])
					}
				}
			}
		})
	}
	wg.Wait()
}
