package models_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"galen/models"
	"galen/models/manifest"
	"galen/models/modeltest"
)

// Every binary16 number survives the way through float32; rounding is half to even.
func TestFloat16(t *testing.T) {
	for bits := range 1 << 16 {
		f := models.Float16(bits)
		x := f.Float32()
		back := models.ToFloat16(x)
		if math.IsNaN(float64(x)) {
			if !math.IsNaN(float64(back.Float32())) {
				t.Fatalf("%#04x: NaN came back as %v", bits, back.Float32())
			}
			continue
		}
		if back != f {
			t.Fatalf("%#04x is %v and comes back as %#04x", bits, x, uint16(back))
		}
	}
	for _, c := range []struct{ in, want float32 }{
		{1, 1}, {65504, 65504}, {65519.9, 65504}, {1.0 + 1.0/2048, 1}, {1.0 + 3.0/2048, 1.001953125}, {1e-8, 0}, {-2.5, -2.5}, {5.9604645e-08, 5.9604645e-08},
	} {
		if got := models.ToFloat16(c.in).Float32(); got != c.want {
			t.Errorf("%v is rounded to %v, want %v", c.in, got, c.want)
		}
	}
	if got := models.ToFloat16(65520).Float32(); !math.IsInf(float64(got), 1) {
		t.Errorf("65520 = %v, want +Inf", got)
	}
}

// Every element type makes, copies, clones and reads as numbers.
func TestEveryType(t *testing.T) {
	for _, dtype := range manifest.DTypes() {
		a, err := models.MakeTensor(dtype, []int64{2, 3})
		if err != nil || a.DType() != dtype || a.Len() != 6 {
			t.Fatalf("%s: %v, %v", dtype, a, err)
		}
		if _, ok := a.Floats(1); ok == (dtype == manifest.String) {
			t.Errorf("%s: Floats = %v", dtype, ok)
		}
		if b := a.Clone(); !models.Copy(a, b) || b.Rows() != 2 {
			t.Errorf("%s: Clone = %v", dtype, b)
		}
	}
	f64, _ := models.MakeTensor(manifest.Float64, []int64{2})
	f32, _ := models.MakeTensor(manifest.Float32, []int64{2})
	if models.Copy(f64, f32) || models.Copy(models.Tensor{}, models.Tensor{}) {
		t.Error("Copy of tensors that differ")
	}
	if _, err := models.MakeTensor("complex64", []int64{1}); models.KindOf(err) != models.BadInput {
		t.Errorf("MakeTensor(complex64) = %v", err)
	}
}

// fragile fails a whole batch for one row whose first number is 13.
type fragile struct{ modeltest.Fake }

func (f *fragile) Predict(ctx context.Context, in []models.Tensor) ([]models.Tensor, error) {
	x, _ := models.Data[float64](in[0])
	for i := 0; i < len(x); i += 2 {
		if x[i] == 13 {
			return nil, &models.Error{Op: "run", Kind: models.Internal, Err: errors.New("a node failed")}
		}
	}
	return f.Fake.Predict(ctx, in)
}

func batch(t *testing.T, rows ...[2]float64) []models.Tensor {
	t.Helper()
	in := modeltest.Inputs(t, 0, rows...)
	return []models.Tensor{in[1], in[0]} // the manifest's order: work, then x
}

// One bad row never fails the batch.
func TestPredictRows(t *testing.T) {
	opts := options()
	opts.Openers[manifest.ONNX] = models.OpenerFunc(func(context.Context, *manifest.Manifest, []byte) (models.Runner, error) { return &fragile{}, nil })
	m := acquire(t, loadCatalog(t, opts, models.Source{Name: "s", FS: folders("good@1.0.0")}), "good")
	for _, c := range []struct {
		name string
		rows [][2]float64
		bad  []int
		kind models.Kind
	}{
		{"all good", [][2]float64{{1, 2}, {3, 4}}, nil, 0},
		{"one not finite", [][2]float64{{1, 2}, {0, 0}, {3, 4}}, []int{1}, models.NotFinite},
		{"one fails the run", [][2]float64{{1, 2}, {3, 4}, {13, 1}}, []int{2}, models.Internal},
		{"two ways", [][2]float64{{13, 1}, {1, 2}, {13, 1}}, []int{0, 2}, models.Internal},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, failed, err := m.PredictRows(t.Context(), batch(t, c.rows...))
			if err != nil {
				t.Fatal(err)
			}
			var bad []int
			for _, f := range failed {
				bad = append(bad, f.Row)
				if models.KindOf(f.Err) != c.kind {
					t.Errorf("row %d: %v, want %v", f.Row, f.Err, c.kind)
				}
			}
			if diff := cmp.Diff(c.bad, bad); diff != "" {
				t.Fatalf("bad rows (-want +got):\n%s", diff)
			}
			for i, row := range c.rows {
				sum, _ := out[1].Floats(i)
				if isBad := math.IsNaN(sum[0]); isBad != contains(bad, i) || !isBad && sum[0] != row[0]+row[1] {
					t.Errorf("row %d: sum %v", i, sum)
				}
			}
			if _, err := m.Predict(t.Context(), batch(t, c.rows...)); (err == nil) != (bad == nil) {
				t.Errorf("Predict = %v", err)
			}
		})
	}
	if _, _, err := m.PredictRows(t.Context(), batch(t, [2]float64{13, 1}, [2]float64{13, 2})); models.KindOf(err) != models.Internal || err == nil {
		t.Errorf("a batch of bad rows = %v, want Internal", err)
	}
}

func contains(list []int, x int) bool {
	for _, y := range list {
		if x == y {
			return true
		}
	}
	return false
}

// lanes counts how many runs go on at once.
type lanes struct {
	modeltest.Fake
	now, most atomic.Int64
}

func (l *lanes) Predict(ctx context.Context, in []models.Tensor) ([]models.Tensor, error) {
	n := l.now.Add(1)
	defer l.now.Add(-1)
	for most := l.most.Load(); n > most && !l.most.CompareAndSwap(most, n); most = l.most.Load() {
	}
	return l.Fake.Predict(ctx, in)
}

// Slow versions share a lane of their own, however many there are; which are slow
// is measured when they load.
func TestSlowLane(t *testing.T) {
	shared := &lanes{}
	tick := time.Unix(0, 0)
	var mu sync.Mutex
	opts := models.Options{
		Concurrency: 4, Lane: 1, Slow: time.Second,
		Openers: map[manifest.Runtime]models.Opener{
			manifest.ONNX: models.OpenerFunc(func(context.Context, *manifest.Manifest, []byte) (models.Runner, error) { return shared, nil }),
		},
		Now: func() time.Time { // every look at the clock is two seconds later
			mu.Lock()
			defer mu.Unlock()
			tick = tick.Add(2 * time.Second)
			return tick
		},
	}
	c := loadCatalog(t, opts, models.Source{Name: "s", FS: folders("slow@1.0.0", "slower@1.0.0")})
	for _, info := range c.List() {
		if !info.Slow || info.Cost != 2*time.Second {
			t.Fatalf("%s: slow %v, cost %v", info.Ref, info.Slow, info.Cost)
		}
	}
	var wg sync.WaitGroup
	for i := range 8 {
		m := acquire(t, c, []string{"slow", "slower"}[i%2])
		wg.Go(func() {
			for range 20 {
				if _, err := m.Predict(t.Context(), inputs(t, 1000, 1, 2)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if most := shared.most.Load(); most != 1 {
		t.Errorf("%d slow runs at once, want 1", most)
	}
}
