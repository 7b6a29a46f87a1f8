package server_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"galen/fhir"
	"galen/policies"
	"galen/policies/smart"
	"galen/server"
	"galen/server/auth/holder"
	"galen/server/servertest"
)

// fake lets in whom a test says.
type fake struct{ principal policies.Principal }

func (f *fake) Verify(_ context.Context, header string) (policies.Principal, error) {
	if header == "" {
		return policies.Principal{}, fhir.E("", fhir.Unauthorized, "", "no token")
	}
	return f.principal, nil
}

// another is a second face on the parts of a running server.
func another(t *testing.T, change func(*server.Config)) *server.Server {
	t.Helper()
	s := servertest.Start(t, servertest.Options{})
	cfg := s.Config
	cfg.Auth = &fake{policies.Principal{Subject: "a", Roles: []string{"admin"}, Purposes: []string{"TREAT", "HPAYMT"}, Purpose: "TREAT"}}
	change(&cfg)
	return server.New(cfg)
}

func get(t *testing.T, h http.Handler, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// Acceptance 30: JSON whatever the client accepts, to anybody, from any origin.
func TestSMARTConfiguration(t *testing.T) {
	down := errors.New("down")
	answer := smart.Endpoints{Token: "https://idp.test/token"}
	var failing error
	h := another(t, func(c *server.Config) {
		c.Authorization = func(context.Context) (smart.Endpoints, error) { return answer, failing }
	})
	failing = down
	if res := get(t, h, "/fhir/.well-known/smart-configuration"); res.StatusCode < 500 {
		t.Errorf("while the authorization server is down: %d", res.StatusCode)
	}
	failing = nil
	for _, accept := range []string{"", "application/json", "text/html", "application/fhir+xml", "image/png"} {
		res := get(t, h, "/fhir/.well-known/smart-configuration", "Accept", accept, "Origin", "https://app.test")
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != 200 || res.Header.Get("Content-Type") != "application/json" || res.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("Accept %q: %d %v %.200s", accept, res.StatusCode, res.Header, body)
		}
	}
}

func TestSecurityHeaders(t *testing.T) {
	h := another(t, func(*server.Config) {})
	res := get(t, h, "/fhir/Patient", "Authorization", "Bearer x")
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Strict-Transport-Security": "",
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// A client beyond its rate gets 429 with Retry-After; another is not held up.
func TestRateLimit(t *testing.T) {
	who := &fake{policies.Principal{Subject: "a", Client: "app", Roles: []string{"admin"}}}
	h := another(t, func(c *server.Config) { c.Auth, c.Rate, c.Burst = who, 0.001, 3 })
	for i, want := range []int{200, 200, 200, 429} {
		res := get(t, h, "/fhir/Patient", "Authorization", "Bearer x")
		if res.StatusCode != want || (want == 429) != (res.Header.Get("Retry-After") != "") {
			t.Errorf("request %d: %d", i, res.StatusCode)
		}
	}
	who.principal.Subject = "b"
	if res := get(t, h, "/fhir/Patient", "Authorization", "Bearer x"); res.StatusCode != 200 {
		t.Errorf("another user: %d", res.StatusCode)
	}
	for i, want := range []int{401, 401, 401, 429} {
		if res := get(t, h, "/fhir/Patient"); res.StatusCode != want {
			t.Errorf("without a token, request %d: %d", i, res.StatusCode)
		}
	}
}

// A purpose of use may be chosen among those of the token, never claimed.
func TestPurposeOfUse(t *testing.T) {
	h := another(t, func(*server.Config) {})
	for purpose, want := range map[string]int{"TREAT": 200, "HPAYMT": 200, "HRESCH": 403, "x": 403} {
		if res := get(t, h, "/fhir/Observation", "Authorization", "Bearer x", "X-Purpose-Of-Use", purpose); res.StatusCode != want {
			t.Errorf("%s: %d, want %d", purpose, res.StatusCode, want)
		}
	}
}

// RFC 8705: a token that is bound to a certificate is good only with it.
func TestTokenBoundToCertificate(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	h := another(t, func(c *server.Config) {
		c.Auth = &fake{policies.Principal{Subject: "a", Roles: []string{"admin"}, Certificate: base64.RawURLEncoding.EncodeToString(sum[:])}}
	})
	for name, c := range map[string]struct {
		state *tls.ConnectionState
		want  int
	}{
		"no TLS":         {nil, 401},
		"no certificate": {&tls.ConnectionState{}, 401},
		"another one":    {&tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Raw: []byte("x")}}}, 401},
		"the right one":  {&tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}, 200},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/fhir/Patient", http.NoBody)
		r.Header.Set("Authorization", "Bearer x")
		r.TLS = c.state
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s: %d, want %d", name, w.Code, c.want)
		}
	}
}

// Whoever is registered by a client certificate needs no token; what a web page
// makes a browser ask counts as without one.
func TestClientCertificateAlone(t *testing.T) {
	leaf := &x509.Certificate{Raw: []byte("x"), DNSNames: []string{"lab.test"}}
	holders, err := holder.New([]holder.Holder{{Name: "dns:lab.test", Sub: "lab", Roles: []string{"admin"}}})
	if err != nil {
		t.Fatal(err)
	}
	h := another(t, func(c *server.Config) { c.Holders, c.Auth = holders, nobody{} })
	shown := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}, VerifiedChains: [][]*x509.Certificate{{leaf}}}
	for name, c := range map[string]struct {
		state  *tls.ConnectionState
		header string
		want   int
	}{
		"no certificate":      {nil, "", 401},
		"not verified":        {&tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}, "", 401},
		"verified":            {shown, "", 200},
		"with a bad token":    {shown, "Authorization", 401},
		"from a page":         {shown, "Origin", 401},
		"from another's page": {shown, "Sec-Fetch-Site", 401},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/fhir/Patient", http.NoBody)
		if c.header != "" {
			r.Header.Set(c.header, "Bearer x")
		}
		r.TLS = c.state
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s: %d, want %d", name, w.Code, c.want)
		}
	}
}

// nobody is an Authenticator that knows no token.
type nobody struct{}

func (nobody) Verify(context.Context, string) (policies.Principal, error) {
	return policies.Principal{}, fhir.E("test", fhir.Unauthorized, "", "no")
}
