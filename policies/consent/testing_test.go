package consent_test

import (
	"iter"
	"strconv"

	"galen/fhir"
	"galen/fhir/search"
)

// one is a corpus for conditions on one resource.
type one map[fhir.Key][]search.Entry

func (c one) Header(k fhir.Key) (fhir.Header, bool) {
	_, ok := c[k]
	return fhir.Header{Key: k}, ok
}

func (c one) Entries(k fhir.Key) []search.Entry { return c[k] }

func (c one) Keys(resourceType string) iter.Seq[fhir.Key] {
	return func(yield func(fhir.Key) bool) {
		for k := range c {
			if k.Type == resourceType && !yield(k) {
				return
			}
		}
	}
}

func id(i int) string { return "p" + strconv.Itoa(i) }
