// Package acme gets the server's certificate from an authority and renews it
// (RFC 8555), by golang.org/x/crypto/acme/autocert; the only importer of it.
//
// The authority proves that this server is the named one over TLS itself
// (tls-alpn-01, RFC 8737), so the server must be reached on port 443. Keys and
// certificates are kept in a directory, readable by its owner only. Names that
// are not listed get no certificate.
package acme

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"galen/fhir"
)

// Options say for which names and from whom.
type Options struct {
	Domains   []string
	Email     string // where the authority writes to; "" for none
	Directory string // URL of the authority; "" is the library's default
	CA        string // PEM file of authorities to trust as Directory's own; "" for those of the system
	Dir       string // where keys and certificates are kept
}

// Protocol is the one that the authority speaks to prove the name.
const Protocol = acme.ALPNProto

// timeout bounds one request to the authority.
const timeout = 30 * time.Second

// Source makes the function that gives certificates, for certificate.Options.
// Nothing is asked for before a client connects. Using it accepts the
// authority's terms. The error is of Kind Invalid.
func Source(o Options) (func(*tls.ClientHelloInfo) (*tls.Certificate, error), error) {
	const op = "acme.Source"
	if len(o.Domains) == 0 {
		return nil, fhir.E(op, fhir.Invalid, "domains", "no domain is named")
	}
	for _, d := range o.Domains {
		if d != strings.Trim(d, ". ") || !strings.Contains(d, ".") {
			return nil, fhir.E(op, fhir.Invalid, "domains", "a domain is a whole name such as galen.example.org")
		}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if o.CA != "" {
		pem, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, &fhir.Error{Op: op, Kind: fhir.Invalid, At: "authorities", Err: err}
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fhir.E(op, fhir.Invalid, "authorities", "the file holds no certificate")
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	m := &autocert.Manager{
		Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(o.Dir), HostPolicy: autocert.HostWhitelist(o.Domains...), Email: o.Email,
		Client: &acme.Client{DirectoryURL: o.Directory, HTTPClient: &http.Client{Transport: transport, Timeout: timeout}},
	}
	if o.Directory == "" {
		m.Client.DirectoryURL = autocert.DefaultACMEDirectory
	}
	return m.GetCertificate, nil
}
