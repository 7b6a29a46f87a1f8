package rest

import (
	"context"
	"strconv"

	"galen/fhir"
	"galen/fhir/conditional"
	"galen/fhir/etag"
	"galen/fhir/subject"
	"galen/policies"
	"galen/policies/audit"
	"galen/store"
)

// Read returns the current version (https://hl7.org/fhir/R4/http.html#read).
// Errors: NotFound, Deleted (and then the Record is the tombstone), Forbidden.
func (s *Service) Read(ctx context.Context, c Caller, key fhir.Key) (store.Record, error) {
	return s.read(ctx, c, key, audit.Read, func(st *store.Store) (store.Record, error) { return st.Read(ctx, key) })
}

// VRead returns one version (https://hl7.org/fhir/R4/http.html#vread). Errors:
// NotFound, Deleted if the version is a delete, Forbidden.
func (s *Service) VRead(ctx context.Context, c Caller, key fhir.Key, version string) (store.Record, error) {
	return s.read(ctx, c, key, audit.VRead, func(st *store.Store) (store.Record, error) {
		n, err := strconv.ParseInt(version, 10, 64)
		if err != nil || n < 1 {
			return store.Record{}, fhir.E("rest.VRead", fhir.NotFound, "", "there is no such version")
		}
		return st.ReadVersion(ctx, key, n)
	})
}

func (s *Service) read(ctx context.Context, c Caller, key fhir.Key, kind audit.Kind, get func(*store.Store) (store.Record, error)) (store.Record, error) {
	if err := s.known(key.Type); err != nil {
		return store.Record{}, err
	}
	if !fhir.ValidID(key.ID) {
		return store.Record{}, notFound()
	}
	a, err := s.begin(ctx, c, kind, policies.Read, key)
	if err != nil {
		return store.Record{}, err
	}
	rec, err := s.visible(ctx, a, key, get)
	if err == nil {
		a.touch(rec)
	}
	if err := s.end(ctx, a, err); err != nil {
		return store.Record{Header: rec.Header, Deleted: rec.Deleted}, err
	}
	return rec, nil
}

// visible gets a record and hides what the filter does not show: it answers as
// if the resource had never been.
func (s *Service) visible(ctx context.Context, a *act, key fhir.Key, get func(*store.Store) (store.Record, error)) (store.Record, error) {
	rec, err := get(s.storeOf(key.Type))
	if kind := fhir.KindOf(err); kind == fhir.NotFound || kind == fhir.Deleted && a.decision.Filter != nil {
		return store.Record{}, notFound() // the same words for what is hidden and what never was
	}
	if err != nil {
		return rec, err
	}
	shown, err := s.permits(ctx, a, rec)
	if err != nil || !shown {
		return store.Record{}, a.hidden(rec, err)
	}
	return rec, nil
}

// Hidden is the reason on record when something is there and a policy's filter
// hides it.
const Hidden = "hidden"

// hidden answers as if there were nothing, and puts on record whose data it was.
func (a *act) hidden(r store.Record, err error) error {
	if err == nil {
		a.entry.Patients, a.entry.Reason = subject.Patients(r.Key, r.Body), Hidden
	}
	return orNotFound(err)
}

func notFound() error {
	return fhir.E("rest.read", fhir.NotFound, "", "there is no such resource")
}

// storeOf is where the resources of a type live.
func (s *Service) storeOf(resourceType string) *store.Store {
	if resourceType == auditType {
		return s.Audits
	}
	return s.Store
}

// Create stores a new resource under an id of the server's
// (https://hl7.org/fhir/R4/http.html#create). With ifNoneExist, one match is
// returned instead, and many are MultipleMatch.
func (s *Service) Create(ctx context.Context, c Caller, resourceType string, body []byte, ifNoneExist string) (Outcome, error) {
	if resourceType == auditType {
		return s.receive(ctx, c, fhir.Key{Type: resourceType}, body)
	}
	return s.perform1(ctx, c, interaction{audit.Create, policies.Create, fhir.Key{Type: resourceType}}, func(a *act) (Outcome, error) {
		r, err := s.parse(body, resourceType)
		if err != nil {
			return Outcome{}, err
		}
		change := store.Change{Resource: r, Key: fhir.Key{Type: resourceType}, Method: store.Post}
		if ifNoneExist != "" {
			if change.IfNoneExist, err = s.criteria(ctx, a, resourceType, ifNoneExist); err != nil {
				return Outcome{}, err
			}
		}
		return s.write(ctx, a, change)
	})
}

