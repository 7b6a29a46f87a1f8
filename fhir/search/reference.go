package search

import (
	"strings"

	"galen/fhir"
)

// ParseReference is the Reference value that a literal reference or canonical
// means on the server with that base URL: one to the server itself gets a Key,
// relative or absolute, any other a URL. A version is the part after _history
// or after the bar of a canonical.
func ParseReference(text, base string) Reference {
	ref := fhir.ParseReference(text)
	switch {
	case ref.Local(base) && ref.Fragment == "":
		return Reference{Key: ref.Key, Version: ref.Version}
	case ref.Key.Type != "" && ref.Base != "":
		return Reference{URL: ref.Base + ref.Key.String(), Version: ref.Version}
	}
	if i := strings.LastIndexByte(text, '|'); i >= 0 {
		canonical := ParseReference(text[:i], base)
		canonical.Version = text[i+1:]
		return canonical
	}
	return Reference{URL: text}
}
