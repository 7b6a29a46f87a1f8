package fhir_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/jsontree"
)

// Every kind has a status and a code of https://hl7.org/fhir/R4/valueset-issue-type.html;
// only the server's own faults are 5xx.
func TestEveryKindHasStatusAndCode(t *testing.T) {
	server := map[fhir.Kind]bool{fhir.Internal: true, fhir.Unavailable: true, fhir.Timeout: true}
	names := map[string]bool{}
	for k := fhir.Internal; k <= fhir.Timeout; k++ {
		if k.Status() < 400 || k.Code() == "" || k.String() == "" || names[k.String()] {
			t.Errorf("kind %d: status %d, code %q, name %q", k, k.Status(), k.Code(), k)
		}
		names[k.String()] = true
		if (k.Status() >= 500) != server[k] {
			t.Errorf("%v: status %d", k, k.Status())
		}
	}
	if beyond := fhir.Kind(200); beyond.Status() != 500 || beyond.Code() != "exception" {
		t.Error("an unknown kind is not the server's fault")
	}
}

func TestKindOf(t *testing.T) {
	deleted := fhir.E("store.Read", fhir.Deleted, "", "it is gone")
	tests := []struct {
		name string
		err  error
		want fhir.Kind
	}{
		{"none", nil, fhir.Internal},
		{"foreign", errors.New("x"), fhir.Internal},
		{"wrapped", fmt.Errorf("rest: %w", deleted), fhir.Deleted},
		{"the outermost counts", &fhir.Error{Kind: fhir.NotFound, Err: deleted}, fhir.NotFound},
	}
	for _, tt := range tests {
		if got := fhir.KindOf(tt.err); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// What an OperationOutcome shows of an error: never the cause of an internal one.
func TestIssuesOf(t *testing.T) {
	many := fhir.Issues{{fhir.SeverityError, fhir.Value, "Patient.birthDate", "not a date"}, {fhir.Warning, fhir.CodeInvalid, "Patient.gender", "unknown"}}
	tests := []struct {
		name string
		err  error
		want fhir.Issues
	}{
		{"one", fhir.E("op", fhir.Value, "_count", "not a number"), fhir.Issues{{fhir.SeverityError, fhir.Value, "_count", "not a number"}}},
		{"many", &fhir.Error{Kind: fhir.Value, Err: many}, many},
		{"internal", &fhir.Error{Op: "op", Err: errors.New("secret path")}, fhir.Issues{{fhir.SeverityError, fhir.Internal, "", "internal error"}}},
		{"foreign", errors.New("secret"), fhir.Issues{{fhir.SeverityError, fhir.Internal, "", "internal error"}}},
		{"without a cause", &fhir.Error{Kind: fhir.Timeout}, fhir.Issues{{fhir.SeverityError, fhir.Timeout, "", "timeout"}}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, fhir.IssuesOf(tt.err)); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
	if got, want := many.Error(), "Patient.birthDate: not a date; Patient.gender: unknown"; got != want {
		t.Errorf("Issues.Error = %q", got)
	}
}

// id: 1 to 64 of [A-Za-z0-9\-\.] (datatypes.html#id).
func TestValidID(t *testing.T) {
	for id, want := range map[string]bool{
		"a": true, "A-1.z": true, strings.Repeat("x", 64): true,
		"": false, strings.Repeat("x", 65): false, "a_b": false, "a/b": false, "é": false, "a ": false, "a\x00": false,
	} {
		if fhir.ValidID(id) != want {
			t.Errorf("ValidID(%q) = %v", id, !want)
		}
	}
}

// Literal references (references.html#literal) and what only looks like one.
func TestParseReference(t *testing.T) {
	patient := fhir.Key{Type: "Patient", ID: "1"}
	tests := []struct {
		text string
		want fhir.Reference
	}{
		{"Patient/1", fhir.Reference{Key: patient}},
		{"Patient/1/_history/3", fhir.Reference{Key: patient, Version: "3"}},
		{"https://h/fhir/Patient/1", fhir.Reference{Base: "https://h/fhir/", Key: patient}},
		{"https://h/fhir/Patient/1/_history/3", fhir.Reference{Base: "https://h/fhir/", Key: patient, Version: "3"}},
		{"Patient/1#p", fhir.Reference{Key: patient, Fragment: "p"}},
		{"#p1", fhir.Reference{Fragment: "p1"}},
		{"urn:uuid:c757873d-ec9a-4326-a141-556f43239520", fhir.Reference{}},
		{"Patient?identifier=x", fhir.Reference{}},
		{"http://h/ValueSet/1|2", fhir.Reference{}},
		{"patient/1", fhir.Reference{}},
		{"Patient/", fhir.Reference{}},
		{"Patient/a b", fhir.Reference{}},
		{"a/Patient/1", fhir.Reference{}},
		{"Patient/1/_history/", fhir.Reference{}},
		{"Patient/1/_history/a b", fhir.Reference{}},
		{"/Patient/1", fhir.Reference{}},
		{"", fhir.Reference{}},
	}
	for _, tt := range tests {
		tt.want.Text = tt.text
		if diff := cmp.Diff(tt.want, fhir.ParseReference(tt.text)); diff != "" {
			t.Errorf("%q: %s", tt.text, diff)
		}
	}
	if r := fhir.ParseReference("https://h/fhir/Patient/1"); !r.Local("https://h/fhir/") || r.Local("https://other/fhir/") {
		t.Error("Local")
	}
	if got := fhir.VersionedReference(patient, 3); got != "Patient/1/_history/3" {
		t.Errorf("VersionedReference = %s", got)
	}
}

func instant(t *testing.T, text string) fhir.Instant {
	t.Helper()
	v, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return fhir.InstantOf(v)
}

// A date covers its precision (search.html#date); without an offset it lies in
// the zone of the server.
func TestParseDateTime(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		text      string
		zone      *time.Location
		low, high string
		precision fhir.Precision
	}{
		{"1980", time.UTC, "1980-01-01T00:00:00Z", "1981-01-01T00:00:00Z", fhir.Year},
		{"1980-02", time.UTC, "1980-02-01T00:00:00Z", "1980-03-01T00:00:00Z", fhir.Month},
		{"1980-12-31", time.UTC, "1980-12-31T00:00:00Z", "1981-01-01T00:00:00Z", fhir.Day},
		{"2024-02-29", time.UTC, "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z", fhir.Day},
		{"2024-03-31", berlin, "2024-03-30T23:00:00Z", "2024-03-31T22:00:00Z", fhir.Day}, // 23 hours
		{"2024-05-01T10:00", time.UTC, "2024-05-01T10:00:00Z", "2024-05-01T10:01:00Z", fhir.Minute},
		{"2024-05-01T10:00Z", berlin, "2024-05-01T10:00:00Z", "2024-05-01T10:01:00Z", fhir.Minute},
		{"2024-05-01T10:00:01", berlin, "2024-05-01T08:00:01Z", "2024-05-01T08:00:02Z", fhir.Second},
		{"2024-05-01T10:00:01+02:00", time.UTC, "2024-05-01T08:00:01Z", "2024-05-01T08:00:02Z", fhir.Second},
		{"2024-05-01T23:30:00-14:00", time.UTC, "2024-05-02T13:30:00Z", "2024-05-02T13:30:01Z", fhir.Second},
		{"2024-05-01T10:00:01.5Z", time.UTC, "2024-05-01T10:00:01.5Z", "2024-05-01T10:00:01.6Z", fhir.Fraction},
		{"2024-05-01T10:00:01.123456789Z", time.UTC, "2024-05-01T10:00:01.123456Z", "2024-05-01T10:00:01.123457Z", fhir.Fraction},
		{"2016-12-31T23:59:60Z", time.UTC, "2017-01-01T00:00:00Z", "2017-01-01T00:00:01Z", fhir.Second},
		{"0001", time.UTC, "0001-01-01T00:00:00Z", "0002-01-01T00:00:00Z", fhir.Year},
		{"9999-12-31", time.UTC, "9999-12-31T00:00:00Z", "9999-12-31T23:59:59.999999Z", fhir.Day},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			p, precision, err := fhir.ParseDateTime(tt.text, tt.zone)
			if err != nil {
				t.Fatal(err)
			}
			want := fhir.Period{Low: instant(t, tt.low), High: instant(t, tt.high)}
			if strings.HasPrefix(tt.high, "9999") {
				want.High++
			}
			if p != want || precision != tt.precision {
				t.Errorf("%v to %v at %d, want %v to %v at %d", p.Low.Time(), p.High.Time(), precision, want.Low.Time(), want.High.Time(), tt.precision)
			}
		})
	}
}

