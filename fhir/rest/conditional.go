package rest

import (
	"context"
	"slices"
	"strings"

	"galen/fhir"
	"galen/fhir/conditional"
	"galen/fhir/etag"
	"galen/fhir/search"
	"galen/policies"
	"galen/policies/audit"
	"galen/store"
)

// tries is how often a conditional interaction starts again because another
// writer changed what its criteria had found. In each round one writer gets
// through, so this is how many may crowd around one resource.
const tries = 100

// criteria reads the search of a conditional interaction
// (https://hl7.org/fhir/R4/http.html#cond-update) from "identifier=a",
// "?identifier=a" or "Patient?identifier=a".
func (s *Service) criteria(ctx context.Context, a *act, resourceType, text string) (*search.Query, error) {
	if head, tail, cut := strings.Cut(text, "?"); cut && (head == "" || head == resourceType || head == a.caller.Base+"/"+resourceType) {
		text = tail
	}
	a.Ask(text)
	return s.Criteria(ctx, a, resourceType, text)
}

// retry repeats a write that depends on what was read before it, until nobody
// came between. The change of each attempt holds as condition what was read.
func (s *Service) retry(ctx context.Context, a *act, change func() (store.Change, error)) (Outcome, error) {
	for range tries {
		c, err := change()
		if err != nil {
			return Outcome{}, err
		}
		out, err := s.write(ctx, a, c)
		if overtaken := err == nil && out.Matched || fhir.KindOf(err) == fhir.Precondition; !overtaken {
			return out, err
		}
	}
	return Outcome{}, fhir.E("rest.retry", fhir.Conflict, "", "other writers changed the resource every time")
}

// UpdateWhere updates the one resource that matches, or creates it
// (https://hl7.org/fhir/R4/http.html#cond-update), race-free: of many at once,
// one creates and the others update. Errors: MultipleMatch; Invalid if the body
// has another id than the match; Conflict if the body's id belongs to a resource
// that does not match; Precondition by ifMatch; those of the parser, Required
// for criteria that select nothing.
func (s *Service) UpdateWhere(ctx context.Context, c Caller, resourceType, criteria string, body []byte, ifMatch string) (Outcome, error) {
	return s.perform1(ctx, c, interaction{audit.Update, policies.Update, fhir.Key{Type: resourceType}}, func(a *act) (Outcome, error) {
		want, err := etag.Match(ifMatch)
		if err != nil {
			return Outcome{}, err
		}
		q, err := s.criteria(ctx, a, resourceType, criteria)
		if err != nil {
			return Outcome{}, err
		}
		r, err := s.parse(body, resourceType)
		if err != nil {
			return Outcome{}, err
		}
		return s.retry(ctx, a, func() (store.Change, error) { return conditional.Update(ctx, s.Store, q, r, want) })
	})
}

// DeleteWhere deletes what matches (https://hl7.org/fhir/R4/http.html#2.1.0.12.1):
// nothing, one, or up to Limits.Deletes resources in one commit. The outcomes
// are the tombstones. Errors: MultipleMatch for more than one if Limits.Deletes
// is 1, TooCostly for more than it allows; Precondition by ifMatch; those of the
// parser, Required for criteria that select nothing.
func (s *Service) DeleteWhere(ctx context.Context, c Caller, resourceType, criteria, ifMatch string) ([]Outcome, error) {
	var out []Outcome
	_, err := s.perform1(ctx, c, interaction{audit.Delete, policies.Delete, fhir.Key{Type: resourceType}}, func(a *act) (Outcome, error) {
		want, err := etag.Match(ifMatch)
		if err != nil {
			return Outcome{}, err
		}
		q, err := s.criteria(ctx, a, resourceType, criteria)
		if err != nil {
			return Outcome{}, err
		}
		for range tries {
			if out, err = s.deleteWhere(ctx, a, q, want); want != etag.None || fhir.KindOf(err) != fhir.Precondition {
				return Outcome{}, err
			}
		}
		return Outcome{}, fhir.E("rest.DeleteWhere", fhir.Conflict, "", "other writers changed the resources every time")
	})
	return out, err
}

func (s *Service) deleteWhere(ctx context.Context, a *act, q *search.Query, ifMatch int64) ([]Outcome, error) {
	changes, err := conditional.Delete(ctx, s.Store, q, max(s.Limits.Deletes, 1), ifMatch)
	if err != nil || len(changes) == 0 {
		return nil, err
	}
	acts := slices.Repeat([]*act{a}, len(changes))
	if s.Store.Caps().Transactions {
		return s.commit(ctx, a.caller, acts, changes)
	}
	var out []Outcome
	for i := range changes {
		one, err := s.commit(ctx, a.caller, acts[i:i+1], changes[i:i+1])
		if err != nil {
			return out, err
		}
		out = append(out, one...)
	}
	return out, nil
}
