// Package holder knows who calls by a client certificate alone, without a token:
// devices and systems inside one organization that get certificates and no
// tokens.
//
// A certificate counts only if TLS has verified it against the authorities of
// this server, and only for the holder whose registration it meets: by its
// SHA-256 thumbprint, by one of its alternative names, or by its subject. Nobody
// is known by a certificate that two registrations claim.
//
// It verifies no chains (crypto/tls does) and binds no tokens to certificates
// (RFC 8705, in server).
package holder

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"galen/fhir"
	"galen/policies"
)

// Holder is the registration of one holder. One of SHA256, Name and Subject says
// which certificate is meant.
type Holder struct {
	SHA256  string   `yaml:"sha256"`  // of the DER certificate, hexadecimal, colons allowed
	Name    string   `yaml:"name"`    // "dns:lab.example", "uri:spiffe://…" or "email:…", an alternative name of it
	Subject string   `yaml:"subject"` // distinguished name as RFC 2253 writes it, "CN=lab,O=Clinic"
	Sub     string   `yaml:"sub"`     // who it is in policies and audit
	Roles   []string `yaml:"roles"`
	Org     string   `yaml:"org"`
	User    string   `yaml:"user"`     // "Practitioner/1", "Device/2"
	Purpose []string `yaml:"purposes"` // v3-ActReason codes; the first counts unless a request chooses another
	Scope   string   `yaml:"scope"`    // SMART scopes that limit it; "" for none
}

// Registry is all holders. A nil Registry knows none.
type Registry struct {
	holders []Holder
	scopes  [][]policies.Scope
}

// New checks the registrations; the error is of Kind Invalid and names the entry.
func New(holders []Holder) (*Registry, error) {
	r := &Registry{holders: slices.Clone(holders)}
	for i := range r.holders {
		h := &r.holders[i]
		h.SHA256 = strings.ToLower(strings.ReplaceAll(h.SHA256, ":", ""))
		ways := 0
		for _, way := range []string{h.SHA256, h.Name, h.Subject} {
			if way != "" {
				ways++
			}
		}
		sum, err := hex.DecodeString(h.SHA256)
		kind, value, _ := strings.Cut(h.Name, ":")
		scopes, ignored := policies.ParseScopes(h.Scope)
		message := ""
		switch {
		case ways != 1:
			message = "one of sha256, name and subject says which certificate is meant"
		case err != nil || h.SHA256 != "" && len(sum) != sha256.Size:
			message = "sha256 must be 64 hexadecimal digits"
		case h.Name != "" && (value == "" || !slices.Contains([]string{"dns", "uri", "email"}, kind)):
			message = "name must begin with dns:, uri: or email:"
		case h.Sub == "" || len(h.Roles) == 0:
			message = "sub and roles must be there"
		case len(ignored) > 0:
			message = "a scope is not known"
		}
		if message != "" {
			return nil, fhir.E("holder.New", fhir.Invalid, "holder "+strconv.Itoa(i+1), message)
		}
		if h.Scope == "" {
			scopes = nil
		}
		r.scopes = append(r.scopes, scopes)
	}
	return r, nil
}

// Find is the holder of the certificate of a connection; false if there is none,
// or not exactly one.
func (r *Registry) Find(state *tls.ConnectionState) (policies.Principal, bool) {
	if r == nil || state == nil || len(state.VerifiedChains) == 0 || len(state.PeerCertificates) == 0 {
		return policies.Principal{}, false
	}
	leaf, found := state.PeerCertificates[0], -1
	for i := range r.holders {
		if r.holders[i].meets(leaf) {
			if found >= 0 {
				return policies.Principal{}, false
			}
			found = i
		}
	}
	if found < 0 {
		return policies.Principal{}, false
	}
	h := &r.holders[found]
	p := policies.Principal{
		Subject: h.Sub, Client: h.Sub, Org: h.Org, Roles: slices.Clone(h.Roles), FHIRUser: h.User,
		Purposes: slices.Clone(h.Purpose), Scopes: r.scopes[found],
	}
	if len(h.Purpose) > 0 {
		p.Purpose = h.Purpose[0]
	}
	return p, true
}

func (h *Holder) meets(c *x509.Certificate) bool {
	switch {
	case h.SHA256 != "":
		sum := sha256.Sum256(c.Raw)
		return hex.EncodeToString(sum[:]) == h.SHA256
	case h.Subject != "":
		return c.Subject.String() == h.Subject
	}
	kind, value, _ := strings.Cut(h.Name, ":")
	switch kind {
	case "dns":
		return slices.Contains(c.DNSNames, value)
	case "email":
		return slices.Contains(c.EmailAddresses, value)
	}
	for _, u := range c.URIs {
		if u.String() == value {
			return true
		}
	}
	return false
}
