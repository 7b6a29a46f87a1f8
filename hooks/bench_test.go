package hooks_test

import (
	"crypto/rand"
	"slices"
	"sync"
	"testing"
	"time"

	"galen/hooks"
	"galen/store/sqlite"
)

// A patient-view call on the embedded database with the audit flushed: with
// everything sent along, and with everything read from the store.
func BenchmarkCall(b *testing.B) {
	for _, way := range []string{"prefetch", "store"} {
		b.Run(way, func(b *testing.B) {
			db := must(sqlite.Open(sqlite.Options{Dir: b.TempDir(), Random: rand.Reader}))(b)
			h := newHarnessOn(b, db)
			p := kidneyPatient()
			all := append(p[1:], wardVitals()...)
			h.put(append(all, p[0])...)
			body := []byte(request{}.String())
			if way == "prefetch" {
				body = []byte(request{prefetch: h.full(p[0], all...)}.String())
			}
			var mu sync.Mutex
			var took []time.Duration
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					start := time.Now()
					if _, err := h.Call(b.Context(), ehr, hooks.ServiceID, body); err != nil {
						b.Error(err)
						return
					}
					mu.Lock()
					took = append(took, time.Since(start))
					mu.Unlock()
				}
			})
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}
