// Package limit bounds how many requests each client may make
// (golang.org/x/time/rate). It holds a bounded number of clients and knows
// nothing of HTTP.
package limit

import (
	"sync"

	"golang.org/x/time/rate"
)

// Limiter holds each client to its rate. It is safe for concurrent use.
type Limiter struct {
	rate    rate.Limit
	burst   int
	mu      sync.Mutex
	clients map[string]*rate.Limiter
}

// maxClients bounds the memory; when it is full, those at rest are forgotten.
const maxClients = 50_000

// New makes a Limiter of requests per second, 0 for no limit, and at once.
func New(perSecond float64, burst int) *Limiter {
	return &Limiter{rate: rate.Limit(perSecond), burst: max(burst, 1), clients: map[string]*rate.Limiter{}}
}

// Allow reports whether a client may make a request now, and counts it.
func (l *Limiter) Allow(client string) bool {
	if l.rate <= 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	one, ok := l.clients[client]
	if !ok {
		if len(l.clients) >= maxClients {
			l.forget()
		}
		one = rate.NewLimiter(l.rate, l.burst)
		l.clients[client] = one
	}
	return one.Allow()
}

// forget drops the clients that have their whole burst again: it changes
// nothing for them. If none is at rest, all are dropped.
func (l *Limiter) forget() {
	for name, one := range l.clients {
		if one.Tokens() >= float64(l.burst) {
			delete(l.clients, name)
		}
	}
	if len(l.clients) >= maxClients {
		clear(l.clients)
	}
}
