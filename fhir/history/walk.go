package history

import (
	"context"

	"galen/store"
)

// Source pages through versions, newest first: store.Store does.
type Source interface {
	History(ctx context.Context, in store.HistoryInput) (store.HistoryResult, error)
}

// Keep decides whether a version belongs into the answer.
type Keep func(store.Record) (bool, error)

// Bounds on one page with conditions.
const (
	chunk = 200    // versions read at once
	most  = 10_000 // versions read in all; then the page is short and has a next
)

// Walk reads a page of the versions that pass every condition. hasTotal tells
// whether the result's Total counts what passes: without conditions always, with
// them if the first page holds it all. Errors are those of the source and of the
// conditions.
func Walk(ctx context.Context, from Source, ask store.HistoryInput, conditions ...Keep) (result store.HistoryResult, hasTotal bool, err error) {
	if len(conditions) == 0 {
		result, err = from.History(ctx, ask)
		return result, true, err
	}
	want, first := ask.Count, ask.After == ""
	result.Next = ask.After
	for read := 0; read < most && len(result.Versions) < want && (read == 0 || result.Next != ""); read += chunk {
		ask.After, ask.Count = result.Next, chunk
		page, err := from.History(ctx, ask)
		if err != nil {
			return result, false, err
		}
		kept, used, err := sift(page.Versions, want-len(result.Versions), conditions)
		if err != nil {
			return result, false, err
		}
		if used < len(page.Versions) { // the cursor must stand behind the last one used
			ask.Count = used
			if page, err = from.History(ctx, ask); err != nil {
				return result, false, err
			}
		}
		result.Versions, result.Next = append(result.Versions, kept...), page.Next
	}
	result.Total = len(result.Versions)
	return result, first && result.Next == "", nil
}

// sift returns at most want versions that pass, and how many it looked at.
func sift(versions []store.Record, want int, conditions []Keep) (kept []store.Record, used int, err error) {
	for i, v := range versions {
		pass := true
		for _, keep := range conditions {
			if pass, err = keep(v); err != nil {
				return nil, 0, err
			}
			if !pass {
				break
			}
		}
		if !pass {
			continue
		}
		if kept = append(kept, v); len(kept) == want {
			return kept, i + 1, nil
		}
	}
	return kept, len(versions), nil
}
