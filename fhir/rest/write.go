package rest

import (
	"context"

	"galen/fhir"
	"galen/fhir/binary"
	"galen/store"
)

// write commits one change under the filter of its decision: what is there now
// and what is to be stored must both be the caller's to write.
func (s *Service) write(ctx context.Context, a *act, change store.Change) (Outcome, error) {
	outcomes, err := s.commit(ctx, a.caller, []*act{a}, []store.Change{change})
	if err != nil {
		return Outcome{}, err
	}
	return outcomes[0], nil
}

// commit writes all changes or none; acts and changes correspond by position.
func (s *Service) commit(ctx context.Context, c Caller, acts []*act, changes []store.Change) ([]Outcome, error) {
	for i := range changes {
		if err := s.mayWrite(ctx, acts[i], &changes[i]); err != nil {
			return nil, &store.ChangeError{Index: i, Err: err}
		}
	}
	release, err := s.Integrity.Hold(ctx, c.Base+"/", changes)
	if err != nil {
		return nil, err
	}
	defer release()
	results, err := s.Store.Commit(ctx, changes)
	if err != nil {
		return nil, err
	}
	out := make([]Outcome, len(results))
	for i, r := range results {
		out[i] = Outcome{Record: r.Record, Created: r.Outcome == store.Created, Matched: r.Outcome == store.Matched}
		if r.Exists() {
			acts[i].touch(r.Record)
		}
		acts[i].about(r.Before) // whose it was: a tombstone does not tell, nor what moved to another patient
	}
	return out, nil
}

func (s *Service) mayWrite(ctx context.Context, a *act, c *store.Change) error {
	if a.decision.Filter == nil && c.Key.Type != binary.Type {
		return nil
	}
	if c.Key.ID == "" {
		c.Key.ID = s.Store.NewID()
	}
	current, err := s.Store.ReadMany(ctx, c.Key)
	if err != nil {
		return err
	}
	if now := current[0]; now.Exists() && !now.Deleted {
		shown, err := s.permits(ctx, a, now)
		if err != nil || !shown {
			return a.hidden(now, err)
		}
	}
	if c.Method == store.Delete || a.decision.Filter == nil {
		return nil
	}
	allowed, err := s.satisfies(a.decision, c.Resource, fhir.Header{Key: c.Key})
	if err == nil && !allowed {
		err = fhir.E("rest.mayWrite", fhir.Forbidden, "", "the policies do not permit this")
	}
	return err
}

func orNotFound(err error) error {
	if err != nil {
		return err
	}
	return notFound()
}
