// Package hookjwt verifies the JWTs with which registered CDS clients call
// (https://cds-hooks.hl7.org/2.0/#trusting-cds-clients).
//
// A token is accepted once: signed with an asymmetric algorithm of a short list
// by a key of its client's registration, for exactly the URL that is called,
// living no longer than the registration allows. Keys are fetched only from URLs
// that the registration lists, kept for a bounded time, and fetched again for an
// unknown kid, but not often. Whatever is wrong, the caller learns only that the
// token is not valid. Nothing of a token is logged or kept but a digest of iss
// and jti.
//
// It does not decide what a client may do (policies).
package hookjwt

import (
	"context"
	"encoding/base64"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/hooks/clients"
	"galen/policies"
)

// Options are what a Verifier needs.
type Options struct {
	Registry *clients.Registry
	Replay   *Replay
	Now      func() time.Time
	// Transport fetches keys; nil for one that uses no proxy.
	Transport http.RoundTripper
}

// Verifier checks the tokens of registered clients. It is safe for concurrent
// use; a nil Verifier knows no clients.
type Verifier struct {
	registry *clients.Registry
	replay   *Replay
	now      func() time.Time
	rings    map[string][]*ring // by iss
}

// New returns a Verifier. Keys that stand in the registration or in a file are
// read now; the error is of Kind Invalid and names the client.
func New(o Options) (*Verifier, error) {
	v := &Verifier{registry: o.Registry, replay: o.Replay, now: o.Now, rings: map[string][]*ring{}}
	fetch := newFetcher(o.Transport)
	for _, c := range o.Registry.All() {
		rings, err := newRings(c, fetch, o.Now)
		if err != nil {
			return nil, err
		}
		v.rings[c.Issuer] = rings
	}
	return v, nil
}

// Call is the request that a token came with.
type Call struct {
	Base string // absolute URL of this server as the client reached it, no slash at its end
	Path string // of the URL that was called, "/cds-services/x"
}

// skew is how far clocks may differ.
const skew = time.Minute

// algorithms are those that are accepted: asymmetric ones only, never none
// (https://cds-hooks.hl7.org/2.0/#signing-algorithm).
var algorithms = map[string]jwa.SignatureAlgorithm{
	"ES256": jwa.ES256(), "ES384": jwa.ES384(), "ES512": jwa.ES512(),
	"RS256": jwa.RS256(), "RS384": jwa.RS384(), "RS512": jwa.RS512(),
	"PS256": jwa.PS256(), "PS384": jwa.PS384(), "PS512": jwa.PS512(),
}

// Verify reads an Authorization header. mine is false, and there is no error,
// when the header holds no token that names a registered client: then it is for
// others to judge. Every error is of Kind Unauthorized and does not say why.
func (v *Verifier) Verify(ctx context.Context, authorization string, call Call) (p policies.Principal, mine bool, err error) {
	if v == nil {
		return p, false, nil
	}
	t, client := v.read(authorization)
	if client == nil {
		return p, false, nil
	}
	if !v.valid(client, t, call) || !v.signed(ctx, client, t) {
		return p, true, refused()
	}
	jti := text(t.claims, "jti")
	if !v.replay.Use(client.Issuer+"\x00"+jti, t.expires().Add(skew)) {
		return p, true, refused()
	}
	tenant := ""
	if len(client.Tenants) > 0 {
		tenant = text(t.claims, "tenant")
	}
	return client.Principal(tenant, jti), true, nil
}

// Origin reports whether a registered client may call from a web origin.
func (v *Verifier) Origin(origin string) bool { return v != nil && v.registry.Origin(origin) }

func refused() error {
	return fhir.E("hookjwt.Verify", fhir.Unauthorized, "", "a valid token is needed")
}

// token is a JWT taken apart; nothing in it is verified yet.
type token struct {
	compact        string
	header, claims jsontree.Node
}

// maxToken is the longest token in bytes.
const maxToken = 16 << 10

// read takes the token apart and finds its client; nil if there is none.
func (v *Verifier) read(authorization string) (token, *clients.Client) {
	scheme, compact, _ := strings.Cut(authorization, " ")
	t := token{compact: strings.TrimSpace(compact)}
	if !strings.EqualFold(scheme, "Bearer") || len(t.compact) > maxToken {
		return t, nil
	}
	parts := strings.Split(t.compact, ".")
	if len(parts) != 3 {
		return t, nil
	}
	var ok bool
	if t.header, ok = object(parts[0]); !ok {
		return t, nil
	}
	if t.claims, ok = object(parts[1]); !ok {
		return t, nil
	}
	return t, v.registry.Find(text(t.claims, "iss"))
}

