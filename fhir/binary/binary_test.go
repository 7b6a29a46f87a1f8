package binary_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"galen/fhir"
	"galen/fhir/binary"
)

func TestRoundTrip(t *testing.T) {
	for name, c := range map[string]binary.Content{
		"text":             {Type: "text/plain; charset=utf-8", Data: []byte("hi")},
		"bytes":            {Type: "image/png", Data: []byte("\x89PNG\x00\xff")},
		"security context": {Type: "text/plain", Context: "Patient/1", Data: []byte("x")},
		"empty":            {Type: `text/x; a="b"`, Data: []byte{}},
	} {
		got, err := binary.Of(c.Resource("1"))
		if diff := cmp.Diff(c, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
	want := `{"resourceType":"Binary","id":"1","contentType":"text/plain","data":"aGk="}`
	if got := string(binary.Content{Type: "text/plain", Data: []byte("hi")}.Resource("1")); got != want {
		t.Errorf("got %s", got)
	}
	if got := string(binary.Content{Type: "text/plain"}.Resource("")); got != `{"resourceType":"Binary","contentType":"text/plain"}` {
		t.Errorf("got %s", got)
	}
}

func TestOf(t *testing.T) {
	got, err := binary.Of([]byte(`{"resourceType":"Binary","contentType":"text/plain","data":"aG\n k="}`))
	if err != nil || string(got.Data) != "hi" {
		t.Errorf("base64 with white space: %q, %v", got.Data, err)
	}
	for _, bad := range []string{``, `{}`, `{"resourceType":"Patient"}`, `{"resourceType":"Binary","data":"?"}`} {
		if _, err := binary.Of([]byte(bad)); fhir.KindOf(err) != fhir.Invalid {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
