package rest

import (
	"context"
	"regexp"

	"galen/fhir"
	"galen/policies"
	"galen/policies/audit"
)

// ownEvent are the ids of the server's own AuditEvents.
var ownEvent = regexp.MustCompile(`^a[0-9]`)

// receive takes an AuditEvent that another system recorded
// (https://profiles.ihe.net/ITI/TF/Volume2/ITI-20.html, the RESTful feed): it
// becomes an entry of the audit log, where nobody can change or delete it. With
// key.ID it keeps that id. Errors: Conflict if there is one of that id.
func (s *Service) receive(ctx context.Context, c Caller, key fhir.Key, body []byte) (Outcome, error) {
	a, err := s.begin(ctx, c, audit.Create, policies.Create, key)
	if err != nil {
		return Outcome{}, err
	}
	out, err := s.keep(ctx, a, key, body)
	return out, s.end(ctx, a, err)
}

func (s *Service) keep(ctx context.Context, a *act, key fhir.Key, body []byte) (Outcome, error) {
	const op = "rest.receive"
	r, err := s.parse(body, auditType)
	if err != nil {
		return Outcome{}, err
	}
	if key.ID != "" {
		if err := s.newEvent(ctx, key, r); err != nil {
			return Outcome{}, err
		}
	}
	received := a.entry
	received.Kind, received.Object, received.Query = audit.Received, key.ID, body
	seq, err := s.Audit.Append(ctx, received)
	if err != nil {
		return Outcome{}, err
	}
	if key.ID == "" {
		key.ID = audit.EventID(seq)
	}
	rec, err := s.Audits.Read(ctx, key)
	if err != nil {
		return Outcome{}, &fhir.Error{Op: op, Kind: fhir.Internal, Err: err}
	}
	a.touch(rec)
	return Outcome{Record: rec, Created: true}, nil
}

// newEvent checks the id under which an AuditEvent is to be kept.
func (s *Service) newEvent(ctx context.Context, key fhir.Key, r fhir.Resource) error {
	const op = "rest.receive"
	switch {
	case r.ID != key.ID:
		return fhir.E(op, fhir.Invalid, auditType+".id", "the resource's id is not the one of the URL")
	case !fhir.ValidID(key.ID) || ownEvent.MatchString(key.ID):
		return fhir.E(op, fhir.Value, auditType+".id", "ids that begin with a and a digit belong to the server's own AuditEvents")
	}
	records, err := s.Audits.ReadMany(ctx, key)
	if err == nil && records[0].Exists() {
		err = fhir.E(op, fhir.Conflict, "", "an AuditEvent cannot be changed")
	}
	return err
}