func TestParseDateTimeRefuses(t *testing.T) {
	for _, text := range []string{
		"", "1", "198", "0000", "1980-", "1980-13", "1980-00", "1980-1", "2023-02-29", "2020-02-30", "1980-02-00", "1980-01-01T",
		"1980-01T10:00", "1980-01-01T24:00:00", "1980-01-01T10", "1980-01-01T10:60", "1980-01-01T10:00:61Z", "1980-01-01T10:00:00.",
		"1980-01-01T10:00:00+15:00", "1980-01-01T10:00:00+0100", "1980-01-01T10:00:00z", "1980-01-01 10:00:00", "1980-01-01T10:00:00Z ",
		"19800101", "+1980", "١٩٨٠", "1980-01-01T10:00:00+14:01",
	} {
		if p, _, err := fhir.ParseDateTime(text, time.UTC); err == nil {
			t.Errorf("%q is read as %v", text, p)
		}
	}
}

func FuzzParseDateTime(f *testing.F) {
	for _, seed := range []string{"1980", "1980-05-11T10:00:01.5+02:00", "2016-12-31T23:59:60Z", "9999-12-31T23:59:60-14:00", "0001-01-01T00:00:00+14:00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, precision, err := fhir.ParseDateTime(text, time.UTC)
		if err != nil {
			return
		}
		if p.Low >= p.High || precision < fhir.Year || precision > fhir.Fraction {
			t.Fatalf("%q covers %d to %d at %d", text, p.Low, p.High, precision)
		}
		if precision <= fhir.Day && p.Low.Time().Format(time.DateOnly)[:len(text)] != text {
			t.Fatalf("%q begins at %v", text, p.Low.Time())
		}
	})
}

