// Package feedback reads what clinicians made of cards and keeps it
// (https://cds-hooks.hl7.org/2.0/#feedback).
//
// A piece of feedback is a Communication to the model that was right or wrong:
// about the RiskAssessment that the card showed, with the override reason, found
// by the card's uuid as its identifier. The same feedback sent again is the same
// Communication; other feedback on the same card is another one.
//
// It does not decide who may give feedback, nor put it on the audit record.
package feedback

import (
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"galen/fhir"
	"galen/fhir/jsontree"
)

// Feedback is what a clinician made of one card.
type Feedback struct {
	Card        string // uuid, lower case
	Outcome     Outcome
	Suggestions []string // uuids of those accepted
	Reason      Coding   // of an override; zero for none
	Comment     string   // of an override, free text
	At          time.Time
}

// Outcome is what became of a card.
type Outcome string

// The outcomes of https://cds-hooks.hl7.org/2.0/#feedback.
const (
	Accepted   Outcome = "accepted"
	Overridden Outcome = "overridden"
)

// Coding is a code in a code system.
type Coding struct{ System, Code, Display string }

const (
	maxItems   = 1000   // in one request
	maxComment = 10_000 // bytes
	maxDepth   = 20
)

// Parse reads the body of a feedback request. Unknown members are ignored. The
// error is of Kind Malformed, Required, Value or TooLong and names the member.
func Parse(body []byte) ([]Feedback, error) {
	doc, err := jsontree.Parse(body, jsontree.Limits{Depth: maxDepth})
	if err != nil {
		return nil, &fhir.Error{Op: "feedback.Parse", Kind: fhir.Malformed, Err: err}
	}
	list := doc.Root().Get("feedback")
	switch n := list.Len(); {
	case doc.Root().Kind() != jsontree.Object:
		return nil, fhir.E("feedback.Parse", fhir.Malformed, "", "feedback is a JSON object")
	case list.Kind() != jsontree.Array || n == 0:
		return nil, bad(fhir.Required, "feedback", "feedback must be an array that is not empty")
	case n > maxItems:
		return nil, bad(fhir.TooLong, "feedback", "too many at once")
	}
	out := make([]Feedback, 0, list.Len())
	for node := range list.Items() {
		f, err := parseOne(node, "feedback["+strconv.Itoa(len(out))+"]")
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

func bad(kind fhir.Kind, at, message string) error {
	return fhir.E("feedback.Parse", kind, at, at+": "+message)
}

func parseOne(node jsontree.Node, at string) (Feedback, error) {
	f := Feedback{Card: strings.ToLower(node.Get("card").Text()), Outcome: Outcome(text(node, "outcome"))}
	if !node.Get("card").Exists() {
		return f, bad(fhir.Required, at+".card", "is missing")
	}
	if uuid.Validate(f.Card) != nil || len(f.Card) != 36 {
		return f, bad(fhir.Value, at+".card", "must be the uuid of a card")
	}
	if f.Outcome != Accepted && f.Outcome != Overridden {
		return f, bad(fhir.Value, at+".outcome", "must be accepted or overridden")
	}
	when := node.Get("outcomeTimestamp")
	if !when.Exists() {
		return f, bad(fhir.Required, at+".outcomeTimestamp", "is missing")
	}
	var err error
	if f.At, err = time.Parse(time.RFC3339Nano, when.Text()); err != nil || when.Kind() != jsontree.String {
		return f, bad(fhir.Value, at+".outcomeTimestamp", "must be a date and time with its zone (RFC 3339)")
	}
	f.At = f.At.UTC()
	if f.Outcome == Accepted {
		return f, f.suggestions(node.Get("acceptedSuggestions"), at+".acceptedSuggestions")
	}
	return f, f.reason(node.Get("overrideReason"), at+".overrideReason")
}

// suggestions reads acceptedSuggestions: whoever accepts a card accepts at least
// one of its suggestions.
func (f *Feedback) suggestions(list jsontree.Node, at string) error {
	if list.Kind() != jsontree.Array || list.Len() == 0 {
		return bad(fhir.Required, at, "must be an array with the suggestions that were accepted")
	}
	for node := range list.Items() {
		id := text(node, "id")
		if uuid.Validate(id) != nil || len(id) != 36 {
			return bad(fhir.Value, at+"["+strconv.Itoa(len(f.Suggestions))+"].id", "must be the uuid of a suggestion")
		}
		f.Suggestions = append(f.Suggestions, strings.ToLower(id))
	}
	return nil
}

// reason reads overrideReason: not given, or with a coded reason, a comment or
// both (cds-fb-3).
func (f *Feedback) reason(node jsontree.Node, at string) error {
	if !node.Exists() {
		return nil
	}
	coding, comment := node.Get("reason"), node.Get("userComment")
	if node.Kind() != jsontree.Object || (!coding.Exists() && !comment.Exists()) {
		return bad(fhir.Required, at, "must hold a reason, a userComment or both")
	}
	if coding.Exists() {
		f.Reason = Coding{text(coding, "system"), text(coding, "code"), text(coding, "display")}
		if f.Reason.Code == "" || strings.TrimSpace(f.Reason.Code) != f.Reason.Code {
			return bad(fhir.Required, at+".reason.code", "is missing")
		}
	}
	if comment.Exists() {
		f.Comment = text(node, "userComment")
		if strings.TrimSpace(f.Comment) == "" {
			return bad(fhir.Value, at+".userComment", "must be a text that is not empty")
		}
		if len(f.Comment) > maxComment {
			return bad(fhir.TooLong, at+".userComment", "is too long")
		}
	}
	return nil
}

func text(object jsontree.Node, name string) string {
	if n := object.Get(name); n.Kind() == jsontree.String {
		return n.Text()
	}
	return ""
}
