package sqlite_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"galen/fhir"
	"galen/fhir/search"
	"galen/store"
	"galen/store/sqlite"
)

// person has a unique identifier under one of two systems.
func person(n int) store.Write {
	id := fmt.Sprintf("%08d", n)
	system := []string{"urn:mrn", "urn:ssn"}[n%2]
	return store.Write{
		Record: store.Record{
			Header: fhir.Header{Key: fhir.Key{Type: "Patient", ID: id}, Version: 1, LastUpdated: time.UnixMilli(1_700_000_000_000 + int64(n)).UTC()},
			Body:   fmt.Appendf(nil, `{"resourceType":"Patient","id":%q}`, id), Method: store.Post,
		},
		Entries: []search.Entry{{Param: "identifier", Value: search.Token{System: system, Code: "A" + id}}},
	}
}

func identified(b *testing.B, ids ...int) *search.Query {
	b.Helper()
	tests := make([]search.Test, len(ids))
	for i, n := range ids {
		tests[i] = search.TokenTest{AnySystem: true, Code: fmt.Sprintf("A%08d", n)}
	}
	return &search.Query{Types: []string{"Patient"}, Where: search.Where{Param: "identifier", Any: tests}}
}

// BenchmarkIdentifier is spec/fhir.md item 56: one identifier, and 1,000 of them
// in one parameter, among 1,000 and 100,000 patients. It reports the median.
func BenchmarkIdentifier(b *testing.B) {
	for _, patients := range []int{1_000, 100_000} {
		db := open(b, sqlite.Options{Unsynced: true})
		for from := 0; from < patients; from += 1000 {
			writes := make([]store.Write, 1000)
			for i := range writes {
				writes[i] = person(from + i)
			}
			if err := db.Commit(b.Context(), writes); err != nil {
				b.Fatal(err)
			}
		}
		for _, alternatives := range []int{1, 1000} {
			b.Run(fmt.Sprintf("%d of %d", alternatives, patients), func(b *testing.B) {
				var took []time.Duration
				for i := 0; b.Loop(); i++ {
					ids := make([]int, alternatives)
					for j := range ids { // the first is there, others may be
						ids[j] = (i*7919 + j*211) % patients * (1 + 1000*min(j, 1))
					}
					start := time.Now()
					page, err := db.Search(b.Context(), store.Select{Query: identified(b, ids...), Limit: 20})
					took = append(took, time.Since(start))
					if err != nil || len(page.Records) == 0 {
						b.Fatalf("%d records, %v", len(page.Records), err)
					}
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-p50")
			})
		}
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