func FuzzParseReference(f *testing.F) {
	for _, seed := range []string{"Patient/1", "https://h/fhir/Patient/1/_history/3#x", "urn:uuid:1", "//", "Patient//_history//"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := fhir.ParseReference(text)
		if r.Key == (fhir.Key{}) {
			return
		}
		again := r.Base + r.Key.String()
		if r.Version != "" {
			again += "/_history/" + r.Version
		}
		if s := fhir.ParseReference(again); s.Key != r.Key || s.Base != r.Base || s.Version != r.Version {
			t.Fatalf("%q is %+v, printed %q and %+v", text, r, again, s)
		}
	})
}

func TestParse(t *testing.T) {
	tests := []struct {
		name, text string
		kind       fhir.Kind
		at         string
	}{
		{"not JSON", `{"resourceType":"Patient"`, fhir.Malformed, "offset 25"},
		{"no object", `[]`, fhir.Malformed, "offset 0"},
		{"no type", `{"id":"1"}`, fhir.Required, "resourceType"},
		{"type no string", `{"resourceType":1}`, fhir.Invalid, "resourceType"},
		{"type no name", `{"resourceType":"patient"}`, fhir.Invalid, "resourceType"},
		{"bad id", `{"resourceType":"Patient","id":"a b"}`, fhir.Value, "Patient.id"},
		{"id no string", `{"resourceType":"Patient","id":1}`, fhir.Value, "Patient.id"},
		{"meta no object", `{"resourceType":"Patient","meta":[]}`, fhir.Invalid, "Patient.meta"},
		{"too long", `{"resourceType":"Patient","id":"` + strings.Repeat("1", 100) + `"}`, fhir.TooLong, "offset 100"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := fhir.Parse([]byte(tt.text), jsontree.Limits{Bytes: 100})
			e := new(fhir.Error)
			if !errors.As(err, &e) || e.Kind != tt.kind || e.At != tt.at {
				t.Errorf("%v; want kind %v at %s", err, tt.kind, tt.at)
			}
		})
	}
}

func TestParseHeader(t *testing.T) {
	at := time.Date(2024, 5, 1, 8, 0, 0, 123_000_000, time.UTC)
	tests := []struct {
		meta string
		want fhir.Header
	}{
		{`{"versionId":"7","lastUpdated":"2024-05-01T10:00:00.123456+02:00"}`, fhir.Header{Version: 7, LastUpdated: at}},
		{`{"versionId":"07"}`, fhir.Header{}},
		{`{"versionId":7}`, fhir.Header{}},
		{`{"versionId":"-7"}`, fhir.Header{}},
		{`{"versionId":"a1","lastUpdated":"yesterday"}`, fhir.Header{}},
	}
	for _, tt := range tests {
		r, err := fhir.Parse([]byte(`{"resourceType":"Patient","id":"x","meta":`+tt.meta+`}`), jsontree.Limits{})
		tt.want.Key = fhir.Key{Type: "Patient", ID: "x"}
		if diff := cmp.Diff(tt.want, r.Header); err != nil || diff != "" {
			t.Errorf("%s: %v %s", tt.meta, err, diff)
		}
	}
}

