package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"galen/fhir"
	"galen/fhir/search"
	"galen/store"
)

func testRead(t *testing.T, h Harness) {
	d := h.open(t)
	first, second := write(patient(1), 1), write(patient(1), 2)
	commit(t, d, first)
	commit(t, d, second)
	records, err := d.Read(t.Context(), patient(2), patient(1), patient(1))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "Read in the order of the keys, zero for a key never used", records, []store.Record{{}, second.Record, second.Record})
	for version, want := range map[int64]store.Record{0: {}, 1: first.Record, 2: second.Record, 3: {}} {
		got, err := d.ReadVersion(t.Context(), patient(1), version)
		if err != nil {
			t.Fatal(err)
		}
		same(t, fmt.Sprintf("ReadVersion %d", version), got, want)
	}
	if r, err := d.ReadVersion(t.Context(), patient(2), 1); err != nil || r.Exists() {
		t.Errorf("ReadVersion of a key never used = %v, %v", r.Header, err)
	}
	same(t, "ids are told apart by case", current(t, d, fhir.Key{Type: "Patient", ID: "P1"}), store.Record{})
}

func testExpect(t *testing.T, h Harness) {
	d := h.open(t)
	commit(t, d, write(patient(1), 1))
	for name, w := range map[string]store.Write{
		"used key as new":    write(patient(1), 1),
		"version too high":   write(patient(1), 3),
		"unused key as used": write(patient(2), 2),
	} {
		err := d.Commit(t.Context(), []store.Write{w})
		var conflict *store.ConflictError
		if !errors.As(err, &conflict) || conflict.Unless || conflict.Index != 0 {
			t.Errorf("%s: %v, want a ConflictError", name, err)
			continue
		}
		same(t, name+": Actual", conflict.Actual, current(t, d, w.Key).Header)
	}
	same(t, "nothing was written", current(t, d, patient(1)), write(patient(1), 1).Record)
}

func testUnless(t *testing.T, h Harness) {
	d := h.open(t)
	unless := patients(byCode("identifier", "a"))
	create := func(n int) error {
		w := write(patient(n), 1, code("identifier", "s", "a"))
		w.Unless = unless
		return d.Commit(t.Context(), []store.Write{w})
	}
	if err := create(1); err != nil {
		t.Fatalf("the first: %v", err)
	}
	var conflict *store.ConflictError
	if err := create(2); !errors.As(err, &conflict) || !conflict.Unless {
		t.Fatalf("the second: %v, want a ConflictError by Unless", err)
	}
	same(t, "Found", conflict.Found, []fhir.Key{patient(1)})
	for n := 3; n < 6; n++ {
		commit(t, d, write(patient(n), 1, code("identifier", "s", "a")))
	}
	if err := create(6); !errors.As(err, &conflict) || len(conflict.Found) != 2 {
		t.Errorf("of many: %v, want a ConflictError with two keys", err)
	}
	for _, n := range []int{1, 3, 4, 5} {
		commit(t, d, tombstone(patient(n), 2))
	}
	if err := create(7); err != nil {
		t.Errorf("a deleted resource matched: %v", err)
	}
}

func testAtomic(t *testing.T, h Harness) {
	d := h.open(t)
	needTransactions(t, d)
	commit(t, d, write(patient(1), 1, code("identifier", "", "old")))
	err := d.Commit(t.Context(), []store.Write{
		write(patient(2), 1, code("identifier", "", "new")),
		write(patient(1), 2, code("identifier", "", "new")),
		write(patient(3), 7),
	})
	var conflict *store.ConflictError
	if !errors.As(err, &conflict) || conflict.Index != 2 {
		t.Fatalf("Commit = %v, want a conflict of write 2", err)
	}
	same(t, "new", find(t, d, patients(byCode("identifier", "new"))), []fhir.Key{})
	same(t, "old", find(t, d, patients(byCode("identifier", "old"))), []fhir.Key{patient(1)})
	same(t, "version", current(t, d, patient(1)).Version, int64(1))
	both := write(patient(4), 1, code("identifier", "", "x"))
	other := write(patient(5), 1, code("identifier", "", "x"))
	both.Unless, other.Unless = patients(byCode("identifier", "x")), patients(byCode("identifier", "x"))
	commit(t, d, both, other) // both conditions are of the moment before the commit
	same(t, "two conditional creates of one commit", find(t, d, both.Unless), []fhir.Key{patient(4), patient(5)})
}

