package auth

import (
	"crypto/sha256"
	"sync"
	"time"

	"galen/policies"
)

// tokenCache remembers tokens that were verified, by their digest, because a
// signature check costs more than most requests. An entry dies with its token, or
// when the keys behind it must be asked for again.
type tokenCache struct {
	mu      sync.RWMutex
	entries map[[sha256.Size]byte]cached
}

type cached struct {
	principal policies.Principal
	until     time.Time
}

// maxCached bounds the memory: about 300 bytes an entry.
const maxCached = 10_000

func newTokenCache() *tokenCache {
	return &tokenCache{entries: map[[sha256.Size]byte]cached{}}
}

func (c *tokenCache) get(sum [sha256.Size]byte, now time.Time) (policies.Principal, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e, ok := c.entries[sum]
	if !ok || !now.Before(e.until) {
		return policies.Principal{}, false
	}
	return e.principal, true
}

// forget drops every token.
func (c *tokenCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.entries)
}

func (c *tokenCache) put(sum [sha256.Size]byte, p policies.Principal, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.entries) >= maxCached {
		clear(c.entries)
	}
	c.entries[sum] = cached{p, until}
}
