package literal

import (
	"strings"

	"galen/fhir"
)

// Target is what a link to an entry of a Bundle is rewritten to.
type Target struct {
	To      string // the identity the entry got, "Patient/1"
	Version string // the version it got, "" if nobody knows yet
	// Canonical tells that the entry's resource has its fullUrl as its url. Then
	// only References are rewritten: the url still names it.
	Canonical bool
}

// Links are the entries of a Bundle by their fullUrl.
type Links map[string]Target

// Base is the service root of a RESTful fullUrl, with its slash:
// "http://example.org/fhir/" of "http://example.org/fhir/Patient/1", and "" for
// any other fullUrl (https://hl7.org/fhir/R4/bundle.html#references).
func Base(fullURL string) string { return fhir.ParseReference(fullURL).Base }

// Find resolves a link of an entry whose fullUrl has that base. A relative
// reference is to the entry of the same base. A link without version stays
// without, one to a version is to the version that the entry got ("all will be
// re-assigned anyway"), and stays as it is if nobody knows that yet; a fragment
// or canonical version stays. ok is false for a link that does not lead to an
// entry.
func (ls Links) Find(kind Kind, base, text string) (to string, ok bool) {
	body, tail := text, ""
	if i := strings.IndexAny(text, "#|"); i >= 0 {
		body, tail = text[:i], text[i:]
	}
	if body == "" {
		return "", false
	}
	if t, ok := ls.at(kind, body); ok {
		return t.To + tail, true
	}
	if strings.HasPrefix(body, "urn:") || !strings.Contains(body, "/") {
		return "", false
	}
	ref := fhir.ParseReference(body)
	switch {
	case ref.Key.Type == "":
		return "", false
	case ref.Base == "":
		if base == "" {
			return "", false
		}
		ref.Base = base
	case ref.Version == "":
		return "", false // absolute, and looked up above
	}
	t, ok := ls.at(kind, ref.Base+ref.Key.String())
	switch {
	case !ok:
		return "", false
	case ref.Version == "":
		return t.To + tail, true
	case t.Version == "":
		return "", false
	}
	return t.To + "/_history/" + t.Version + tail, true
}

func (ls Links) at(kind Kind, fullURL string) (Target, bool) {
	t, ok := ls[fullURL]
	return t, ok && (kind == Reference || !t.Canonical)
}
