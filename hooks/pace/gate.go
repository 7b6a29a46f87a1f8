// Package pace bounds how many calls run at once and how often a finding is
// shown: a Gate turns away what would be too late, Quiet keeps a clinician from
// the same words again and again.
//
// Both are memory only. It knows nothing of cards or models.
package pace

import (
	"context"
	"sync/atomic"
	"time"

	"galen/fhir"
)

// Gate lets a number of calls run and some wait, and turns the rest away, so
// that under overload those that are answered are answered in time.
type Gate struct {
	slots   chan struct{}
	waiting atomic.Int64
	queue   int64
	wait    time.Duration
}

// NewGate lets that many calls run and queue wait for that time at most.
func NewGate(parallel int, queue int64, wait time.Duration) *Gate {
	return &Gate{slots: make(chan struct{}, parallel), queue: queue, wait: wait}
}

var errBusy = fhir.E("pace.Enter", fhir.Throttled, "", "too many calls are running; try again")

// Enter waits for its turn; leave must be called afterwards. The error is of
// Kind Throttled.
func (g *Gate) Enter(ctx context.Context) (leave func(), err error) {
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
