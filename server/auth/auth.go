// Package auth turns the bearer token of a request into a policies.Principal
// and mints tokens from the local issuer.
//
// A token is a signed JWT access token (RFC 9068,
// https://www.rfc-editor.org/rfc/rfc9068): typ at+jwt, an asymmetric algorithm
// from a short list, of the local issuer or a Provider that is configured, for
// an audience that this server goes by, not expired; or an opaque token that its
// Provider vouches for (RFC 7662). Whatever is wrong with it, the caller learns
// only that it is not valid; nothing of a token is logged or kept but its jti.
//
// It does not decide what a principal may do: that is policies.
package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"galen/fhir"
	"galen/policies"
)

const (
	// LocalIssuer is the iss of tokens minted on this machine.
	LocalIssuer = "urn:galen:local"
	// Audience is the aud that a token for this server must name.
	Audience = "urn:galen"

	tokenType = "at+jwt" // RFC 9068, section 2.1
	skew      = 30 * time.Second
)

// Verifier checks bearer tokens. It is safe for concurrent use.
type Verifier struct {
	local     source
	providers []*Provider
	now       func() time.Time
	known     *tokenCache
}

// source is what a token of one issuer is held against.
type source struct {
	issuer     string
	audience   []string
	types      []string // values of typ, lower case
	algorithms []string
	claims     ClaimNames
	needJTI    bool
}

// NewVerifier returns a Verifier of the tokens of the local issuer, nil for none,
// and of the providers.
func NewVerifier(local *Issuer, now func() time.Time, providers ...*Provider) (*Verifier, error) {
	v := &Verifier{providers: providers, now: now, known: newTokenCache()}
	for _, p := range providers {
		if keys, ok := p.keys.(*remoteKeys); ok {
			keys.changed = v.known.forget
		}
	}
	if local == nil {
		return v, nil
	}
	v.local = source{
		issuer: LocalIssuer, audience: []string{Audience}, types: []string{tokenType},
		algorithms: []string{jwa.ES256().String()}, needJTI: true,
	}
	public, err := local.key.PublicKey()
	if err != nil {
		return nil, &fhir.Error{Op: "auth.NewVerifier", Err: err}
	}
	set := jwk.NewSet()
	if err := set.AddKey(public); err != nil {
		return nil, &fhir.Error{Op: "auth.NewVerifier", Err: err}
	}
	v.providers = append(v.providers, &Provider{source: v.local, keys: fixedKeys(set)})
	return v, nil
}

// Verify reads an Authorization header ("Bearer …"). Every failure is an
// *fhir.Error of Kind Unauthorized that does not say what was wrong.
func (v *Verifier) Verify(ctx context.Context, header string) (policies.Principal, error) {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return policies.Principal{}, refused("a bearer token is needed")
	}
	sum := sha256.Sum256([]byte(token))
	if p, ok := v.known.get(sum, v.now()); ok {
		return p, nil
	}
	p, until, err := v.verify(ctx, token)
	if err != nil {
		return policies.Principal{}, refused("the bearer token is not valid")
	}
	v.known.put(sum, p, until)
	return p, nil
}

func refused(message string) error {
	return fhir.E("auth.Verify", fhir.Unauthorized, "", message)
}

var errToken = errors.New("not an access token")

// verify checks a token that is not known; the answer may be remembered until
// the token or the keys behind it end.
func (v *Verifier) verify(ctx context.Context, token string) (policies.Principal, time.Time, error) {
	message, err := jws.Parse([]byte(token))
	if err != nil || strings.Count(token, ".") != 2 {
		return v.introspect(ctx, token)
	}
	if len(message.Signatures()) != 1 {
		return policies.Principal{}, time.Time{}, errToken
	}
	unverified, err := jwt.ParseInsecure([]byte(token))
	if err != nil {
		return policies.Principal{}, time.Time{}, err
	}
	issuer, _ := unverified.Issuer()
	for _, p := range v.providers {
		if p.issuer == issuer && issuer != "" {
			return p.verify(ctx, []byte(token), message.Signatures()[0].ProtectedHeaders(), v.now)
		}
	}
	return policies.Principal{}, time.Time{}, errToken
}

// introspect asks the providers that vouch for opaque tokens.
func (v *Verifier) introspect(ctx context.Context, token string) (policies.Principal, time.Time, error) {
	for _, p := range v.providers {
		if p.introspection == nil {
			continue
		}
		if principal, until, err := p.introspection.ask(ctx, p, token, v.now()); err == nil {
			return principal, until, nil
		}
	}
	return policies.Principal{}, time.Time{}, errToken
}

// verify holds a JWT against what the provider says of itself.
func (p *Provider) verify(ctx context.Context, token []byte, header jws.Headers, now func() time.Time) (policies.Principal, time.Time, error) {
	none := policies.Principal{}
	algorithm, err := p.checkHeader(header)
	if err != nil {
		return none, time.Time{}, err
	}
	kid, _ := header.KeyID()
	key, fresh, err := p.keys.key(ctx, kid, algorithm)
	if err != nil {
		return none, time.Time{}, err
	}
	options := []jwt.ParseOption{
		jwt.WithKey(algorithm, key), jwt.WithValidate(true), jwt.WithClock(jwt.ClockFunc(now)),
		jwt.WithAcceptableSkew(skew), jwt.WithIssuer(p.issuer),
		jwt.WithRequiredClaim(jwt.ExpirationKey), jwt.WithRequiredClaim(jwt.SubjectKey),
	}
	if p.needJTI {
		options = append(options, jwt.WithRequiredClaim(jwt.JwtIDKey))
	}
	t, err := jwt.Parse(token, options...)
	if err != nil {
		return none, time.Time{}, err
	}
	audience, _ := t.Audience()
	if !slices.ContainsFunc(audience, func(a string) bool { return slices.Contains(p.audience, a) }) {
		return none, time.Time{}, errToken
	}
	principal, err := p.principal(t)
	until, _ := t.Expiration()
	if until = until.Add(skew); !fresh.IsZero() && fresh.Before(until) {
		until = fresh
	}
	return principal, until, err
}

// checkHeader reads typ and alg. Headers that bring keys of their own (jku, jwk,
// x5u) count for nothing; what must be understood (crit) is not.
func (p *Provider) checkHeader(header jws.Headers) (jwa.SignatureAlgorithm, error) {
	typ, _ := header.Type()
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	algorithm, ok := header.Algorithm()
	_, critical := header.Critical()
	if !ok || critical || !slices.Contains(p.types, typ) || !slices.Contains(p.algorithms, algorithm.String()) {
		return jwa.SignatureAlgorithm{}, errToken
	}
	return algorithm, nil
}
