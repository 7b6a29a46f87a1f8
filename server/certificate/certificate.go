// Package certificate keeps the TLS certificate of the server, which is read
// again when its files change, so that a renewal needs no restart.
//
// A file that cannot be read or does not fit its key leaves the certificate that
// was good before. It makes no certificates; server/certificate/acme
// asks an authority for them.
package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"slices"
	"sync"
	"time"

	"galen/fhir"
)

// Options name the files and what clients must show.
type Options struct {
	Cert, Key string // PEM files
	// Get gives the certificates instead of the files, as acme.Source does; nil
	// for the files. Challenge is a protocol besides HTTP's by which an authority
	// asks, without a certificate of its own; "" for none.
	Get       func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	Challenge string
	// ClientCA is a PEM file of authorities for client certificates; "" asks for none.
	ClientCA string
	// RequireClient refuses clients without a certificate; else it may be shown.
	RequireClient bool
	Now           func() time.Time // time.Now if nil
	// Failed is told why a changed file is not used; nil for nobody.
	Failed func(error)
}

// recheck is how often the files are looked at.
const recheck = time.Second

// files is the pair of files and what was last read from them.
type files struct {
	Options
	mu      sync.Mutex
	looked  time.Time
	changed [2]time.Time
	current *tls.Certificate
}

// Config reads the files and makes a TLS configuration of them: TLS 1.2 and
// later, HTTP/2 and 1.1. The error is of Kind Invalid.
func Config(o Options) (*tls.Config, error) {
	const op = "certificate.Config"
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: o.Get}
	if o.Get == nil {
		f := &files{Options: o}
		if err := f.load(); err != nil {
			return nil, &fhir.Error{Op: op, Kind: fhir.Invalid, At: "certificate", Err: err}
		}
		c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.get(), nil }
	}
	if o.Challenge != "" {
		challenge := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{o.Challenge}, GetCertificate: c.GetCertificate}
		c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if slices.Equal(hello.SupportedProtos, challenge.NextProtos) {
				return challenge, nil
			}
			return nil, nil
		}
	}
	if o.ClientCA == "" {
		return c, nil
	}
	pem, err := os.ReadFile(o.ClientCA)
	if err != nil {
		return nil, &fhir.Error{Op: op, Kind: fhir.Invalid, At: "client authorities", Err: err}
	}
	c.ClientCAs = x509.NewCertPool()
	if !c.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fhir.E(op, fhir.Invalid, "client authorities", "the file holds no certificate")
	}
	c.ClientAuth = tls.VerifyClientCertIfGiven
	if o.RequireClient {
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return c, nil
}

func (f *files) get() *tls.Certificate {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.Now(); now.Sub(f.looked) >= recheck {
		f.looked = now
		if f.times() != f.changed {
			if err := f.load(); err != nil && f.Failed != nil {
				f.Failed(err)
			}
		}
	}
	return f.current
}

// times are when the files were changed, zero for one that is not there.
func (f *files) times() (t [2]time.Time) {
	for i, name := range []string{f.Cert, f.Key} {
		if info, err := os.Stat(name); err == nil {
			t[i] = info.ModTime()
		}
	}
	return t
}

// load reads both files; the times from before, so that a change in between is
// seen next time.
func (f *files) load() error {
	f.changed = f.times()
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return err
	}
	f.current = &pair
	return nil
}
