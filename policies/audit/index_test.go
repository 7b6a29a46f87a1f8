package audit_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"galen/fhir"
	"galen/fhir/search"
	"galen/policies/audit"
	"galen/policies/audit/balp"
	"galen/store"
	"galen/store/mem"
)

var (
	noon     = time.Date(2026, 11, 24, 12, 0, 0, 123456000, time.UTC)
	renderer = balp.Renderer{Site: "galen-1", Base: "https://galen.example/fhir"}
)

// patients finds AuditEvents by the patients they name.
type patients struct{}

func (patients) Index(r fhir.Resource) ([]search.Entry, error) {
	var list []search.Entry
	for e := range r.Root().Get("entity").Items() {
		if ref := fhir.ParseReference(e.Get("what").Get("reference").Text()); ref.Key.Type == "Patient" {
			list = append(list, search.Entry{Param: "patient", Value: search.Reference{Key: ref.Key}})
		}
	}
	return list, nil
}

func about(id string) *search.Query {
	return &search.Query{Types: []string{"AuditEvent"}, Where: search.Where{
		Param: "patient", Any: []search.Test{search.ReferenceTest{Key: fhir.Key{Type: "Patient", ID: id}}},
	}}
}

func openLog(t *testing.T) *audit.Log {
	t.Helper()
	l, err := audit.Open(t.TempDir(), audit.Options{Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func add(t *testing.T, l *audit.Log, of ...string) uint64 {
	t.Helper()
	e := audit.Entry{Kind: audit.Search, Agent: audit.Agent{Subject: "dr-a"}, Patients: of, Query: []byte("GET /fhir/Patient")}
	first, err := l.Append(context.Background(), e)
	if err != nil {
		t.Error(err)
	}
	return first
}

func count(t *testing.T, d store.Driver, q *search.Query) int {
	t.Helper()
	n, err := d.Count(t.Context(), q)
	if err != nil {
		t.Error(err)
	}
	return n
}

func newIndex(l *audit.Log, d store.Driver) *audit.Index {
	return audit.NewIndex(l, d, patients{}, renderer)
}

func TestIndexSeesWhatWasAcknowledged(t *testing.T) {
	l := openLog(t)
	x := newIndex(l, mem.New())
	if n := count(t, x, about("p1")); n != 0 {
		t.Fatal(n)
	}
	for i := range 5 {
		add(t, l, "Patient/p1", "Patient/p2")
		if n := count(t, x, about("p2")); n != i+1 {
			t.Fatalf("%d events after %d entries", n, i+1)
		}
	}
	add(t, l, "Patient/p1")
	page, err := x.Search(t.Context(), store.Select{Query: about("p1"), Limit: 10})
	if err != nil || len(page.Records) != 6 || page.Records[5].ID != "a6" || page.Records[0].ID != "a1-1" {
		t.Fatalf("%+v %v", page, err)
	}
	records, err := x.Read(t.Context(), fhir.Key{Type: "AuditEvent", ID: "a6"}, fhir.Key{Type: "AuditEvent", ID: "a7"})
	if err != nil || !records[0].Exists() || records[1].Exists() {
		t.Errorf("%v %v", records, err)
	}
	add(t, l, "Patient/p3")
	if r, err := x.ReadVersion(t.Context(), fhir.Key{Type: "AuditEvent", ID: "a7"}, 1); err != nil || !r.Exists() {
		t.Errorf("%v %v", r, err)
	}
	add(t, l, "Patient/p3")
	if h, err := x.History(t.Context(), store.HistorySelect{Type: "AuditEvent", ID: "a8", Limit: 5}); err != nil || len(h.Records) != 1 {
		t.Errorf("%v %v", h, err)
	}
	if err := x.Commit(t.Context(), nil); err == nil {
		t.Error("the index can be written to")
	}
}

// The store behind the index can be kept, lost or lag behind: the answers are
// the same, nothing is there twice.
func TestIndexResumesAndRebuilds(t *testing.T) {
	l := openLog(t) // the clock stands still: all in one millisecond
	d := mem.New()
	for range 300 {
		add(t, l, "Patient/p1", "Patient/p2", "Patient/p3")
	}
	if n := count(t, newIndex(l, d), about("p1")); n != 300 {
		t.Fatal(n)
	}
	for range 10 {
		add(t, l, "Patient/p1")
	}
	if n := count(t, newIndex(l, d), about("p1")); n != 310 {
		t.Errorf("resumed: %d", n)
	}
	if n := count(t, newIndex(l, mem.New()), about("p1")); n != 310 {
		t.Errorf("rebuilt: %d", n)
	}
	if n := count(t, newIndex(l, d), &search.Query{Types: []string{"AuditEvent"}}); n != 910 {
		t.Errorf("in all: %d", n)
	}
}

// A store that knows more than the log belongs to another log, or the log lost
// its end: neither must answer as if nothing were wrong.
func TestIndexOfAnotherLogIsRefused(t *testing.T) {
	l, d := openLog(t), mem.New()
	for range 3 {
		add(t, l, "Patient/p1")
	}
	if n := count(t, newIndex(l, d), about("p1")); n != 3 {
		t.Fatal(n)
	}
	other := openLog(t)
	add(t, other, "Patient/p2")
	if _, err := newIndex(other, d).Count(t.Context(), about("p2")); fhir.KindOf(err) != fhir.Internal {
		t.Error(err)
	}
}

// flaky fails after some commits and cannot commit several writes at once.
type flaky struct {
	store.Driver
	left int
}

func (f *flaky) Caps() store.Caps { return store.Caps{} }

func (f *flaky) Commit(ctx context.Context, writes []store.Write) error {
	if len(writes) != 1 {
		return errors.New("one at a time")
	}
	if f.left--; f.left < 0 {
		return fhir.E("test", fhir.Unavailable, "", "gone")
	}
	return f.Driver.Commit(ctx, writes)
}

func TestIndexGoesOnAfterAFailure(t *testing.T) {
	l := openLog(t)
	for range 20 {
		add(t, l, "Patient/p1", "Patient/p2", "Patient/p3")
	}
	d := &flaky{Driver: mem.New(), left: 31} // stops within an entry
	x := newIndex(l, d)
	if _, err := x.Count(t.Context(), about("p1")); fhir.KindOf(err) != fhir.Unavailable {
		t.Fatal(err)
	}
	d.left = 1000
	for name, x := range map[string]*audit.Index{"same": x, "new process": newIndex(l, d)} {
		if n := count(t, x, &search.Query{Types: []string{"AuditEvent"}}); n != 60 {
			t.Errorf("%s: %d", name, n)
		}
	}
}

func TestIndexWhileAppending(t *testing.T) {
	l := openLog(t)
	x := newIndex(l, mem.New())
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			me := fmt.Sprintf("w%d", i)
			for n := range 25 {
				add(t, l, "Patient/"+me)
				if got := count(t, x, about(me)); got != n+1 {
					t.Errorf("%s: %d of %d", me, got, n+1)
				}
			}
		})
	}
	wg.Wait()
}

