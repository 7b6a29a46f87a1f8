package remote

import (
	"sync"
	"time"
)

// breaker leaves a server alone that keeps failing: after limit failures in a row
// nothing goes there for the rest; then one call at a time tries, and the first
// that succeeds closes it again.
type breaker struct {
	limit int
	rest  time.Duration
	now   func() time.Time

	mu       sync.Mutex
	failures int
	until    time.Time
	trying   bool
}

// enter says whether a call may go. One that may must leave.
func (b *breaker) enter() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures < b.limit {
		return true
	}
	if b.trying || b.now().Before(b.until) {
		return false
	}
	b.trying = true
	return true
}

// verdict is how a call ended, as far as it tells of the server.
type verdict uint8

const (
	nothing verdict = iota // the caller went away
	good
	bad
)

func (b *breaker) leave(v verdict) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trying = false
	switch v {
	case good:
		b.failures = 0
	case bad:
		b.failures = min(b.failures+1, b.limit)
		b.until = b.now().Add(b.rest)
	}
}