func object(part string) (jsontree.Node, bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return jsontree.Node{}, false
	}
	doc, err := jsontree.Parse(raw, jsontree.Limits{Depth: 10})
	if err != nil {
		return jsontree.Node{}, false
	}
	return doc.Root(), doc.Root().Kind() == jsontree.Object
}

func text(n jsontree.Node, name string) string {
	if m := n.Get(name); m.Kind() == jsontree.String {
		return m.Text()
	}
	return ""
}

// valid holds header and claims against
// https://cds-hooks.hl7.org/2.0/#trusting-cds-clients, but for the signature.
func (v *Verifier) valid(c *clients.Client, t token, call Call) bool {
	if typ := t.header.Get("typ"); typ.Exists() && !strings.EqualFold(typ.Text(), "JWT") {
		return false
	}
	if t.header.Get("crit").Exists() || t.header.Get("b64").Exists() {
		return false
	}
	if len(c.Tenants) > 0 && !slices.Contains(c.Tenants, text(t.claims, "tenant")) {
		return false
	}
	return text(t.claims, "jti") != "" && v.timely(c, t) && audience(c, t.claims.Get("aud"), call)
}

// timely checks exp, iat and nbf.
func (v *Verifier) timely(c *clients.Client, t token) bool {
	now := v.now()
	issued, ok := moment(t.claims.Get("iat"))
	expires, known := moment(t.claims.Get("exp"))
	if !ok || !known || !now.Before(expires.Add(skew)) || issued.After(now.Add(skew)) {
		return false
	}
	if expires.Sub(issued) > c.MaxLifetime() || !expires.After(issued) {
		return false
	}
	if nbf := t.claims.Get("nbf"); nbf.Exists() {
		from, ok := moment(nbf)
		return ok && !from.After(now.Add(skew))
	}
	return true
}

func (t token) expires() time.Time {
	at, _ := moment(t.claims.Get("exp"))
	return at
}

// moment reads a NumericDate (RFC 7519, section 2).
func moment(n jsontree.Node) (time.Time, bool) {
	if n.Kind() != jsontree.Number {
		return time.Time{}, false
	}
	seconds, err := strconv.ParseFloat(n.Text(), 64)
	if err != nil || seconds < 0 || seconds > math.MaxInt32*64 {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(seconds * 1000)), true
}

// audience reports whether aud names the URL that was called, exactly.
func audience(c *clients.Client, aud jsontree.Node, call Call) bool {
	for named := range aud.Items() {
		if named.Kind() != jsontree.String {
			continue
		}
		if named.Text() == call.Base+call.Path {
			return true
		}
		for _, base := range c.Options.Audiences {
			if named.Text() == base+call.Path {
				return true
			}
		}
	}
	return false
}

// signed verifies the signature with the client's key of the token's kid.
func (v *Verifier) signed(ctx context.Context, c *clients.Client, t token) bool {
	alg, known := algorithms[text(t.header, "alg")]
	kid := text(t.header, "kid")
	if !known || kid == "" {
		return false
	}
	jku := text(t.header, "jku")
	if len(c.JKU) > 0 && jku != "" && !slices.Contains(c.JKU, jku) {
		return false
	}
	for _, r := range v.rings[c.Issuer] {
		if r.url != "" && jku != "" && r.url != jku {
			continue
		}
		if key, ok := r.find(ctx, kid); ok && fits(key, alg) {
			_, err := jws.Verify([]byte(t.compact), jws.WithKey(alg, key))
			return err == nil
		}
	}
	return false
}

// fits reports whether a key may verify that algorithm: what the key itself
// says, and the curve or length that RFC 7518 asks for.
func fits(key jwk.Key, alg jwa.SignatureAlgorithm) bool {
	if own, ok := key.Algorithm(); ok && own.String() != alg.String() {
		return false
	}
	if use, ok := key.KeyUsage(); ok && use != "sig" {
		return false
	}
	switch k := key.(type) {
	case jwk.ECDSAPublicKey:
		curve, ok := k.Crv()
		return ok && curve.String() == map[string]string{"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}[alg.String()]
	case jwk.RSAPublicKey:
		n, ok := k.N()
		return ok && len(n) >= 2048/8 && (strings.HasPrefix(alg.String(), "RS") || strings.HasPrefix(alg.String(), "PS"))
	}
	return false
}
