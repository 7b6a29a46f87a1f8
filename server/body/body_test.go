package body_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"galen/fhir"
	"galen/server/body"
)

func zip(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestRead(t *testing.T) {
	long := strings.Repeat("x", 101)
	cases := []struct {
		name, encoding, sent string
		chunked              bool // its length is not told
		want                 string
		kind                 fhir.Kind // of the error if want is ""
	}{
		{"plain", "", "hello", false, "hello", 0},
		{"identity", "identity", "hello", false, "hello", 0},
		{"at the limit", "", long[:100], false, long[:100], 0},
		{"over the limit", "", long, false, "", fhir.TooLong},
		{"over the limit, length unknown", "", long, true, "", fhir.TooLong},
		{"gzip", "GZIP", zip(t, "hello"), false, "hello", 0},
		{"a bomb", "gzip", zip(t, strings.Repeat("x", 1<<16)), true, "", fhir.TooLong},
		{"not gzip", "gzip", "hello", false, "", fhir.Malformed},
		{"empty gzip", "gzip", "", false, "", fhir.Malformed},
		{"gzip cut off", "gzip", zip(t, "hello, hello")[:15], false, "", fhir.Malformed},
		{"another encoding", "br", "hello", false, "", fhir.MediaUnknown},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/", strings.NewReader(c.sent))
			r.Header.Set("Content-Encoding", c.encoding)
			if c.chunked {
				r.ContentLength = -1
			}
			got, err := body.Read(r, 100)
			if string(got) != c.want || (err != nil) != (c.want == "") || err != nil && fhir.KindOf(err) != c.kind {
				t.Errorf("got %.20q, %v", got, err)
			}
		})
	}
}

// fhir.md 56: a body that is too long is read to its end, so that its client gets
// to see the 413; not that of a client which waits to be told.
func TestTooLongIsReadToTheEnd(t *testing.T) {
	for expect, left := range map[string]int{"": 0, "100-continue": 1 << 20} {
		sent := strings.NewReader(strings.Repeat("x", 1<<20))
		r := httptest.NewRequest("POST", "/", sent)
		r.Header.Set("Expect", expect)
		if _, err := body.Read(r, 100); fhir.KindOf(err) != fhir.TooLong || sent.Len() != left {
			t.Errorf("Expect %q: %v, %d bytes left; want %d", expect, err, sent.Len(), left)
		}
	}
}