func TestIndexHeedsTheContext(t *testing.T) {
	l := openLog(t)
	add(t, l, "Patient/p1")
	x := newIndex(l, mem.New())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := x.CatchUp(ctx); fhir.KindOf(err) != fhir.Timeout {
		t.Error(err)
	}
	if n := count(t, x, about("p1")); n != 1 {
		t.Error(n)
	}
}

// In the background the index works when nothing is appended.
func TestIndexRunsWhenIdle(t *testing.T) {
	l, d := openLog(t), mem.New()
	x := newIndex(l, d)
	ctx, cancel := context.WithCancel(t.Context())
	ticks := make(chan time.Time)
	var wg sync.WaitGroup
	wg.Go(func() { x.Run(ctx, ticks, func(err error) { t.Error(err) }) })
	tick := func() { ticks <- noon }
	add(t, l, "Patient/p1")
	tick() // sees the new entry
	tick() // received after the first was done: busy, nothing taken over yet
	tick() // received after the second was done: idle
	if n := count(t, d, about("p1")); n != 1 {
		t.Errorf("%d after an idle tick", n)
	}
	add(t, l, "Patient/p1")
	tick()
	cancel()
	wg.Wait()
	if n := count(t, d, about("p1")); n != 1 {
		t.Errorf("%d after a busy tick", n)
	}
}