// Only id, meta.versionId and meta.lastUpdated change, wherever they stand;
// versionId and lastUpdated come in the order of Meta where they are new.
func TestStamp(t *testing.T) {
	h := fhir.Header{Key: fhir.Key{Type: "Patient", ID: "new"}, Version: 3, LastUpdated: time.Date(2024, 5, 1, 8, 0, 0, 5_000_000, time.UTC)}
	const v, u = `"versionId":"3"`, `"lastUpdated":"2024-05-01T08:00:00.005Z"`
	tests := []struct{ name, text, want string }{
		{"nothing there", `{"resourceType":"Patient"}`, `{"resourceType":"Patient","id":"new","meta":{` + v + `,` + u + `}}`},
		{"id there", `{ "resourceType" : "Patient", "id":"old" , "active":true}`, `{ "resourceType" : "Patient", "id":"new","meta":{` + v + `,` + u + `} , "active":true}`},
		{"meta there", `{"resourceType":"Patient","meta":{"tag":[{"code":"a"}]},"active":true}`, `{"resourceType":"Patient","id":"new","meta":{` + v + `,` + u + `,"tag":[{"code":"a"}]},"active":true}`},
		{"all there", `{"meta":{"lastUpdated":"x","versionId":"9"},"id":"old","resourceType":"Patient"}`, `{"meta":{"lastUpdated":"2024-05-01T08:00:00.005Z","versionId":"3"},"id":"new","resourceType":"Patient"}`},
		{"meta with an id", `{"resourceType":"Patient","id":"old","meta":{"id":"m"}}`, `{"resourceType":"Patient","id":"new","meta":{` + u + `,"id":"m",` + v + `}}`},
		{"empty meta", `{"resourceType":"Patient","meta":{}}`, `{"resourceType":"Patient","id":"new","meta":{` + v + `,` + u + `}}`},
		{"decimals as they are", `{"resourceType":"Patient","id":"old","x":[1.00,1.2E+2]}`, `{"resourceType":"Patient","id":"new","meta":{` + v + `,` + u + `},"x":[1.00,1.2E+2]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := fhir.Parse([]byte(tt.text), jsontree.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			got := r.Stamp(h)
			if !json.Valid(got) || string(got) != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
			again, err := fhir.Parse(got, jsontree.Limits{})
			if err != nil || again.Header != h {
				t.Errorf("read back: %+v, %v", again.Header, err)
			}
			if string(again.Stamp(h)) != tt.want {
				t.Error("stamping twice changes more")
			}
		})
	}
}

func FuzzStamp(f *testing.F) {
	f.Add(`{"resourceType":"Patient"}`, "a", int64(1))
	f.Add(`{"meta":{"versionId":"1","tag":[]},"resourceType":"Patient","id":"b"}`, "c.d", int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, text, id string, version int64) {
		r, err := fhir.Parse([]byte(text), jsontree.Limits{})
		if err != nil || !fhir.ValidID(id) || version < 1 {
			return
		}
		h := fhir.Header{Key: fhir.Key{Type: r.Type, ID: id}, Version: version, LastUpdated: time.UnixMilli(1714550400005).UTC()}
		got, err := fhir.Parse(r.Stamp(h), jsontree.Limits{})
		if err != nil || got.Header != h {
			t.Fatalf("%q becomes %q: %v", text, r.Stamp(h), err)
		}
		for name, member := range r.Root().Members() {
			if name != "id" && name != "meta" && !jsontree.Equal(member, got.Root().Get(name)) {
				t.Fatalf("%q becomes %q", text, r.Stamp(h))
			}
		}
	})
}

func TestZeroResource(t *testing.T) {
	var r fhir.Resource
	if r.Bytes() != nil || r.Root().Exists() {
		t.Error("the zero Resource is something")
	}
	if h := (fhir.Header{Version: 3}); h.ETag() != `W/"3"` {
		t.Error(h.ETag())
	}
}

func BenchmarkStamp(b *testing.B) {
	r, err := fhir.Parse([]byte(`{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"2160-0"}]},"valueQuantity":{"value":1.70}}`), jsontree.Limits{})
	if err != nil {
		b.Fatal(err)
	}
	h := fhir.Header{Key: fhir.Key{Type: "Observation", ID: "x"}, Version: 1, LastUpdated: time.UnixMilli(1714550400005)}
	b.ReportAllocs()
	for b.Loop() {
		r.Stamp(h)
	}
}
