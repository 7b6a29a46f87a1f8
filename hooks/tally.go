package hooks

import (
	"slices"
	"strings"
	"sync"
)

// The names of Counts.
const (
	CountCards    = "cards"    // given, by indicator
	CountHidden   = "hidden"   // findings that were not shown, by why
	CountLeft     = "left"     // runs of models without a result, by why
	CountFeedback = "feedback" // by outcome and reason
)

// Count is one figure since the start of the server, for metrics.
type Count struct {
	Name   string
	Labels Labels
	Value  uint64
}

// Labels tell what a Count counts; what does not apply is "".
type Labels struct {
	Service string
	Model   string // name@version
	// Kind is the indicator of a card, why a model was left, or the outcome of
	// feedback.
	Kind   string
	Reason string // code of an override reason of this server's, else "other"
}

// tally counts. Its labels come from the catalog and fixed lists, so that
// clients cannot fill it.
type tally struct {
	mu     sync.Mutex
	counts map[countKey]uint64
}

type countKey struct {
	name string
	Labels
}

func newTally() *tally { return &tally{counts: map[countKey]uint64{}} }

func (t *tally) add(name string, l Labels) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[countKey{name, l}]++
}

// Counts are the figures by name and labels.
func (d *Dispatcher) Counts() []Count {
	d.tally.mu.Lock()
	defer d.tally.mu.Unlock()
	out := make([]Count, 0, len(d.tally.counts))
	for k, v := range d.tally.counts {
		out = append(out, Count{k.name, k.Labels, v})
	}
	slices.SortFunc(out, func(a, b Count) int { return strings.Compare(a.order(), b.order()) })
	return out
}

func (c *Count) order() string {
	return strings.Join([]string{c.Name, c.Labels.Service, c.Labels.Model, c.Labels.Kind, c.Labels.Reason}, "\x00")
}
