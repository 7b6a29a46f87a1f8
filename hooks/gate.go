package hooks

import (
	"context"
	"sync/atomic"
	"time"

	"galen/fhir"
)

// gate lets a number of calls run and some wait, and turns the rest away, so
// that under overload those that are answered are answered in time.
type gate struct {
	slots   chan struct{}
	waiting atomic.Int64
	queue   int64
	wait    time.Duration
}

func newGate(l Limits) *gate {
	return &gate{slots: make(chan struct{}, l.Parallel), queue: int64(l.Queue), wait: l.Budget / 2}
}

var errBusy = fhir.E("hooks.Call", fhir.Throttled, "", "too many calls are running; try again")

// enter waits for its turn; leave must be called afterwards. The error is of
// Kind Throttled.
func (g *gate) enter(ctx context.Context) (leave func(), err error) {
	leave = func() { <-g.slots }
	select {
	case g.slots <- struct{}{}:
		return leave, nil
	default:
	}
	if g.waiting.Add(1) > g.queue {
		g.waiting.Add(-1)
		return nil, errBusy
	}
	defer g.waiting.Add(-1)
	timer := time.NewTimer(g.wait)
	defer timer.Stop()
	select {
	case g.slots <- struct{}{}:
		return leave, nil
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil, errBusy
}
