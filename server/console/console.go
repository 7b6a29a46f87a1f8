// Package console is the web pages: one for the compliance officer, the owner of
// models and the clinician, and one about the system.
//
// It is a client of the API and nothing more: whatever a page shows or changes
// is asked of the API within the process, with the token of who is signed in. So
// every page makes the decisions and leaves the audit entries that the same calls
// make from outside, and no page can show what the API would refuse.
//
// Pages are rendered on the server, work without scripts, and load nothing from
// any other host. It knows no store, no policy file and no router: server mounts
// it.
package console

import (
	"context"
	"io"
	"net/http"
	"time"

	"galen/policies"
	"galen/server/console/page"
	"galen/server/console/session"
)

// Prefix stands before the path of every page.
const Prefix = "/console"

// Authenticator turns an Authorization header into who calls.
type Authenticator interface {
	Verify(ctx context.Context, authorization string) (policies.Principal, error)
}

// Decider says what a principal may do. It is asked for what to offer; what is
// then done, the API decides again.
type Decider interface {
	Decide(ctx context.Context, p policies.Principal, r policies.Request) policies.Decision
}

// Config is all that New needs; every field but Limits must be set.
type Config struct {
	API     http.Handler // the whole API
	Auth    Authenticator
	Decider Decider
	Limits  session.Limits
	Now     func() time.Time
	Random  io.Reader // fit for secrets
	Version string
}

// Console serves the pages. It is safe for concurrent use.
type Console struct {
	Config
	sessions *session.Sessions
	pages    *page.Set
	mux      *http.ServeMux
	guard    *http.CrossOriginProtection
}

// New makes a Console. The error is of Kind Internal: a template is broken.
func New(cfg Config) (*Console, error) {
	pages, err := page.Load()
	if err != nil {
		return nil, err
	}
	c := &Console{
		Config: cfg, sessions: session.New(cfg.Limits, cfg.Now, cfg.Random), pages: pages,
		mux: http.NewServeMux(), guard: http.NewCrossOriginProtection(),
	}
	c.mux.HandleFunc("GET /console/style.css", c.style)
	c.mux.HandleFunc("POST /console/sign-in", c.signIn)
	c.mux.HandleFunc("POST /console/sign-out", c.signed(c.signOut))
	for pattern, show := range map[string]view{
		"GET /console":                               c.home,
		"GET /console/{$}":                           c.home,
		"GET /console/audit":                         c.audit,
		"GET /console/audit/export":                  c.auditExport,
		"POST /console/audit/review":                 c.review,
		"POST /console/audit/explain":                c.explain,
		"GET /console/policies":                      c.policies,
		"GET /console/policies/{digest}":             c.policy,
		"POST /console/policies":                     c.propose,
		"POST /console/policies/{digest}/{step}":     c.advance,
		"GET /console/models":                        c.models,
		"GET /console/models/{name}":                 c.model,
		"POST /console/models/{name}/{version}/{do}": c.changeModel,
		"GET /console/patients":                      c.patients,
		"GET /console/patients/{id}":                 c.patient,
		"POST /console/patients/{id}/assess":         c.assess,
		"POST /console/patients/{id}/hook":           c.hook,
		"GET /console/system":                        c.system,
		"GET /console/":                              c.absent,
	} {
		c.mux.HandleFunc(pattern, c.signed(show))
	}
	return c, nil
}

// maxForm bounds what a form may send, in bytes.
const maxForm = 1 << 20

// ServeHTTP answers one request for a page.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
	h.Set("Cache-Control", "no-store")
	if r.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	if err := c.guard.Check(r); err != nil {
		c.render(w, http.StatusForbidden, "error", &page.Data{Title: "Refused", Problem: "This came from a page of another site. Open the console and try again there."})
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	c.mux.ServeHTTP(w, r)
}

func (c *Console) style(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = w.Write(page.Style()) // a browser that went away is not our concern
}

// render writes a page.
func (c *Console) render(w http.ResponseWriter, status int, name string, d *page.Data) {
	d.Version = c.Version
	text, err := c.pages.Render(name, d)
	if err != nil {
		http.Error(w, "The page could not be made. Reload it; if that does not help, tell your administrator.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(text)
}
