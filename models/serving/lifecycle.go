package serving

import (
	"context"

	"galen/models"
	"galen/models/manifest"
	"galen/policies"
	"galen/policies/audit"
)

// Index lists every version that is served or could be. Errors: Forbidden,
// Internal.
func (s *Service) Index(ctx context.Context, c Caller) ([]models.Known, error) {
	a := s.begin(ctx, c, audit.ModelChange, models.Ref{}, policies.ModelRead)
	if !a.decision.Allow {
		return nil, a.end(ctx, forbidden)
	}
	known, err := s.Catalog.Known()
	if err != nil {
		return nil, failure(err)
	}
	return known, nil
}

// change makes one change that the policies permit, puts it on record and tells
// those who must know.
func (s *Service) change(ctx context.Context, c Caller, ref models.Ref, action policies.Action, what string, do func(context.Context) error) error {
	a := s.begin(ctx, c, audit.ModelChange, ref, action)
	a.entry.Object = what
	if !a.decision.Allow {
		return a.end(ctx, forbidden)
	}
	err := do(ctx)
	if err != nil {
		err = failure(err)
	} else if s.Changed != nil {
		err = s.Changed(ctx)
	}
	return a.end(ctx, err)
}

// Load loads a version, or every version of a model that lies in a source, and
// swaps it for what was served. Errors: Forbidden, NotFound, Unavailable when a
// pinned version does not hold its checks, Timeout.
func (s *Service) Load(ctx context.Context, c Caller, ref models.Ref) error {
	return s.change(ctx, c, ref, policies.ModelPromote, "load", func(ctx context.Context) error { return s.Catalog.Reload(ctx, ref) })
}

// Unload stops serving a version, or every version of a model, and waits until
// their last runs are done. Errors: Forbidden, NotFound, Timeout.
func (s *Service) Unload(ctx context.Context, c Caller, ref models.Ref) error {
	return s.change(ctx, c, ref, policies.ModelRetire, "unload", func(ctx context.Context) error {
		if ref.Version != "" {
			return s.Catalog.Remove(ctx, ref)
		}
		found := false
		for _, info := range s.Catalog.List() {
			if info.Ref.Name != ref.Name {
				continue
			}
			found = true
			if err := s.Catalog.Remove(ctx, info.Ref); err != nil {
				return err
			}
		}
		if !found {
			return s.Catalog.Remove(ctx, ref)
		}
		return nil
	})
}

// Promote names a version champion or challenger of its model; challenger and no
// version takes the challenger back. Errors: Forbidden, NotFound, Value.
func (s *Service) Promote(ctx context.Context, c Caller, ref models.Ref, alias manifest.Version) error {
	return s.change(ctx, c, ref, policies.ModelPromote, string(alias), func(context.Context) error {
		if ref.Version == "" && alias == models.Challenger {
			return s.Catalog.Demote(ref.Name)
		}
		return s.Catalog.Promote(ref, alias)
	})
}

// Rollback makes the champion before the present one champion again. Errors:
// Forbidden, NotFound.
func (s *Service) Rollback(ctx context.Context, c Caller, name string) (models.Ref, error) {
	var to models.Ref
	err := s.change(ctx, c, models.Ref{Name: name}, policies.ModelPromote, "rollback", func(context.Context) (err error) {
		to, err = s.Catalog.Rollback(name)
		return err
	})
	return to, err
}

// Stop is the kill switch of a model or version; the reason is shown to whoever
// asks for it. Errors: Forbidden, Value, Internal.
func (s *Service) Stop(ctx context.Context, c Caller, ref models.Ref, reason string) error {
	return s.change(ctx, c, ref, policies.ModelRetire, "stop", func(context.Context) error { return s.Catalog.Stop(ref, reason) })
}

// Resume takes a Stop back. Errors: Forbidden, NotFound, Internal.
func (s *Service) Resume(ctx context.Context, c Caller, ref models.Ref) error {
	return s.change(ctx, c, ref, policies.ModelPromote, "resume", func(context.Context) error { return s.Catalog.Resume(ref) })
}
