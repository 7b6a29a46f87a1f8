package server

import (
	"context"
	"net/http"
	"slices"
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
	signedIn   access = iota
	hookClient        // like signedIn, and the JWTs of CDS clients count as well
	open
)

// routeKind is which family of formats a route speaks.
type routeKind uint8

const (
	fhirRoute routeKind = iota
	jsonRoute
	bulkRoute      // JSON or NDJSON, whatever Accept says
	inferenceRoute // the Open Inference Protocol: errors are {"error": …}
	uploadRoute    // the same, and the handler reads the body by itself, of any length
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
	discovery := open
	if s.HooksPrivate {
		discovery = hookClient
	}
	get, post, put, del, patch := http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch
	return append(s.operationRoutes(), []route{
		{get, "/healthz", s.healthz, open, jsonRoute, false},
		{get, "/readyz", s.readyz, open, jsonRoute, false},

		{get, fhirPath + "/.well-known/smart-configuration", s.smartConfiguration, open, jsonRoute, false},
		{get, fhirPath + "/metadata", s.capabilities, open, fhirRoute, false},
		{post, fhirPath, s.bundle, signedIn, fhirRoute, true},
		{get, fhirPath, s.search, signedIn, fhirRoute, false},
		{get, fhirPath + "/", s.search, signedIn, fhirRoute, false},
		{post, fhirPath + "/_search", s.search, signedIn, fhirRoute, true},
		{get, fhirPath + "/_search", s.search, signedIn, fhirRoute, false}, // not R4's, but clients of other servers use it
		{get, fhirPath + "/:type/_search", s.search, signedIn, fhirRoute, false},
		{get, fhirPath + "/_history", s.history, signedIn, fhirRoute, false},
		{get, jobPath, s.jobStatus, signedIn, fhirRoute, false},
		{del, jobPath, s.jobCancel, signedIn, fhirRoute, false},
		{get, exportPath, s.exportStatus, signedIn, bulkRoute, false},
		{get, exportPath + "/:file", s.exportFile, signedIn, bulkRoute, false},
		{del, exportPath, s.exportCancel, signedIn, bulkRoute, false},
		{get, cohortPath, s.cohortStatus, signedIn, bulkRoute, false},
		{get, cohortPath + "/:file", s.cohortFile, signedIn, bulkRoute, false},
		{del, cohortPath, s.cohortCancel, signedIn, bulkRoute, false},
		{get, fhirPath + "/:type", s.search, signedIn, fhirRoute, false},
		{post, fhirPath + "/:type", s.create, signedIn, fhirRoute, true},
		{put, fhirPath + "/:type", s.update, signedIn, fhirRoute, true},
		{patch, fhirPath + "/:type", s.patch, signedIn, fhirRoute, true},
		{del, fhirPath + "/:type", s.delete, signedIn, fhirRoute, false},
		{post, fhirPath + "/:type/_search", s.search, signedIn, fhirRoute, true},
		{get, fhirPath + "/:type/_history", s.history, signedIn, fhirRoute, false},
		{get, fhirPath + "/:type/:id", s.read, signedIn, fhirRoute, false},
		{get, fhirPath + "/:type/:id/:inner", s.search, signedIn, fhirRoute, false},
		{post, fhirPath + "/:type/:id/:inner/_search", s.search, signedIn, fhirRoute, true},
		{put, fhirPath + "/:type/:id", s.update, signedIn, fhirRoute, true},
		{patch, fhirPath + "/:type/:id", s.patch, signedIn, fhirRoute, true},
		{del, fhirPath + "/:type/:id", s.delete, signedIn, fhirRoute, false},
		{get, fhirPath + "/:type/:id/_history", s.history, signedIn, fhirRoute, false},
		{get, fhirPath + "/:type/:id/_history/:version", s.read, signedIn, fhirRoute, false},

		{get, hooksPath, s.discover, discovery, jsonRoute, false},
		{post, hooksPath + "/:service", s.callHook, hookClient, jsonRoute, true},
		{post, hooksPath + "/:service/feedback", s.takeFeedback, hookClient, jsonRoute, true},
		{http.MethodOptions, hooksPath, s.preflight, open, jsonRoute, false},
		{http.MethodOptions, hooksPath + "/:service", s.preflight, open, jsonRoute, false},
		{http.MethodOptions, hooksPath + "/:service/feedback", s.preflight, open, jsonRoute, false},
	}...)
}

// table is every line: what is served.
func (s *Server) table() []route {
	return slices.Concat(s.routes(), s.modelRoutes(), s.complianceRoutes())
}

// route registers the table; HEAD works wherever GET does
// (https://hl7.org/fhir/R4/http.html#head).
func (s *Server) route() {
	for _, rt := range s.table() {
		s.engine.Handle(rt.method, rt.path, s.adapt(rt))
		if rt.method == http.MethodGet {
			s.engine.Handle(http.MethodHead, rt.path, s.adapt(rt))
		}
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} { // metadata is no type
		s.engine.Handle(method, fhirPath+"/metadata", s.adapt(route{path: "wrong method", access: open, kind: fhirRoute, handle: wrongMethod("GET, HEAD")}))
	}
	s.engine.Match([]string{http.MethodGet, http.MethodHead}, "/metrics", gin.WrapH(s.metrics))
	s.engine.NoRoute(s.adapt(route{path: "unknown", access: open, kind: jsonRoute, handle: s.noRoute}))
}

// noRoute answers what no route takes: 405 if the URL has other methods. Gin's
// own search for them (HandleMethodNotAllowed) panics on some paths, since it
// walks the trees of all methods with the leftovers of the first.
func (s *Server) noRoute(ctx context.Context, r *request) (response, error) {
	methods := allowed(s.table(), r.path)
	switch {
	case strings.Contains(r.path, "/$"):
		return response{}, fhir.E("server.route", fhir.NotFound, "", "there is no such operation here")
	case len(methods) == 0:
		return response{}, fhir.E("server.route", fhir.NotFound, "", "nothing is served at this URL")
	}
	return wrongMethod(strings.Join(methods, ", "))(ctx, r)
}

// allowed are the methods of a path: those of the lines with just that path, or
// else of the patterns that it fits.
func allowed(table []route, path string) []string {
	var exact, other []string
	for _, rt := range table {
		list := &other
		if rt.path == path {
			list = &exact
		} else if !fits(rt.path, path) {
			continue
		}
		*list = append(*list, rt.method)
		if rt.method == http.MethodGet {
			*list = append(*list, http.MethodHead)
		}
	}
	if exact == nil {
		exact = other
	}
	slices.Sort(exact)
	return slices.Compact(exact)
}

// fits reports whether a path is one of a pattern's.
func fits(pattern, path string) bool {
	want, is := strings.Split(pattern, "/"), strings.Split(path, "/")
	return slices.EqualFunc(want, is, func(w, p string) bool { return w == p || p != "" && strings.HasPrefix(w, ":") })
}

// wrongMethod answers 405 and names the methods that there are (RFC 9110,
// section 15.5.6).
func wrongMethod(allow string) handler {
	return func(context.Context, *request) (response, error) {
		return response{header: http.Header{"Allow": {allow}}},
			fhir.E("server.route", fhir.MethodUnknown, "", "this URL does not have that method")
	}
}
