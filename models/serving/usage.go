package serving

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"galen/fhir"
	"galen/models"
)

// Use is how often one client had one version run, since the process began.
type Use struct {
	Model   models.Ref
	Client  string // client_id of the token, or its subject
	Success uint64
	Failure uint64
	Busy    uint64        // of the failures: turned away because too many waited
	Refused uint64        // rows without an answer
	Took    time.Duration // of the successes, together
	Last    time.Time
}

// usage counts uses; its zero value is ready.
type usage struct {
	mu   sync.Mutex
	uses map[useKey]*Use
}

type useKey struct {
	ref    models.Ref
	client string
}

// maxUses bounds the memory; further clients count as one without a name.
const maxUses = 10_000

func (u *usage) count(ref models.Ref, client string, refused int, start, end time.Time, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	use, ok := u.uses[useKey{ref, client}]
	if !ok {
		if u.uses == nil {
			u.uses = map[useKey]*Use{}
		}
		if len(u.uses) >= maxUses {
			client = ""
		}
		if use, ok = u.uses[useKey{ref, client}]; !ok {
			use = &Use{Model: ref, Client: client}
			u.uses[useKey{ref, client}] = use
		}
	}
	use.Last = end
	use.Refused += uint64(refused)
	if err != nil {
		use.Failure++
		if fhir.KindOf(err) == fhir.Throttled {
			use.Busy++
		}
		return
	}
	use.Success++
	use.Took += end.Sub(start)
}

// Usage lists the uses of a model's versions, or of all models for an empty
// name, by model and client. Errors: Forbidden.
func (s *Service) Usage(ctx context.Context, c Caller, name string) ([]Use, error) {
	if err := s.mayRead(ctx, c, models.Ref{Name: name}); err != nil {
		return nil, err
	}
	s.usage.mu.Lock()
	defer s.usage.mu.Unlock()
	var out []Use
	for key, use := range s.usage.uses {
		if name == "" || key.ref.Name == name {
			out = append(out, *use)
		}
	}
	slices.SortFunc(out, func(a, b Use) int {
		if c := strings.Compare(a.Model.String(), b.Model.String()); c != 0 {
			return c
		}
		return strings.Compare(a.Client, b.Client)
	})
	return out, nil
}
