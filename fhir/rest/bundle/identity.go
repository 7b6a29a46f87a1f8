package bundle

import (
	"context"
	"net/http"
	"slices"

	"galen/fhir"
	"galen/fhir/conditional"
	"galen/fhir/etag"
	"galen/fhir/rest"
	"galen/fhir/rest/pending"
	"galen/fhir/search"
	"galen/store"
)

// identify gives every step the identity it writes to. Criteria see the state
// that the processing order gives them: a create what the deletes leave, an
// update also what was created. No two steps may have one identity
// (https://hl7.org/fhir/R4/http.html#trules).
func (t *transaction) identify(ctx context.Context) error {
	t.fresh, t.found = pending.New(t.Index), map[string]string{}
	t.taken, t.changed = map[fhir.Key]int{}, map[fhir.Key]int{}
	gone := map[fhir.Key]int{}
	for i := range t.steps {
		st := &t.steps[i]
		if err := t.find(ctx, st, gone); err != nil {
			return st.Place(err)
		}
		if st.key.ID == "" {
			continue // a delete of nothing
		}
		if err := t.take(i, st.key, gone); err != nil {
			return err
		}
		for _, also := range st.more {
			if err := t.take(i, also.Key, gone); err != nil {
				return err
			}
		}
		if st.Method != http.MethodDelete && !st.idle {
			t.fresh.Add(i, st.sent)
		}
	}
	return t.distinct(ctx)
}

// take gives an identity to the step at a position.
func (t *transaction) take(i int, key fhir.Key, gone map[fhir.Key]int) error {
	st := &t.steps[i]
	if other, taken := t.taken[key]; taken {
		return fhir.E("bundle.take", fhir.Invalid, st.At("request.url"), "another entry has the same identity: "+t.steps[other].At(""))
	}
	t.taken[key] = i
	if !st.idle {
		t.changed[key] = i
	}
	if st.Method == http.MethodDelete {
		gone[key] = i
	}
	return nil
}

// distinct refuses criteria that matched nothing stored and match what another
// entry writes: which of them came first would decide what they do.
func (t *transaction) distinct(ctx context.Context) error {
	for i := range t.steps {
		st := &t.steps[i]
		if st.change.IfNoneExist == nil || len(t.steps) == 1 {
			continue
		}
		later := func(id int) bool { return id == i || t.steps[id].Phase() > st.Phase() }
		others, err := t.fresh.Match(ctx, st.where, 1, later)
		if err != nil {
			return st.Place(err)
		}
		if len(others) > 0 {
			return fhir.E("bundle.distinct", fhir.Invalid, st.criteriaAt(),
				"another entry writes what the criteria match: "+t.steps[others[0]].At(""))
		}
	}
	return nil
}

// criteriaAt is where the criteria of a step stand.
func (st *step) criteriaAt() string {
	if st.Method == http.MethodPost {
		return st.At("request.ifNoneExist")
	}
	return st.At("request.url")
}

// find sets the identity of a step and what must hold when it is written.
func (t *transaction) find(ctx context.Context, st *step, gone map[fhir.Key]int) error {
	st.key, st.more, st.idle, st.own = st.Key(), nil, false, false
	st.change = store.Change{Resource: st.change.Resource, IfMatch: st.ifMatch}
	if st.newID == "" && st.key.ID == "" {
		st.newID = t.Store.NewID()
	}
	if st.where == nil {
		return t.direct(ctx, st)
	}
	limit := 1
	if st.Method == http.MethodDelete {
		gone = nil // deletes see what was there before all of them
		if st.ifMatch == etag.None {
			limit = max(t.Limits.Deletes, 1)
		}
	}
	keys, passed, err := t.stored(ctx, st.where, gone, limit+1)
	switch {
	case err != nil:
		return err
	case len(keys) == 0:
		return t.unmatched(ctx, st, passed)
	case len(keys) <= limit:
		return t.matched(ctx, st, keys)
	case limit > 1:
		return fhir.E("bundle.find", fhir.TooCostly, st.criteriaAt(), "the criteria match more resources than one request may delete")
	}
	return fhir.E("bundle.find", fhir.MultipleMatch, st.criteriaAt(), "the criteria match more than one resource")
}

