package storetest

import (
	"testing"

	"galen/fhir"
	"galen/fhir/search"
	"galen/fhir/search/searchtest"
	"galen/store"
)

// scripts is where the search scripts are, from the folder of a driver.
const scripts = "../../testdata/search"

// testScripts runs the scripts that a clinician can read.
func testScripts(t *testing.T, h Harness) {
	searchtest.Run(t, scripts, func(t *testing.T, docs []searchtest.Document) searchtest.Finder {
		d := h.open(t)
		for _, doc := range docs {
			commit(t, d, store.Write{
				Record:  store.Record{Header: doc.Header, Body: doc.Bytes(), Method: store.Post},
				Entries: doc.Entries,
			})
		}
		return func(q *search.Query) ([]fhir.Key, error) { return walkPages(t.Context(), d, q, 3) }
	})
}
