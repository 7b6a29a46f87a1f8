package history_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"galen/fhir"
	"galen/fhir/history"
	"galen/store"
)

// https://hl7.org/fhir/R4/http.html#history
func TestRead(t *testing.T) {
	cases := []struct {
		name, query, self string
		kind              fhir.Kind // of the error if self is "-"
	}{
		{"nothing", "", "", 0},
		{"_since is an instant", "_since=2026-01-02T03:04:05Z", "_since=2026-01-02T03%3A04%3A05Z", 0},
		{"_since with a plus that became a space", "_since=2026-01-02T03:04:05+01:00", "_since=2026-01-02T03%3A04%3A05+01%3A00", 0},
		{"_at is any date", "_at=2026-01", "_at=2026-01", 0},
		{"_count", "_count=5", "_count=5", 0},
		{"_count above the maximum is capped and said so", "_count=5000", "_count=100", 0},
		{"newest first", "_sort=-_lastUpdated", "_sort=-_lastUpdated", 0},
		{"what history does not have is passed over", "_format=json&_pretty=true&family=x", "", 0},
		{"bad _since", "_since=yesterday", "-", fhir.Value},
		{"bad _at", "_at=2026-13", "-", fhir.Value},
		{"negative _count", "_count=-1", "-", fhir.Value},
		{"_count that is no number", "_count=x", "-", fhir.Value},
		{"two _since", "_since=2026&_since=2025", "-", fhir.Value},
		{"oldest first", "_sort=_lastUpdated", "_sort=_lastUpdated", 0},
		{"another order", "_sort=_id", "-", fhir.NotSupported},
		{"_list", "_list=1", "-", fhir.NotSupported},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			query, err := url.ParseQuery(c.query)
			if err != nil {
				t.Fatal(err)
			}
			r, err := history.Read(query)
			if (err != nil) != (c.self == "-") {
				t.Fatalf("error %v", err)
			}
			if err != nil {
				if fhir.KindOf(err) != c.kind {
					t.Errorf("Kind %v, want %v", fhir.KindOf(err), c.kind)
				}
				return
			}
			r.Limit(20, 100)
			if got := r.Values().Encode(); got != c.self {
				t.Errorf("self %q, want %q", got, c.self)
			}
		})
	}
}

func TestLimit(t *testing.T) {
	for text, want := range map[string]int{"": 20, "_count=0": 0, "_count=7": 7, "_count=1000": 100} {
		query, err := url.ParseQuery(text)
		if err != nil {
			t.Fatal(err)
		}
		r, err := history.Read(query)
		if err != nil {
			t.Fatal(err)
		}
		if r.Limit(20, 100); r.Count != want {
			t.Errorf("%q: %d, want %d", text, r.Count, want)
		}
	}
}

// two is a resource with two versions, made on the given days, the second
// perhaps a deletion.
type two struct{ first, second store.Record }

func (v two) ReadVersion(_ context.Context, _ fhir.Key, version int64) (store.Record, error) {
	if version == 2 && v.second.Exists() {
		if v.second.Deleted {
			return v.second, fhir.E("", fhir.Deleted, "", "")
		}
		return v.second, nil
	}
	return store.Record{}, fhir.E("", fhir.NotFound, "", "")
}

// _at: "only include resource versions that were current at some point during
// the time period specified".
func TestCurrentIn(t *testing.T) {
	r, err := history.Read(url.Values{"_at": {"2026-02"}})
	if err != nil {
		t.Fatal(err)
	}
	day := func(month, day int) time.Time { return time.Date(2026, time.Month(month), day, 0, 0, 0, 0, time.UTC) }
	cases := []struct {
		name          string
		made, next    time.Time // next is zero for no second version
		deleted       bool
		first, second bool
	}{
		{"made in it", day(2, 3), time.Time{}, false, true, false},
		{"made before, still current", day(1, 3), time.Time{}, false, true, false},
		{"made before, replaced in it", day(1, 3), day(2, 3), false, true, true},
		{"made before, deleted in it", day(1, 3), day(2, 3), true, true, true},
		{"made before, replaced before", day(1, 3), day(1, 4), false, false, true},
		{"made before, deleted before", day(1, 3), day(1, 4), true, false, false},
		{"replaced as it began", day(1, 3), day(2, 1), false, false, true},
		{"made after", day(3, 1), time.Time{}, false, false, false},
		{"made in it, replaced after", day(2, 3), day(4, 3), false, true, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v := two{first: store.Record{Header: fhir.Header{Version: 1, LastUpdated: c.made}}}
			if !c.next.IsZero() {
				v.second = store.Record{Header: fhir.Header{Version: 2, LastUpdated: c.next}, Deleted: c.deleted}
			}
			keep := r.CurrentIn(t.Context(), v)
			if got, err := keep(v.first); err != nil || got != c.first {
				t.Errorf("first version: %v, %v", got, err)
			}
			if !v.second.Exists() {
				return
			}
			if got, err := keep(v.second); err != nil || got != c.second {
				t.Errorf("second version: %v, %v", got, err)
			}
		})
	}
}

func TestLinks(t *testing.T) {
	r, err := history.Read(url.Values{"_count": {"5"}, "_format": {"json"}})
	if err != nil {
		t.Fatal(err)
	}
	self, next := r.Links("http://h/fhir/_history", "_page", "a+b")
	if self != "http://h/fhir/_history?_count=5" || next != "http://h/fhir/_history?_count=5&_page=a%2Bb" {
		t.Errorf("%s, %s", self, next)
	}
	if self, next = (history.Request{}).Links("http://h/fhir/_history", "_page", ""); self != "http://h/fhir/_history" || next != "" {
		t.Errorf("%s, %s", self, next)
	}
}
