// Package remote asks another FHIR terminology server over HTTP
// (https://hl7.org/fhir/R4/terminology-service.html), for what this server does
// not have. It sends codes, never patients; follows no redirects; and bounds the
// time and size of an answer. It keeps no answers.
package remote

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/terminology"
)

// Server is another terminology server. It is safe for concurrent use.
type Server struct {
	base   string
	token  string
	client *http.Client
}

var _ terminology.Remote = (*Server)(nil)

// The limits of one answer.
const (
	timeout  = 10 * time.Second
	maxBytes = 32 << 20
)

// New returns the server at a FHIR base URL, which must be https unless it is on
// this machine; token is sent as a bearer token unless it is empty.
func New(base, token string) (*Server, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, fhir.E("remote.New", fhir.Value, "", "the terminology server must be an https URL")
	}
	return &Server{strings.TrimSuffix(base, "/"), token, &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func loopback(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }

// Validate asks $validate-code.
func (s *Server) Validate(ctx context.Context, valueSet string, c terminology.Coding) (terminology.Verdict, error) {
	query := url.Values{"code": {c.Code}}
	add := func(name, value string) {
		if value != "" {
			query.Set(name, value)
		}
	}
	add("display", c.Display)
	path := "/CodeSystem/$validate-code"
	if valueSet == "" {
		add("url", c.System)
		add("version", c.Version)
	} else {
		path = "/ValueSet/$validate-code"
		add("url", valueSet)
		add("system", c.System)
		add("systemVersion", c.Version)
	}
	r, err := s.get(ctx, path, query, "Parameters")
	if err != nil {
		return terminology.Verdict{}, err
	}
	v := terminology.Verdict{Coding: c}
	for p := range r.Root().Get("parameter").Items() {
		switch p.Get("name").Text() {
		case "result":
			v.Result = p.Get("valueBoolean").Kind() == jsontree.True
		case "message":
			v.Message = p.Get("valueString").Text()
		case "display":
			v.Display = p.Get("valueString").Text()
		}
	}
	return v, nil
}

// Expand asks $expand.
func (s *Server) Expand(ctx context.Context, in terminology.ExpandIn) ([]byte, error) {
	query := url.Values{"url": {in.URL}}
	if in.Version != "" {
		query.Set("valueSetVersion", in.Version)
	}
	if in.Filter != "" {
		query.Set("filter", in.Filter)
	}
	if in.Offset > 0 {
		query.Set("offset", strconv.Itoa(in.Offset))
	}
	if in.Count >= 0 {
		query.Set("count", strconv.Itoa(in.Count))
	}
	for name, on := range map[string]bool{"activeOnly": in.ActiveOnly, "includeDesignations": in.Designations, "excludeNested": in.Flat} {
		if on {
			query.Set(name, "true")
		}
	}
	r, err := s.get(ctx, "/ValueSet/$expand", query, "ValueSet")
	return r.Bytes(), err
}

// Lookup asks $lookup.
func (s *Server) Lookup(ctx context.Context, c terminology.Coding, properties []string) ([]byte, error) {
	query := url.Values{"system": {c.System}, "code": {c.Code}, "property": properties}
	if c.Version != "" {
		query.Set("version", c.Version)
	}
	r, err := s.get(ctx, "/CodeSystem/$lookup", query, "Parameters")
	return r.Bytes(), err
}

// get asks for a resource of a type.
func (s *Server) get(ctx context.Context, path string, query url.Values, resourceType string) (fhir.Resource, error) {
	const op = "remote.get"
	unavailable := func(err error) error { return &fhir.Error{Op: op, Kind: fhir.Unavailable, Err: err} }
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+path+"?"+query.Encode(), nil)
	if err != nil {
		return fhir.Resource{}, unavailable(errors.New("the terminology server cannot be asked"))
	}
	req.Header.Set("Accept", "application/fhir+json")
	if s.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	answer, err := s.client.Do(req)
	if err != nil {
		return fhir.Resource{}, unavailable(errors.New("the terminology server does not answer"))
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxBytes+1))
	if err != nil || len(body) > maxBytes {
		return fhir.Resource{}, unavailable(errors.New("the terminology server's answer is too long or cut short"))
	}
	switch {
	case answer.StatusCode == http.StatusOK:
		r, err := fhir.Parse(body, jsontree.Limits{Bytes: maxBytes})
		if err != nil || r.Type != resourceType {
			return fhir.Resource{}, unavailable(errors.New("the terminology server's answer is not a " + resourceType))
		}
		return r, nil
	case answer.StatusCode >= 400 && answer.StatusCode < 500 && answer.StatusCode != http.StatusTooManyRequests:
		return fhir.Resource{}, fhir.E(op, fhir.NotFound, "url", "neither this server nor its terminology server knows this")
	}
	return fhir.Resource{}, unavailable(errors.New("the terminology server answers " + strconv.Itoa(answer.StatusCode)))
}
