package history_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/history"
	"galen/store"
)

// countdown is a history of n versions, newest first; a cursor is the number of
// versions before it.
type countdown int

func (c countdown) History(_ context.Context, in store.HistoryInput) (store.HistoryResult, error) {
	from, _ := strconv.Atoi(in.After)
	out := store.HistoryResult{Total: int(c)}
	for i := from; i < int(c) && i < from+in.Count; i++ {
		out.Versions = append(out.Versions, store.Record{Header: fhir.Header{Version: int64(int(c) - i)}})
	}
	if end := from + in.Count; end < int(c) {
		out.Next = strconv.Itoa(end)
	}
	return out, nil
}

func walk(t *testing.T, n, count int, conditions ...history.Keep) (pages [][]int64, totals []int) {
	t.Helper()
	for after := ""; ; {
		result, hasTotal, err := history.Walk(t.Context(), countdown(n), store.HistoryInput{Count: count, After: after}, conditions...)
		if err != nil {
			t.Fatal(err)
		}
		var page []int64
		for _, v := range result.Versions {
			page = append(page, v.Version)
		}
		pages = append(pages, page)
		if hasTotal {
			totals = append(totals, result.Total)
		}
		if after = result.Next; after == "" {
			return pages, totals
		}
	}
}

func every(n int64) history.Keep {
	return func(r store.Record) (bool, error) { return r.Version%n == 0, nil }
}

func TestWalk(t *testing.T) {
	pages, totals := walk(t, 5, 2)
	if diff := cmp.Diff([][]int64{{5, 4}, {3, 2}, {1}}, pages); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{5, 5, 5}, totals); diff != "" {
		t.Errorf("totals of a walk without conditions: %s", diff)
	}
	pages, totals = walk(t, 10, 2, every(2))
	if diff := cmp.Diff([][]int64{{10, 8}, {6, 4}, {2}}, pages); diff != "" {
		t.Error(diff)
	}
	if len(totals) != 0 {
		t.Errorf("a total was claimed that only the whole walk can tell: %v", totals)
	}
	if pages, totals = walk(t, 10, 20, every(2), every(4)); cmp.Diff([][]int64{{8, 4}}, pages) != "" || cmp.Diff([]int{2}, totals) != "" {
		t.Errorf("pages %v, totals %v", pages, totals)
	}
}

// Every version that passes comes exactly once, however rare, and no page takes
// unbounded work.
func TestWalkOverRareVersions(t *testing.T) {
	pages, _ := walk(t, 45_000, 3, every(7_000))
	if diff := cmp.Diff([]int64{42_000, 35_000, 28_000, 21_000, 14_000, 7_000}, slices.Concat(pages...)); diff != "" {
		t.Error(diff)
	}
	if len(pages) < 4 {
		t.Errorf("%d pages: one of them read more than it should", len(pages))
	}
}

func TestWalkPassesErrorsOn(t *testing.T) {
	broken := errors.New("broken")
	_, _, err := history.Walk(t.Context(), countdown(3), store.HistoryInput{Count: 2}, func(store.Record) (bool, error) { return false, broken })
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}
