package server_test

import (
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"testing"

	"galen/fhir/jsontree"
	"galen/server/servertest"
)

// Paths made of the segments of all routes, in any order and number, never make
// the router panic (Gin's search for other methods did), and what is not served
// is an OperationOutcome.
func TestRouterOnPathsOfAllKinds(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	token := s.As("admin").Token
	segments := []string{
		"fhir", "metadata", "Patient", "p", "_history", "_search", "1", "$everything", "$meta", "$nothing", "*", "", ".", "..",
		"cds-services", "healthz", ".well-known", "smart-configuration", "Binary", "metadatas", "_", "m", "é", "a b", "%",
	}
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"}
	random := rand.New(rand.NewPCG(1, 2))
	for range 4000 {
		path := ""
		if random.IntN(4) > 0 {
			path = "/fhir"
		}
		for range random.IntN(6) {
			path += "/" + segments[random.IntN(len(segments))]
		}
		method := methods[random.IntN(len(methods))]
		r := httptest.NewRequest(method, "http://host/", strings.NewReader(""))
		r.URL.Path = path
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		s.Handler.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%s %q: status %d: %s", method, path, w.Code, w.Body)
		}
		if w.Code < 400 || method == "HEAD" {
			continue
		}
		doc, err := jsontree.Parse(w.Body.Bytes(), jsontree.Limits{})
		if err != nil || doc.Root().Get("issue").Item(0).Get("severity").Text() != "error" {
			t.Errorf("%s %q: status %d without an OperationOutcome: %s", method, path, w.Code, w.Body)
		}
		if w.Code == 405 && w.Header().Get("Allow") == "" {
			t.Errorf("%s %q: 405 without Allow", method, path)
		}
	}
}
