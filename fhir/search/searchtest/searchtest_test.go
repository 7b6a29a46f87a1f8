package searchtest_test

import (
	"testing"

	"galen/fhir"
	"galen/fhir/search"
	"galen/fhir/search/searchtest"
)

// TestScripts: search.Find is the truth that drivers are held against; the
// scripts hold it against the standard.
func TestScripts(t *testing.T) {
	searchtest.Run(t, "../../../testdata/search", func(_ *testing.T, docs []searchtest.Document) searchtest.Finder {
		c := searchtest.Corpus(docs)
		return func(q *search.Query) ([]fhir.Key, error) { return search.Find(q, c), nil }
	})
}
