package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"galen/fhir"
	"galen/fhir/decimal"
	"galen/fhir/search"
	"galen/store"
	"galen/store/sqlite"
)

// The benchmarks use Observations as Synthea's: 1.2 KB, vital signs and labs.
const (
	benchPatients = 1000
	benchCodes    = 50
	loinc         = "http://loinc.org"
	ucum          = "http://unitsofmeasure.org"
)

var benchBody = `{"resourceType":"Observation","id":"%s","meta":{"versionId":"1"},"text":"` + strings.Repeat("x", 1080) + `","n":%d}`

func observation(n int) store.Write {
	patient := fhir.Key{Type: "Patient", ID: fmt.Sprintf("6f1a2b3c-0000-4000-8000-%012d", n%benchPatients)}
	id := fmt.Sprintf("9e1a2b3c-0000-4000-8000-%012d", n)
	code := search.Token{System: loinc, Code: fmt.Sprintf("%d-%d", 8000+n/benchPatients%benchCodes, n/benchPatients%10), Folded: true}
	low := fhir.Instant(1_600_000_000_000_000 + int64(n)*1_000_000)
	d, _ := decimal.Parse(strconv.Itoa(60+n%100) + ".5")
	value := search.Quantity{Range: search.Range{Low: d, High: d}, System: ucum, Code: "kg", Unit: "kg", CanonicalUnit: "g"}
	value.Canonical.Low = d.Mul(decimal.FromInt(1000))
	value.Canonical.High = value.Canonical.Low
	entries := []search.Entry{}
	add := func(v search.Value, params ...string) {
		for _, p := range params {
			entries = append(entries, search.Entry{Param: p, Value: v})
		}
	}
	add(code, "code", "combo-code")
	add(search.Text{Norm: "the name of code " + code.Code}, "code", "combo-code")
	add(search.Token{System: "http://terminology.hl7.org/CodeSystem/observation-category", Code: "vital-signs"}, "category")
	add(search.Text{Norm: "vital signs"}, "category")
	add(search.Token{System: "http://hl7.org/fhir/observation-status", Code: "final"}, "status")
	add(search.Reference{Key: patient}, "patient", "subject")
	add(search.Reference{Key: fhir.Key{Type: "Encounter", ID: fmt.Sprintf("7e1a2b3c-0000-4000-8000-%012d", n/10)}}, "encounter")
	add(search.Date{Period: fhir.Period{Low: low, High: low + 1_000_000}}, "date")
	add(value, "value-quantity", "combo-value-quantity")
	add(search.Composite{Parts: []search.Value{code, value}}, "code-value-quantity", "combo-code-value-quantity")
	return store.Write{
		Record: store.Record{
			Header: fhir.Header{Key: fhir.Key{Type: "Observation", ID: id}, Version: 1, LastUpdated: time.UnixMilli(1_700_000_000_000 + int64(n)).UTC()},
			Body:   fmt.Appendf(nil, benchBody, id, n), Method: store.Post,
		},
		Entries: entries,
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// load inserts n Observations in transactions of 100 from 8 goroutines.
func load(b *testing.B, db *sqlite.DB, from, n int) {
	b.Helper()
	var next atomic.Int64
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for {
				start := int(next.Add(100)) - 100
				if start >= n {
					return
				}
				writes := make([]store.Write, 0, 100)
				for i := start; i < min(start+100, n); i++ {
					writes = append(writes, observation(from+i))
				}
				if err := db.Commit(context.Background(), writes); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wait.Wait()
}

func rss() int {
	text, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmRSS:" {
			kb, _ := strconv.Atoi(f[1])
			return kb / 1024
		}
	}
	return 0
}

// BenchmarkInsert reports resources per second and CPU per resource, durable.
func BenchmarkInsert(b *testing.B) {
	for b.Loop() {
		n := 20_000
		if s := os.Getenv("GALEN_BENCH_RESOURCES"); s != "" {
			n, _ = strconv.Atoi(s)
		}
		dir := b.TempDir()
		db := open(b, sqlite.Options{Dir: dir})
		start, used := time.Now(), cpu()
		load(b, db, 0, n)
		b.ReportMetric(float64(n)/time.Since(start).Seconds(), "resources/s")
		b.ReportMetric(float64((cpu()-used).Microseconds())/float64(n), "cpu-µs/resource")
		db.Close()
		info, _ := os.Stat(filepath.Join(dir, sqlite.File))
		b.ReportMetric(float64(info.Size())/float64(n*len(observation(0).Body)), "disk/json")
		b.ReportMetric(float64(rss()), "RSS-MB")
	}
}

// BenchmarkCreate is one durable create by one client.
func BenchmarkCreate(b *testing.B) {
	db := open(b, sqlite.Options{})
	defer db.Close()
	n := 0
	for b.Loop() {
		if err := db.Commit(b.Context(), []store.Write{observation(n)}); err != nil {
			b.Fatal(err)
		}
		n++
	}
}

// BenchmarkSearch has the searches of performance.md.
func BenchmarkSearch(b *testing.B) {
	n := 50_000
	if s := os.Getenv("GALEN_BENCH_RESOURCES"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	db := open(b, sqlite.Options{})
	defer db.Close()
	load(b, db, 0, n)
	where := func(param string, tests ...search.Test) search.Expr { return search.Where{Param: param, Any: tests} }
	patient := where("patient", search.ReferenceTest{Key: fhir.Key{Type: "Patient", ID: fmt.Sprintf("6f1a2b3c-0000-4000-8000-%012d", 7)}})
	code := where("code", search.TokenTest{System: loinc, Code: "8003-3"})
	status := where("status", search.TokenTest{AnySystem: true, Code: "final"})
	low := fhir.Instant(1_600_000_000_000_000 + int64(n/2)*1_000_000)
	since := where("date", search.DateTest{Op: search.Lt, Period: fhir.Period{Low: low, High: low + 1}})
	value := where("value-quantity", search.QuantityTest{AnyUnit: true, AnySystem: true, NumberTest: search.NumberTest{Op: search.Gt, Value: decimal.FromInt(159)}})
	newest := []search.Sort{{Param: "date", Descending: true}}
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			if r, err := db.Read(b.Context(), observation(17).Key); err != nil || !r[0].Exists() {
				b.Fatal(err)
			}
		}
	})
	for _, c := range []struct {
		name string
		q    search.Query
	}{
		{"id", search.Query{Where: search.HasID{IDs: []string{observation(17).ID}}}},
		{"patient", search.Query{Where: patient}},
		{"code", search.Query{Where: code}},
		{"patient+code", search.Query{Where: search.All{patient, code}}},
		{"code sorted by date", search.Query{Where: code, Sort: newest}},
		{"patient+code sorted by date", search.Query{Where: search.All{patient, code}, Sort: newest}},
		{"patient+code+date sorted by date", search.Query{Where: search.All{patient, code, since}, Sort: newest}},
		{"patient sorted by date", search.Query{Where: patient, Sort: newest}},
		{"patient+status", search.Query{Where: search.All{status, patient}}},
		{"status", search.Query{Where: status}},
		{"status+value", search.Query{Where: search.All{status, value}}},
		{"all by update", search.Query{Sort: []search.Sort{{Param: "_lastUpdated", Descending: true}}}},
		{"all by date", search.Query{Sort: newest}},
	} {
		c.q.Types = []string{"Observation"}
		b.Run(c.name, func(b *testing.B) {
			hits := 0
			for b.Loop() {
				page, err := db.Search(b.Context(), store.Select{Query: &c.q, Limit: 20})
				if err != nil || len(page.Records) == 0 {
					b.Fatal(err, len(page.Records))
				}
				hits = len(page.Records)
			}
			b.ReportMetric(float64(hits), "hits")
		})
		b.Run("count "+c.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := db.Count(b.Context(), &c.q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("read x8", func(b *testing.B) {
		b.SetParallelism(8 / runtime.GOMAXPROCS(0))
		b.RunParallel(func(pb *testing.PB) {
			for n := 0; pb.Next(); n++ {
				if r, err := db.Read(context.Background(), observation(n%1000).Key); err != nil || !r[0].Exists() {
					b.Error(err)
				}
			}
		})
	})
}