// direct is a step without criteria.
func (t *transaction) direct(ctx context.Context, st *step) error {
	switch {
	case st.hidden:
		st.key, st.idle = fhir.Key{}, true
		return conditional.Holds(store.Record{}, st.ifMatch)
	case st.Method == http.MethodPost:
		st.key.ID = st.newID
	case st.Method == http.MethodPut && etag.Absent(st.IfNoneMatch):
		st.change.IfMatch = store.Absent
	case st.Method == http.MethodPatch:
		return t.patched(ctx, st)
	}
	return nil
}

// patched applies the patch of a step to what is stored now.
func (t *transaction) patched(ctx context.Context, st *step) (err error) {
	st.own = true
	st.change, err = t.PatchChange(ctx, st.act, st.key, st.patch, st.ifMatch)
	st.sent = st.change.Resource
	return err
}

// matched makes a conditional step one on what was found
// (https://hl7.org/fhir/R4/http.html#ccreate, #cond-update).
func (t *transaction) matched(ctx context.Context, st *step, keys []fhir.Key) error {
	records, err := t.Store.ReadMany(ctx, keys...)
	if err != nil {
		return err
	}
	for _, rec := range records {
		if !rec.Exists() || rec.Deleted {
			return errAgain // deleted since it was found
		}
	}
	rec := records[0]
	st.key = rec.Key
	switch st.Method {
	case http.MethodPost:
		st.idle, st.done = true, rest.Outcome{Record: rec}
		return nil
	case http.MethodPatch:
		return t.patched(ctx, st)
	case http.MethodDelete:
		for _, r := range records[1:] {
			st.more = append(st.more, store.Change{Method: store.Delete, Key: r.Key, IfMatch: r.Version})
		}
	}
	if st.sent.ID != "" && st.sent.ID != rec.ID {
		return fhir.E("bundle.matched", fhir.Invalid, st.key.Type+".id", "the resource's id is not the one of the match")
	}
	st.own, st.change.IfMatch = true, rec.Version
	return conditional.Holds(rec, st.ifMatch)
}

// unmatched makes a conditional step one that creates, or that has nothing to
// delete. What the criteria matched and this transaction deletes is passed over
// at the commit too.
func (t *transaction) unmatched(ctx context.Context, st *step, passed []fhir.Key) error {
	if st.Method != http.MethodPost {
		if err := conditional.Holds(store.Record{}, st.ifMatch); err != nil {
			return err
		}
	}
	switch st.Method {
	case http.MethodPatch:
		return fhir.E("bundle.unmatched", fhir.NotFound, st.criteriaAt(), "there is no such resource")
	case http.MethodDelete:
		st.idle, st.done = true, rest.Outcome{}
		return nil
	}
	st.change.IfNoneExist = st.where
	if len(passed) > 0 {
		but := *st.where
		ids := make([]string, len(passed))
		for i, k := range passed {
			ids[i] = k.ID
		}
		but.Where = search.And(but.Where, search.Not{Of: search.HasID{IDs: ids}})
		st.change.IfNoneExist = &but
	}
	if st.Method == http.MethodPost || st.sent.ID == "" {
		st.key.ID = st.newID
		return nil
	}
	st.key.ID = st.sent.ID
	records, err := t.Store.ReadMany(ctx, st.key)
	if err != nil {
		return err
	}
	if there := records[0]; there.Exists() && !there.Deleted {
		return fhir.E("bundle.unmatched", fhir.Conflict, st.key.Type+".id", "the id is in use by a resource that the criteria do not match")
	}
	st.own, st.change.IfMatch = true, store.Absent
	return nil
}

// stored are the resources in the store that match, at most so many, and those
// that match and are passed over.
func (t *transaction) stored(ctx context.Context, q *search.Query, but map[fhir.Key]int, most int) (keys, passed []fhir.Key, err error) {
	for limit := most; ; limit *= 8 {
		found, err := t.Store.Match(ctx, q, limit)
		if err != nil {
			return nil, nil, err
		}
		passed = passed[:0]
		keys = slices.DeleteFunc(slices.Clone(found), func(k fhir.Key) bool {
			_, skip := but[k]
			if skip {
				passed = append(passed, k)
			}
			return skip
		})
		if len(keys) >= most || len(found) < limit {
			return keys[:min(len(keys), most)], passed, nil
		}
	}
}
