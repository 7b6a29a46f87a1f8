package server

import (
	"context"
	"net/http"
	"strings"

	"galen/server/govern"
)

// complianceRoutes are the API of those who govern.
func (s *Server) complianceRoutes() []route {
	if s.Compliance == nil {
		return nil
	}
	var list []route
	for _, g := range govern.Routes(s.Compliance) {
		list = append(list, route{g.Method, govern.Prefix + g.Path, governing(g), signedIn, jsonRoute, g.Method == http.MethodPost})
	}
	return list
}

// governing passes a request on and its answer back.
func governing(g govern.Route) handler {
	return func(ctx context.Context, r *request) (response, error) {
		a, err := g.Do(ctx, &govern.Call{
			Principal: r.Principal, RequestID: r.RequestID, Address: r.Address, Path: strings.TrimPrefix(r.path, govern.Prefix),
			ID: r.param("id"), Query: r.query, Header: r.header, Body: r.body,
		})
		return response{status: a.Status, kind: a.MediaType, header: a.Header, body: a.Body}, err
	}
}
