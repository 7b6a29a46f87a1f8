package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"galen/fhir"
	"galen/policies"
	"galen/server/auth"
)

const audience = "https://galen.test/fhir"

// stub is an OpenID Provider whose keys and moods the tests change.
type stub struct {
	*httptest.Server
	t *testing.T

	mu     sync.Mutex
	keys   map[string]any // kid → private key
	extra  map[string]any // further members of each JWK
	down   bool
	issuer string         // what the metadata says; "" for the URL
	asked  map[string]int // path → requests
	opaque map[string]map[string]any
}

func newStub(t *testing.T) *stub {
	t.Helper()
	s := &stub{t: t, keys: map[string]any{}, extra: map[string]any{}, asked: map[string]int{}, opaque: map[string]map[string]any{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	s.addEC("k1", elliptic.P256())
	return s
}

func (s *stub) addEC(kid string, curve elliptic.Curve) {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	s.change(func() { s.keys[kid] = key })
}

func (s *stub) addRSA(kid string) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		s.t.Fatal(err)
	}
	s.change(func() { s.keys[kid] = key })
}

func (s *stub) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *stub) requests(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[path]
}

func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[r.URL.Path]++
	if s.down {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	var body any
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		issuer := s.issuer
		if issuer == "" {
			issuer = s.URL
		}
		body = map[string]any{"issuer": issuer, "jwks_uri": s.URL + "/jwks", "introspection_endpoint": s.URL + "/introspect", "token_endpoint": s.URL + "/token"}
	case "/jwks":
		set := []any{}
		for kid, private := range s.keys {
			set = append(set, s.public(kid, private))
		}
		body = map[string]any{"keys": set}
	case "/introspect":
		if id, secret, ok := r.BasicAuth(); !ok || id != "galen" || secret != "s3cret" {
			http.Error(w, "", http.StatusUnauthorized)
			return
		}
		body = map[string]any{"active": false}
		if known, ok := s.opaque[r.FormValue("token")]; ok {
			body = known
		}
	default:
		http.NotFound(w, r)
		return
	}
	if err := json.NewEncoder(w).Encode(body); err != nil {
		s.t.Error(err)
	}
}

func (s *stub) public(kid string, private any) map[string]any {
	key, err := jwk.Import(private)
	if err != nil {
		s.t.Fatal(err)
	}
	public, err := key.PublicKey()
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := json.Marshal(public)
	if err != nil {
		s.t.Fatal(err)
	}
	members := map[string]any{}
	if err := json.Unmarshal(text, &members); err != nil {
		s.t.Fatal(err)
	}
	members["kid"] = kid
	maps.Copy(members, s.extra)
	return members
}

// token is what a test's token is made of; zero values are replaced.
type token struct {
	kid    string
	alg    jwa.SignatureAlgorithm
	key    any
	typ    string
	header map[string]any
	claims map[string]any
}

// sign makes a good token but for what the test wants otherwise.
func (s *stub) sign(now time.Time, w token) string {
	s.t.Helper()
	claims := map[string]any{
		"iss": s.URL, "aud": []string{audience}, "sub": "dr-a", "exp": now.Add(time.Hour), "iat": now,
		"jti": "j1", "client_id": "app", "scope": "user/*.rs", "roles": []string{"clinician"},
	}
	for name, value := range w.claims {
		if value == nil {
			delete(claims, name)
			continue
		}
		claims[name] = value
	}
	t := jwt.New()
	for name, value := range claims {
		if err := t.Set(name, value); err != nil {
			s.t.Fatal(err)
		}
	}
	if w.kid == "" {
		w.kid = "k1"
	}
	if w.key == nil {
		s.change(func() { w.key = s.keys[w.kid] })
	}
	if w.alg.String() == "" {
		w.alg = jwa.ES256()
	}
	if w.typ == "" {
		w.typ = "at+jwt"
	}
	headers := jws.NewHeaders()
	for name, value := range map[string]any{"typ": w.typ, "kid": w.kid} {
		if err := headers.Set(name, value); err != nil {
			s.t.Fatal(err)
		}
	}
	for name, value := range w.header {
		if err := headers.Set(name, value); err != nil {
			s.t.Fatal(err)
		}
	}
	signed, err := jwt.Sign(t, jwt.WithKey(w.alg, w.key, jws.WithProtectedHeaders(headers)))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(signed)
}

