// Package remote reads from the FHIR server of a CDS client, for the prefetch
// that a call left out.
//
// It goes only where it is told: one origin, no redirects, next links on that
// origin and below its base only, no proxy, and never to an address inside this
// network unless the client's registration names the server; the address is
// checked when it is dialled, so that no DNS answer can change afterwards. The
// access token goes to that server alone and is in no error. Answers are bounded
// in bytes, pages and time; what fails for the moment is tried again with jitter
// while time is left.
//
// It does not decide which servers a client may name (hooks/clients).
package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/hooks/prefetch"
)

// Options are what a Client may be told; the zero Options are good.
type Options struct {
	TLS      *tls.Config   // nil for the system's roots
	Attempts int           // of one request; 0 means 3
	Pause    time.Duration // before the second attempt, doubled each time; 0 means 25 ms
	Pages    int           // of one query; 0 means 20
	Page     int64         // longest answer in bytes; 0 means 8 MiB
	Total    int64         // of one query's answers, in bytes; 0 means 32 MiB
}

// Client makes Sources. It is safe for concurrent use; Close it when done.
type Client struct {
	opt    Options
	mu     sync.Mutex
	inside map[string]*http.Client // by host, for servers that may lie inside the network
	public *http.Client
}

// New returns a Client.
func New(opt Options) *Client {
	opt.Attempts, opt.Pages = max(opt.Attempts, 0), max(opt.Pages, 0)
	if opt.Attempts == 0 {
		opt.Attempts = 3
	}
	if opt.Pause <= 0 {
		opt.Pause = 25 * time.Millisecond
	}
	if opt.Pages == 0 {
		opt.Pages = 20
	}
	if opt.Page <= 0 {
		opt.Page = 8 << 20
	}
	if opt.Total <= 0 {
		opt.Total = 32 << 20
	}
	c := &Client{opt: opt, inside: map[string]*http.Client{}}
	c.public = c.client(public)
	return c
}

// Close ends idle connections.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.public.CloseIdleConnections()
	for _, h := range c.inside {
		h.CloseIdleConnections()
	}
	return nil
}

// Target is the server of one call.
type Target struct {
	Base string // base URL with a slash at its end
	// Listed means that the client's registration names this server: it may then
	// lie on a private or loopback address.
	Listed bool
	Token  string // bearer token, "" for none
}

// String hides the token.
func (t Target) String() string { return "target" }

// GoString hides the token.
func (t Target) GoString() string { return t.String() }

// Source reads from a target. The error is of Kind Value for a base that cannot
// be used.
func (c *Client) Source(t Target) (prefetch.Pager, error) {
	base, err := url.Parse(t.Base)
	if err != nil || base.Host == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "" ||
		(base.Scheme != "https" && base.Scheme != "http") || !strings.HasSuffix(base.Path, "/") {
		return nil, refused("fhirServer is no base URL")
	}
	if base.Scheme == "http" && !t.Listed {
		return nil, refused("fhirServer must be https")
	}
	return &source{c, base, t, c.clientFor(base, t.Listed)}, nil
}

func refused(message string) error { return fhir.E("remote.Source", fhir.Value, "fhirServer", message) }

