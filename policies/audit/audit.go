// Package audit records who did what, and is the source of truth for it: an
// append-only log of entries in segment files, each chained to the one before by
// SHA-256.
//
// It promises: Append returns when the entries are on disk, many callers sharing
// one flush; after a failed write nothing is accepted any more, so that a caller
// that answers only after Append never answers unrecorded; an edit, deletion or
// reordering is found by Verify; entries hold references and codes, never a
// patient's values or a token. The text of a search, which may hold values, lies
// beside its entry and can be erased without breaking the chain.
//
// Index makes the entries searchable as AuditEvents, which audit/balp renders; it
// can be made anew from the log. It decides nothing (policies).
package audit

import (
	"time"

	"galen/policies"
)

// Entry is one thing that happened. What is empty is left out of the record.
type Entry struct {
	Seq      uint64    // counted from 1; set by Append
	Time     time.Time // UTC, microseconds, never going back; set by Append
	Kind     Kind
	Outcome  Outcome
	Reason   string // code of why it failed or was denied; never free text with values
	Decision Decision
	Agent    Agent
	Request  string // X-Request-Id

	Resources []string // "Observation/1/_history/3", or without version
	Patients  []string // "Patient/1": every patient whose data was touched

	Service     string   // CDS service, operation, or other place
	Call        string   // hookInstance
	Model       Model    // of an inference
	Assessments []string // "RiskAssessment/1/_history/1" that were made
	Cards       []string // uuids of the cards shown
	Object      string   // what is no resource: a policy's digest, a report's name

	// Query is the search, or the AuditEvent, as it was received. It may hold a patient's values, so
	// it is not part of the canonical entry, which holds a salted digest of it.
	Query []byte
	// Commitment is that digest in hexadecimal, "" without a Query; set by
	// Append. With a Commitment and no Query, the Query was erased.
	Commitment string
}

// Agent is who did it, through what.
type Agent struct {
	Subject  string // sub of the token
	FHIRUser string // "Practitioner/1"
	Client   string // client_id
	Org      string
	Roles    []string
	Purpose  string // v3-ActReason code
	Patient  string // logical id of the launch patient, or of the patient who asks
	Address  string // of the network peer
	TokenID  string // jti, never the token
}

// AgentOf is the agent that a principal is, at that network address.
func AgentOf(p policies.Principal, address string) Agent {
	return Agent{
		Subject: p.Subject, FHIRUser: p.FHIRUser, Client: p.Client, Org: p.Org, Roles: p.Roles,
		Purpose: p.Purpose, Patient: p.Patient, Address: address, TokenID: p.TokenID,
	}
}

// Decision is what the access policy said.
type Decision struct {
	Allow    bool
	Rule     string // id of the rule that decided, "" for none
	Revision string // digest of the policy
}

// DecisionOf is the part of a policy decision that is recorded; its reason
// belongs into Entry.Reason when it denies.
func DecisionOf(d policies.Decision) Decision { return Decision{d.Allow, d.Rule, d.Revision} }

// Model is the prediction model that was run.
type Model struct {
	Name, Version string
	Digest        string // SHA-256 of the model file
}

// Outcome is AuditEvent.outcome
// (https://hl7.org/fhir/R4/valueset-audit-event-outcome.html).
type Outcome uint8

// The outcomes. A denial or a client's error is Minor, a failure of the server
// Serious.
const (
	Success Outcome = 0
	Minor   Outcome = 4
	Serious Outcome = 8
	Major   Outcome = 12
)

// Kind is what happened.
type Kind string

// The kinds that are FHIR interactions have their codes
// (https://hl7.org/fhir/R4/valueset-type-restful-interaction.html).
const (
	Read            Kind = "read"
	VRead           Kind = "vread"
	Search          Kind = "search-type"
	SearchSystem    Kind = "search-system"
	HistoryInstance Kind = "history-instance"
	HistoryType     Kind = "history-type"
	HistorySystem   Kind = "history-system"
	Create          Kind = "create"
	Update          Kind = "update"
	Patch           Kind = "patch"
	Delete          Kind = "delete"
	Transaction     Kind = "transaction"
	Batch           Kind = "batch"
	Operation       Kind = "operation"

	HookCall       Kind = "hook-call"       // a CDS service was called
	HookFeedback   Kind = "hook-feedback"   // a clinician answered a card
	Inference      Kind = "inference"       // a model was run
	Login          Kind = "login"           // a token was refused, or one was made
	PolicyChange   Kind = "policy-change"   // proposed, approved, activated
	BreakGlass     Kind = "break-glass"     // emergency access began
	BreakGlassStop Kind = "break-glass-end" // and ended
	AuditUse       Kind = "audit-use"       // the audit was read or verified
	AuditExport    Kind = "audit-export"
	ModelChange    Kind = "model-change"
	Import         Kind = "import"
	Received       Kind = "received" // an AuditEvent that another system sent, its bytes in Query, its id in Object
	Start          Kind = "start"    // of the server
	Stop           Kind = "stop"
)
