package server

import (
	"context"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"galen/fhir"
	"galen/hooks"
	"galen/server/auth/hookjwt"
	"galen/server/cors"
	"galen/server/media"
)

// discover answers GET /cds-services
// (https://cds-hooks.hl7.org/2.0/#discovery).
func (s *Server) discover(context.Context, *request) (response, error) {
	return response{kind: plainJSON, body: s.Hooks.Discovery()}, nil
}

// callHook answers POST /cds-services/{id}
// (https://cds-hooks.hl7.org/2.0/#calling-a-cds-service).
func (s *Server) callHook(ctx context.Context, r *request) (response, error) {
	if err := hookBody(r); err != nil {
		return response{}, err
	}
	body, err := s.Hooks.Call(ctx, hookCaller(r), r.param("service"), r.body)
	return response{kind: plainJSON, body: body}, err
}

// takeFeedback answers POST /cds-services/{id}/feedback
// (https://cds-hooks.hl7.org/2.0/#feedback).
func (s *Server) takeFeedback(ctx context.Context, r *request) (response, error) {
	if err := hookBody(r); err != nil {
		return response{}, err
	}
	return response{kind: plainJSON, body: []byte("{}")}, s.Hooks.Feedback(ctx, hookCaller(r), r.param("service"), r.body)
}

func hookCaller(r *request) hooks.Caller {
	return hooks.Caller{Principal: r.Principal, RequestID: r.RequestID, Address: r.Address, Base: r.base, Alias: r.reached}
}

func hookBody(r *request) error {
	if name, _ := media.Parse(r.header.Get("Content-Type")); name != "application/json" && name != "application/fhir+json" && name != "application/json+fhir" {
		return fhir.E("server.hookBody", fhir.MediaUnknown, "Content-Type", "a CDS Hooks request is application/json")
	}
	return nil
}

// identify finds out who calls. On the routes of CDS Hooks a token may be the
// JWT of a registered client, for exactly this URL.
func (s *Server) identify(ctx context.Context, c *gin.Context, rt route, r *request) error {
	if rt.access != hookClient {
		return s.authenticate(ctx, c, r)
	}
	call := hookjwt.Call{Base: s.BaseURL, Path: r.path}
	if call.Base == "" {
		call.Base = r.base
	}
	p, mine, err := s.HookClients.Verify(ctx, r.header.Get("Authorization"), call)
	switch {
	case !mine:
		return s.authenticate(ctx, c, r)
	case err != nil && !s.limiter.Allow("address "+r.Address):
		return throttled()
	case err != nil:
		return s.REST.Refused(ctx, r.Caller)
	}
	r.Principal = p
	if !s.limiter.Allow("client " + p.Client + " " + p.Subject) {
		return throttled()
	}
	return nil
}

// preflight answers the question of a browser whether it may call, which comes
// without a token (https://fetch.spec.whatwg.org/#http-cors-protocol).
func (s *Server) preflight(context.Context, *request) (response, error) {
	return response{status: http.StatusNoContent}, nil
}

// cors lets the web origins of registered clients use the routes of CDS Hooks
// (https://cds-hooks.hl7.org/2.0/#cors).
func (s *Server) cors(answer http.Header, r *request) {
	if strings.HasPrefix(r.path, hooksPath) {
		cors.Policy{
			Origin: s.HookClients.Origin, Methods: "GET, POST, OPTIONS", Headers: "Authorization, Content-Type, Accept",
			Expose: "X-Request-Id, Retry-After",
		}.Answer(answer, r.method, r.header)
	}
}
