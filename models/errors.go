package models

import (
	"errors"
	"strings"
)

// Kind says what went wrong, for callers to act on.
type Kind int

// The kinds of error.
const (
	Internal    Kind = iota // a fault of the runtime or of this program
	NotFound                // no such model or version is served
	Refused                 // a model version that did not hold its checks
	BadInput                // the tensors do not fit the model, or a name is malformed
	NotFinite               // the model has no finite answer for this input
	Busy                    // too many callers are waiting; try again later
	Timeout                 // the context ended first
	Unavailable             // the model's own server cannot be reached now
	Exists                  // that name and version is there already
	Stopped                 // switched off by its owner
)

func (k Kind) String() string {
	return [...]string{"internal", "not found", "refused", "bad input", "not finite", "busy", "timeout", "unavailable", "exists already", "stopped"}[k]
}

// Error is the one error type of this package and of every Runner. It names
// models, ports and shapes, never a value of a patient.
type Error struct {
	Op    string // what was tried, such as "predict"
	Kind  Kind
	Model string // name or name@version; may be empty
	Err   error  // the cause; never nil
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Model != "" {
		b.WriteString(" " + e.Model)
	}
	b.WriteString(": " + e.Kind.String() + ": " + e.Err.Error())
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf is the Kind of the outermost *Error in err's chain, or Internal.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}
