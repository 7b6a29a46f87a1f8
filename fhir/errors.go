package fhir

import (
	"errors"
	"net/http"
	"strings"
)

// Kind is what went wrong, as far as a caller can act on it. It decides the
// HTTP status and the OperationOutcome code; text never does.
type Kind uint8

// The kinds of error. The zero Kind is Internal, so that what nobody named
// counts as the server's fault.
const (
	Internal      Kind = iota // the server's own fault
	Malformed                 // the bytes are not JSON, XML or a URL query at all
	Invalid                   // well-formed, but not what FHIR R4 allows
	Required                  // something that must be there is missing
	Value                     // a value out of its type or range
	CodeInvalid               // a code that its required binding does not hold
	Invariant                 // a rule of R4 or of a profile that relates elements does not hold
	NotSupported              // understood, and not offered here
	Unprocessable             // against a profile or a rule of this server
	NotFound                  // never existed, or is hidden from the caller
	Deleted                   // existed and was deleted
	Conflict                  // another write came first
	Precondition              // If-Match, If-None-Exist or the like does not hold
	MultipleMatch             // a criterion that must match one matches more
	Unauthorized              // no valid token
	Forbidden                 // a valid token that may not do this
	MethodUnknown             // an HTTP method that the URL does not have
	NotAcceptable             // no format that the client accepts
	MediaUnknown              // a request body in a format that is not read
	TooLong                   // more bytes or entries than allowed
	TooCostly                 // would take longer than the limit
	Throttled                 // too many requests; later will do
	Unavailable               // not now: starting, draining, or a dependency is down
	Timeout                   // the deadline passed
	kindCount
)

// kinds is the one table from Kind to HTTP status
// (https://hl7.org/fhir/R4/http.html#Status-Codes) and issue code
// (https://hl7.org/fhir/R4/valueset-issue-type.html).
var kinds = [kindCount]struct {
	name   string
	status int
	code   string
}{
	Internal:      {"internal error", http.StatusInternalServerError, "exception"},
	Malformed:     {"malformed", http.StatusBadRequest, "structure"},
	Invalid:       {"invalid", http.StatusBadRequest, "invalid"},
	Required:      {"required", http.StatusBadRequest, "required"},
	Value:         {"bad value", http.StatusBadRequest, "value"},
	CodeInvalid:   {"bad code", http.StatusBadRequest, "code-invalid"},
	Invariant:     {"invariant broken", http.StatusUnprocessableEntity, "invariant"},
	NotSupported:  {"not supported", http.StatusBadRequest, "not-supported"},
	Unprocessable: {"unprocessable", http.StatusUnprocessableEntity, "business-rule"},
	NotFound:      {"not found", http.StatusNotFound, "not-found"},
	Deleted:       {"deleted", http.StatusGone, "deleted"},
	Conflict:      {"conflict", http.StatusConflict, "conflict"},
	Precondition:  {"precondition failed", http.StatusPreconditionFailed, "conflict"},
	MultipleMatch: {"multiple matches", http.StatusPreconditionFailed, "multiple-matches"},
	Unauthorized:  {"not signed in", http.StatusUnauthorized, "login"},
	Forbidden:     {"forbidden", http.StatusForbidden, "forbidden"},
	MethodUnknown: {"method not allowed", http.StatusMethodNotAllowed, "not-supported"},
	NotAcceptable: {"not acceptable", http.StatusNotAcceptable, "not-supported"},
	MediaUnknown:  {"unsupported media type", http.StatusUnsupportedMediaType, "not-supported"},
	TooLong:       {"too long", http.StatusRequestEntityTooLarge, "too-long"},
	TooCostly:     {"too costly", http.StatusUnprocessableEntity, "too-costly"},
	Throttled:     {"throttled", http.StatusTooManyRequests, "throttled"},
	Unavailable:   {"unavailable", http.StatusServiceUnavailable, "transient"},
	Timeout:       {"timeout", http.StatusServiceUnavailable, "timeout"},
}

// String names the kind for logs.
func (k Kind) String() string { return kinds[k.known()].name }

// Status is the HTTP status of an answer that fails with this kind.
func (k Kind) Status() int { return kinds[k.known()].status }

// Code is the OperationOutcome.issue.code of this kind.
func (k Kind) Code() string { return kinds[k.known()].code }

func (k Kind) known() Kind {
	if k >= kindCount {
		return Internal
	}
	return k
}

// Error is the one error type that crosses packages. No field may hold a value
// from a patient's record, a token or a password: name the element instead.
type Error struct {
	Op   string // the operation, "rest.Create"; for logs
	Kind Kind
	At   string // FHIRPath of the element ("Patient.birthDate"), "offset 12", or a parameter's name; "" if nowhere in particular
	Err  error  // what happened; its text is the diagnostics unless Kind is Internal
}

// E makes an Error out of a message that a client may read.
func E(op string, kind Kind, at, message string) *Error {
	return &Error{Op: op, Kind: kind, At: at, Err: errors.New(message)}
}

// Error joins operation, kind, place and cause.
func (e *Error) Error() string {
	parts := make([]string, 0, 4)
	if e.Op != "" {
		parts = append(parts, e.Op)
	}
	parts = append(parts, e.Kind.String())
	if e.At != "" {
		parts = append(parts, e.At)
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf is the Kind of the outermost *Error in err's chain, Internal if there
// is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Severity is OperationOutcome.issue.severity
// (https://hl7.org/fhir/R4/valueset-issue-severity.html).
type Severity uint8

// The severities, worst first.
const (
	Fatal Severity = iota
	SeverityError
	Warning
	Information
)

// String is the severity's code.
func (s Severity) String() string {
	return [...]string{"fatal", "error", "warning", "information"}[min(s, Information)]
}

// Issue is one finding about a resource or request. The same rule as for Error
// holds: no patient data in it.
type Issue struct {
	Severity    Severity
	Kind        Kind
	At          string // FHIRPath, as in Error.At
	Diagnostics string
}

// Issues are findings that together refuse a resource; it is the cause in an
// Error whose Kind is that of the worst.
type Issues []Issue

// Error joins the diagnostics.
func (s Issues) Error() string {
	parts := make([]string, len(s))
	for i, issue := range s {
		parts[i] = strings.TrimPrefix(issue.At+": "+issue.Diagnostics, ": ")
	}
	return strings.Join(parts, "; ")
}

// IssuesOf are the findings an OperationOutcome should show for err: the Issues
// in its chain, or one issue made from the outermost *Error. An internal error
// shows no cause: that is for the log.
func IssuesOf(err error) Issues {
	var many Issues
	if errors.As(err, &many) && len(many) > 0 {
		return many
	}
	var e *Error
	if !errors.As(err, &e) || e.Kind == Internal || e.Err == nil {
		kind := KindOf(err)
		return Issues{{SeverityError, kind, "", kind.String()}}
	}
	return Issues{{SeverityError, e.Kind, e.At, e.Err.Error()}}
}
