package rest

import (
	"context"

	"galen/fhir"
	"galen/fhir/search"
	"galen/policies"
	"galen/policies/audit"
	"galen/store"
)

// Act is an interaction on its way, for packages that build interactions of
// several writes. Begin makes it; it ends with Record.
type Act = act

// Touch puts a resource that left or was written on record.
func (a *act) Touch(r store.Record) { a.touch(r) }

// Ask puts the criteria of a conditional interaction on record.
func (a *act) Ask(criteria string) { a.entry.Query = []byte(criteria) }

// Begin decides on an interaction. A refusal is on record already, and is an
// error of Kind Forbidden; NotFound is an unknown type, MethodUnknown a write of
// a type that clients cannot write.
func (s *Service) Begin(ctx context.Context, c Caller, kind audit.Kind, action policies.Action, key fhir.Key) (*Act, error) {
	check := s.writable
	if action == policies.Read || action == policies.Search {
		check = s.known
	}
	if err := check(key.Type); err != nil {
		return nil, err
	}
	return s.begin(ctx, c, kind, action, key)
}

// Record puts acts on record in one write, all with what became of them. It
// waits even if the client no longer does: what was written has to be on record.
// It returns err, or Unavailable if nothing may leave.
func (s *Service) Record(ctx context.Context, acts []*Act, err error) error {
	if len(acts) == 0 {
		return err
	}
	entries := make([]audit.Entry, len(acts))
	for i, a := range acts {
		entries[i] = a.entry
		entries[i].Outcome = outcomeOf(err)
	}
	if _, failed := s.Audit.Append(context.WithoutCancel(ctx), entries...); failed != nil {
		return failed
	}
	return err
}

// Commit writes all changes or none; acts and changes correspond by position.
// An error that is of one change is a *store.ChangeError in the chain.
func (s *Service) Commit(ctx context.Context, acts []*Act, changes []store.Change) ([]Outcome, error) {
	if len(acts) == 0 {
		return nil, nil
	}
	return s.commit(ctx, acts[0].caller, acts, changes)
}

// Check reads a resource that a client sent and refuses what is not valid R4 of
// that type.
func (s *Service) Check(body []byte, resourceType string) (fhir.Resource, error) {
	return s.parse(body, resourceType)
}

// Criteria reads the search of a conditional interaction or reference, limited
// to what the caller may see: what is hidden does not match. Errors: those of
// the parser, Required for criteria that select nothing, Forbidden.
func (s *Service) Criteria(ctx context.Context, a *Act, resourceType, criteria string) (*search.Query, error) {
	visible := s.visibility(ctx, a)
	filter, ok := visible(resourceType)
	if !ok {
		return nil, fhir.E("rest.Criteria", fhir.Forbidden, "", "the policies do not permit this")
	}
	q, err := s.Parser.ParseCriteria(resourceType, criteria)
	if err != nil {
		return nil, err
	}
	limited := *q
	limited.Where = search.And(restrict(q.Where, visible), filter)
	return &limited, nil
}
