package pace

import (
	"crypto/sha256"
	"sync"
	"time"
)

// Quiet remembers which findings were shown to whom, so that the same is not
// shown again for a while unless it got worse. It is memory only: after a
// restart a finding may be shown once more, which errs on the safe side.
type Quiet struct {
	span time.Duration

	mu   sync.Mutex
	seen map[Finding]Shown
}

// Shown is how a finding is when it is shown.
type Shown struct {
	At      time.Time
	Urgency int     // the greater the more urgent
	Value   float64 // the greater the worse; 0 where that is not so
}

// maxShown bounds the memory: about 100 bytes an entry.
const maxShown = 200_000

// worse is by which factor a risk must have grown to count as worse at the same
// urgency.
const worse = 1.1

// NewQuiet keeps quiet for that span; 0 never does.
func NewQuiet(span time.Duration) *Quiet {
	return &Quiet{span: span, seen: map[Finding]Shown{}}
}

// Finding names what was found about whom for whom.
type Finding [sha256.Size]byte

// NewFinding names a finding by texts, of which only the digest is kept.
func NewFinding(parts ...string) Finding {
	h := sha256.New()
	for _, p := range parts {
		_, _ = h.Write([]byte(p)) // never fails
		_, _ = h.Write([]byte{0})
	}
	return Finding(h.Sum(nil))
}

// Repeats reports whether a finding was shown a short time ago and is no worse
// now.
func (q *Quiet) Repeats(id Finding, now Shown) bool {
	if q.span <= 0 {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	last, ok := q.seen[id]
	return ok && now.At.Sub(last.At) < q.span && now.Urgency <= last.Urgency && now.Value < last.Value*worse+1e-12
}

// Show remembers that a finding is shown.
func (q *Quiet) Show(id Finding, now Shown) {
	if q.span <= 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.seen) >= maxShown {
		for k, s := range q.seen {
			if now.At.Sub(s.At) >= q.span {
				delete(q.seen, k)
			}
		}
		if len(q.seen) >= maxShown {
			clear(q.seen)
		}
	}
	q.seen[id] = now
}