// clock is moved by the tests.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func trust(t *testing.T, s *stub, c *clock, change func(*auth.ProviderConfig)) *auth.Verifier {
	t.Helper()
	cfg := auth.ProviderConfig{Issuer: s.URL, Audience: []string{audience}, Now: c.now, ClientID: "galen", Secret: "s3cret"}
	if change != nil {
		change(&cfg)
	}
	p, err := auth.NewProvider(cfg)
	if err != nil {
		t.Fatal(err)
	}
	v, err := auth.NewVerifier(nil, c.now, p)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func accepted(t *testing.T, v *auth.Verifier, token string) bool {
	t.Helper()
	_, err := v.Verify(t.Context(), "Bearer "+token)
	if err != nil && fhir.KindOf(err) != fhir.Unauthorized {
		t.Errorf("an error of another kind: %v", err)
	}
	return err == nil
}

// Acceptance 30, 25 and 26 for access tokens of an external issuer (RFC 9068).
func TestProviderTokens(t *testing.T) {
	s, c := newStub(t), &clock{at: noon}
	s.addRSA("r1")
	s.addEC("k384", elliptic.P384())
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	v := trust(t, s, c, nil)
	for name, tt := range map[string]struct {
		token token
		want  bool
	}{
		"good":                 {token{}, true},
		"RS256":                {token{kid: "r1", alg: jwa.RS256()}, true},
		"RS384":                {token{kid: "r1", alg: jwa.RS384()}, true},
		"PS256":                {token{kid: "r1", alg: jwa.PS256()}, true},
		"ES384":                {token{kid: "k384", alg: jwa.ES384()}, true},
		"application/at+jwt":   {token{typ: "application/at+JWT"}, true},
		"aud a string":         {token{claims: map[string]any{"aud": audience}}, true},
		"aud among others":     {token{claims: map[string]any{"aud": []string{"x", audience}}}, true},
		"expired in the skew":  {token{claims: map[string]any{"exp": noon.Add(-20 * time.Second)}}, true},
		"RS512":                {token{kid: "r1", alg: jwa.RS512()}, false},
		"HS256, public key":    {token{alg: jwa.HS256(), key: []byte("the public key")}, false},
		"typ JWT":              {token{typ: "JWT"}, false},
		"typ of an ID token":   {token{typ: "id+jwt"}, false},
		"wrong key":            {token{key: other}, false},
		"unknown kid":          {token{kid: "k9", key: other}, false},
		"key of its own":       {token{kid: "k9", key: other, header: map[string]any{"jku": s.URL + "/jwks"}}, false},
		"wrong aud":            {token{claims: map[string]any{"aud": audience + "/"}}, false},
		"prefix aud":           {token{claims: map[string]any{"aud": "https://galen.test"}}, false},
		"no aud":               {token{claims: map[string]any{"aud": nil}}, false},
		"local aud":            {token{claims: map[string]any{"aud": auth.Audience}}, false},
		"wrong iss":            {token{claims: map[string]any{"iss": s.URL + "/"}}, false},
		"local iss":            {token{claims: map[string]any{"iss": auth.LocalIssuer}}, false},
		"no iss":               {token{claims: map[string]any{"iss": nil}}, false},
		"expired":              {token{claims: map[string]any{"exp": noon.Add(-time.Minute)}}, false},
		"no exp":               {token{claims: map[string]any{"exp": nil}}, false},
		"not yet":              {token{claims: map[string]any{"nbf": noon.Add(time.Minute)}}, false},
		"issued in the future": {token{claims: map[string]any{"iat": noon.Add(5 * time.Minute)}}, false},
		"no sub":               {token{claims: map[string]any{"sub": nil}}, false},
		"roles not readable":   {token{claims: map[string]any{"roles": 7}}, false},
		"patient not readable": {token{claims: map[string]any{"patient": []string{"a"}}}, false},
		"patient not an id":    {token{claims: map[string]any{"patient": "a/b"}}, false},
		"purpose not readable": {token{claims: map[string]any{"purpose_of_use": map[string]any{}}}, false},
	} {
		if got := accepted(t, v, s.sign(noon, tt.token)); got != tt.want {
			t.Errorf("%s: accepted %t", name, got)
		}
	}
	good := s.sign(noon, token{})
	for name, text := range map[string]string{
		"tampered": good[:len(good)-6] + "AAAAAA", "cut": good[:len(good)/2], "none": unsigned(good), "two parts": "a.b", "empty": "",
	} {
		if accepted(t, v, text) {
			t.Errorf("%s is accepted", name)
		}
	}
}

// unsigned is a token with alg none and no signature.
func unsigned(token string) string {
	parts := strings.Split(token, ".")
	return "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0." + parts[1] + "."
}

