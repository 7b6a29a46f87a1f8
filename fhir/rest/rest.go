// Package rest performs the interactions of the FHIR R4 REST API
// (https://hl7.org/fhir/R4/http.html) as Go calls, without HTTP.
//
// Every interaction takes the same way: the type is known, the policies permit
// it, the resource is valid R4, the store does it, and the audit record is
// durable before the call returns. What a policy's filter hides looks absent.
// Resources go in and out as their exact bytes.
//
// It does not authenticate, negotiate formats or write HTTP responses.
package rest

import (
	"context"
	"slices"
	"time"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/patch"
	"galen/fhir/rest/integrity"
	"galen/fhir/search/parse"
	"galen/fhir/spec"
	"galen/fhir/subject"
	"galen/policies"
	"galen/policies/audit"
	"galen/store"
)

// Caller is who calls and how: what the policies and the audit need to know.
type Caller struct {
	Principal policies.Principal
	RequestID string
	Address   string // network address of the client
	Base      string // absolute FHIR base URL of this call, no slash at its end
	Operation string // "$everything": what the call is a part of, for the record; "" for none

	query string // of a search, for the record
}

// Outcome is what a write did.
type Outcome struct {
	store.Record
	Created bool // a new resource, or one brought back after a delete
	Matched bool // nothing was written: the Record is what ifNoneExist found
}

// Validator says what is wrong with a resource; it is not stored if an issue is
// an error.
type Validator interface {
	Validate(r fhir.Resource) fhir.Issues
}

// Config is all a Service needs.
type Config struct {
	Defs      *spec.Definitions
	Parser    *parse.Parser
	Validator Validator
	Store     *store.Store
	Index     store.Indexer
	Policies  *policies.Engine
	Audit     *audit.Log
	Audits    *store.Store // answers reads and searches of AuditEvent
	Now       func() time.Time
	Started   time.Time // date of the CapabilityStatement
	Version   string    // of the software
	Limits    Limits
	Patches   patch.Formats // formats that PATCH takes; nil for none
	// Integrity refuses references to what is not there and deletes of what is
	// referred to; nil lets both pass.
	Integrity *integrity.Guard
}

// Limits bounds what one call may ask for.
type Limits struct {
	Page    int // entries on a page when _count does not say
	MaxPage int // entries on a page at most
	Entries int // entries of a batch or transaction
	Depth   int // nesting of a resource
	Deletes int // resources that one conditional delete may remove; 0 and 1 refuse more than one match
}

// Service performs interactions. It is safe for concurrent use.
type Service struct{ Config }

// New returns a Service.
func New(cfg Config) *Service { return &Service{cfg} }

// auditType is the one resource type that clients cannot write: it is the
// audit log seen as FHIR.
const auditType = "AuditEvent"

// known refuses what is not a resource type of R4.
func (s *Service) known(resourceType string) error {
	if !s.Defs.IsResource(resourceType) {
		return fhir.E("rest", fhir.NotFound, "", "there is no such resource type in FHIR R4")
	}
	return nil
}

// act is one interaction on its way: what is asked, what was decided, what is
// put on record.
type act struct {
	caller   Caller
	decision policies.Decision
	entry    audit.Entry
	named    bool // entry.Resources holds what was asked for, not what was touched
}

// begin decides on an interaction. A refusal is put on record and is an error
// of Kind Forbidden that does not say which rule.
func (s *Service) begin(ctx context.Context, c Caller, kind audit.Kind, action policies.Action, key fhir.Key) (*act, error) {
	d := s.Policies.Decide(ctx, c.Principal, policies.Request{Action: action, Type: key.Type, ID: key.ID})
	a := &act{caller: c, decision: d, entry: newEntry(c, d, kind)}
	if key.ID != "" {
		a.entry.Resources, a.named = []string{key.String()}, true
	}
	if kind == audit.Search || kind == audit.SearchSystem {
		a.entry.Query, a.entry.Object = []byte(c.query), key.Type
	}
	if d.Allow {
		return a, nil
	}
	s.concerns(ctx, a, key)
	return nil, s.end(ctx, a, d.Refusal("rest.begin"))
}

// concerns puts on record whose data somebody was refused.
func (s *Service) concerns(ctx context.Context, a *act, key fhir.Key) {
	if !fhir.ValidID(key.ID) || !s.Defs.IsResource(key.Type) {
		return
	}
	if r, err := s.storeOf(key.Type).ReadMany(ctx, key); err == nil && r[0].Exists() {
		a.entry.Patients = subject.Patients(key, r[0].Body)
	}
}

