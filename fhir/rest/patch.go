package rest

import (
	"context"

	"galen/fhir"
	"galen/fhir/conditional"
	"galen/fhir/etag"
	"galen/fhir/jsontree"
	"galen/fhir/patch"
	"galen/policies"
	"galen/policies/audit"
	"galen/store"
)

// Patch applies a patch to the current version. A patch that changes nothing
// makes no version. Errors: NotFound, Deleted, Forbidden, Precondition by
// ifMatch, Unprocessable if the patch does not fit, changes the identity of the
// resource, or would leave it invalid.
func (s *Service) Patch(ctx context.Context, c Caller, key fhir.Key, p patch.Patch, ifMatch string) (Outcome, error) {
	return s.perform1(ctx, c, interaction{audit.Patch, policies.Update, key}, func(a *act) (Outcome, error) {
		want, err := etag.Match(ifMatch)
		if err != nil {
			return Outcome{}, err
		}
		if !fhir.ValidID(key.ID) {
			return Outcome{}, notFound()
		}
		return s.retry(ctx, a, func() (store.Change, error) { return s.PatchChange(ctx, a, key, p, want) })
	})
}

// PatchWhere applies a patch to the one resource that matches
// (https://hl7.org/fhir/R4/http.html#patch). Errors: those of Patch, NotFound if
// nothing matches, MultipleMatch.
func (s *Service) PatchWhere(ctx context.Context, c Caller, resourceType, criteria string, p patch.Patch, ifMatch string) (Outcome, error) {
	return s.perform1(ctx, c, interaction{audit.Patch, policies.Update, fhir.Key{Type: resourceType}}, func(a *act) (Outcome, error) {
		want, err := etag.Match(ifMatch)
		if err != nil {
			return Outcome{}, err
		}
		q, err := s.criteria(ctx, a, resourceType, criteria)
		if err != nil {
			return Outcome{}, err
		}
		return s.retry(ctx, a, func() (store.Change, error) {
			found, err := conditional.One(ctx, s.Store, q)
			if err != nil || !found.Exists() {
				return store.Change{}, orNotFound(err)
			}
			return s.PatchChange(ctx, a, found.Key, p, want)
		})
	})
}

// PatchChange makes the change of a patch, which holds only for the version that
// the patch was applied to. ifMatch is what etag.Match reads. Errors are those of
// Patch.
func (s *Service) PatchChange(ctx context.Context, a *Act, key fhir.Key, p patch.Patch, ifMatch int64) (store.Change, error) {
	rec, err := s.visible(ctx, a, key, func(st *store.Store) (store.Record, error) { return st.Read(ctx, key) })
	if err != nil {
		return store.Change{}, err
	}
	if err := conditional.Holds(rec, ifMatch); err != nil {
		return store.Change{}, err
	}
	before, err := fhir.Parse(rec.Body, jsontree.Limits{})
	if err != nil {
		return store.Change{}, &fhir.Error{Op: "rest.patch", Kind: fhir.Internal, Err: err}
	}
	body, err := p.Apply(ctx, before)
	if err != nil {
		return store.Change{}, err
	}
	after, err := s.parse(body, key.Type)
	if err == nil {
		err = patch.SameIdentity(before, after)
	}
	return store.Change{Method: store.Patch, Key: key, Resource: after, IfMatch: rec.Version}, patch.Misfit(err)
}