func testTombstone(t *testing.T, h Harness) {
	d := h.open(t)
	commit(t, d, write(patient(1), 1, code("identifier", "", "a")))
	commit(t, d, write(patient(2), 1, code("identifier", "", "a")))
	gone := tombstone(patient(1), 2)
	commit(t, d, gone)
	same(t, "Read", current(t, d, patient(1)), gone.Record)
	same(t, "not found by value", find(t, d, patients(byCode("identifier", "a"))), []fhir.Key{patient(2)})
	same(t, "not found at all", find(t, d, &search.Query{}), []fhir.Key{patient(2)})
	same(t, "not found by id", find(t, d, patients(search.HasID{IDs: []string{"p1"}})), []fhir.Key{})
	back := write(patient(1), 3, code("identifier", "", "b"))
	commit(t, d, back)
	same(t, "back, at its old place", find(t, d, patients(nil)), []fhir.Key{patient(1), patient(2)})
	same(t, "by its new value", find(t, d, patients(byCode("identifier", "b"))), []fhir.Key{patient(1)})
	same(t, "not by its old", find(t, d, patients(byCode("identifier", "a"))), []fhir.Key{patient(2)})
	old, err := d.ReadVersion(t.Context(), patient(1), 2)
	if err != nil || !old.Deleted || old.Method != store.Delete {
		t.Errorf("the tombstone in between = %+v, %v", old.Header, err)
	}
}

// testBodies: bytes come back as they were (resources are bytes).
func testBodies(t *testing.T, h Harness) {
	d := h.open(t)
	large := make([]byte, 5<<20) // fhir.md 56
	random := rand.New(rand.NewPCG(1, 2))
	for i := range large {
		large[i] = byte(random.Uint32())
	}
	for name, body := range map[string][]byte{
		"Nul": []byte("{\"a\":\"\x00\"}"), "Unicode": []byte(`{"a":"😀ü\u0000"}`), "Large": large, "Decimal": []byte(`{"a":1.00}`),
	} {
		w := write(fhir.Key{Type: "Binary", ID: name}, 1)
		w.Body = body
		commit(t, d, w)
		if got := current(t, d, w.Key); string(got.Body) != string(body) {
			t.Errorf("%s: the body is another", name)
		}
	}
}

func testHistory(t *testing.T, h Harness) {
	d := h.open(t)
	writes := []store.Write{
		write(patient(1), 1), write(patient(2), 1), write(patient(1), 2), tombstone(patient(1), 3), write(patient(1), 4),
		write(fhir.Key{Type: "Device", ID: "p1"}, 1),
	}
	for i := range writes {
		writes[i].LastUpdated = epoch.Add(time.Duration(i/2) * time.Second) // pairs at one moment
		commit(t, d, writes[i])
	}
	record := func(order ...int) []store.Record {
		list := make([]store.Record, len(order))
		for i, n := range order {
			list[i] = writes[n].Record
		}
		return list
	}
	cases := []struct {
		name string
		s    store.HistorySelect
		want []store.Record
	}{
		{"of a resource", store.HistorySelect{Type: "Patient", ID: "p1"}, record(4, 3, 2, 0)},
		{"of a type", store.HistorySelect{Type: "Patient"}, record(4, 3, 2, 1, 0)},
		{"of all", store.HistorySelect{}, record(5, 4, 3, 2, 1, 0)},
		{"since", store.HistorySelect{Type: "Patient", Since: epoch.Add(time.Second)}, record(4, 3, 2)},
		{"until", store.HistorySelect{Type: "Patient", ID: "p1", Until: epoch.Add(2 * time.Second)}, record(3, 2, 0)},
		{"of none", store.HistorySelect{Type: "Patient", ID: "p9"}, nil},
		{"of an unused type", store.HistorySelect{Type: "Media"}, nil},
	}
	for _, c := range cases {
		for limit := 1; limit <= 7; limit += 2 {
			c.s.Limit, c.s.Total, c.s.Oldest = limit, true, false
			got, total := historyPages(t, d, c.s)
			same(t, fmt.Sprintf("%s, pages of %d", c.name, limit), got, c.want)
			same(t, c.name+": Total", total, len(c.want))
			c.s.Oldest = true
			got, _ = historyPages(t, d, c.s)
			slices.Reverse(got)
			same(t, fmt.Sprintf("%s, oldest first, pages of %d", c.name, limit), got, c.want)
		}
	}
}

