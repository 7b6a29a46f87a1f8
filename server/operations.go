package server

import (
	"context"
	"net/http"
	"slices"

	"galen/fhir/operation"
	"galen/server/media"
)

// operationRoutes are the routes of the FHIR operations, from their own table
// (https://hl7.org/fhir/R4/operations.html#executing).
func (s *Server) operationRoutes() []route {
	var routes []route
	add := func(d *operation.Definition, path string) {
		path = fhirPath + path + "/$" + d.Name
		if slices.ContainsFunc(routes, func(r route) bool { return r.path == path }) {
			return // two definitions of one name, for different types
		}
		// GET of an operation that changes something is refused there, by name.
		routes = append(routes,
			route{http.MethodPost, path, s.operation(d), signedIn, fhirRoute, true},
			route{http.MethodGet, path, s.operation(d), signedIn, fhirRoute, false})
	}
	list := s.ops.Definitions()
	for i := range list {
		d := &list[i]
		if d.System {
			add(d, "")
		}
		if d.Type {
			add(d, "/:type")
		}
		if d.Instance {
			add(d, "/:type/:id")
		}
	}
	return routes
}

// operation answers a call of the operation with that definition's name.
func (s *Server) operation(d *operation.Definition) handler {
	return func(ctx context.Context, r *request) (response, error) {
		contentType := r.header.Get("Content-Type")
		if len(r.body) > 0 && !d.Raw {
			if _, err := media.Content(contentType); err != nil {
				return response{}, err
			}
		}
		name, _ := media.Parse(contentType)
		out, err := s.ops.Invoke(ctx, operation.Request{
			Caller: r.Caller, Name: d.Name, Type: r.param("type"), ID: r.param("id"),
			Method: r.method, Query: r.query, Body: r.body, ContentType: name,
		})
		return response{status: out.Status, header: out.Header, kind: out.Kind, body: out.Body}, err
	}
}
