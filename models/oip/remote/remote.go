// Package remote runs models on other servers of the Open Inference Protocol,
// such as Triton and KServe: a Runner over HTTP for manifests of runtime oip.
//
// It promises that nothing is sent but to servers on the operator's list, over
// no redirect, with a deadline and a bound on what comes back; that a server that
// keeps failing is left alone for a while (a circuit breaker), so that it cannot
// hold up what does not need it; and that no text of the other server gets into
// an error, since it may quote a patient's values.
package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"galen/models"
	"galen/models/manifest"
)

// Server is a server that models may be run on.
type Server struct {
	URL   string                 // without /v2 and without a slash at its end
	TLS   *tls.Config            // nil is the system's
	Token func() (string, error) // bearer token for each request; nil for none
}

// Options are what an Opener may be told.
type Options struct {
	Servers   []Server
	MaxAnswer int64                // bytes of an answer; 0 is 64 MiB
	Failures  int                  // in a row after which a server is left alone; 0 is 5
	Rest      time.Duration        // for how long; 0 is 10 s
	Now       func() time.Time     // nil is time.Now
	Jitter    func() time.Duration // added to the wait before a retry; nil for none
}

// Opener opens models on the listed servers. It is safe for concurrent use; the
// models on one server share its breaker.
type Opener struct {
	opts    Options
	servers map[string]*server
}

var _ models.Opener = (*Opener)(nil)

// server is one Server with its connections.
type server struct {
	Server
	client  *http.Client
	breaker *breaker
}

// New returns an Opener.
func New(opts Options) *Opener {
	if opts.MaxAnswer <= 0 {
		opts.MaxAnswer = 64 << 20
	}
	if opts.Failures <= 0 {
		opts.Failures = 5
	}
	if opts.Rest <= 0 {
		opts.Rest = 10 * time.Second
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	o := &Opener{opts: opts, servers: map[string]*server{}}
	for _, s := range opts.Servers {
		o.servers[s.URL] = &server{
			Server: s, breaker: &breaker{limit: opts.Failures, rest: opts.Rest, now: opts.Now},
			client: &http.Client{
				Transport:     &http.Transport{TLSClientConfig: s.TLS, MaxIdleConnsPerHost: 32, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true},
				CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			},
		}
	}
	return o
}

var errListed = errors.New("the server is not on the list of servers that models may run on")

// Open asks the other server for the model's ports. Errors: Refused when the
// server is not listed, has no such model, or describes it in a way that is not
// understood; Unavailable; Timeout.
func (o *Opener) Open(ctx context.Context, m *manifest.Manifest, _ []byte) (models.Runner, error) {
	if m.Remote == nil {
		return nil, failure("open model", models.Refused, errListed)
	}
	s, ok := o.servers[strings.TrimRight(m.Remote.URL, "/")]
	if !ok {
		return nil, failure("open model", models.Refused, errListed)
	}
	r := &runner{
		server: s, opts: &o.opts, deadline: 5 * time.Second, retries: m.Remote.Retries,
		path: s.URL + "/v2/models/" + url.PathEscape(orElse(m.Remote.Model, m.Name)),
	}
	if m.Remote.Version != "" {
		r.path += "/versions/" + url.PathEscape(m.Remote.Version)
	}
	if m.Remote.Deadline > 0 {
		r.deadline = time.Duration(m.Remote.Deadline) * time.Millisecond
	}
	if err := r.describe(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

func failure(op string, kind models.Kind, err error) error {
	return &models.Error{Op: op, Kind: kind, Err: err}
}

// statusError tells a status and nothing that came with it.
func statusError(status int) error {
	return fmt.Errorf("the model's server answered with status %d", status)
}
