package auth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"galen/policies"
)

// introspection asks a provider about opaque tokens
// (https://www.rfc-editor.org/rfc/rfc7662, and
// https://hl7.org/fhir/smart-app-launch/STU2.2/token-introspection.html).
type introspection struct {
	meta       *metadata
	id, secret string
}

// introspected is how long an answer is relied on: so long a token that was
// revoked still works.
const introspected = 30 * time.Second

var errInactive = errors.New("the token is not active")

func (i *introspection) ask(ctx context.Context, p *Provider, token string, now time.Time) (policies.Principal, time.Time, error) {
	none := policies.Principal{}
	endpoints, err := i.meta.fetch(ctx)
	if err != nil {
		return none, time.Time{}, err
	}
	if err := checkURL(endpoints.Introspection); err != nil {
		return none, time.Time{}, err
	}
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoints.Introspection, strings.NewReader(form))
	if err != nil {
		return none, time.Time{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.SetBasicAuth(url.QueryEscape(i.id), url.QueryEscape(i.secret)) // RFC 6749, section 2.3.1
	var answer claimSet
	if err := i.meta.do(req, &answer); err != nil {
		return none, time.Time{}, err
	}
	expires, err := p.vouched(answer, now)
	if err != nil {
		return none, time.Time{}, err
	}
	principal, err := p.read(answer)
	if err == nil && principal.Subject == "" {
		principal.Subject = principal.Client // a backend service has no user
	}
	if err == nil && principal.Subject == "" {
		err = errInactive
	}
	return principal, expires, err
}

// vouched checks what the answer says about the token: active, not expired,
// for this server if it names an audience, of this issuer if it names one.
func (p *Provider) vouched(c claimSet, now time.Time) (time.Time, error) {
	active, _ := c["active"].(bool)
	expires, hasExpiry := c["exp"].(float64)
	audience, err := c.texts("aud")
	issuer, failed := c.text("iss")
	at := time.Unix(int64(expires), 0)
	switch {
	case err != nil || failed != nil || !active || !hasExpiry || !now.Before(at.Add(skew)):
		return at, errInactive
	case issuer != "" && issuer != p.issuer:
		return at, errInactive
	case audience != nil && !slices.ContainsFunc(audience, func(a string) bool { return slices.Contains(p.audience, a) }):
		return at, errInactive
	}
	if soon := now.Add(introspected); soon.Before(at) {
		at = soon
	}
	return at, nil
}
