// Package header reads HTTP request headers that have a grammar of their own and
// nothing to do with FHIR.
package header

import (
	"net/http"
	"strings"
)

// Prefer reads one preference (RFC 7240), "" if it is not given.
func Prefer(h http.Header, name string) string {
	for _, line := range h.Values("Prefer") {
		for part := range strings.FieldsFuncSeq(line, func(c rune) bool { return c == ',' || c == ';' }) {
			key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			if strings.EqualFold(strings.TrimSpace(key), name) {
				return strings.Trim(strings.TrimSpace(value), `"`)
			}
		}
	}
	return ""
}

// RequestID reports whether a client's X-Request-Id can be taken over: visible
// ASCII without quotes and the like, of a length for a log.
func RequestID(id string) bool {
	for _, c := range []byte(id) {
		if c <= ' ' || c > '~' || strings.IndexByte("\"'`\\<>", c) >= 0 {
			return false
		}
	}
	return id != "" && len(id) <= 128
}