func historyPages(t *testing.T, d store.Driver, s store.HistorySelect) (all []store.Record, total int) {
	t.Helper()
	for {
		page, err := d.History(t.Context(), s)
		if err != nil {
			t.Fatalf("History: %v", err)
		}
		all = append(all, page.Records...)
		if s.After == nil {
			total = page.Total
		}
		if page.Next == nil {
			return all, total
		}
		if len(page.Records) != s.Limit {
			t.Fatalf("a page of %d versions with a next page", len(page.Records))
		}
		s.After = page.Next
	}
}

// testHistoryPaging: fhir.md 50, stable while writing.
func testHistoryPaging(t *testing.T, h Harness) {
	d := h.open(t)
	for n := range 20 {
		commit(t, d, write(patient(n), 1))
	}
	s := store.HistorySelect{Type: "Patient", Limit: 3}
	seen := map[fhir.Key]int{}
	for n := 0; ; n++ {
		page, err := d.History(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Records {
			if r.Version == 1 {
				seen[r.Key]++
			}
		}
		if page.Next == nil {
			break
		}
		s.After = page.Next
		commit(t, d, write(patient(n), 2))
		commit(t, d, write(patient(100+n), 1))
	}
	for n := range 20 {
		if seen[patient(n)] != 1 {
			t.Errorf("version 1 of resource %d was seen %d times", n, seen[patient(n)])
		}
	}
}

func testOrder(t *testing.T, h Harness) {
	d := h.open(t)
	name := func(s string) search.Entry {
		return search.Entry{Param: "name", Value: search.String{Exact: s, Norm: search.Normalize(s)}}
	}
	commit(t, d, write(patient(1), 1, name("Berg"), name("Adler")))
	commit(t, d, write(patient(2), 1))
	commit(t, d, write(patient(3), 1, name("Carl")))
	commit(t, d, write(patient(4), 1, name("berg")))
	commit(t, d, write(patient(5), 1))
	by := func(n ...int) []fhir.Key {
		keys := make([]fhir.Key, len(n))
		for i := range n {
			keys[i] = patient(n[i])
		}
		return keys
	}
	cases := []struct {
		name string
		sort []search.Sort
		want []fhir.Key
	}{
		{"creation", nil, by(1, 2, 3, 4, 5)},
		{"ascending by the least, missing last", []search.Sort{{Param: "name"}}, by(1, 4, 3, 2, 5)},
		{"descending by the greatest, missing last", []search.Sort{{Param: "name", Descending: true}}, by(3, 1, 4, 2, 5)},
		{"_id", []search.Sort{{Param: "_id", Descending: true}}, by(5, 4, 3, 2, 1)},
		{"_lastUpdated, ties by creation", []search.Sort{{Param: "_lastUpdated", Descending: true}}, by(1, 2, 3, 4, 5)},
		{"two keys", []search.Sort{{Param: "_lastUpdated"}, {Param: "_id", Descending: true}}, by(5, 4, 3, 2, 1)},
	}
	for _, c := range cases {
		for limit := 1; limit <= 6; limit++ {
			keys, err := walkPages(t.Context(), d, patients(nil, c.sort...), limit)
			if err != nil {
				t.Fatal(err)
			}
			same(t, fmt.Sprintf("%s, pages of %d", c.name, limit), keys, c.want)
		}
	}
}

func testBadCursor(t *testing.T, h Harness) {
	d := h.open(t)
	commit(t, d, write(patient(1), 1))
	for _, after := range [][]byte{{}, {0xff}, []byte("nonsense"), make([]byte, 200)} {
		for _, sorts := range [][]search.Sort{nil, {{Param: "name"}, {Param: "_id"}}} {
			_, err := d.Search(t.Context(), store.Select{Query: patients(nil, sorts...), Limit: 1, After: after})
			if err != nil && fhir.KindOf(err) != fhir.Value {
				t.Errorf("Search after %d bytes of nonsense: %v, want Kind Value or none", len(after), err)
			}
		}
		_, err := d.History(t.Context(), store.HistorySelect{Limit: 1, After: after})
		if err != nil && fhir.KindOf(err) != fhir.Value {
			t.Errorf("History after %d bytes of nonsense: %v, want Kind Value or none", len(after), err)
		}
	}
	_, err := d.Search(t.Context(), store.Select{Query: patients(nil), Limit: 1, After: []byte("nonsense")})
	if fhir.KindOf(err) != fhir.Value || err == nil {
		t.Errorf("Search after nonsense: %v, want Kind Value", err)
	}
}

// testPagingWhileWriting: fhir.md 38, no duplicate and no missing of unchanged
// rows with inserts, updates and deletes between pages.
func testPagingWhileWriting(t *testing.T, h Harness) {
	for _, sorts := range [][]search.Sort{nil, {{Param: "identifier"}}, {{Param: "identifier", Descending: true}}} {
		d := h.open(t)
		for n := range 60 {
			commit(t, d, write(patient(n), 1, code("identifier", "", fmt.Sprint(n%7)), code("active", "", "true")))
		}
		seen := map[fhir.Key]int{}
		s := store.Select{Query: patients(byCode("active", "true"), sorts...), Limit: 4}
		for n := 0; ; n++ {
			page, err := d.Search(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page.Records {
				seen[r.Key]++
			}
			if page.Next == nil {
				break
			}
			s.After = page.Next
			commit(t, d, write(patient(1000+n), 1, code("identifier", "", fmt.Sprint(n%7)), code("active", "", "true")))
			commit(t, d, tombstone(patient(3*n), 2))
			commit(t, d, write(patient(3*n+1), 2, code("identifier", "", "4"), code("active", "", "true")))
		}
		for n := 2; n < 60; n += 3 { // those never touched
			if seen[patient(n)] != 1 {
				t.Errorf("sorted by %v: unchanged resource %d was seen %d times", sorts, n, seen[patient(n)])
			}
		}
	}
}

// testManyValues: 1,000 OR values in one token parameter (fhir.md 56).
func testManyValues(t *testing.T, h Harness) {
	d := h.open(t)
	var tests []search.Test
	var ids []string
	for n := range 1000 {
		tests = append(tests, search.TokenTest{AnySystem: true, Code: fmt.Sprint(n)})
		ids = append(ids, patient(n).ID)
	}
	for n := 990; n < 1010; n++ {
		commit(t, d, write(patient(n), 1, code("identifier", fmt.Sprint("s", n%3), fmt.Sprint(n))))
	}
	want := make([]fhir.Key, 0, 10)
	for n := 990; n < 1000; n++ {
		want = append(want, patient(n))
	}
	same(t, "1,000 codes", find(t, d, patients(search.Where{Param: "identifier", Any: tests})), want)
	same(t, "1,000 ids", find(t, d, patients(search.HasID{IDs: ids})), want)
	same(t, "none of 1,000 codes", len(find(t, d, patients(search.Not{Of: search.Where{Param: "identifier", Any: tests}}))), 10)
}

func testCancel(t *testing.T, h Harness) {
	d := h.open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Commit(ctx, []store.Write{write(patient(1), 1)}); fhir.KindOf(err) != fhir.Timeout || err == nil {
		t.Errorf("Commit with an ended context: %v, want Kind Timeout", err)
	}
	same(t, "nothing was written", current(t, d, patient(1)), store.Record{})
	commit(t, d, write(patient(1), 1)) // and the driver still works
}

func testReopen(t *testing.T, h Harness) {
	if h.Reopen == nil {
		t.Skip("skipped: the driver keeps nothing (Harness.Reopen)")
	}
	d := h.Open(t)
	commit(t, d, write(patient(1), 1, code("identifier", "s", "a"), search.Entry{Param: "subject", Value: search.Reference{Key: patient(7)}}))
	commit(t, d, write(patient(1), 2, code("identifier", "s", "b")))
	commit(t, d, write(patient(2), 1, code("identifier", "s", "b")))
	d = h.Reopen(t, d)
	defer d.Close()
	same(t, "current", current(t, d, patient(1)), write(patient(1), 2).Record)
	same(t, "search", find(t, d, patients(byCode("identifier", "b"))), []fhir.Key{patient(1), patient(2)})
	same(t, "old value", find(t, d, patients(byCode("identifier", "a"))), []fhir.Key{})
	commit(t, d, write(patient(3), 1, code("identifier", "t", "b")))
	same(t, "search after a write", find(t, d, patients(byCode("identifier", "b"))), []fhir.Key{patient(1), patient(2), patient(3)})
}