// Update stores a version under a known id, or creates it there
// (https://hl7.org/fhir/R4/http.html#update). Errors: Precondition if ifMatch
// does not name the current version.
func (s *Service) Update(ctx context.Context, c Caller, key fhir.Key, body []byte, ifMatch string) (Outcome, error) {
	if key.Type == auditType {
		return s.receive(ctx, c, key, body)
	}
	return s.perform1(ctx, c, interaction{audit.Update, policies.Update, key}, func(a *act) (Outcome, error) {
		want, err := etag.Match(ifMatch)
		if err != nil {
			return Outcome{}, err
		}
		return s.update(ctx, a, key, body, want)
	})
}

// UpdateAbsent is an Update that only creates: Precondition if the resource is
// there (If-None-Match: *, RFC 9110, section 13.1.2).
func (s *Service) UpdateAbsent(ctx context.Context, c Caller, key fhir.Key, body []byte) (Outcome, error) {
	return s.perform1(ctx, c, interaction{audit.Update, policies.Update, key}, func(a *act) (Outcome, error) {
		return s.update(ctx, a, key, body, store.Absent)
	})
}

func (s *Service) update(ctx context.Context, a *act, key fhir.Key, body []byte, ifMatch int64) (Outcome, error) {
	const op = "rest.update"
	if !fhir.ValidID(key.ID) {
		return Outcome{}, fhir.E(op, fhir.Value, "id", "id must be 1 to 64 letters, digits, - or .")
	}
	r, err := s.parse(body, key.Type)
	if err != nil {
		return Outcome{}, err
	}
	if r.ID != key.ID {
		return Outcome{}, fhir.E(op, fhir.Invalid, key.Type+".id", "the resource's id is not the one of the URL")
	}
	return s.write(ctx, a, store.Change{Resource: r, Key: key, Method: store.Put, IfMatch: ifMatch})
}

// Delete makes a tombstone (https://hl7.org/fhir/R4/http.html#delete); deleting
// what is not there, or is hidden, changes nothing.
func (s *Service) Delete(ctx context.Context, c Caller, key fhir.Key, ifMatch string) (Outcome, error) {
	return s.perform1(ctx, c, interaction{audit.Delete, policies.Delete, key}, func(a *act) (Outcome, error) {
		want, err := etag.Match(ifMatch)
		if err != nil {
			return Outcome{}, err
		}
		if !fhir.ValidID(key.ID) {
			return Outcome{}, notFound()
		}
		out, err := s.write(ctx, a, store.Change{Key: key, Method: store.Delete, IfMatch: want})
		if fhir.KindOf(err) == fhir.NotFound { // hidden, so as if it were not there
			return Outcome{}, conditional.Holds(store.Record{}, want)
		}
		return out, err
	})
}

// writable refuses what clients cannot write.
func (s *Service) writable(resourceType string) error {
	if err := s.known(resourceType); err != nil {
		return err
	}
	if resourceType == auditType {
		return fhir.E("rest.writable", fhir.MethodUnknown, "", "an AuditEvent cannot be changed or deleted")
	}
	return nil
}

// interaction is what a write asks of the policies and puts on record.
type interaction struct {
	kind   audit.Kind
	action policies.Action
	key    fhir.Key
}

// perform1 takes one write from the decision to its record.
func (s *Service) perform1(ctx context.Context, c Caller, i interaction, do func(*act) (Outcome, error)) (Outcome, error) {
	if err := s.writable(i.key.Type); err != nil {
		return Outcome{}, err
	}
	a, err := s.begin(ctx, c, i.kind, i.action, i.key)
	if err != nil {
		return Outcome{}, err
	}
	out, err := do(a)
	return out, s.end(ctx, a, err)
}
