package policies

import (
	"iter"

	"galen/fhir"
	"galen/fhir/search"
)

// Permits holds one resource, which need not be stored, against the decision:
// allowed, and its entries pass the filter. entries are those that the resource
// is found by.
func (d Decision) Permits(h fhir.Header, entries []search.Entry) bool {
	return d.Allow && (d.Filter == nil || search.Match(d.Filter, h.Key, lone{h, entries}))
}

// lone is a corpus of one resource.
type lone struct {
	header  fhir.Header
	entries []search.Entry
}

// Header returns the one header.
func (c lone) Header(k fhir.Key) (fhir.Header, bool) { return c.header, k == c.header.Key }

// Entries returns the one resource's entries.
func (c lone) Entries(k fhir.Key) []search.Entry {
	if k == c.header.Key {
		return c.entries
	}
	return nil
}

// Keys yields the one key.
func (c lone) Keys(resourceType string) iter.Seq[fhir.Key] {
	return func(yield func(fhir.Key) bool) {
		if resourceType == c.header.Type {
			yield(c.header.Key)
		}
	}
}
