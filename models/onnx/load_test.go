package onnx_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"galen/models"
	"galen/models/catalog"
	"galen/models/manifest"
	"galen/models/modeltest"
)

// reloadsEnv sets how many reloads TestReloads does; 1,000 take half a minute.
const reloadsEnv = "GALEN_TEST_RELOADS"

// resident is the memory of this process, in bytes.
func resident(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("skipped: no /proc here")
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

func shipped(t testing.TB) *models.Catalog {
	t.Helper()
	c, err := models.Load(t.Context(), models.Options{Openers: map[manifest.Runtime]models.Opener{manifest.ONNX: openRuntime(t)}},
		models.Source{Name: "built in", FS: catalog.FS()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// A version is loaded again and again under load: no error, flat memory.
func TestReloads(t *testing.T) {
	reloads := 120
	if n, err := strconv.Atoi(os.Getenv(reloadsEnv)); err == nil {
		reloads = n
	}
	c := shipped(t)
	in, err := models.Row([]float64{55, 1, 45, 1, 120})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				m, err := c.Acquire(models.Ref{Name: "kfre-4v"})
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := m.Predict(context.Background(), []models.Tensor{in}); err != nil {
					t.Error(err)
				}
				m.Release()
			}
		})
	}
	var before int
	for i := range reloads {
		if i == reloads/3 {
			runtime.GC()
			before = resident(t)
		}
		if err := c.Reload(t.Context(), models.Ref{Name: "kfre-4v", Version: "1.0.0"}); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	after := resident(t)
	stop()
	wg.Wait()
	t.Logf("%d reloads under load: %d MiB after a third, %d MiB at the end", reloads, before>>20, after>>20)
	if grown := after - before; grown > 24<<20 {
		t.Errorf("memory grew by %d MiB", grown>>20)
	}
}

// mixed holds a quick model and a slow one, which the contract's model is with
// enough work.
func mixed(b *testing.B) (quick, slow *models.Model) {
	b.Helper()
	c := shipped(b)
	quick, err := c.Acquire(models.Ref{Name: "kfre-4v"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(quick.Release)
	s, err := models.Load(b.Context(), models.Options{
		Slow: time.Nanosecond, Queue: 64, // whatever it costs to load, it is slow in use
		Openers: map[manifest.Runtime]models.Opener{manifest.ONNX: openRuntime(b)},
	}, models.Source{Name: "test", FS: modeltest.Folder(models.Ref{Name: "slow", Version: "1.0.0"}, modeltest.Contract())})
	if err != nil {
		b.Fatal(err)
	}
	if len(s.Refused()) > 0 {
		b.Fatal(s.Refused()[0].Err)
	}
	b.Cleanup(func() { _ = s.Close() })
	slow, err = s.Acquire(models.Ref{Name: "slow"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(slow.Release)
	return quick, slow
}

// BenchmarkMixedLoad tells the 99th percentile of a tabular model's run with 15
// callers, alone and beside 15 callers of a model that takes some milliseconds.
func BenchmarkMixedLoad(b *testing.B) {
	quick, slow := mixed(b)
	row, err := models.Row([]float64{55, 1, 45, 1, 120})
	if err != nil {
		b.Fatal(err)
	}
	x, err1 := models.NewTensor([]int64{1, 2}, []float64{1, 2})
	work, err2 := models.NewTensor([]int64{1}, []int64{20_000})
	if err1 != nil || err2 != nil {
		b.Fatal(err1, err2)
	}
	for _, heavy := range []int{0, 15} {
		b.Run(fmt.Sprintf("%d slow callers", heavy), func(b *testing.B) {
			ctx, stop := context.WithCancel(b.Context())
			var wg sync.WaitGroup
			for range heavy {
				wg.Go(func() {
					for ctx.Err() == nil {
						_, _ = slow.Predict(ctx, []models.Tensor{work, x})
					}
				})
			}
			var mu sync.Mutex
			var took []time.Duration
			b.SetParallelism(8) // 16 callers on two processors
			b.RunParallel(func(pb *testing.PB) {
				var mine []time.Duration
				for pb.Next() {
					start := time.Now()
					if _, err := quick.Predict(ctx, []models.Tensor{row}); err != nil {
						b.Error(err)
					}
					mine = append(mine, time.Since(start))
				}
				mu.Lock()
				took = append(took, mine...)
				mu.Unlock()
			})
			stop()
			wg.Wait()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
		})
	}
}
