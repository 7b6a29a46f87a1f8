package auth

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"galen/fhir"
	"galen/policies/smart"
)

// ProviderConfig is one external issuer of access tokens, an OpenID Provider or
// OAuth 2 authorization server.
type ProviderConfig struct {
	// Issuer is the iss of its tokens, an https URL (http on loopback only).
	// Its metadata is read from there (OpenID Connect Discovery 1.0, RFC 8414).
	Issuer string
	// Audience lists the aud values of tokens for this server; one must be named.
	Audience []string
	// Algorithms lists the allowed alg; nil means all of Algorithms().
	Algorithms []string
	// Types lists the allowed typ; nil means at+jwt alone (RFC 9068, section 4).
	Types  []string
	Claims ClaimNames
	// ClientID and Secret are this server's own at the introspection endpoint
	// (RFC 7662); without them opaque tokens are refused.
	ClientID, Secret string

	Client *http.Client     // nil for one with a timeout of 5 s that follows no redirects
	Now    func() time.Time // nil for time.Now
}

// Algorithms are the signature algorithms that may be allowed: asymmetric ones
// only, so that no public key can serve as a secret.
func Algorithms() []string { return []string{"RS256", "RS384", "ES256", "ES384", "PS256", "PS384"} }

// Provider checks the tokens of one issuer. It is safe for concurrent use.
type Provider struct {
	source
	keys          keySource
	introspection *introspection
	meta          *metadata
}

// NewProvider makes a Provider; it fetches nothing yet, so that a provider that
// is down does not stop the server. The error is of Kind Invalid.
func NewProvider(c ProviderConfig) (*Provider, error) {
	const op = "auth.NewProvider"
	if err := checkURL(c.Issuer); err != nil {
		return nil, &fhir.Error{Op: op, Kind: fhir.Invalid, At: "issuer", Err: err}
	}
	if len(c.Audience) == 0 {
		return nil, fhir.E(op, fhir.Invalid, "audience", "a provider needs an audience: tokens for others would be taken")
	}
	if c.Algorithms == nil {
		c.Algorithms = Algorithms()
	}
	if slices.ContainsFunc(c.Algorithms, func(a string) bool { return !slices.Contains(Algorithms(), a) }) {
		return nil, fhir.E(op, fhir.Invalid, "algorithms", "only RS, PS and ES algorithms with SHA-256 or SHA-384 are offered")
	}
	if c.Types == nil {
		c.Types = []string{tokenType}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Client == nil {
		c.Client = &http.Client{Timeout: 5 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	p := &Provider{source: source{
		issuer: c.Issuer, audience: c.Audience, algorithms: c.Algorithms, claims: c.Claims,
		types: lowered(c.Types),
	}}
	p.meta = &metadata{issuer: c.Issuer, client: c.Client}
	p.keys = &remoteKeys{meta: p.meta, now: c.Now}
	if c.ClientID != "" {
		p.introspection = &introspection{meta: p.meta, id: c.ClientID, secret: c.Secret}
	}
	return p, nil
}

func lowered(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = strings.ToLower(s)
	}
	return out
}

var errURL = errors.New("must be an https URL without query and fragment; http is for loopback only")

// checkURL accepts https, and http on loopback, where the tests and demos live.
func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return errURL
	}
	loopback := u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1" || u.Hostname() == "::1"
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback) {
		return errURL
	}
	return nil
}

// metadata reads what an issuer says about itself.
type metadata struct {
	issuer string
	client *http.Client
}

// Endpoints fetches the provider's metadata. The error is of Kind Unavailable.
func (p *Provider) Endpoints(ctx context.Context) (smart.Endpoints, error) { return p.meta.fetch(ctx) }

// fetch reads the OpenID configuration, or else that of OAuth 2, whose path
// stands between host and path of the issuer (RFC 8414, section 3.1).
func (m *metadata) fetch(ctx context.Context) (smart.Endpoints, error) {
	base := strings.TrimSuffix(m.issuer, "/")
	places := []string{base + "/.well-known/openid-configuration"}
	if u, err := url.Parse(base); err == nil {
		path := u.Path
		u.Path = "/.well-known/oauth-authorization-server" + path
		places = append(places, u.String())
	}
	var failed error
	for _, place := range places {
		var e smart.Endpoints
		if failed = m.get(ctx, place, &e); failed != nil {
			continue
		}
		if e.Issuer != m.issuer {
			return e, unreachable(errors.New("the metadata is of another issuer"))
		}
		return e, nil
	}
	return smart.Endpoints{}, unreachable(failed)
}

func unreachable(err error) error {
	return &fhir.Error{Op: "auth.Provider", Kind: fhir.Unavailable, Err: err}
}

// maxDocument is the longest document that is read from a provider, in bytes.
const maxDocument = 1 << 20

func (m *metadata) get(ctx context.Context, place string, into any) error {
	if err := checkURL(place); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, place, http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	return m.do(req, into)
}

var errAnswer = errors.New("the provider did not answer as it should")

func (m *metadata) do(req *http.Request, into any) error {
	res, err := m.client.Do(req)
	if err != nil {
		return errAnswer // its text holds the URL
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxDocument))
	if err != nil || res.StatusCode != http.StatusOK {
		return errAnswer
	}
	if raw, ok := into.(*[]byte); ok {
		*raw = body
		return nil
	}
	if json.Unmarshal(body, into) != nil {
		return errAnswer
	}
	return nil
}