// clientFor is the HTTP client whose dialer fits: a listed host has one of its
// own, so that no connection is shared with calls that may not go inside.
func (c *Client) clientFor(base *url.URL, listed bool) *http.Client {
	if !listed {
		return c.public
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	h, ok := c.inside[base.Host]
	if !ok {
		literal, err := netip.ParseAddr(base.Hostname())
		h = c.client(func(ip netip.Addr) bool { return reachable(ip) || (err == nil && ip == literal.Unmap()) })
		c.inside[base.Host] = h
	}
	return h
}

// client makes an HTTP client that dials only addresses that may says yes to.
func (c *Client) client(may func(netip.Addr) bool) *http.Client {
	dialer := &net.Dialer{
		Timeout: 5 * time.Second,
		Control: func(_, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil || !may(to.Addr().Unmap()) {
				return errAddress
			}
			return nil
		},
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSClientConfig: c.opt.TLS, ForceAttemptHTTP2: true,
			MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 5 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

var errAddress = errors.New("the address may not be dialled")

// reserved are the networks that are neither private, loopback nor link-local
// and yet are no place on the Internet
// (https://www.iana.org/assignments/iana-ipv4-special-registry/).
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("2001::/32"),
}

// reachable are the addresses that a listed server may have: any but
// link-local ones, where clouds keep their secrets, and those of no host.
func reachable(ip netip.Addr) bool {
	return ip.IsValid() && !ip.IsUnspecified() && !ip.IsMulticast() && !ip.IsLinkLocalUnicast()
}

// public are the addresses of the Internet.
func public(ip netip.Addr) bool {
	if !reachable(ip) || ip.IsLoopback() || ip.IsPrivate() {
		return false
	}
	for _, p := range reserved {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}

// source is a Client turned to one target.
type source struct {
	*Client
	base   *url.URL
	target Target
	http   *http.Client
}

// Fetch reads one resource or runs one search, all its pages.
func (s *source) Fetch(ctx context.Context, query string) ([]prefetch.Item, error) {
	u, err := s.base.Parse(query)
	if err != nil || !s.within(u) {
		return nil, unavailable("the query does not fit the server")
	}
	u.RawQuery = strings.ReplaceAll(u.RawQuery, "|", "%7C") // RFC 3986 has no bare |, and some servers refuse it
	return s.pages(ctx, u)
}

// Follow reads the pages from a next link on.
func (s *source) Follow(ctx context.Context, next string) ([]prefetch.Item, error) {
	u, err := s.base.Parse(next)
	if err != nil || !s.within(u) {
		return nil, unavailable("a next link leads elsewhere")
	}
	return s.pages(ctx, u)
}

// within reports whether a URL is below the base.
func (s *source) within(u *url.URL) bool {
	return u.Scheme == s.base.Scheme && strings.EqualFold(u.Host, s.base.Host) && u.User == nil &&
		!strings.Contains(u.Path, "..") && strings.HasPrefix(u.Path+"/", s.base.Path)
}

func unavailable(message string) error {
	return fhir.E("remote.Fetch", fhir.Unavailable, "fhirServer", message)
}

// pages reads a page and those that its next links lead to.
func (s *source) pages(ctx context.Context, u *url.URL) ([]prefetch.Item, error) {
	var out []prefetch.Item
	left := s.opt.Total
	for range s.opt.Pages {
		r, err := s.read(ctx, u, min(s.opt.Page, left))
		if err != nil {
			return nil, err
		}
		left -= int64(len(r.Bytes()))
		if r.Type != "Bundle" {
			return []prefetch.Item{{Resource: r, Citation: prefetch.Cite(s.target.Base, r)}}, nil
		}
		err = prefetch.Entries(r, "Bundle", func(r fhir.Resource) {
			out = append(out, prefetch.Item{Resource: r, Citation: prefetch.Cite(s.target.Base, r)})
		})
		if err != nil {
			return nil, unavailable("the server's answer is not FHIR")
		}
		next := prefetch.NextLink(r)
		if next == "" {
			return out, nil
		}
		if u, err = u.Parse(next); err != nil || !s.within(u) {
			return nil, unavailable("a next link leads elsewhere")
		}
	}
	return nil, fhir.E("remote.Fetch", fhir.TooCostly, "fhirServer", "the search has too many pages")
}

// read gets one resource, trying again what may pass.
func (s *source) read(ctx context.Context, u *url.URL, most int64) (fhir.Resource, error) {
	pause := s.opt.Pause
	for attempt := 1; ; attempt++ {
		r, again, err := s.once(ctx, u, most)
		if err == nil || !again || attempt == s.opt.Attempts {
			return r, err
		}
		// Full jitter, so that clients that failed together do not come back together.
		timer := time.NewTimer(time.Duration(rand.Int64N(int64(pause))) + 1)
		select {
		case <-ctx.Done():
			timer.Stop()
			return r, fhir.E("remote.Fetch", fhir.Timeout, "fhirServer", "the server did not answer in time")
		case <-timer.C:
		}
		pause *= 2
	}
}

// once makes one request. again says whether another try may help.
func (s *source) once(ctx context.Context, u *url.URL, most int64) (r fhir.Resource, again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return r, false, unavailable("the query does not fit the server")
	}
	req.Header.Set("Accept", "application/fhir+json, application/json;q=0.9")
	if s.target.Token != "" {
		req.Header.Set("Authorization", "Bearer "+s.target.Token)
	}
	res, err := s.http.Do(req)
	if err != nil {
		return r, !errors.Is(err, errAddress), s.failure(ctx, err)
	}
	defer func() { _ = res.Body.Close() }()
	if err := statusError(res.StatusCode); err != nil {
		return r, passing(res.StatusCode), err
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, most+1))
	if err != nil {
		return r, true, s.failure(ctx, err)
	}
	if int64(len(body)) > most {
		return r, false, fhir.E("remote.Fetch", fhir.TooCostly, "fhirServer", "the server's answer is too long")
	}
	r, err = fhir.Parse(body, jsontree.Limits{})
	if err != nil || r.Type == "OperationOutcome" {
		return r, false, unavailable("the server's answer is not FHIR")
	}
	return r, false, nil
}

// failure hides the cause, which holds the URL.
func (s *source) failure(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
		return fhir.E("remote.Fetch", fhir.Timeout, "fhirServer", "the server did not answer in time")
	}
	return unavailable("the server could not be reached")
}

// statusError is the error of an answer that is no success. A redirect is one:
// the token must not go elsewhere.
func statusError(status int) error {
	switch {
	case status == http.StatusOK:
		return nil
	case status == http.StatusNotFound, status == http.StatusGone:
		return fhir.E("remote.Fetch", fhir.NotFound, "fhirServer", "the server has no such resource")
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return fhir.E("remote.Fetch", fhir.Forbidden, "fhirServer", "the server refused the access token")
	}
	return unavailable("the server refused the request")
}

// passing reports whether a status may be another one soon.
func passing(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}
