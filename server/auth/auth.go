// Package auth turns the bearer token of a request into a policies.Principal
// and mints tokens from the local issuer.
//
// A token is a signed JWT access token (RFC 9068,
// https://www.rfc-editor.org/rfc/rfc9068): typ at+jwt, an asymmetric algorithm
// from a short list, an issuer and audience that this server knows, not
// expired. Whatever is wrong with it, the caller learns only that it is not
// valid; nothing of a token is ever logged or kept but its jti.
//
// It does not decide what a principal may do: that is policies.
package auth

import (
	"context"
	"crypto/sha256"
	"errors"
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

// Claims that are not registered in RFC 7519, by their name in the token.
const (
	claimScope    = "scope"
	claimRoles    = "roles"
	claimPatient  = "patient"
	claimOrg      = "org"
	claimPurpose  = "purpose_of_use"
	claimClient   = "client_id"
	claimFHIRUser = "fhirUser"
)

// Verifier checks bearer tokens. It is safe for concurrent use.
type Verifier struct {
	keys  jwk.Set
	now   func() time.Time
	known *tokenCache
}

// NewVerifier returns a Verifier of the tokens of the local issuer.
func NewVerifier(local *Issuer, now func() time.Time) (*Verifier, error) {
	set := jwk.NewSet()
	public, err := local.key.PublicKey()
	if err != nil {
		return nil, &fhir.Error{Op: "auth.NewVerifier", Err: err}
	}
	if err := set.AddKey(public); err != nil {
		return nil, &fhir.Error{Op: "auth.NewVerifier", Err: err}
	}
	return &Verifier{set, now, newTokenCache()}, nil
}

// Verify reads an Authorization header ("Bearer …"). Every failure is an
// *fhir.Error of Kind Unauthorized that does not say what was wrong.
func (v *Verifier) Verify(_ context.Context, header string) (policies.Principal, error) {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return policies.Principal{}, refused("a bearer token is needed")
	}
	sum := sha256.Sum256([]byte(token))
	if p, ok := v.known.get(sum, v.now()); ok {
		return p, nil
	}
	t, err := v.parse(token)
	if err != nil {
		return policies.Principal{}, refused("the bearer token is not valid")
	}
	p, expires, err := principal(t)
	if err != nil {
		return policies.Principal{}, refused("the bearer token is not valid")
	}
	v.known.put(sum, p, expires)
	return p, nil
}

func refused(message string) error {
	return fhir.E("auth.Verify", fhir.Unauthorized, "", message)
}

var errHeader = errors.New("not an access token")

func (v *Verifier) parse(token string) (jwt.Token, error) {
	message, err := jws.Parse([]byte(token))
	if err != nil {
		return nil, err
	}
	if len(message.Signatures()) != 1 {
		return nil, errHeader
	}
	header := message.Signatures()[0].ProtectedHeaders()
	if typ, _ := header.Type(); !strings.EqualFold(typ, tokenType) {
		return nil, errHeader
	}
	if alg, ok := header.Algorithm(); !ok || alg != jwa.ES256() {
		return nil, errHeader
	}
	return jwt.Parse([]byte(token),
		jwt.WithKeySet(v.keys),
		jwt.WithValidate(true),
		jwt.WithClock(jwt.ClockFunc(v.now)),
		jwt.WithAcceptableSkew(skew),
		jwt.WithIssuer(LocalIssuer),
		jwt.WithAudience(Audience),
		jwt.WithRequiredClaim(jwt.ExpirationKey),
		jwt.WithRequiredClaim(jwt.SubjectKey),
		jwt.WithRequiredClaim(jwt.JwtIDKey),
	)
}

// principal reads the claims. A claim of the wrong type refuses the token: a
// roles or patient claim that cannot be read must not count as absent.
func principal(t jwt.Token) (policies.Principal, time.Time, error) {
	p := policies.Principal{}
	p.Subject, _ = t.Subject()
	p.TokenID, _ = t.JwtID()
	expires, _ := t.Expiration()
	scope := ""
	for name, into := range map[string]any{
		claimScope: &scope, claimRoles: &p.Roles, claimPatient: &p.Patient, claimOrg: &p.Org,
		claimPurpose: &p.Purpose, claimClient: &p.Client, claimFHIRUser: &p.FHIRUser,
	} {
		if !t.Has(name) {
			continue
		}
		if err := claim(t, name, into); err != nil {
			return p, expires, err
		}
	}
	if p.Patient != "" && !fhir.ValidID(p.Patient) {
		return p, expires, errHeader
	}
	if t.Has(claimScope) {
		p.Scopes, _ = policies.ParseScopes(scope)
		if p.Scopes == nil {
			p.Scopes = []policies.Scope{} // a scope that grants nothing is not the absence of scopes
		}
	}
	return p, expires, nil
}

func claim(t jwt.Token, name string, into any) error {
	list, ok := into.(*[]string)
	if !ok {
		return t.Get(name, into)
	}
	var raw []any
	if err := t.Get(name, &raw); err != nil {
		return t.Get(name, list)
	}
	for _, item := range raw {
		s, ok := item.(string)
		if !ok {
			return errHeader
		}
		*list = append(*list, s)
	}
	return nil
}
