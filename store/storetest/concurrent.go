package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"galen/fhir"
	"galen/store"
)

// parallel calls f for 0 to n-1 at once and returns the errors.
func parallel(n int, f func(i int) error) []error {
	errs := make([]error, n)
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() { errs[i] = f(i) })
	}
	wait.Wait()
	return errs
}

const crowd = 32 // as in fhir.md 18 and 51

// testParallelCreates: of 32 parallel conditional creates one wins (fhir.md 18).
func testParallelCreates(t *testing.T, h Harness) {
	d := h.open(t)
	unless := patients(byCode("identifier", "a"))
	errs := parallel(crowd, func(i int) error {
		w := write(patient(i), 1, code("identifier", "s", "a"))
		w.Unless = unless
		return d.Commit(t.Context(), []store.Write{w})
	})
	won := 0
	for _, err := range errs {
		var conflict *store.ConflictError
		switch {
		case err == nil:
			won++
		case !errors.As(err, &conflict) || !conflict.Unless || len(conflict.Found) != 1:
			t.Errorf("Commit: %v, want a ConflictError by Unless", err)
		}
	}
	same(t, "winners", won, 1)
	same(t, "resources", len(find(t, d, unless)), 1)
}

// testParallelExpects: of 32 writers that expect the same version one wins.
func testParallelExpects(t *testing.T, h Harness) {
	d := h.open(t)
	commit(t, d, write(patient(1), 1))
	for version := int64(2); version < 6; version++ {
		won := 0
		for _, err := range parallel(crowd, func(int) error { return d.Commit(t.Context(), []store.Write{write(patient(1), version)}) }) {
			var conflict *store.ConflictError
			switch {
			case err == nil:
				won++
			case !errors.As(err, &conflict) || conflict.Unless:
				t.Errorf("Commit: %v, want a ConflictError", err)
			}
		}
		same(t, fmt.Sprintf("winners of version %d", version), won, 1)
	}
}

// testOverlappingCommits: commits that share keys, in different orders, are each
// whole or refused (hapifhir/hapi-fhir#1819, microsoft/fhir-server#5592).
func testOverlappingCommits(t *testing.T, h Harness) {
	d := h.open(t)
	needTransactions(t, d)
	const shared = 5
	versions := func() []int64 {
		keys := make([]fhir.Key, shared)
		for i := range keys {
			keys[i] = patient(i)
		}
		records, err := d.Read(t.Context(), keys...)
		if err != nil {
			t.Error(err)
			return make([]int64, shared)
		}
		list := make([]int64, shared)
		for i, r := range records {
			list[i] = r.Version
		}
		return list
	}
	errs := parallel(crowd, func(i int) error {
		for {
			var writes []store.Write
			for n, v := range versions() {
				writes = append(writes, write(patient(n), v+1))
			}
			if i%2 == 1 {
				slices.Reverse(writes)
			}
			writes = append(writes, write(patient(100+i), 1))
			err := d.Commit(t.Context(), writes)
			var conflict *store.ConflictError
			if !errors.As(err, &conflict) {
				return err
			}
		}
	})
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	same(t, "versions of the shared resources", versions(), slices.Repeat([]int64{crowd}, shared))
	same(t, "resources", len(find(t, d, patients(nil))), shared+crowd)
}
