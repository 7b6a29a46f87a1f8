package sqlite_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"galen/fhir"
	"galen/fhir/search"
	"galen/store"
	"galen/store/sqlite"
)

// ofPatient is how many Observations each patient has: a search of one patient's
// finds as many however large the store is.
const ofPatient = 50

func benchPatient(n int) fhir.Key {
	return fhir.Key{Type: "Patient", ID: fmt.Sprintf("6f1a2b3c-0000-4000-8000-%012d", n)}
}

// grow fills a store with n Observations of n/50 patients, and these.
func grow(b *testing.B, db *sqlite.DB, n int) {
	b.Helper()
	var writes []store.Write
	flush := func() {
		if err := db.Commit(context.Background(), writes); err != nil {
			b.Fatal(err)
		}
		writes = writes[:0]
	}
	for i := range n {
		key := benchPatient(i / ofPatient)
		if i%ofPatient == 0 {
			writes = append(writes, store.Write{
				Record: store.Record{
					Header: fhir.Header{Key: key, Version: 1, LastUpdated: time.UnixMilli(1_700_000_000_000 + int64(i)).UTC()},
					Body:   fmt.Appendf(nil, `{"resourceType":"Patient","id":%q,"meta":{"versionId":"1"}}`, key.ID), Method: store.Put,
				},
				Entries: []search.Entry{{Param: "identifier", Value: search.Token{System: "http://mrn", Code: fmt.Sprint("mrn-", i/ofPatient)}}},
			})
		}
		w := observation(i)
		for j := range w.Entries {
			if ref, ok := w.Entries[j].Value.(search.Reference); ok && ref.Type == "Patient" {
				w.Entries[j].Value = search.Reference{Key: key}
			}
			if code, ok := w.Entries[j].Value.(search.Token); ok && w.Entries[j].Param == "code" {
				code.Code = fmt.Sprint("code-", i%ofPatient)
				w.Entries[j].Value = code
			}
		}
		if writes = append(writes, w); len(writes) >= 500 {
			flush()
		}
	}
	flush()
}

// BenchmarkGrowth has selective searches on 1,000 and on 100,000 Observations: at
// 100 times the data the median is to be at most twice as long (issue 3). It
// reports both medians and their ratio.
func BenchmarkGrowth(b *testing.B) {
	sizes := [2]int{1_000, 100_000}
	var stores [2]*sqlite.DB
	for i, n := range sizes {
		stores[i] = open(b, sqlite.Options{})
		defer stores[i].Close()
		grow(b, stores[i], n)
	}
	where := func(param string, tests ...search.Test) search.Expr { return search.Where{Param: param, Any: tests} }
	patient := where("patient", search.ReferenceTest{Key: benchPatient(7)})
	code := where("code", search.TokenTest{System: loinc, Code: "code-3"})
	mrn := where("identifier", search.TokenTest{System: "http://mrn", Code: "mrn-7"})
	newest := []search.Sort{{Param: "date", Descending: true}}
	observations, patients := []string{"Observation"}, []string{"Patient"}
	for _, c := range []struct {
		name string
		q    search.Query
	}{
		{"identifier", search.Query{Types: patients, Where: mrn}},
		{"id", search.Query{Types: observations, Where: search.HasID{IDs: []string{observation(17).ID}}}},
		{"patient", search.Query{Types: observations, Where: patient}},
		{"patient sorted by date", search.Query{Types: observations, Where: patient, Sort: newest}},
		{"patient and code", search.Query{Types: observations, Where: search.All{patient, code}}},
		{"chain to identifier", search.Query{Types: observations, Where: search.Chain{Param: "patient", Type: "Patient", Of: mrn}}},
		{"has one patient's", search.Query{Types: patients, Where: search.Reverse{Type: "Observation", Param: "patient", Of: search.All{patient, code}}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			var took [2][]time.Duration
			for b.Loop() {
				for i, db := range stores {
					start := time.Now()
					page, err := db.Search(b.Context(), store.Select{Query: &c.q, Limit: 20})
					if took[i] = append(took[i], time.Since(start)); err != nil || len(page.Records) == 0 {
						b.Fatal(err, len(page.Records))
					}
				}
			}
			var median [2]float64
			for i := range took {
				slices.Sort(took[i])
				median[i] = float64(took[i][len(took[i])/2].Nanoseconds()) / 1000
			}
			b.ReportMetric(median[0], "p50-µs-1k")
			b.ReportMetric(median[1], "p50-µs-100k")
			b.ReportMetric(median[1]/median[0], "ratio")
		})
	}
}
