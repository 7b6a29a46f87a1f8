package audit

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/gowebpki/jcs"
)

func full() Entry {
	return Entry{
		Seq: 7, Time: noon, Kind: HookCall, Outcome: Minor, Reason: "policy", Decision: Decision{true, "r", "d"},
		Agent: Agent{"dr-ä", "Practitioner/1", "app", "ward", []string{"a", "b"}, "TREAT", "p7", "::1", "jti"}, Request: "req",
		Resources: []string{"Patient/1", "Observation/2/_history/3"}, Patients: []string{"Patient/1"},
		Service: "kfre", Call: "d1577c69", Model: Model{"kfre", "1.0.0", "abc"},
		Assessments: []string{"RiskAssessment/1"}, Cards: []string{"u1"}, Object: "o", Commitment: "c0",
	}
}

// RFC 8785: our form is what an independent implementation makes of it.
func TestCanonicalForm(t *testing.T) {
	awkward := sample(1)
	awkward.Time = noon
	awkward.Agent.Subject = "quote\" back\\ \b\t\n\f\r \x00\x1f\x7f é € 😀 </script>"
	awkward.Object = "line\u2028sep"
	bad := Entry{Time: noon, Object: "bad\xff\xfeutf8"}
	for name, e := range map[string]Entry{"full": full(), "empty": {Time: noon}, "awkward": awkward, "bad UTF-8": bad} {
		got := e.appendCanonical(nil)
		want, err := jcs.Transform(got)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, got)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
}

func TestDecodeGivesTheEntryBack(t *testing.T) {
	e := full()
	v := reflect.ValueOf(e)
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; name != "Query" && v.Field(i).IsZero() {
			t.Fatalf("the sample leaves %s empty", name)
		}
	}
	got, err := decodeEntry(e.appendCanonical(nil))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(e, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEntryHoldsNoQuery(t *testing.T) {
	e := sample(1)
	if b := e.appendCanonical(nil); bytes.Contains(b, []byte("Secret")) {
		t.Errorf("the canonical entry holds the query: %s", b)
	}
}

func FuzzCanonicalString(f *testing.F) {
	for _, s := range []string{"", "a", "\x00\b\f\n", "é€😀", "\xff", "\u2028<>&\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := appendString(nil, s)
		var back string
		if err := json.Unmarshal(got, &back); err != nil {
			t.Fatalf("%q: %v", got, err)
		}
		if utf8.ValidString(s) && back != s {
			t.Errorf("%q came back as %q", s, back)
		}
		again, err := jcs.Transform([]byte(`{"a":` + string(got) + `}`))
		if err != nil || string(again) != `{"a":`+string(got)+`}` {
			t.Errorf("%q is not canonical: %q %v", got, again, err)
		}
	})
}

func FuzzDecodeEntry(f *testing.F) {
	e := full()
	f.Add(e.appendCanonical(nil))
	f.Add([]byte(`{"agent":{},"outcome":0,"seq":1,"time":"2026-11-24T12:00:00.000000Z"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEntry(b)
		if err != nil {
			return
		}
		again, err := decodeEntry(e.appendCanonical(nil))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, again); diff != "" {
			t.Error(diff)
		}
	})
}
