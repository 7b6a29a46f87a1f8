package media_test

import (
	"net/url"
	"testing"

	"galen/fhir"
	"galen/server/media"
)

// The rules over HTTP are tested in server; here is what no client may break.
func FuzzNegotiate(f *testing.F) {
	f.Add("application/fhir+xml;q=0.5, */*;q=0.1", "", "true")
	f.Add("application/fhir+json; fhirVersion=4.0; charset=\"utf-8\"", "application/fhir xml", "")
	f.Fuzz(func(t *testing.T, accept, override, pretty string) {
		w, err := media.Negotiate(url.Values{"_format": {override}, "_pretty": {pretty}}, []string{accept})
		if w.Format != media.JSON && w.Format != media.XML {
			t.Errorf("no format")
		}
		if err != nil && fhir.KindOf(err) != fhir.NotAcceptable {
			t.Error(err)
		}
		if f, err := media.Content(accept); err == nil && f == 0 || err != nil && fhir.KindOf(err) != fhir.MediaUnknown {
			t.Errorf("%v %v", f, err)
		}
	})
}

func TestPreference(t *testing.T) {
	tests := []struct {
		name, accept string
		want         media.Format // 0 for none
	}{
		{"nothing", "", media.JSON},
		{"specific before wildcard", "*/*;q=0.9, application/fhir+json;q=0.1", media.XML},
		{"a type takes out what a range lets in", "application/*, application/fhir+json;q=0", media.XML},
		{"all taken out", "application/fhir+xml;q=0, application/fhir+json;q=0, */*", 0},
		{"alike, xml first", "text/xml, text/json", media.XML},
		{"alike, json first", "text/json, text/xml", media.JSON},
		{"a q that is no number", "application/fhir+xml;q=high", 0},
		{"a q above one", "application/fhir+xml;q=7", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, err := media.Negotiate(nil, []string{tt.accept})
			if (err != nil) != (tt.want == 0) || err == nil && w.Format != tt.want {
				t.Errorf("%v, %v", w.Format, err)
			}
		})
	}
}
