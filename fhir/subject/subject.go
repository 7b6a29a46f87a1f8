// Package subject finds the patients whose data a resource holds, for the audit:
// the Patient itself, or whom the members of the resource that name a subject
// refer to (https://hl7.org/fhir/R4/compartmentdefinition-patient.html has the
// same notion for search).
//
// It reads stored bytes without an index over them, since every answer of the
// server passes through it: it looks no further than the last mention of a
// patient and skips what does not name a subject. Bytes that are no JSON give
// fewer patients, never an error.
package subject

import (
	"bytes"

	"galen/fhir"
)

// members are the top-level members that name who a resource is about, in any
// type of R4; some hold the reference further down (Appointment.participant).
var members = map[string]bool{
	"subject": true, "patient": true, "beneficiary": true, "individual": true, "for": true, "candidate": true,
	"actor": true, "participant": true, "member": true, "enterer": true, "recipient": true, "focus": true, "link": true,
}

// Patients lists the references ("Patient/1") to the patients a stored resource
// is about, each once. A reference on another server is not among them.
func Patients(key fhir.Key, body []byte) []string {
	if key.Type == "Patient" {
		return []string{key.String()}
	}
	last := lastMention(body)
	if last < 0 {
		return nil
	}
	var out []string
	s := scanner{body: body}
	s.skip('{')
	for s.at < last {
		name := s.text()
		s.skip(':')
		start := s.at
		if !s.value() {
			break
		}
		if members[string(name)] {
			out = references(out, body[start:s.at])
		}
		s.skip(',')
	}
	return out
}

// lastMention is where the last reference to a patient starts, -1 for none.
// bytes.LastIndex would be slower: only the search forwards is vectorised.
func lastMention(body []byte) int {
	mention := []byte("Patient/")
	last := -1
	for {
		i := bytes.Index(body[last+1:], mention)
		if i < 0 {
			return last
		}
		last += i + 1
	}
}

// references adds the patients that a member's value refers to. Its "reference"
// before a colon is a member's name wherever it stands: inside a string the
// quotes would be escaped.
func references(out []string, value []byte) []string {
	name := []byte(`"reference"`)
	for {
		i := bytes.Index(value, name)
		if i < 0 {
			return out
		}
		s := scanner{body: value, at: i + len(name)}
		s.space()
		if s.at < len(value) && value[s.at] == ':' {
			s.skip(':')
			if text := s.text(); bytes.Contains(text, []byte("Patient/")) {
				if ref := fhir.ParseReference(string(text)); ref.Key.Type == "Patient" && ref.Base == "" {
					out = add(out, ref.Key.String())
				}
			}
		}
		value = value[min(max(s.at, i+1), len(value)):]
	}
}

func add(out []string, patient string) []string {
	for _, p := range out {
		if p == patient {
			return out
		}
	}
	return append(out, patient)
}

// scanner walks valid JSON without checking it. Every step moves on or stops at
// the end.
type scanner struct {
	body []byte
	at   int
}

// skip passes white space and one byte c, if it is next.
func (s *scanner) skip(c byte) {
	s.space()
	if s.at < len(s.body) && s.body[s.at] == c {
		s.at++
	}
	s.space()
}

func (s *scanner) space() {
	for s.at < len(s.body) && s.body[s.at] <= ' ' {
		s.at++
	}
}

// text passes a string and returns its inside.
func (s *scanner) text() []byte {
	if s.at >= len(s.body) || s.body[s.at] != '"' {
		s.at = len(s.body)
		return nil
	}
	start := s.at + 1
	for s.at = start; ; s.at++ {
		i := bytes.IndexByte(s.body[s.at:], '"')
		if i < 0 {
			s.at = len(s.body)
			return nil
		}
		s.at += i
		slashes := 0
		for s.body[s.at-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			s.at++
			return s.body[start : s.at-1]
		}
	}
}

// structural are the bytes that value looks at.
var structural = [256]bool{'"': true, '{': true, '[': true, '}': true, ']': true, ',': true}

// value passes one value; false at the end of the bytes.
func (s *scanner) value() bool {
	for depth := 0; s.at < len(s.body); {
		switch s.body[s.at] {
		case '"':
			s.text()
		case '{', '[':
			depth++
			s.at++
			continue
		case '}', ']':
			depth--
			if depth < 0 {
				return true
			}
			s.at++
		case ',':
			if depth == 0 {
				return true
			}
			s.at++
			continue
		default:
			s.at++
			for s.at < len(s.body) && !structural[s.body[s.at]] {
				s.at++
			}
			continue
		}
		if depth == 0 {
			return true
		}
	}
	return false
}
