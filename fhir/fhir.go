// Package fhir is the vocabulary every other package of Galen speaks: what a
// resource, its key, a reference, a period and an error are, as HL7 FHIR R4
// (https://hl7.org/fhir/R4/) means them.
//
// A Resource is its exact bytes with an index over them, never a decoded
// struct: what a client sent is what a client gets, but for the id and the meta
// members that the server owns. Errors carry a Kind, and one table here says
// which HTTP status and which OperationOutcome code each Kind has.
//
// It knows no element of any resource beyond resourceType, id and meta; the
// definitions are in fhir/spec.
package fhir

import (
	"strings"
)

// Key is the identity of a resource on this server.
type Key struct {
	Type string // resource type, "Patient"
	ID   string // logical id
}

// String is the relative reference to the resource, "Patient/1".
func (k Key) String() string { return k.Type + "/" + k.ID }

// Compare orders keys by type, then by id, byte by byte.
func (k Key) Compare(o Key) int {
	if c := strings.Compare(k.Type, o.Type); c != 0 {
		return c
	}
	return strings.Compare(k.ID, o.ID)
}

// ValidID reports whether s is a FHIR id: 1 to 64 of A-Z a-z 0-9 - and .
// (https://hl7.org/fhir/R4/datatypes.html#id).
func ValidID(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// ValidTypeName reports whether s could name a resource type: an upper-case
// letter, then letters. Whether R4 has it, fhir/spec knows.
func ValidTypeName(s string) bool {
	if s == "" || len(s) > 64 || s[0] < 'A' || s[0] > 'Z' {
		return false
	}
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}
