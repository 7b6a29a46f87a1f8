package rest

import (
	"context"
	"iter"
	"strconv"
	"strings"

	"galen/fhir"
	"galen/fhir/search"
	"galen/policies"
	"galen/policies/audit"
	"galen/store"
)

// alone is a corpus of one resource, for a filter that is evaluated on it.
type alone struct {
	header  fhir.Header
	entries []search.Entry
}

// Header returns the one header.
func (c alone) Header(k fhir.Key) (fhir.Header, bool) { return c.header, k == c.header.Key }

// Entries returns the one resource's entries.
func (c alone) Entries(k fhir.Key) []search.Entry {
	if k == c.header.Key {
		return c.entries
	}
	return nil
}

// Keys yields the one key.
func (c alone) Keys(resourceType string) iter.Seq[fhir.Key] {
	return func(yield func(fhir.Key) bool) {
		if resourceType == c.header.Type {
			yield(c.header.Key)
		}
	}
}

// Read returns the current version (https://hl7.org/fhir/R4/http.html#read).
// Errors: NotFound, Deleted, Forbidden.
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
		return store.Record{}, fhir.E("rest.read", fhir.NotFound, "", "there is no such resource")
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
		return store.Record{}, err
	}
	return rec, nil
}

// visible gets a record and hides what the filter does not show: it answers as
// if the resource had never been.
func (s *Service) visible(ctx context.Context, a *act, key fhir.Key, get func(*store.Store) (store.Record, error)) (store.Record, error) {
	rec, err := get(s.storeOf(key.Type))
	if kind := fhir.KindOf(err); err != nil && (kind == fhir.NotFound || kind == fhir.Deleted && a.decision.Filter != nil) {
		err = notFound() // the same words for what is hidden and what never was
	}
	if err != nil {
		return rec, err
	}
	shown, err := s.permits(ctx, a, rec)
	if err == nil && !shown {
		a.entry.Patients, a.entry.Reason = patientsOf(rec), Hidden
		err = notFound()
	}
	return rec, err
}

// Hidden is the reason on record when something is there and a policy's filter
// hides it.
const Hidden = "hidden"

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
	if err := s.writable(resourceType); err != nil {
		return Outcome{}, err
	}
	a, err := s.begin(ctx, c, audit.Create, policies.Create, fhir.Key{Type: resourceType})
	if err != nil {
		return Outcome{}, err
	}
	out, err := s.create(ctx, a, resourceType, body, ifNoneExist)
	return out, s.end(ctx, a, err)
}

func (s *Service) create(ctx context.Context, a *act, resourceType string, body []byte, ifNoneExist string) (Outcome, error) {
	r, err := s.parse(body, resourceType)
	if err != nil {
		return Outcome{}, err
	}
	change := store.Change{Resource: r, Key: fhir.Key{Type: resourceType}, Method: store.Post}
	if ifNoneExist != "" {
		if change.IfNoneExist, err = s.Parser.ParseCriteria(resourceType, strings.TrimPrefix(ifNoneExist, "?")); err != nil {
			return Outcome{}, err
		}
	}
	return s.write(ctx, a, change)
}

// Update stores a version under a known id, or creates it there
// (https://hl7.org/fhir/R4/http.html#update). Errors: Precondition if ifMatch
// does not name the current version.
func (s *Service) Update(ctx context.Context, c Caller, key fhir.Key, body []byte, ifMatch string) (Outcome, error) {
	if key.Type == auditType {
		return s.receive(ctx, c, key, body)
	}
	if err := s.writable(key.Type); err != nil {
		return Outcome{}, err
	}
	if !fhir.ValidID(key.ID) {
		return Outcome{}, fhir.E("rest.Update", fhir.Value, "id", "id must be 1 to 64 letters, digits, - or .")
	}
	a, err := s.begin(ctx, c, audit.Update, policies.Update, key)
	if err != nil {
		return Outcome{}, err
	}
	out, err := s.update(ctx, a, key, body, ifMatch)
	return out, s.end(ctx, a, err)
}

func (s *Service) update(ctx context.Context, a *act, key fhir.Key, body []byte, ifMatch string) (Outcome, error) {
	const op = "rest.update"
	r, err := s.parse(body, key.Type)
	if err != nil {
		return Outcome{}, err
	}
	if r.ID != key.ID {
		return Outcome{}, fhir.E(op, fhir.Invalid, key.Type+".id", "the resource's id is not the one of the URL")
	}
	change := store.Change{Resource: r, Key: key, Method: store.Put}
	if change.IfMatch, err = version(ifMatch); err != nil {
		return Outcome{}, err
	}
	return s.write(ctx, a, change)
}

// Delete makes a tombstone (https://hl7.org/fhir/R4/http.html#delete); deleting
// what is not there changes nothing.
func (s *Service) Delete(ctx context.Context, c Caller, key fhir.Key, ifMatch string) (Outcome, error) {
	if err := s.writable(key.Type); err != nil {
		return Outcome{}, err
	}
	a, err := s.begin(ctx, c, audit.Delete, policies.Delete, key)
	if err != nil {
		return Outcome{}, err
	}
	change := store.Change{Key: key, Method: store.Delete}
	if change.IfMatch, err = version(ifMatch); err == nil {
		var out Outcome
		out, err = s.write(ctx, a, change)
		return out, s.end(ctx, a, err)
	}
	return Outcome{}, s.end(ctx, a, err)
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

// version reads If-Match: W/"3" or "3"; 0 if there is none
// (https://hl7.org/fhir/R4/http.html#concurrency).
func version(ifMatch string) (int64, error) {
	if ifMatch == "" {
		return 0, nil
	}
	text := strings.TrimPrefix(strings.TrimSpace(ifMatch), "W/")
	n, err := strconv.ParseInt(strings.Trim(text, `"`), 10, 64)
	if err != nil || n < 1 || len(text) < 3 || text[0] != '"' || text[len(text)-1] != '"' {
		return 0, fhir.E("rest.version", fhir.Value, "If-Match", `must be an ETag such as W/"3"`)
	}
	return n, nil
}
