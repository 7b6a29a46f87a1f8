package remote_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"galen/fhir"
	"galen/fhir/terminology"
	"galen/fhir/terminology/remote"
)

// stub is a terminology server that knows one code.
func stub(t *testing.T) *remote.Server {
	t.Helper()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		switch {
		case q.Get("url") == "http://redirect":
			http.Redirect(w, r, "http://127.0.0.1:1/elsewhere", http.StatusFound)
		case q.Get("url") == "http://broken":
			w.WriteHeader(http.StatusBadGateway)
		case q.Get("url") == "http://liar":
			_, _ = w.Write([]byte(`{"resourceType":"Patient"}`))
		case r.URL.Path == "/ValueSet/$validate-code" && q.Get("url") == "http://v", r.URL.Path == "/CodeSystem/$validate-code" && q.Get("url") == "http://s":
			result := "false"
			if q.Get("code") == "a" {
				result = "true"
			}
			_, _ = w.Write([]byte(`{"resourceType":"Parameters","parameter":[{"name":"result","valueBoolean":` + result + `},{"name":"display","valueString":"A"},{"name":"message","valueString":"m"}]}`))
		case r.URL.Path == "/ValueSet/$expand" && q.Get("url") == "http://v":
			_, _ = w.Write([]byte(`{"resourceType":"ValueSet","status":"active","expansion":{"timestamp":"2026","total":` + q.Get("count") + `}}`))
		case r.URL.Path == "/CodeSystem/$lookup" && q.Get("system") == "http://s":
			_, _ = w.Write([]byte(`{"resourceType":"Parameters","parameter":[{"name":"display","valueString":"A"}]}`))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(front.Close)
	s, err := remote.New(front.URL+"/", "secret")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type nothing struct{}

func (nothing) List(context.Context, string) ([]fhir.Resource, error) { return nil, nil }

func (nothing) Find(context.Context, string, string, string) (fhir.Resource, bool, error) {
	return fhir.Resource{}, false, nil
}

// What is not here is asked of the other server, and what that does not know
// either is said so.
func TestFallback(t *testing.T) {
	s := terminology.New(terminology.Options{Source: nothing{}, Remote: stub(t), Now: time.Now})
	a := terminology.Coding{System: "http://s", Code: "a"}
	for code, want := range map[string]bool{"a": true, "b": false} {
		if ok, err := s.Contains(t.Context(), "http://v", terminology.Coding{System: "http://s", Code: code}); ok != want || err != nil {
			t.Errorf("Contains %s: %v, %v", code, ok, err)
		}
		v, err := s.Validate(t.Context(), terminology.ValidateIn{InSystem: true, Codings: []terminology.Coding{{System: "http://s", Code: code}}})
		if v.Result != want || v.Display != "A" || err != nil {
			t.Errorf("Validate %s: %+v, %v", code, v, err)
		}
	}
	if body, err := s.Expand(t.Context(), terminology.ExpandIn{URL: "http://v", Count: 7}); err != nil || !strings.Contains(string(body), `"total":7`) {
		t.Errorf("Expand: %s, %v", body, err)
	}
	if body, err := s.Lookup(t.Context(), terminology.LookupIn{Coding: a}); err != nil || !strings.Contains(string(body), `"valueString":"A"`) {
		t.Errorf("Lookup: %s, %v", body, err)
	}
	for url, kind := range map[string]fhir.Kind{"http://none": fhir.NotFound, "http://broken": fhir.Unavailable, "http://redirect": fhir.Unavailable, "http://liar": fhir.Unavailable} {
		if _, err := s.Contains(t.Context(), url, a); fhir.KindOf(err) != kind || err == nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestNew(t *testing.T) {
	for base, want := range map[string]bool{"https://tx.example/r4": true, "http://localhost:8080/fhir": true, "http://tx.example/r4": false, "ftp://x": false, "": false} {
		if _, err := remote.New(base, ""); (err == nil) != want {
			t.Errorf("%s: %v", base, err)
		}
	}
}
