package server

import (
	"context"
	"net/http"

	"galen/fhir/rest"
)

// compartmentRoutes are the searches in the compartment of a resource, over one
// type or "*" (https://hl7.org/fhir/R4/http.html#search).
func (s *Server) compartmentRoutes() []route {
	const path = fhirPath + "/:type/:id/:inner"
	return []route{
		{http.MethodGet, path, s.searchCompartment, signedIn, fhirRoute, false},
		{http.MethodPost, path + "/_search", s.searchCompartment, signedIn, fhirRoute, true},
	}
}

func (s *Server) searchCompartment(ctx context.Context, r *request) (response, error) {
	in := rest.SearchIn{Type: r.param("inner"), Compartment: r.key()}
	if in.Type == "*" {
		in.Type = ""
	}
	return s.search(ctx, r, in)
}
