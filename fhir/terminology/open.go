package terminology

import (
	"strings"

	"golang.org/x/text/currency"
	"golang.org/x/text/language"

	"galen/fhir/ucum"
)

// grammar decides on the codes of a system that is a grammar and no list
// (https://hl7.org/fhir/R4/terminologies-systems.html); nil if it is none known.
func grammar(system string, units *ucum.Table) func(code string) bool {
	switch system {
	case "http://unitsofmeasure.org":
		if units != nil {
			return units.Valid
		}
	case "urn:ietf:bcp:47":
		return func(code string) bool {
			_, err := language.Parse(code)
			return err == nil
		}
	case "urn:ietf:bcp:13":
		return mimeType
	case "urn:iso:std:iso:4217":
		return func(code string) bool {
			unit, err := currency.ParseISO(code)
			return err == nil && unit.String() == code
		}
	}
	return nil
}

// mimeType reports whether a code is a media type, parameters allowed (RFC 6838,
// section 4.2).
func mimeType(code string) bool {
	kind, _, _ := strings.Cut(code, ";")
	major, minor, ok := strings.Cut(strings.TrimSpace(kind), "/")
	return ok && restrictedName(major) && restrictedName(minor)
}

func restrictedName(s string) bool {
	if s == "" || len(s) > 127 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || !strings.ContainsRune("!#$&-^_.+", rune(c))) {
			return false
		}
	}
	return true
}
