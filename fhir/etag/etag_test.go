package etag_test

import (
	"testing"
	"time"

	"galen/fhir"
	"galen/fhir/etag"
)

// https://hl7.org/fhir/R4/http.html#concurrency: If-Match holds one entity tag.
func TestMatch(t *testing.T) {
	cases := []struct {
		name, text string
		want       int64
		bad        bool
	}{
		{"none", "", etag.None, false},
		{"weak", `W/"3"`, 3, false},
		{"strong, as some clients send", `"3"`, 3, false},
		{"spaces around", ` W/"12" `, 12, false},
		{"any version", "*", etag.Any, false},
		{"a tag that is no version", `W/"abc"`, etag.Never, false},
		{"version zero", `W/"0"`, etag.Never, false},
		{"leading zero is another tag", `W/"03"`, etag.Never, false},
		{"empty tag", `""`, etag.Never, false},
		{"beyond 64 bits", `W/"99999999999999999999"`, etag.Never, false},
		{"bare number", "3", 0, true},
		{"bare word", "abc", 0, true},
		{"one quote", `"`, 0, true},
		{"no end", `W/"3`, 0, true},
		{"lower-case w", `w/"3"`, 0, true},
		{"two tags", `W/"3", W/"4"`, 0, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := etag.Match(c.text)
			if got != c.want || (err != nil) != c.bad {
				t.Errorf("Match(%q) = %d, %v", c.text, got, err)
			}
			if err != nil && fhir.KindOf(err) != fhir.Value {
				t.Errorf("Kind %v, want Value: a malformed If-Match is 400", fhir.KindOf(err))
			}
		})
	}
}

// https://hl7.org/fhir/R4/http.html#cread and RFC 9110, section 13.2.2.
func TestUnchanged(t *testing.T) {
	h := fhir.Header{Version: 3, LastUpdated: time.Date(2026, 5, 4, 3, 2, 1, 500e6, time.UTC)}
	cases := []struct {
		name, tags, since string
		want              bool
	}{
		{"no condition", "", "", false},
		{"same tag", `W/"3"`, "", true},
		{"same tag, strong", `"3"`, "", true},
		{"other tag", `W/"2"`, "", false},
		{"one of many", `W/"1", W/"3"`, "", true},
		{"any", "*", "", true},
		{"no tag at all", "3", "", false},
		{"the tag beats the date", `W/"2"`, "Mon, 04 May 2026 04:00:00 GMT", false},
		{"same second", "", "Mon, 04 May 2026 03:02:01 GMT", true},
		{"a second before", "", "Mon, 04 May 2026 03:02:00 GMT", false},
		{"later", "", "Tue, 05 May 2026 03:02:00 GMT", true},
		{"no date", "", "yesterday", false},
		{"instant of a Bundle entry", "", "2026-05-04T03:02:01.500Z", true},
		{"instant before", "", "2026-05-04T03:02:01.499Z", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := etag.Unchanged(c.tags, c.since, h); got != c.want {
				t.Errorf("Unchanged(%q, %q) = %v", c.tags, c.since, got)
			}
		})
	}
}

func TestAbsent(t *testing.T) {
	for text, want := range map[string]bool{"*": true, " * ": true, "": false, `W/"1"`: false} {
		if got := etag.Absent(text); got != want {
			t.Errorf("Absent(%q) = %v", text, got)
		}
	}
}

func FuzzMatch(f *testing.F) {
	for _, s := range []string{`W/"3"`, `"3"`, "*", "", `W/"`, `""`, "W/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := etag.Match(text); err != nil && fhir.KindOf(err) != fhir.Value {
			t.Errorf("Kind %v", fhir.KindOf(err))
		}
		etag.Unchanged(text, text, fhir.Header{Version: 1})
	})
}
