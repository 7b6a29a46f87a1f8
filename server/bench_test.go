package server_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"galen/server/servertest"
)

// BenchmarkInteractions is a whole request without the network: token, policy,
// store in memory, audit record on disk. The record's flush dominates; parallel
// requests share it.
func BenchmarkInteractions(b *testing.B) {
	s := servertest.Start(b, servertest.Options{})
	admin := s.As("admin")
	admin.Do("PUT", "Patient/p", patient).Want(201)
	n := 0
	cases := []struct {
		name    string
		request func() (method, target, kind, body string)
	}{
		{"read", func() (string, string, string, string) { return "GET", "Patient/p", "", "" }},
		{"update", func() (string, string, string, string) {
			return "PUT", "Patient/p", "application/fhir+json", identified("p", "1", fmt.Sprint(n))
		}},
		{"json patch", func() (string, string, string, string) {
			return "PATCH", "Patient/p", jsonPatch, fmt.Sprintf(`[{"op":"replace","path":"/name/0/family","value":"%d"}]`, n)
		}},
		{"fhirpath patch", func() (string, string, string, string) {
			return "PATCH", "Patient/p", "application/fhir+json", fmt.Sprintf(`{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"replace"},{"name":"path","valueString":"Patient.name[0].family"},{"name":"value","valueString":"x%d"}]}]}`, n)
		}},
		{"conditional update", func() (string, string, string, string) {
			return "PUT", "Patient?identifier=1", "application/fhir+json", identified("p", "1", fmt.Sprint("y", n))
		}},
	}
	for _, c := range cases {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n++
				method, target, kind, body := c.request()
				r := httptest.NewRequest(method, "/fhir/"+target, strings.NewReader(body))
				r.Header.Set("Authorization", "Bearer "+admin.Token)
				r.Header.Set("Content-Type", kind)
				w := httptest.NewRecorder()
				s.Handler.ServeHTTP(w, r)
				if w.Code != 200 {
					b.Fatalf("status %d: %s", w.Code, w.Body)
				}
			}
		})
	}
}
