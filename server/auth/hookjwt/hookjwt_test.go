package hookjwt_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"

	"galen/fhir"
	"galen/hooks/clients"
	"galen/server/auth/hookjwt"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

const iss = "https://ehr.test"

var (
	call = hookjwt.Call{Base: "https://galen.test", Path: "/cds-services/galen-risk"}
	url  = call.Base + call.Path
)

// signer is a key of a client.
type signer struct {
	alg jwa.SignatureAlgorithm
	key jwk.Key
}

func newSigner(t testing.TB, alg, kid string) signer {
	t.Helper()
	var raw any
	var err error
	switch alg {
	case "ES256":
		raw, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		raw, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	default:
		raw, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	key, err := jwk.Import(raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := key.Set(jwk.KeyIDKey, kid); err != nil {
		t.Fatal(err)
	}
	a, ok := jwa.LookupSignatureAlgorithm(alg)
	if !ok {
		t.Fatalf("algorithm %s", alg)
	}
	return signer{a, key}
}

// set is the JWK Set of the signers' public keys.
func set(t testing.TB, signers ...signer) []byte {
	t.Helper()
	keys := jwk.NewSet()
	for _, s := range signers {
		public, err := s.key.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		if err := keys.AddKey(public); err != nil {
			t.Fatal(err)
		}
	}
	b, err := json.Marshal(keys)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var serial atomic.Int64

// claims are good claims, changed.
func claims(change map[string]any) map[string]any {
	out := map[string]any{
		"iss": iss, "aud": url, "iat": noon.Unix(), "exp": noon.Add(5 * time.Minute).Unix(), "jti": fmt.Sprint("jti-", serial.Add(1)),
	}
	maps.Copy(out, change)
	for name, value := range out {
		if value == nil {
			delete(out, name)
		}
	}
	return out
}

func (s signer) token(t testing.TB, header, change map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims(change))
	if err != nil {
		t.Fatal(err)
	}
	h := jws.NewHeaders()
	all := map[string]any{"typ": "JWT"}
	maps.Copy(all, header)
	for name, value := range all {
		if value == nil {
			continue
		}
		if err := h.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	signed, err := jws.Sign(payload, jws.WithKey(s.alg, s.key, jws.WithProtectedHeaders(h)))
	if err != nil {
		t.Fatal(err)
	}
	return "Bearer " + string(signed)
}

// raw makes a token of any parts.
func raw(header, payload, signature string) string {
	enc := base64.RawURLEncoding.EncodeToString
	return "Bearer " + enc([]byte(header)) + "." + enc([]byte(payload)) + "." + signature
}

// site is a Verifier with its clock and replay file.
type site struct {
	*hookjwt.Verifier
	now  time.Time
	path string
}

func newSite(t testing.TB, registration string) *site {
	t.Helper()
	s := &site{now: noon, path: filepath.Join(t.TempDir(), "hooks", "used-tokens")}
	s.open(t, registration)
	return s
}

func (s *site) open(t testing.TB, registration string) {
	t.Helper()
	clock := func() time.Time { return s.now }
	registry, err := clients.Parse([]byte(registration))
	if err != nil {
		t.Fatal(err)
	}
	replay, err := hookjwt.OpenReplay(s.path, clock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = replay.Close() })
	if s.Verifier, err = hookjwt.New(hookjwt.Options{Registry: registry, Replay: replay, Now: clock}); err != nil {
		t.Fatal(err)
	}
}

func registered(keys []byte, more string) string {
	return fmt.Sprintf(`[{"iss":%q,"jwks":%s%s}]`, iss, keys, more)
}

// What real clients send is accepted: the Sandbox's ES384, Epic's RS384 with nbf
// and sub, audiences as arrays, clocks that differ a little.
func TestGoodTokens(t *testing.T) {
	for _, alg := range []string{"ES256", "ES384", "RS256", "RS384", "PS256", "PS384", "PS512"} {
		s := newSigner(t, alg, "k1")
		v := newSite(t, registered(set(t, s), `,"purpose":"TREAT"`))
		p, mine, err := v.Verify(t.Context(), s.token(t, nil, nil), call)
		if err != nil || !mine {
			t.Errorf("%s: %v", alg, err)
			continue
		}
		if p.Subject != iss || p.Client != iss || p.Purpose != "TREAT" || p.TokenID == "" || p.Scopes != nil {
			t.Errorf("%s: %+v", alg, p)
		}
	}
	s := newSigner(t, "ES384", "k1")
	v := newSite(t, registered(set(t, s), `,"options":{"audiences":["https://old.galen.test"]}`))
	for name, change := range map[string]map[string]any{
		"Epic":                {"nbf": noon.Add(-5 * time.Minute).Unix(), "sub": "client", "exp": noon.Add(15 * time.Minute).Unix()},
		"aud an array":        {"aud": []string{"https://other.test", url}},
		"another base":        {"aud": "https://old.galen.test/cds-services/galen-risk"},
		"clock ahead":         {"iat": noon.Add(50 * time.Second).Unix(), "exp": noon.Add(3 * time.Minute).Unix()},
		"expired just now":    {"iat": noon.Add(-4 * time.Minute).Unix(), "exp": noon.Add(-50 * time.Second).Unix()},
		"fractions":           {"iat": float64(noon.Unix()) + 0.5},
		"a tenant not listed": {"tenant": "any"},
	} {
		if _, _, err := v.Verify(t.Context(), s.token(t, nil, change), call); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, header := range map[string]map[string]any{"typ in lower case": {"typ": "jwt"}, "no typ": {"typ": nil}, "jku of the Sandbox beside a key that is registered": {"jku": "https://sandbox.test/jwks.json"}} {
		if _, _, err := v.Verify(t.Context(), s.token(t, header, nil), call); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every attack is refused, and none learns why.
func TestAttacks(t *testing.T) {
	s, stranger, other := newSigner(t, "ES384", "k1"), newSigner(t, "ES384", "k1"), newSigner(t, "RS384", "k2")
	public := set(t, s, other)
	v := newSite(t, registered(public, `,"tenants":["t1","t2"]`))
	good := map[string]any{"tenant": "t1"}
	with := func(change map[string]any) map[string]any {
		out := maps.Clone(good)
		maps.Copy(out, change)
		return out
	}
	payload, err := json.Marshal(claims(good))
	if err != nil {
		t.Fatal(err)
	}
	token := s.token(t, nil, good)
	parts := strings.Split(token, ".")
	hmac, err := jws.Sign(payload, jws.WithKey(jwa.HS256(), public))
	if err != nil {
		t.Fatal(err)
	}
	for name, header := range map[string]string{
		"alg none":                     raw(`{"alg":"none","typ":"JWT","kid":"k1"}`, string(payload), ""),
		"alg None":                     raw(`{"alg":"None","typ":"JWT","kid":"k1"}`, string(payload), ""),
		"HMAC with the public key":     "Bearer " + string(hmac),
		"no signature":                 parts[0] + "." + parts[1] + ".",
		"a stranger's key of that kid": stranger.token(t, nil, good),
		"unknown kid":                  newSigner(t, "ES384", "k9").token(t, nil, good),
		"another algorithm's key":      raw(`{"alg":"RS384","typ":"JWT","kid":"k1"}`, string(payload), parts[2]),
		"an access token":              s.token(t, map[string]any{"typ": "at+jwt"}, good),
		"crit":                         s.token(t, map[string]any{"crit": []string{"exp"}}, good),
		"changed payload":              parts[0] + "." + base64.RawURLEncoding.EncodeToString(payload) + "." + parts[2],
		"aud of another service":       s.token(t, nil, with(map[string]any{"aud": "https://galen.test/cds-services/other"})),
		"aud of the base":              s.token(t, nil, with(map[string]any{"aud": "https://galen.test/cds-services"})),
		"aud with a slash more":        s.token(t, nil, with(map[string]any{"aud": url + "/"})),
		"aud of another host":          s.token(t, nil, with(map[string]any{"aud": "https://evil.test/cds-services/galen-risk"})),
		"no aud":                       s.token(t, nil, with(map[string]any{"aud": nil})),
		"expired":                      s.token(t, nil, with(map[string]any{"iat": noon.Add(-10 * time.Minute).Unix(), "exp": noon.Add(-2 * time.Minute).Unix()})),
		"no exp":                       s.token(t, nil, with(map[string]any{"exp": nil})),
		"exp a text":                   s.token(t, nil, with(map[string]any{"exp": "9999999999"})),
		"exp infinite":                 s.token(t, nil, with(map[string]any{"exp": 1e300})),
		"no iat":                       s.token(t, nil, with(map[string]any{"iat": nil})),
		"from the future":              s.token(t, nil, with(map[string]any{"iat": noon.Add(2 * time.Minute).Unix()})),
		"not yet":                      s.token(t, nil, with(map[string]any{"nbf": noon.Add(2 * time.Minute).Unix()})),
		"lives too long":               s.token(t, nil, with(map[string]any{"exp": noon.Add(16 * time.Minute).Unix()})),
		"exp before iat":               s.token(t, nil, with(map[string]any{"exp": noon.Add(-time.Second).Unix()})),
		"no jti":                       s.token(t, nil, with(map[string]any{"jti": nil})),
		"jti a number":                 s.token(t, nil, with(map[string]any{"jti": 7})),
		"another tenant":               s.token(t, nil, with(map[string]any{"tenant": "t3"})),
		"no tenant":                    s.token(t, nil, with(map[string]any{"tenant": nil})),
	} {
		_, mine, err := v.Verify(t.Context(), header, call)
		if !mine || fhir.KindOf(err) != fhir.Unauthorized {
			t.Errorf("%s: mine %t, %v", name, mine, err)
			continue
		}
		if err.Error() != "hookjwt.Verify: not signed in: a valid token is needed" {
			t.Errorf("%s: the error tells %v", name, err)
		}
	}
	for name, header := range map[string]string{
		"no header": "", "another scheme": "Basic " + parts[0], "two parts": "Bearer a.b", "another issuer": s.token(t, nil, map[string]any{"iss": "urn:galen:local"}),
		"no JSON": raw("x", "y", "z"), "duplicate claims": raw(`{"alg":"ES384"}`, `{"iss":"https://ehr.test","iss":"x"}`, "AA"), "huge": "Bearer " + strings.Repeat("a", 20_000),
	} {
		if _, mine, err := v.Verify(t.Context(), header, call); mine || err != nil {
			t.Errorf("%s: mine %t, %v: it is not for this verifier", name, mine, err)
		}
	}
	if _, _, err := v.Verify(t.Context(), token, call); err != nil {
		t.Errorf("the good token is refused: %v", err)
	}
}

// RFC 7518, section 3.3: RSA keys have 2048 bits or more. A registration with a
// smaller one is refused as a whole.
func TestShortKeysAreRefused(t *testing.T) {
	short := make([]byte, 1024/8)
	short[0], short[len(short)-1] = 0xc0, 1
	keys := fmt.Sprintf(`{"keys":[{"kty":"RSA","kid":"k1","e":"AQAB","n":%q}]}`, base64.RawURLEncoding.EncodeToString(short))
	registry, err := clients.Parse([]byte(registered([]byte(keys), "")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hookjwt.New(hookjwt.Options{Registry: registry, Now: time.Now}); fhir.KindOf(err) != fhir.Invalid {
		t.Errorf("a key of 1024 bits: %v", err)
	}
}

// A token is accepted once: not again, not after a restart, not when the end of
// the file was cut by a crash.
func TestReplay(t *testing.T) {
	s := newSigner(t, "ES384", "k1")
	registration := registered(set(t, s), "")
	v := newSite(t, registration)
	tokens := []string{s.token(t, nil, nil), s.token(t, nil, nil)}
	for _, token := range tokens {
		if _, _, err := v.Verify(t.Context(), token, call); err != nil {
			t.Fatal(err)
		}
		if _, _, err := v.Verify(t.Context(), token, call); err == nil {
			t.Error("used twice")
		}
	}
	f, err := os.OpenFile(v.path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("cut")); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	v.open(t, registration)
	for _, token := range tokens {
		if _, _, err := v.Verify(t.Context(), token, call); err == nil {
			t.Error("used again after a restart")
		}
	}
	v.now = noon.Add(time.Hour)
	v.open(t, registration)
	if info, err := os.Stat(v.path); err != nil || info.Size() != 0 || info.Mode().Perm() != 0o600 {
		t.Errorf("after all have expired the file is %v %v", info, err)
	}
}

func TestReplayFileIsKeptSmall(t *testing.T) {
	now := noon
	path := filepath.Join(t.TempDir(), "used")
	r, err := hookjwt.OpenReplay(path, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	for i := range 25_000 {
		now = now.Add(time.Second)
		if !r.Use(fmt.Sprint(i), now.Add(time.Minute)) {
			t.Fatalf("token %d is refused", i)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 24*11_000 {
		t.Errorf("%d bytes for 60 tokens that live", info.Size())
	}
}

// jwksServer serves a JWK Set that can change.
type jwksServer struct {
	*httptest.Server
	body  atomic.Value
	fails atomic.Bool
	calls atomic.Int64
}

func newJWKSServer(t *testing.T, body []byte) *jwksServer {
	t.Helper()
	s := &jwksServer{}
	s.body.Store(body)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.calls.Add(1)
		if s.fails.Load() {
			w.WriteHeader(500)
			return
		}
		_, _ = w.Write(s.body.Load().([]byte))
	}))
	t.Cleanup(s.Close)
	return s
}

// Keys at a jku: fetched when needed, again for a new kid but not often, used
// while the server is down but not for ever.
func TestRotation(t *testing.T) {
	first, second := newSigner(t, "ES384", "k1"), newSigner(t, "ES384", "k2")
	keys := newJWKSServer(t, set(t, first))
	v := newSite(t, fmt.Sprintf(`[{"iss":%q,"jku":%q}]`, iss, keys.URL))
	at := func(d time.Duration) map[string]any {
		v.now = noon.Add(d)
		return map[string]any{"iat": v.now.Unix(), "exp": v.now.Add(time.Minute).Unix()}
	}
	verify := func(s signer, d time.Duration) error {
		_, _, err := v.Verify(t.Context(), s.token(t, map[string]any{"jku": keys.URL}, at(d)), call)
		return err
	}
	if err := verify(first, 0); err != nil || keys.calls.Load() != 1 {
		t.Fatalf("%v after %d fetches", err, keys.calls.Load())
	}
	keys.body.Store(set(t, second))
	if err := verify(second, time.Second); err == nil || keys.calls.Load() != 1 {
		t.Errorf("an unknown kid was fetched at once again: %d fetches", keys.calls.Load())
	}
	if err := verify(second, 31*time.Second); err != nil || keys.calls.Load() != 2 {
		t.Errorf("the new key: %v after %d fetches", err, keys.calls.Load())
	}
	if err := verify(first, 62*time.Second); err == nil {
		t.Error("a key that was withdrawn is accepted")
	}
	keys.fails.Store(true)
	if err := verify(second, 2*time.Hour); err != nil {
		t.Errorf("while the server is down: %v", err)
	}
	if err := verify(second, 26*time.Hour); err == nil {
		t.Error("keys of yesterday are accepted")
	}
	if _, _, err := v.Verify(t.Context(), first.token(t, map[string]any{"jku": "http://127.0.0.1:1/jwks"}, at(26*time.Hour)), call); err == nil {
		t.Error("a jku that is not listed was accepted")
	}
}

func TestJKUThatIsNotListedIsNeverFetched(t *testing.T) {
	own, attacker := newSigner(t, "ES384", "k1"), newSigner(t, "ES384", "k1")
	good, bad := newJWKSServer(t, set(t, own)), newJWKSServer(t, set(t, attacker))
	v := newSite(t, fmt.Sprintf(`[{"iss":%q,"jku":%q}]`, iss, good.URL))
	if _, _, err := v.Verify(t.Context(), attacker.token(t, map[string]any{"jku": bad.URL}, nil), call); err == nil || bad.calls.Load() != 0 {
		t.Errorf("%v after %d fetches from the attacker", err, bad.calls.Load())
	}
	redirect := httptest.NewServer(http.RedirectHandler(bad.URL, http.StatusFound))
	defer redirect.Close()
	v = newSite(t, fmt.Sprintf(`[{"iss":%q,"jku":%q}]`, iss, redirect.URL))
	if _, _, err := v.Verify(t.Context(), attacker.token(t, nil, nil), call); err == nil || bad.calls.Load() != 0 {
		t.Errorf("a redirect of the JWK Set was followed: %v", err)
	}
}

func TestKeysInAFile(t *testing.T) {
	s := newSigner(t, "ES384", "k1")
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(path, set(t, s), 0o600); err != nil {
		t.Fatal(err)
	}
	v := newSite(t, fmt.Sprintf(`[{"iss":%q,"jwks_file":%q}]`, iss, path))
	if _, _, err := v.Verify(t.Context(), s.token(t, nil, nil), call); err != nil {
		t.Error(err)
	}
	private, err := json.Marshal(map[string]any{"keys": []any{s.key}})
	if err != nil {
		t.Fatal(err)
	}
	for name, keys := range map[string]string{"private": string(private), "symmetric": `{"keys":[{"kty":"oct","k":"AAAA"}]}`, "no set": `[]`} {
		registry, err := clients.Parse([]byte(fmt.Sprintf(`[{"iss":"a","jwks":%s}]`, keys)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := hookjwt.New(hookjwt.Options{Registry: registry, Now: time.Now}); fhir.KindOf(err) != fhir.Invalid {
			t.Errorf("%s keys: %v", name, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	s := newSigner(f, "ES256", "k1")
	v := newSite(f, registered(set(f, s), ""))
	f.Add(s.token(f, nil, nil))
	f.Add(raw(`{"alg":"ES256","kid":"k1"}`, `{"iss":"https://ehr.test","exp":1e999}`, "AA"))
	f.Fuzz(func(t *testing.T, header string) {
		if _, mine, err := v.Verify(t.Context(), header, hookjwt.Call{Base: "https://x.test"}); mine && fhir.KindOf(err) != fhir.Unauthorized {
			t.Errorf("%v", err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	for _, alg := range []string{"ES384", "RS384"} {
		b.Run(alg, func(b *testing.B) {
			s := newSigner(b, alg, "k1")
			v := newSite(b, registered(set(b, s), ""))
			tokens := make([]string, 200)
			for i := range tokens {
				tokens[i] = s.token(b, nil, nil)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				_, _, _ = v.Verify(b.Context(), tokens[i%len(tokens)], call) // a replay costs the same
			}
		})
	}
}
