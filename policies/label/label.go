// Package label knows which security labels have ever been given to a resource,
// so that a search need not look for labels that nobody has used.
//
// It promises never to forget a label, since an old version may bear it, and to
// know of one before the commit that brings it is acknowledged. Which labels keep
// what from whom is in policies.
package label

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/search"
	"galen/policies"
	"galen/policies/journal"
	"galen/store"
)

// Registry is the set of codes in use. It is safe for concurrent use.
type Registry struct {
	file *journal.File
	mu   sync.Mutex // of those who add
	used atomic.Pointer[map[string]bool]
	all  atomic.Bool // the journal failed: every label counts as used
}

var _ policies.Labels = (*Registry)(nil)

// Open reads the journal at path. The first time it looks for labels in the
// store instead.
func Open(ctx context.Context, path string, driver store.Driver) (*Registry, error) {
	_, err := os.Stat(path)
	fresh := errors.Is(err, os.ErrNotExist)
	used := map[string]bool{}
	r := &Registry{}
	r.used.Store(&used)
	r.file, err = journal.Open(path, func(line []byte) error {
		var code string
		if err := json.Unmarshal(line, &code); err != nil {
			return &fhir.Error{Op: "label.Open", Err: err}
		}
		used[code] = true
		return nil
	})
	if err != nil || !fresh {
		return r, err
	}
	ask := store.Select{Query: &search.Query{Where: search.Present{Param: "_security"}}, Limit: 500}
	for {
		page, err := driver.Search(ctx, ask)
		if err != nil {
			return nil, errors.Join(err, r.file.Close(), os.Remove(path)) // look again next time
		}
		for i := range page.Records {
			r.take(&page.Records[i])
		}
		if page.Next == nil {
			return r, nil
		}
		ask.After = page.Next
	}
}

// Close closes the journal.
func (r *Registry) Close() error { return r.file.Close() }

// Seen takes over the labels of what was written.
func (r *Registry) Seen(writes []store.Write) {
	for i := range writes {
		w := &writes[i]
		if slices.ContainsFunc(w.Entries, func(e search.Entry) bool { return e.Param == "_security" }) {
			r.take(&w.Record)
		}
	}
}

// take adds the labels of one record.
func (r *Registry) take(rec *store.Record) {
	resource, err := fhir.Parse(rec.Body, jsontree.Limits{})
	if err != nil {
		r.all.Store(true)
		return
	}
	for coding := range resource.Root().Get("meta").Get("security").Items() {
		if code := coding.Get("code").Text(); code != "" {
			r.add(code)
		}
	}
}

func (r *Registry) add(code string) {
	if (*r.used.Load())[code] {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	old := *r.used.Load()
	if old[code] {
		return
	}
	if err := r.file.Append(code); err != nil {
		r.all.Store(true) // what cannot be remembered must not be forgotten
	}
	grown := make(map[string]bool, len(old)+1)
	for k := range old {
		grown[k] = true
	}
	grown[code] = true
	r.used.Store(&grown)
}

// InUse implements policies.Labels.
func (r *Registry) InUse(labels []string) []string {
	used := *r.used.Load()
	switch {
	case r.all.Load():
		return labels
	case len(used) == 0:
		return nil
	}
	var list []string
	for _, l := range labels {
		if used[l] {
			list = append(list, l)
		}
	}
	return list
}
