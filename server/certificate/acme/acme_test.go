package acme_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"galen/fhir"
	"galen/server/certificate"
	"galen/server/certificate/acme"
)

// authority is as much of RFC 8555 as a client needs that is trusted at once:
// account, order, finalization, certificate.
type authority struct {
	*httptest.Server
	t      *testing.T
	key    *ecdsa.PrivateKey
	issued []byte
	orders atomic.Int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{t: t, key: key}
	a.Server = httptest.NewTLSServer(a)
	t.Cleanup(a.Close)
	return a
}

func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Replay-Nonce", fmt.Sprint(time.Now().UnixNano()))
	order := func(status int, state string) {
		w.Header().Set("Location", a.URL+"/order")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"status":%q,"identifiers":[{"type":"dns","value":"galen.test"}],"authorizations":[],"finalize":%q,"certificate":%q}`, state, a.URL+"/finalize", a.URL+"/certificate")
	}
	switch r.URL.Path {
	case "/dir":
		_, _ = fmt.Fprintf(w, `{"newNonce":%q,"newAccount":%q,"newOrder":%q}`, a.URL+"/nonce", a.URL+"/account", a.URL+"/new-order")
	case "/account":
		w.Header().Set("Location", a.URL+"/account/1")
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"status":"valid"}`))
	case "/new-order":
		a.orders.Add(1)
		order(http.StatusCreated, "ready")
	case "/finalize":
		a.issue(r)
		order(http.StatusOK, "valid")
	case "/order":
		order(http.StatusOK, "valid")
	case "/certificate":
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		_, _ = w.Write(a.issued)
	}
}

// issue signs the request for a certificate in the body.
func (a *authority) issue(r *http.Request) {
	var envelope struct{ Payload string }
	var payload struct{ CSR string }
	err := json.NewDecoder(r.Body).Decode(&envelope)
	if err == nil {
		var text []byte
		if text, err = base64.RawURLEncoding.DecodeString(envelope.Payload); err == nil {
			err = json.Unmarshal(text, &payload)
		}
	}
	der, errDecode := base64.RawURLEncoding.DecodeString(payload.CSR)
	request, errParse := x509.ParseCertificateRequest(der)
	if err != nil || errDecode != nil || errParse != nil {
		a.t.Error(err, errDecode, errParse)
		return
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "test"}, DNSNames: request.DNSNames,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, request.PublicKey, a.key)
	if err != nil {
		a.t.Error(err)
	}
	a.issued = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed})
}

// A certificate is got when the first client connects, kept for the next start,
// and for listed names only; keys are readable by their owner.
func TestCertificateFromAnAuthority(t *testing.T) {
	a := newAuthority(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	o := acme.Options{Domains: []string{"galen.test"}, Directory: a.URL + "/dir", CA: ca, Dir: filepath.Join(t.TempDir(), "acme")}
	hello := func(name string) *tls.ClientHelloInfo {
		return &tls.ClientHelloInfo{
			ServerName: name, SupportedVersions: []uint16{tls.VersionTLS13}, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
			SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256}, SupportedCurves: []tls.CurveID{tls.CurveP256},
		}
	}
	for range 2 { // the second time as after a restart
		get, err := acme.Source(o)
		if err != nil {
			t.Fatal(err)
		}
		config, err := certificate.Config(certificate.Options{Get: get, Challenge: acme.Protocol})
		if err != nil {
			t.Fatal(err)
		}
		got, err := config.GetCertificate(hello("galen.test"))
		if err != nil {
			t.Fatal(err)
		}
		if leaf, err := x509.ParseCertificate(got.Certificate[0]); err != nil || leaf.VerifyHostname("galen.test") != nil {
			t.Errorf("%v %v", leaf, err)
		}
		if _, err := config.GetCertificate(hello("evil.test")); err == nil {
			t.Error("a certificate for a name that is not listed")
		}
	}
	if n := a.orders.Load(); n != 1 {
		t.Errorf("%d orders", n)
	}
	files, err := os.ReadDir(o.Dir)
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", f.Name(), info.Mode(), err)
		}
	}
}

// The authority's question is answered without asking it for a client
// certificate.
func TestChallengeNeedsNoClientCertificate(t *testing.T) {
	a := newAuthority(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	get := func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &a.TLS.Certificates[0], nil }
	config, err := certificate.Config(certificate.Options{Get: get, Challenge: acme.Protocol, ClientCA: ca, RequireClient: true})
	if err != nil {
		t.Fatal(err)
	}
	for protocol, want := range map[string]tls.ClientAuthType{acme.Protocol: tls.NoClientCert, "h2": tls.RequireAndVerifyClientCert} {
		got, err := config.GetConfigForClient(&tls.ClientHelloInfo{SupportedProtos: []string{protocol}})
		if got == nil {
			got = config
		}
		if err != nil || got.ClientAuth != want {
			t.Errorf("%s: %v %v", protocol, got.ClientAuth, err)
		}
	}
}

func TestBadOptions(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]acme.Options{
		"no domain":          {},
		"no whole name":      {Domains: []string{"localhost"}},
		"an empty name":      {Domains: []string{"galen.test", ""}},
		"no authority there": {Domains: []string{"galen.test"}, CA: filepath.Join(t.TempDir(), "none")},
		"none in the file":   {Domains: []string{"galen.test"}, CA: empty},
	} {
		if _, err := acme.Source(o); fhir.KindOf(err) != fhir.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
