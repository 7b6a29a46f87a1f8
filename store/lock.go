package store

import (
	"context"
	"hash/maphash"
	"slices"

	"galen/fhir"
)

// stripes is how many locks there are. Keys share them by hash: a collision
// costs a wait, never correctness.
const stripes = 1024

// locks serialises the writers of one resource inside this process, so that
// they queue instead of meeting in the driver as conflicts. Everybody takes his
// stripes in ascending order, so overlapping commits cannot deadlock
// (hapifhir/hapi-fhir#1819 and its kin).
type locks struct {
	seed  maphash.Seed
	slots []chan struct{} // holds a token while locked
}

func newLocks() locks {
	l := locks{maphash.MakeSeed(), make([]chan struct{}, stripes)}
	for i := range l.slots {
		l.slots[i] = make(chan struct{}, 1)
	}
	return l
}

// lock waits for all keys and returns what releases them.
func (l locks) lock(ctx context.Context, keys []fhir.Key) (unlock func(), err error) {
	want := make([]int, len(keys))
	for i, k := range keys {
		want[i] = int(maphash.Comparable(l.seed, k) % stripes)
	}
	slices.Sort(want)
	want = slices.Compact(want)
	for n, i := range want {
		select {
		case l.slots[i] <- struct{}{}:
		case <-ctx.Done():
			l.release(want[:n])
			return nil, &fhir.Error{Op: "store.Commit", Kind: fhir.Timeout, Err: ctx.Err()}
		}
	}
	return func() { l.release(want) }, nil
}

func (l locks) release(held []int) {
	for _, i := range held {
		<-l.slots[i]
	}
}
