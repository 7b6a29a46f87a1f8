package server

import (
	"context"

	"galen/fhir"
	"galen/hooks"
)

// discover answers GET /cds-services
// (https://cds-hooks.hl7.org/2.0/#discovery).
func (s *Server) discover(context.Context, *request) (response, error) {
	return response{kind: plainJSON, body: s.Hooks.Discovery()}, nil
}

// callHook answers POST /cds-services/{id}
// (https://cds-hooks.hl7.org/2.0/#calling-a-cds-service).
func (s *Server) callHook(ctx context.Context, r *request) (response, error) {
	if name, _ := mediaType(r.header.Get("Content-Type")); mediaTypes[name] != formatJSON {
		return response{}, fhir.E("server.callHook", fhir.MediaUnknown, "Content-Type", "a CDS Hooks call is application/json")
	}
	body, err := s.Hooks.Call(ctx, hooks.Caller{
		Principal: r.Principal, RequestID: r.RequestID, Address: r.Address, Base: r.base,
	}, r.param("service"), r.body)
	return response{kind: plainJSON, body: body}, err
}
