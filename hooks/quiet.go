package hooks

import (
	"crypto/sha256"
	"sync"
	"time"
)

// quiet remembers which findings were shown to whom, so that the same is not
// shown again for a while unless it got worse. It is memory only: after a
// restart a finding may be shown once more, which errs on the safe side.
type quiet struct {
	span time.Duration

	mu   sync.Mutex
	seen map[[sha256.Size]byte]shown
}

// shown is how a finding was when it was shown last.
type shown struct {
	at      time.Time
	urgency int
	value   float64
}

// maxShown bounds the memory: about 100 bytes an entry.
const maxShown = 200_000

// worse is by which factor a risk must have grown to count as worse at the same
// urgency.
const worse = 1.1

func newQuiet(span time.Duration) *quiet {
	return &quiet{span: span, seen: map[[sha256.Size]byte]shown{}}
}

// finding names what was found about whom for whom; texts are only digested.
func finding(parts ...string) [sha256.Size]byte {
	h := sha256.New()
	for _, p := range parts {
		_, _ = h.Write([]byte(p)) // never fails
		_, _ = h.Write([]byte{0})
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// repeats reports whether a finding was shown a short time ago and is no worse
// now.
func (q *quiet) repeats(id [sha256.Size]byte, now shown) bool {
	if q.span <= 0 {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	last, ok := q.seen[id]
	return ok && now.at.Sub(last.at) < q.span && now.urgency <= last.urgency && now.value < last.value*worse+1e-12
}

// show remembers that a finding is shown.
func (q *quiet) show(id [sha256.Size]byte, now shown) {
	if q.span <= 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.seen) >= maxShown {
		for k, s := range q.seen {
			if now.at.Sub(s.at) >= q.span {
				delete(q.seen, k)
			}
		}
		if len(q.seen) >= maxShown {
			clear(q.seen)
		}
	}
	q.seen[id] = now
}
