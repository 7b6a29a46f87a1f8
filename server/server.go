// Package server is Galen over HTTP: it turns requests into calls of fhir/rest
// and hooks and their results into responses.
//
// A handler is func(ctx, *request) (response, error) and never sees Gin; the
// adapter authenticates, bounds the body, keeps the deadline and maps every
// error through fhir.Kind to a status and an OperationOutcome; respond.go is
// the only file that writes responses. Routes are one table.
//
// It holds no rule of FHIR, CDS Hooks or access control: those are below.
package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"galen/cds/cohort"
	"galen/fhir/export"
	"galen/fhir/operation"
	"galen/fhir/rest"
	"galen/fhir/upkeep"
	"galen/fhir/xml"
	"galen/hooks"
	"galen/models/serving"
	"galen/policies"
	"galen/policies/compliance"
	"galen/policies/smart"
	"galen/server/auth/holder"
	"galen/server/auth/hookjwt"
	"galen/server/figures"
	"galen/server/limit"
	"galen/server/zip"
)

// Authenticator turns an Authorization header into who calls. The error is of
// Kind Unauthorized.
type Authenticator interface {
	Verify(ctx context.Context, authorization string) (policies.Principal, error)
}

// Config is all a Server needs; every field without a default must be set.
type Config struct {
	REST  *rest.Service
	Hooks *hooks.Dispatcher
	Auth  Authenticator
	Log   *slog.Logger
	// Models serves /v2; nil leaves it out.
	Models *serving.Service
	// HookClients verifies the tokens of registered CDS clients and knows their
	// web origins; nil for none.
	HookClients *hookjwt.Verifier
	// HooksPrivate asks for a token for discovery as well.
	HooksPrivate bool

	// BaseURL is the absolute URL of the server without /fhir and without a
	// slash at its end; "" takes it from each request.
	BaseURL string
	// MaxBody is the longest request body in bytes, after decompression.
	MaxBody int64
	// Timeout is how long one request may take.
	Timeout time.Duration
	// Authorization tells where apps get their tokens; nil where the local issuer
	// is all there is.
	Authorization func(context.Context) (smart.Endpoints, error)
	// Holders are known by a client certificate alone; nil for nobody.
	Holders *holder.Registry
	// Rate is how many requests a second one client may make on average, Burst how
	// many at once; Rate 0 is no limit.
	Rate  float64
	Burst int
	// Compliance is what /compliance governs; nil leaves those routes out.
	Compliance *compliance.Office
	// NewID makes request ids.
	NewID func() string
	// Upkeep answers for long jobs; nil for none.
	Upkeep *upkeep.Service
	// Export answers for bulk exports; nil for none.
	Export *export.Service
	// Cohorts answers for assessments of groups; nil for none.
	Cohorts *cohort.Service
	// Knowledge is what FHIR operations know of terminology and profiles.
	Knowledge operation.Knowledge
	// Version is reported in /healthz.
	Version string
}

// Server is the HTTP face. It is safe for concurrent use.
type Server struct {
	Config
	engine  *gin.Engine
	metrics *figures.Figures
	zips    *zip.Pool
	codec   *xml.Codec
	ops     *operation.Set
	limiter *limit.Limiter
	smart   smartCache

	declared declared
	ready    readiness
}

// New builds a Server; it starts nothing.
func New(cfg Config) *Server {
	gin.SetMode(gin.ReleaseMode)
	s := &Server{
		Config: cfg, engine: gin.New(), metrics: figures.New(), zips: zip.NewPool(), codec: xml.New(cfg.REST.Defs),
		ops: operation.New(cfg.REST, cfg.Knowledge), limiter: limit.New(cfg.Rate, cfg.Burst),
	}
	if s.Hooks != nil {
		s.metrics.AddHooks(s.Hooks)
	}
	s.engine.HandleMethodNotAllowed = false
	s.engine.RedirectTrailingSlash = false
	s.engine.UseRawPath = false
	s.route()
	return s
}

// ServeHTTP answers one request. A slash at the end of a FHIR URL makes no
// difference.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if path := strings.TrimRight(r.URL.Path, "/"); path != r.URL.Path && strings.HasPrefix(path, fhirPath) {
		same, at := *r, *r.URL
		at.Path, at.RawPath = path, ""
		same.URL, r = &at, &same
	}
	s.engine.ServeHTTP(w, r)
}

// Ready makes /readyz say so from now on, or stop saying so.
func (s *Server) Ready(yes bool) { s.ready.set(yes) }

// Serve answers on the listener until ctx ends, then lets running requests
// finish for at most the drain time.
func (s *Server) Serve(ctx context.Context, listener net.Listener, drain time.Duration) error {
	h := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- h.Serve(listener) }()
	s.Ready(true)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	s.Ready(false)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	err := h.Shutdown(stop)
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
