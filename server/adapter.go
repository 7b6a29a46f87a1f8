package server

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"galen/fhir"
	"galen/fhir/rest"
	"galen/server/body"
	"galen/server/figures"
	"galen/server/header"
	"galen/server/media"
	"galen/server/origin"
)

// request is what a handler gets to see of an HTTP request.
type request struct {
	rest.Caller
	wanted
	method string
	path   string // of the URL, decoded
	query  string // raw
	header http.Header
	params gin.Params
	body   []byte    // a resource is JSON here, whatever the client sent
	stream io.Reader // the body, of a route that reads by itself
	base   string    // absolute URL of the server, no slash at the end
	// reached is the same as the client wrote it, whatever is configured.
	reached string
	// refused is why no format can be served that the client takes; Wanted is
	// JSON then.
	refused error
	native  bool // the answer is the content of a Binary
}

func (r *request) param(name string) string { return r.params.ByName(name) }

// fhirBase is the absolute URL of the FHIR base, no slash at the end.
func (r *request) fhirBase() string { return r.base + fhirPath }

type handler func(ctx context.Context, r *request) (response, error)

// adapt makes a Gin handler: the one way from HTTP to a handler and back.
func (s *Server) adapt(rt route) gin.HandlerFunc {
	return func(c *gin.Context) {
		start := time.Now()
		r := s.newRequest(c)
		r.inference = rt.kind == inferenceRoute || rt.kind == uploadRoute
		c.Writer.Header().Set("X-Request-Id", r.RequestID)
		secure(c, rt)
		s.cors(c.Writer.Header(), r)
		ctx, cancel := context.WithTimeout(c.Request.Context(), s.timeout(rt))
		defer cancel()
		out, err := s.call(ctx, c, rt, r)
		if err == nil {
			err = s.respond(c, r.wanted, out)
		}
		if err != nil {
			maps.Copy(c.Writer.Header(), out.header)
			if fhir.KindOf(err) == fhir.MethodUnknown && c.Writer.Header().Get("Allow") == "" {
				c.Writer.Header().Set("Allow", "GET, HEAD") // of what is read-only (RFC 9110, section 15.5.6)
			}
			s.respondError(c, r.wanted, err)
		}
		s.finish(ctx, c, rt, r, err, time.Since(start))
	}
}

func (s *Server) timeout(rt route) time.Duration {
	if rt.kind == uploadRoute {
		return uploadTime
	}
	return s.Timeout
}

func (s *Server) newRequest(c *gin.Context) *request {
	id := c.Request.Header.Get("X-Request-Id")
	if !header.RequestID(id) {
		id = s.NewID()
	}
	// A semicolon separates nothing (https://url.spec.whatwg.org, 5.1), and Go
	// refuses it: "_format=application/fhir+json;fhirVersion=4.0" comes as such.
	c.Request.URL.RawQuery = strings.ReplaceAll(c.Request.URL.RawQuery, ";", "%3B")
	base := origin.Of(c.Request, s.BaseURL)
	r := &request{
		Caller: rest.Caller{RequestID: id, Address: c.RemoteIP(), Base: base + fhirPath},
		method: c.Request.Method, path: c.Request.URL.Path, query: c.Request.URL.RawQuery,
		header: c.Request.Header, params: c.Params, base: base, reached: origin.Of(c.Request, ""),
	}
	if strings.HasPrefix(r.path, fhirPath) {
		query := c.Request.URL.Query()
		r.Wanted, r.refused = media.Negotiate(query, r.header.Values("Accept"))
		if r.native = nativeBinary(r, query.Get("_format")); r.native {
			r.refused = nil
		}
	}
	return r
}

// call authenticates, reads the body and runs the handler. A panic is an
// internal error, logged without its value, which may be a patient's.
func (s *Server) call(ctx context.Context, c *gin.Context, rt route, r *request) (out response, err error) {
	defer func() {
		if recover() != nil {
			s.Log.ErrorContext(ctx, "handler panicked", slog.String("request_id", r.RequestID),
				slog.String("route", rt.path), slog.String("stack", string(debug.Stack())))
			out, err = response{}, fhir.E("server.call", fhir.Internal, "", "panic")
		}
	}()
	if rt.access != open {
		if err := s.identify(ctx, c, rt, r); err != nil {
			return response{}, err
		}
	}
	if rt.kind == fhirRoute && r.refused != nil {
		return response{}, r.refused
	}
	if rt.kind == uploadRoute {
		r.stream = c.Request.Body
	}
	if rt.body {
		if r.body, err = body.Read(c.Request, s.MaxBody); err != nil {
			return response{}, err
		}
		if rt.kind == fhirRoute {
			if err := s.understand(r); err != nil {
				return response{}, err
			}
		}
	}
	return rt.handle(ctx, r)
}

// known is a method as a label of metrics: what clients make up is one.
func known(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

// finish counts and logs the request: its route and never its URL, which may
// hold patient data.
func (s *Server) finish(ctx context.Context, c *gin.Context, rt route, r *request, err error, took time.Duration) {
	status := c.Writer.Status()
	s.metrics.Observe(figures.Request{Method: known(r.method), Route: rt.path, Status: status, Took: took})
	level := slog.LevelDebug
	attrs := []slog.Attr{
		slog.String("request_id", r.RequestID), slog.String("method", r.method), slog.String("route", rt.path),
		slog.Int("status", status), slog.Duration("took", took),
	}
	if status >= http.StatusInternalServerError {
		level = slog.LevelError
		attrs = append(attrs, slog.Any("error", err))
	}
	s.Log.LogAttrs(ctx, level, "request", attrs...)
}
