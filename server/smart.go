package server

import (
	"context"
	"net/http"
	"sync"
	"time"

	"galen/policies/smart"
)

// smartCache keeps the smart-configuration, whose endpoints another server knows.
type smartCache struct {
	mu        sync.Mutex
	endpoints smart.Endpoints
	body      []byte
	at        time.Time
}

// smartFresh is how long the endpoints are relied on; while the authorization
// server cannot be asked, the last answer stays.
const smartFresh = 10 * time.Minute

// smartConfiguration answers GET [base]/.well-known/smart-configuration: JSON
// whatever the client accepts, to anybody, from any origin
// (https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html).
func (s *Server) smartConfiguration(ctx context.Context, _ *request) (response, error) {
	s.smart.mu.Lock()
	defer s.smart.mu.Unlock()
	if err := s.freshSMART(ctx); err != nil {
		return response{}, err
	}
	header := http.Header{"Access-Control-Allow-Origin": {"*"}, "Cache-Control": {"public, max-age=300"}}
	return response{kind: "application/json", header: header, body: s.smart.body}, nil
}

// endpoints are those of the smart-configuration.
func (s *Server) endpoints(ctx context.Context) (smart.Endpoints, error) {
	s.smart.mu.Lock()
	defer s.smart.mu.Unlock()
	err := s.freshSMART(ctx)
	return s.smart.endpoints, err
}

// freshSMART reads the endpoints if they are old; it fails only if there are
// none at all.
func (s *Server) freshSMART(ctx context.Context) error {
	if s.smart.body != nil && time.Since(s.smart.at) < smartFresh {
		return nil
	}
	if err := s.readSMART(ctx); err != nil && s.smart.body == nil {
		return err
	}
	return nil
}

func (s *Server) readSMART(ctx context.Context) error {
	var endpoints smart.Endpoints
	if s.Authorization != nil {
		var err error
		if endpoints, err = s.Authorization(ctx); err != nil {
			return err
		}
	}
	body, err := smart.Configuration(endpoints)
	if err == nil {
		s.smart.endpoints, s.smart.body, s.smart.at = endpoints, body, time.Now()
	}
	return err
}
