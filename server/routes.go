package server

import (
	"context"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"galen/fhir"
)

const (
	fhirPath  = "/fhir"
	hooksPath = "/cds-services"
)

// access is whether a route needs a token.
type access uint8

const (
	signedIn access = iota
	open
)

// routeKind is which family of formats a route speaks.
type routeKind uint8

const (
	fhirRoute routeKind = iota
	jsonRoute
)

// route is one line of the table of everything this server answers.
type route struct {
	method string
	path   string
	handle handler
	access access
	kind   routeKind
	body   bool // the request has a body to read
}

func (s *Server) routes() []route {
	get, post, put, del := http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	return append(s.operationRoutes(), []route{
		{get, "/healthz", s.healthz, open, jsonRoute, false},
		{get, "/readyz", s.readyz, open, jsonRoute, false},

		{get, fhirPath + "/.well-known/smart-configuration", s.smartConfiguration, open, jsonRoute, false},
		{get, fhirPath + "/metadata", s.capabilities, open, fhirRoute, false},
		{post, fhirPath, s.bundle, signedIn, fhirRoute, true},
		{post, fhirPath + "/", s.bundle, signedIn, fhirRoute, true},
		{get, fhirPath, s.searchSystem, signedIn, fhirRoute, false},
		{post, fhirPath + "/_search", s.searchSystem, signedIn, fhirRoute, true},
		{get, fhirPath + "/_history", s.history, signedIn, fhirRoute, false},
		{get, fhirPath + "/:type", s.searchType, signedIn, fhirRoute, false},
		{post, fhirPath + "/:type", s.create, signedIn, fhirRoute, true},
		{post, fhirPath + "/:type/_search", s.searchType, signedIn, fhirRoute, true},
		{get, fhirPath + "/:type/_history", s.history, signedIn, fhirRoute, false},
		{get, fhirPath + "/:type/:id", s.read, signedIn, fhirRoute, false},
		{put, fhirPath + "/:type/:id", s.update, signedIn, fhirRoute, true},
		{del, fhirPath + "/:type/:id", s.delete, signedIn, fhirRoute, false},
		{get, fhirPath + "/:type/:id/_history", s.history, signedIn, fhirRoute, false},
		{get, fhirPath + "/:type/:id/_history/:version", s.vread, signedIn, fhirRoute, false},

		{get, hooksPath, s.discover, open, jsonRoute, false},
		{post, hooksPath + "/:service", s.callHook, signedIn, jsonRoute, true},
	}...)
}

// route registers the table; HEAD works wherever GET does
// (https://hl7.org/fhir/R4/http.html#head).
func (s *Server) route() {
	for _, rt := range s.routes() {
		s.engine.Handle(rt.method, rt.path, s.adapt(rt))
		if rt.method == http.MethodGet {
			s.engine.Handle(http.MethodHead, rt.path, s.adapt(rt))
		}
	}
	s.engine.GET("/metrics", gin.WrapH(s.metrics.scrape))
	s.engine.NoRoute(s.adapt(route{path: "unknown", access: open, kind: jsonRoute, handle: noRoute}))
	s.engine.NoMethod(s.adapt(route{path: "unknown method", access: open, kind: jsonRoute, handle: noMethod}))
}

func noRoute(context.Context, *request) (response, error) {
	return response{}, fhir.E("server.route", fhir.NotFound, "", "nothing is served at this URL")
}

func noMethod(_ context.Context, r *request) (response, error) {
	if strings.Contains(r.path, "/$") {
		return response{}, fhir.E("server.route", fhir.NotFound, "", "there is no such operation here")
	}
	return response{}, fhir.E("server.route", fhir.MethodUnknown, "", "this URL does not have that method")
}
