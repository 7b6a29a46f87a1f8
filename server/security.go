package server

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"slices"

	"github.com/gin-gonic/gin"

	"galen/fhir"
	"galen/policies"
	"galen/server/govern"
)

// secure sets the headers that keep a browser from doing harm with an answer:
// from guessing its type, framing it, running what it holds, or telling its
// address to others. A handler may replace them.
func secure(c *gin.Context, rt route) {
	h := c.Writer.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	if rt.access != open {
		h.Set("Cache-Control", "no-store")
	}
	if c.Request.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// purposeHeader chooses one of the purposes that the token allows.
const purposeHeader = "X-Purpose-Of-Use"

// authenticate finds out who calls. A token that is bound to a client
// certificate (RFC 8705) is good only with it; a purpose that the token does not
// allow is refused, since nobody may claim one beyond the registration.
func (s *Server) authenticate(ctx context.Context, c *gin.Context, r *request) error {
	p, err := s.caller(ctx, c, r)
	if err != nil {
		if !s.limiter.Allow("address " + r.Address) {
			return throttled()
		}
		return s.REST.Refused(ctx, r.Caller)
	}
	if p.Certificate != "" && p.Certificate != thumbprint(c.Request.TLS) {
		return s.REST.Refused(ctx, r.Caller)
	}
	r.Principal = p
	if !s.limiter.Allow("client " + p.Client + " " + p.Subject) {
		return throttled()
	}
	if r.header.Get(glassHeader) != "" {
		return s.breakGlass(ctx, r)
	}
	if wanted := r.header.Get(purposeHeader); wanted != "" {
		if !slices.Contains(p.Purposes, wanted) {
			return fhir.E("server.authenticate", fhir.Forbidden, purposeHeader, "the token does not allow this purpose of use")
		}
		r.Principal.Purpose = wanted
	}
	return nil
}

// caller is who calls: by the token, or without one by the client certificate. A
// browser shows its certificate for whichever page it is on, so what a page asked
// for does not count.
func (s *Server) caller(ctx context.Context, c *gin.Context, r *request) (policies.Principal, error) {
	token := r.header.Get("Authorization")
	if token == "" && r.header.Get("Origin") == "" && r.header.Get("Sec-Fetch-Site") == "" {
		if p, ok := s.Holders.Find(c.Request.TLS); ok {
			return p, nil
		}
	}
	return s.Auth.Verify(ctx, token)
}

// A request may open an emergency access on its way: with the reason, the logical
// id of the patient, and ETREAT or BTG as its purpose of use.
const (
	glassHeader        = "X-Break-Glass"
	glassPatientHeader = "X-Break-Glass-Patient"
)

func (s *Server) breakGlass(ctx context.Context, r *request) error {
	if s.Compliance == nil {
		return fhir.E("server.breakGlass", fhir.NotSupported, glassHeader, "this server has no emergency access")
	}
	body, err := json.Marshal(map[string]string{
		"patient": r.header.Get(glassPatientHeader), "reason": r.header.Get(glassHeader), "purpose": r.header.Get(purposeHeader),
	})
	if err != nil {
		return &fhir.Error{Op: "server.breakGlass", Err: err}
	}
	return govern.BreakGlass(ctx, s.Compliance, &govern.Call{
		Principal: r.Principal, RequestID: r.RequestID, Address: r.Address, Body: body,
	})
}

// thumbprint is the x5t#S256 of the certificate that the client showed.
func thumbprint(state *tls.ConnectionState) string {
	if state == nil || len(state.PeerCertificates) == 0 {
		return ""
	}
	sum := sha256.Sum256(state.PeerCertificates[0].Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func throttled() error {
	return fhir.E("server.authenticate", fhir.Throttled, "", "too many requests; try again later")
}
