package fhir

import (
	"strconv"
	"strings"
)

// Reference is the text of a Reference.reference, a canonical or a URL taken
// apart (https://hl7.org/fhir/R4/references.html#literal).
type Reference struct {
	Base     string // "" for a relative reference, else all before Type, with the last slash
	Key      Key    // the resource; zero when the text names none (urn:, #contained, other URIs)
	Version  string // the part after _history, else ""
	Fragment string // the part after #, "p1" in "#p1"
	Text     string // the reference as it was given
}

// ParseReference takes a reference apart; any text is a Reference, one without
// Key if it does not end in Type/id or Type/id/_history/version.
func ParseReference(text string) Reference {
	r := Reference{Text: text}
	body, fragment, _ := strings.Cut(text, "#")
	r.Fragment = fragment
	if strings.HasPrefix(body, "urn:") || strings.ContainsAny(body, "?|") {
		return r
	}
	body, tail := cutLast(body)
	version := ""
	if rest, last := cutLast(strings.TrimSuffix(body, "/")); last == "_history" {
		if !ValidID(tail) {
			return r
		}
		version = tail
		body, tail = cutLast(strings.TrimSuffix(rest, "/"))
	}
	base, kind := cutLast(strings.TrimSuffix(body, "/"))
	if !ValidTypeName(kind) || !ValidID(tail) || (base != "" && !strings.Contains(base, "://")) {
		return r
	}
	r.Base, r.Key, r.Version = base, Key{kind, tail}, version
	return r
}

// cutLast splits s behind its last slash.
func cutLast(s string) (head, tail string) {
	i := strings.LastIndexByte(s, '/') + 1
	return s[:i], s[i:]
}

// Local reports whether the reference names a resource on the server with that
// base URL ("https://host/fhir/"), relative or absolute.
func (r Reference) Local(base string) bool {
	return r.Key.Type != "" && (r.Base == "" || r.Base == base)
}

// VersionedReference is the relative reference to one version of a resource,
// "Observation/1/_history/3".
func VersionedReference(k Key, version int64) string {
	return k.String() + "/_history/" + strconv.FormatInt(version, 10)
}