func TestAlgorithmAllowList(t *testing.T) {
	s, c := newStub(t), &clock{at: noon}
	v := trust(t, s, c, func(p *auth.ProviderConfig) { p.Algorithms = []string{"RS256"} })
	if accepted(t, v, s.sign(noon, token{})) {
		t.Error("ES256 is accepted and not allowed")
	}
	for _, bad := range []string{"none", "HS256", "RS512"} {
		if _, err := auth.NewProvider(auth.ProviderConfig{Issuer: s.URL, Audience: []string{"a"}, Algorithms: []string{bad}}); fhir.KindOf(err) != fhir.Invalid {
			t.Errorf("%s may be allowed: %v", bad, err)
		}
	}
	for name, cfg := range map[string]auth.ProviderConfig{
		"http":        {Issuer: "http://idp.test", Audience: []string{"a"}},
		"no URL":      {Issuer: "idp", Audience: []string{"a"}},
		"a query":     {Issuer: "https://idp.test/?a", Audience: []string{"a"}},
		"no audience": {Issuer: "https://idp.test"},
	} {
		if _, err := auth.NewProvider(cfg); fhir.KindOf(err) != fhir.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A key's use and alg must fit the token's.
func TestKeyMustFit(t *testing.T) {
	for name, tt := range map[string]struct {
		extra map[string]any
		want  bool
	}{
		"plain":         {map[string]any{}, true},
		"for signature": {map[string]any{"use": "sig", "alg": "ES256"}, true},
		"encryption":    {map[string]any{"use": "enc"}, false},
		"other alg":     {map[string]any{"alg": "ES384"}, false},
	} {
		s, c := newStub(t), &clock{at: noon}
		s.change(func() { s.extra = tt.extra })
		if got := accepted(t, trust(t, s, c, nil), s.sign(noon, token{})); got != tt.want {
			t.Errorf("%s: accepted %t", name, got)
		}
	}
}

// Acceptance 28: a new key is found at once, a removed one is refused once the
// set is no longer fresh, and strange kids make no storm of questions.
func TestRotation(t *testing.T) {
	s, c := newStub(t), &clock{at: noon}
	v := trust(t, s, c, nil)
	old := s.sign(c.now(), token{})
	if !accepted(t, v, old) {
		t.Fatal("the first key")
	}
	s.addEC("k2", elliptic.P256())
	c.pass(time.Minute)
	if !accepted(t, v, s.sign(c.now(), token{kid: "k2"})) {
		t.Error("the new key is not found")
	}
	asked := s.requests("/jwks")
	gone, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if accepted(t, v, s.sign(c.now(), token{kid: "strange", key: gone})) {
			t.Fatal("a strange key")
		}
	}
	if got := s.requests("/jwks") - asked; got > 1 {
		t.Errorf("%d questions for 50 tokens with a strange kid", got)
	}
	s.change(func() { delete(s.keys, "k1") })
	kept := s.sign(c.now(), token{kid: "k2"})
	if !accepted(t, v, old) || !accepted(t, v, kept) {
		t.Fatal("the removal is known already")
	}
	s.addEC("k3", elliptic.P256())
	c.pass(time.Minute)
	if !accepted(t, v, s.sign(c.now(), token{kid: "k3"})) || accepted(t, v, old) || !accepted(t, v, kept) {
		t.Error("a token of a removed key outlives the news of it in the cache")
	}
	c.pass(6 * time.Minute)
	if accepted(t, v, old) {
		t.Error("a removed key is still good after the set's time, from the cache or not")
	}
	if !accepted(t, v, s.sign(c.now(), token{kid: "k2"})) {
		t.Error("the key that stayed")
	}
}

// Acceptance 28: an outage keeps known keys for a bounded time only.
func TestOutage(t *testing.T) {
	s, c := newStub(t), &clock{at: noon}
	v := trust(t, s, c, nil)
	day := map[string]any{"exp": noon.Add(24 * time.Hour)}
	if !accepted(t, v, s.sign(noon, token{claims: day})) {
		t.Fatal("before the outage")
	}
	s.change(func() { s.down = true })
	c.pass(30 * time.Minute)
	if !accepted(t, v, s.sign(noon, token{claims: day})) {
		t.Error("known keys are dropped too soon")
	}
	c.pass(31 * time.Minute)
	if accepted(t, v, s.sign(noon, token{claims: day})) {
		t.Error("keys that nobody vouched for in an hour are still good")
	}
	s.change(func() { s.down = false })
	c.pass(11 * time.Second)
	if !accepted(t, v, s.sign(noon, token{claims: day})) {
		t.Error("after the outage")
	}
}

func TestMetadataOfAnotherIssuer(t *testing.T) {
	s, c := newStub(t), &clock{at: noon}
	s.change(func() { s.issuer = "https://evil.test" })
	if accepted(t, trust(t, s, c, nil), s.sign(noon, token{})) {
		t.Error("metadata that name another issuer are taken")
	}
}

func TestClaimMapping(t *testing.T) {
	s, c := newStub(t), &clock{at: noon}
	v := trust(t, s, c, func(p *auth.ProviderConfig) {
		p.Claims = auth.ClaimNames{
			Roles: "realm_access.roles", Org: "tenant", Base: "https://galen.test/fhir/",
			Map: map[string]string{"Arzt": "clinician", "Pflege": "nurse"},
		}
	})
	got, err := v.Verify(t.Context(), "Bearer "+s.sign(noon, token{claims: map[string]any{
		"realm_access": map[string]any{"roles": []string{"Arzt", "admin", "Hausmeister"}}, "roles": []string{"admin"},
		"tenant": "ward", "fhirUser": "https://galen.test/fhir/Practitioner/1", "patient": "p1", "amr": []string{"pwd", "otp", "mfa"},
		"purpose_of_use": []string{"TREAT", "HPAYMT"}, "scope": "patient/*.rs openid", "cnf": map[string]any{"x5t#S256": "abc"},
	}}))
	if err != nil {
		t.Fatal(err)
	}
	want := policies.Principal{
		Subject: "dr-a", Client: "app", Org: "ward", Roles: []string{"clinician"}, Patient: "p1", FHIRUser: "Practitioner/1",
		Purpose: "TREAT", Purposes: []string{"TREAT", "HPAYMT"}, TokenID: "j1", MFA: true, Certificate: "abc",
		Scopes: []policies.Scope{{Level: "patient", Type: "*", Rights: policies.MayRead | policies.MaySearch}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("principal (-want +got):\n%s", diff)
	}
}

// RFC 7662: opaque tokens.
func TestIntrospection(t *testing.T) {
	s, c := newStub(t), &clock{at: noon}
	v := trust(t, s, c, nil)
	exp := noon.Add(time.Hour).Unix()
	answers := map[string]map[string]any{
		"good":        {"active": true, "exp": exp, "sub": "dr-a", "client_id": "app", "scope": "user/*.rs", "patient": "p1", "iss": s.URL},
		"backend":     {"active": true, "exp": exp, "client_id": "job", "scope": "system/*.rs"},
		"inactive":    {"active": false, "exp": exp, "sub": "dr-a"},
		"expired":     {"active": true, "exp": noon.Add(-time.Minute).Unix(), "sub": "dr-a"},
		"no expiry":   {"active": true, "sub": "dr-a"},
		"other aud":   {"active": true, "exp": exp, "sub": "dr-a", "aud": "https://other.test"},
		"other iss":   {"active": true, "exp": exp, "sub": "dr-a", "iss": "https://other.test"},
		"nobody":      {"active": true, "exp": exp},
		"active text": {"active": "true", "exp": exp, "sub": "dr-a"},
	}
	s.change(func() { s.opaque = answers })
	for name := range answers {
		if got, want := accepted(t, v, name), name == "good" || name == "backend"; got != want {
			t.Errorf("%s: accepted %t", name, got)
		}
	}
	if accepted(t, v, "unknown") {
		t.Error("an unknown token")
	}
	asked := s.requests("/introspect")
	if !accepted(t, v, "good") || s.requests("/introspect") != asked {
		t.Error("the answer is not remembered")
	}
	s.change(func() { answers["good"]["active"] = false })
	c.pass(31 * time.Second)
	if accepted(t, v, "good") {
		t.Error("a revoked token is good after half a minute")
	}
	bare := trust(t, s, c, func(p *auth.ProviderConfig) { p.ClientID = "" })
	if accepted(t, bare, "backend") {
		t.Error("an opaque token without introspection")
	}
	wrong := trust(t, s, c, func(p *auth.ProviderConfig) { p.Secret = "x" })
	if accepted(t, wrong, "backend") {
		t.Error("with a wrong secret")
	}
}

// FuzzVerify feeds whatever a client may send as a token.
func FuzzVerify(f *testing.F) {
	issuer, err := auth.OpenIssuer(f.TempDir(), func() time.Time { return noon })
	if err != nil {
		f.Fatal(err)
	}
	v, err := auth.NewVerifier(issuer, func() time.Time { return noon })
	if err != nil {
		f.Fatal(err)
	}
	good, err := issuer.Mint(auth.Claims{Subject: "a", TTL: time.Hour})
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{good, unsigned(good), "a.b.c", "..", "{}", `{"payload":"","signatures":[]}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := v.Verify(t.Context(), "Bearer "+text); err == nil && strings.TrimSpace(text) != good {
			// base64 has spare bits: what is accepted must at least be the same token
			if strings.Split(text, ".")[1] != strings.Split(good, ".")[1] {
				t.Errorf("accepted: %q", text)
			}
		}
	})
}
