// Package conditional turns the criteria of conditional update, patch and
// delete (https://hl7.org/fhir/R4/http.html#cond-update) into changes for a
// store.
//
// It promises that a change holds only as long as what its criteria found is
// still there in the same version, or is still not there: the store refuses it
// otherwise, with Precondition or as Matched, and the caller asks again. So of
// any number of parallel requests each acts on what the others left.
//
// It decides no access: the query must be limited to what the caller may see.
package conditional

import (
	"context"

	"galen/fhir"
	"galen/fhir/etag"
	"galen/fhir/search"
	"galen/store"
)

// Source is where criteria are evaluated: store.Store.
type Source interface {
	Match(ctx context.Context, q *search.Query, limit int) ([]fhir.Key, error)
	ReadMany(ctx context.Context, keys ...fhir.Key) ([]store.Record, error)
	NewID() string
}

var _ Source = (*store.Store)(nil)

// Holds holds what was found, the zero Record for nothing, against If-Match as
// etag.Match reads it; Precondition if it does not hold.
func Holds(found store.Record, ifMatch int64) error {
	if ifMatch == etag.None || found.Exists() && (ifMatch == etag.Any || ifMatch == found.Version) {
		return nil
	}
	return fhir.E("conditional.Holds", fhir.Precondition, "If-Match", "the current version is not the one that was asked for")
}

// One is the one resource that matches, the zero Record if none does;
// MultipleMatch if there are more.
func One(ctx context.Context, from Source, q *search.Query) (store.Record, error) {
	found, err := matching(ctx, from, q, 2)
	switch {
	case err != nil || len(found) == 0:
		return store.Record{}, err
	case len(found) > 1:
		return store.Record{}, many()
	}
	return found[0], nil
}

func matching(ctx context.Context, from Source, q *search.Query, limit int) ([]store.Record, error) {
	keys, err := from.Match(ctx, q, limit)
	if err != nil {
		return nil, err
	}
	return from.ReadMany(ctx, keys...)
}

func many() error {
	return fhir.E("conditional.match", fhir.MultipleMatch, "", "the criteria match more than one resource")
}

// Update makes the change of a conditional update: of the match, or a creation,
// under the id of r if it has one. Errors: MultipleMatch; Invalid if r has
// another id than the match; Conflict if the id of r belongs to a resource that
// does not match; Precondition by ifMatch.
func Update(ctx context.Context, from Source, q *search.Query, r fhir.Resource, ifMatch int64) (store.Change, error) {
	const op = "conditional.Update"
	change := store.Change{Method: store.Put, Resource: r, Key: fhir.Key{Type: r.Type, ID: r.ID}}
	found, err := One(ctx, from, q)
	switch {
	case err != nil:
		return change, err
	case found.Exists() && r.ID != "" && r.ID != found.ID:
		return change, fhir.E(op, fhir.Invalid, r.Type+".id", "the resource's id is not the one of the match")
	}
	if err := Holds(found, ifMatch); err != nil {
		return change, err
	}
	if found.Exists() {
		change.Key, change.IfMatch = found.Key, found.Version
		return change, nil
	}
	change.IfNoneExist = q
	if r.ID == "" {
		change.Key.ID = from.NewID()
		return change, nil
	}
	there, err := from.ReadMany(ctx, change.Key)
	if err == nil && there[0].Exists() && !there[0].Deleted {
		err = fhir.E(op, fhir.Conflict, r.Type+".id", "the id is in use by a resource that the criteria do not match")
	}
	change.IfMatch = store.Absent
	return change, err
}

// Delete makes the changes of a conditional delete: none, one, or up to limit.
// Errors: MultipleMatch for more than one if limit is 1 or ifMatch is given,
// TooCostly for more than limit, Precondition by ifMatch.
func Delete(ctx context.Context, from Source, q *search.Query, limit int, ifMatch int64) ([]store.Change, error) {
	found, err := matching(ctx, from, q, limit+1)
	switch {
	case err != nil:
		return nil, err
	case len(found) > 1 && (limit == 1 || ifMatch != etag.None):
		return nil, many()
	case len(found) > limit:
		return nil, fhir.E("conditional.Delete", fhir.TooCostly, "", "the criteria match more resources than one request may delete")
	case len(found) == 0:
		return nil, Holds(store.Record{}, ifMatch)
	}
	changes := make([]store.Change, len(found))
	for i, r := range found {
		changes[i] = store.Change{Method: store.Delete, Key: r.Key, IfMatch: r.Version}
	}
	return changes, Holds(found[0], ifMatch)
}