// end puts an interaction on record, whatever became of it. It returns err, or
// Unavailable if the record could not be made durable: then nothing may leave.
func (s *Service) end(ctx context.Context, a *act, err error) error {
	a.entry.Outcome = outcomeOf(err)
	if _, failed := s.Audit.Append(ctx, a.entry); failed != nil {
		return failed
	}
	return err
}

// newEntry is the record of an interaction so far.
func newEntry(c Caller, d policies.Decision, kind audit.Kind) audit.Entry {
	e := audit.Entry{Kind: kind, Agent: audit.AgentOf(c.Principal, c.Address), Decision: audit.DecisionOf(d), Request: c.RequestID, Service: c.Operation}
	if !d.Allow {
		e.Reason = string(d.Reason)
	}
	return e
}

// outcomeOf is how an interaction ended, for its record.
func outcomeOf(err error) audit.Outcome {
	switch {
	case err == nil:
		return audit.Success
	case fhir.KindOf(err).Status() < 500:
		return audit.Minor
	}
	return audit.Serious
}

// touch puts a resource that left or was written on record, and the patients
// whose data it holds.
func (a *act) touch(r store.Record) {
	if a.named {
		a.entry.Resources, a.named = a.entry.Resources[:0], false
	}
	a.entry.Resources = append(a.entry.Resources, fhir.VersionedReference(r.Key, r.Version))
	a.about(r)
}

// about puts the patients whose data a resource holds on record.
func (a *act) about(r store.Record) {
	for _, p := range subject.Patients(r.Key, r.Body) {
		if !slices.Contains(a.entry.Patients, p) {
			a.entry.Patients = append(a.entry.Patients, p)
		}
	}
}

// Refused puts on record that a request came without a valid token.
func (s *Service) Refused(ctx context.Context, c Caller) error {
	a := &act{caller: c, entry: newEntry(c, policies.Decision{}, audit.Login)}
	a.entry.Reason = "token"
	return s.end(ctx, a, fhir.E("rest.Refused", fhir.Unauthorized, "", "a valid token is needed"))
}

// permits holds a record against the filter of a decision, a deletion as the
// version before it, and a Binary against its security context.
func (s *Service) permits(ctx context.Context, a *act, r store.Record) (bool, error) {
	if r.Deleted && a.decision.Filter != nil {
		before, err := s.storeOf(r.Type).ReadVersion(ctx, r.Key, r.Version-1)
		if err != nil {
			return false, ignore(err, fhir.NotFound, fhir.Deleted)
		}
		r = before
	}
	if r.Deleted {
		return true, nil
	}
	if shown, err := s.inContext(ctx, a, r); err != nil || !shown || a.decision.Filter == nil {
		return shown, err
	}
	resource, err := fhir.Parse(r.Body, jsontree.Limits{})
	if err != nil {
		return false, err
	}
	return s.satisfies(a.decision, resource, r.Header)
}

// ignore drops an error of one of the kinds.
func ignore(err error, kinds ...fhir.Kind) error {
	if slices.Contains(kinds, fhir.KindOf(err)) {
		return nil
	}
	return err
}

// satisfies holds a resource that need not be stored against a decision.
func (s *Service) satisfies(d policies.Decision, r fhir.Resource, h fhir.Header) (bool, error) {
	entries, err := s.Index.Index(r)
	return err == nil && d.Permits(h, entries), err
}

// parse reads a resource that a client sent and checks that it is valid R4 of
// the type the URL names.
func (s *Service) parse(body []byte, resourceType string) (fhir.Resource, error) {
	const op = "rest.parse"
	r, err := fhir.Parse(body, jsontree.Limits{Depth: s.Limits.Depth})
	if err != nil {
		return r, err
	}
	if r.Type != resourceType {
		return r, fhir.E(op, fhir.Invalid, "resourceType", "the resource's type is not the one of the URL")
	}
	for tag := range r.Root().Get("meta").Get("tag").Items() {
		if tag.Get("code").Text() == "SUBSETTED" {
			return r, fhir.E(op, fhir.Unprocessable, r.Type+".meta.tag", "a SUBSETTED resource is not whole and cannot be stored")
		}
	}
	return r, s.valid(r)
}

// valid refuses a resource with errors; warnings do not count.
func (s *Service) valid(r fhir.Resource) error {
	var errs fhir.Issues
	for _, issue := range s.Validator.Validate(r) {
		if issue.Severity <= fhir.SeverityError {
			errs = append(errs, issue)
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return &fhir.Error{Op: "rest.valid", Kind: errs[0].Kind, At: errs[0].At, Err: errs}
}
