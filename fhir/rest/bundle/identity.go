package bundle

import (
	"context"
	"net/http"
	"slices"

	"galen/fhir"
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
		if other, taken := t.taken[st.key]; taken {
			return fhir.E("bundle.identify", fhir.Invalid, st.At("request.url"),
				"another entry has the same identity: "+t.steps[other].At(""))
		}
		t.taken[st.key] = i
		if !st.idle {
			t.changed[st.key] = i
		}
		switch {
		case st.Method == http.MethodDelete:
			gone[st.key] = i
		case !st.idle:
			t.fresh.Add(i, st.sent)
		}
	}
	return t.distinct(ctx)
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
	st.key, st.idle, st.own = st.Key(), false, false
	st.change = store.Change{Resource: st.change.Resource, IfMatch: st.ifMatch}
	if st.newID == "" && st.key.ID == "" {
		st.newID = t.Store.NewID()
	}
	if st.where == nil {
		if st.Method == http.MethodPost {
			st.key.ID = st.newID
		}
		return nil
	}
	keys, passed, err := t.stored(ctx, st.where, gone)
	if err != nil {
		return err
	}
	switch len(keys) {
	case 0:
		return t.unmatched(ctx, st, passed)
	case 1:
		return t.matched(ctx, st, keys[0])
	}
	return fhir.E("bundle.find", fhir.MultipleMatch, st.criteriaAt(), "the criteria match more than one resource")
}

// matched makes a conditional step one on the resource that was found
// (https://hl7.org/fhir/R4/http.html#ccreate, #cond-update).
func (t *transaction) matched(ctx context.Context, st *step, key fhir.Key) error {
	records, err := t.Store.ReadMany(ctx, key)
	if err != nil {
		return err
	}
	rec := records[0]
	if !rec.Exists() || rec.Deleted {
		return errAgain // deleted since it was found
	}
	st.key = key
	if st.Method == http.MethodPost {
		st.idle, st.done = true, rest.Outcome{Record: rec}
		return nil
	}
	if st.sent.ID != "" && st.sent.ID != key.ID {
		return fhir.E("bundle.matched", fhir.Invalid, st.key.Type+".id", "the resource's id is not the one of the match")
	}
	if st.ifMatch != etag.None && st.ifMatch != etag.Any && st.ifMatch != rec.Version {
		return staleEntry()
	}
	st.own, st.change.IfMatch = true, rec.Version
	return nil
}

func staleEntry() error {
	return fhir.E("bundle.matched", fhir.Precondition, "If-Match", "another version is current")
}

// unmatched makes a conditional step one that creates, or that has nothing to
// delete. What the criteria matched and this transaction deletes is passed over
// at the commit too.
func (t *transaction) unmatched(ctx context.Context, st *step, passed []fhir.Key) error {
	if st.Method != http.MethodPost && st.ifMatch != etag.None {
		return staleEntry()
	}
	if st.Method == http.MethodDelete {
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

// stored are the resources in the store that match, at most two, and those that
// match and are passed over.
func (t *transaction) stored(ctx context.Context, q *search.Query, but map[fhir.Key]int) (keys, passed []fhir.Key, err error) {
	for limit := 2; ; limit *= 8 {
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
		if len(keys) > 1 || len(found) < limit {
			return keys[:min(len(keys), 2)], passed, nil
		}
	}
}
