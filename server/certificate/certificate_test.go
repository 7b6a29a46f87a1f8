package certificate_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"galen/fhir"
	"galen/server/certificate"
)

// write makes a self-signed certificate with that serial number.
func write(t *testing.T, dir string, serial int64, at time.Time) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "galen.test"}, DNSNames: []string{"galen.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func serial(t *testing.T, c *tls.Config) int64 {
	t.Helper()
	got, err := c.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(got.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf.SerialNumber.Int64()
}

func TestCertificateIsReadAgain(t *testing.T) {
	dir, now, failures := t.TempDir(), time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), 0
	cert, key := write(t, dir, 1, now)
	c, err := certificate.Config(certificate.Options{
		Cert: cert, Key: key, ClientCA: cert, RequireClient: true,
		Now: func() time.Time { return now }, Failed: func(error) { failures++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.ClientAuth != tls.RequireAndVerifyClientCert || c.ClientCAs == nil || c.MinVersion < tls.VersionTLS12 {
		t.Errorf("configuration %+v", c)
	}
	now = now.Add(time.Minute)
	write(t, dir, 2, now)
	if got := serial(t, c); got != 2 {
		t.Errorf("after the change: certificate %d", got)
	}
	now = now.Add(time.Minute)
	if err := os.WriteFile(cert, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := serial(t, c); got != 2 || failures != 1 {
		t.Errorf("with a broken file: certificate %d, %d failures told", got, failures)
	}
}

func TestCertificateRefusals(t *testing.T) {
	cert, key := write(t, t.TempDir(), 1, time.Now())
	for name, o := range map[string]certificate.Options{
		"no file":      {Cert: "none", Key: key},
		"no key":       {Cert: cert, Key: cert},
		"no authority": {Cert: cert, Key: key, ClientCA: key},
		"absent CA":    {Cert: cert, Key: key, ClientCA: "none"},
	} {
		if _, err := certificate.Config(o); fhir.KindOf(err) != fhir.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
