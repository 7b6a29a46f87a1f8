// Package policies decides who may do what: SMART scopes, then the role policy
// (model.conf and policy.csv beside this file, run by Casbin), then the limit to
// a patient or those whom the user cares for, then the patient's consent, then
// security labels. Every layer must permit.
//
// It promises: deny beats allow, an unknown role or an empty policy gets nothing,
// a malformed policy is refused with its line before it is used, and a Decision
// names the rule that decided or what is missing. Row filtering is part of the
// Decision as a search expression, so that the store filters and no handler can
// forget it.
//
// It does not check tokens (server/auth), read consents (policies/consent) or
// record anything (policies/audit).
package policies

import (
	"slices"

	"galen/fhir"
	"galen/fhir/search"
)

// Principal is who asks, as the verified token says. The zero Principal may do
// nothing.
type Principal struct {
	Subject string   // sub of the token
	Client  string   // client_id: the app
	Org     string   // organization; "" for none
	Roles   []string // names as in policy.csv; unknown ones are ignored

	// Scopes are what the token was limited to. Nil means that it carries no
	// scope claim and the roles alone decide; an empty slice grants nothing.
	Scopes []Scope

	Patient  string // logical id of the launch patient, or of the patient who asks
	FHIRUser string // "Practitioner/1"
	Purpose  string // v3-ActReason code; "" matches only rules for any purpose
	// Purposes are those that the token allows; a request may choose among them.
	Purposes []string
	// Certificate is the SHA-256 thumbprint, in base64url, of the client
	// certificate that the token is bound to (RFC 8705); "" for none.
	Certificate string
	TokenID     string // jti of the token, never the token
	MFA         bool   // the user signed in with more than one factor (amr of the token)
}

// Action is what is asked for, in the words of policy.csv.
type Action string

// The actions. FHIR interactions map onto the first five as SMART scopes do:
// vread and the history of one resource are Read, the history of a type or
// system is Search, patch is Update. Each entry of a batch or transaction, and
// each type an include, chain, _has or operation touches, is decided by itself.
const (
	Read   Action = "read"
	Search Action = "search"
	Create Action = "create"
	Update Action = "update"
	Delete Action = "delete"

	Invoke   Action = "invoke"   // a CDS service; Request.Type is its id
	Feedback Action = "feedback" // on its cards

	PolicyRead     Action = "policy:read"
	PolicyPropose  Action = "policy:propose"
	PolicyApprove  Action = "policy:approve"
	PolicyActivate Action = "policy:activate"
	PolicySimulate Action = "policy:simulate"

	AuditRead   Action = "audit:read"
	AuditVerify Action = "audit:verify"
	AuditExport Action = "audit:export"
	AuditHold   Action = "audit:hold" // keep entries from being pruned, or let them go

	BreakGlass       Action = "break-glass"        // open an emergency access to one patient
	BreakGlassReview Action = "break-glass:review" // list them and sign them off

	ModelRead    Action = "model:read" // Request.Type is the model's name
	ModelPromote Action = "model:promote"
	ModelRetire  Action = "model:retire"
	ModelInfer   Action = "model:infer" // run it on tensors, without a patient

	Reindex Action = "upkeep:reindex" // of stored resources, by search parameters that came later
	Expunge Action = "upkeep:expunge" // remove versions for ever
)

// Actions lists every action, in the order of the constants.
func Actions() []Action {
	return []Action{
		Read, Search, Create, Update, Delete, Invoke, Feedback,
		PolicyRead, PolicyPropose, PolicyApprove, PolicyActivate, PolicySimulate,
		AuditRead, AuditVerify, AuditExport, AuditHold, BreakGlass, BreakGlassReview, ModelRead, ModelPromote, ModelRetire, ModelInfer,
		Reindex, Expunge,
	}
}

// known reports whether the action exists.
func (a Action) known() bool { return slices.Contains(Actions(), a) }

// Interaction reports whether the action is a FHIR interaction, on a resource
// type.
func (a Action) Interaction() bool {
	switch a {
	case Read, Search, Create, Update, Delete:
		return true
	}
	return false
}

// Request is what is asked for.
type Request struct {
	Action Action
	Type   string // resource type, service id or model name; "" for all resource types at once
	ID     string // logical id, "" if there is none; only for the record, a Filter decides on rows
	// Patient is the logical id of whom an action is about that is no
	// interaction, such as Invoke; "" if that is unknown.
	Patient string
}

// Decision answers a Request.
type Decision struct {
	Allow bool
	// Rule is the id of the policy row that decided, "" on default deny or when
	// another layer refused.
	Rule string
	// Filter limits an allowed request to some rows; nil means all. It must be
	// and-ed to every query of the type, hold for every resource that is read,
	// and for every write both for what is there and for what is to be stored.
	// What it hides must look absent. It speaks of one resource, without chains. A
	// request across types (Type "") must also ask for each type it meets.
	Filter search.Expr
	// Own means that the Filter covers only what belongs to the token's patient.
	Own    bool
	Reason Reason
	// Missing is the nearest miss of a denial, "purpose HRESCH (researcher-data)".
	// It is for explaining and the audit, not for the client.
	Missing string
	// Revision is the digest of the policy that decided.
	Revision string
}

// Refused is the cause in the error of a denial. Its text does not say which
// layer denied; WWW-Authenticate does, for scopes.
type Refused struct{ Reason Reason }

// Error is the same for every denial.
func (Refused) Error() string { return "the policies do not permit this" }

// Refusal is a denial as an error of Kind Forbidden with a Refused in its chain.
func (d Decision) Refusal(op string) error {
	return &fhir.Error{Op: op, Kind: fhir.Forbidden, Err: Refused{d.Reason}}
}

// Reason is why a Decision came out as it did: one code for each layer that can
// refuse.
type Reason string

// The reasons.
const (
	Permitted       Reason = "permitted"
	NoScope         Reason = "scope"          // no scope of the token covers it
	NoLaunchPatient Reason = "launch-patient" // a patient/ scope, but the token names no patient
	NoRule          Reason = "policy"         // no rule allows it
	DenyRule        Reason = "policy-deny"    // a rule denies it
	NoCompartment   Reason = "compartment"    // the type cannot be limited to the patient
	NoConsent       Reason = "consent"        // the patient withholds it
	NoLabel         Reason = "label"          // a security label keeps it from the principal
	Failed          Reason = "error"          // the engine failed; fail closed
)
