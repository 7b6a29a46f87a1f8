package holder_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
	"testing"

	"galen/fhir"
	"galen/server/auth/holder"
)

func leaf() *x509.Certificate {
	return &x509.Certificate{
		Raw: []byte("der"), Subject: pkix.Name{CommonName: "lab", Organization: []string{"Clinic"}}, DNSNames: []string{"lab.test"},
		EmailAddresses: []string{"lab@clinic.test"}, URIs: []*url.URL{{Scheme: "spiffe", Host: "clinic.test", Path: "/lab"}},
	}
}

func verified(c *x509.Certificate) *tls.ConnectionState {
	return &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c}, VerifiedChains: [][]*x509.Certificate{{c}}}
}

// A verified certificate is its holder's, by whichever of its marks is
// registered, and nobody else's.
func TestFind(t *testing.T) {
	sum := sha256.Sum256([]byte("der"))
	for name, c := range map[string]struct {
		holders []holder.Holder
		want    string
	}{
		"nobody":       {nil, ""},
		"thumbprint":   {[]holder.Holder{{SHA256: strings.ToUpper(hex.EncodeToString(sum[:]))}}, "a"},
		"another":      {[]holder.Holder{{SHA256: strings.Repeat("00", 32)}}, ""},
		"DNS name":     {[]holder.Holder{{Name: "dns:lab.test"}}, "a"},
		"part of one":  {[]holder.Holder{{Name: "dns:test"}}, ""},
		"another kind": {[]holder.Holder{{Name: "email:lab.test"}}, ""},
		"e-mail":       {[]holder.Holder{{Name: "email:lab@clinic.test"}}, "a"},
		"URI":          {[]holder.Holder{{Name: "uri:spiffe://clinic.test/lab"}}, "a"},
		"subject":      {[]holder.Holder{{Subject: "CN=lab,O=Clinic"}}, "a"},
		"less of it":   {[]holder.Holder{{Subject: "CN=lab"}}, ""},
		"two claim it": {[]holder.Holder{{Name: "dns:lab.test"}, {Subject: "CN=lab,O=Clinic"}}, ""},
	} {
		for i := range c.holders {
			c.holders[i].Sub, c.holders[i].Roles, c.holders[i].Purpose = string(rune('a'+i)), []string{"clinician"}, []string{"TREAT", "HRESCH"}
		}
		r, err := holder.New(c.holders)
		if err != nil {
			t.Fatal(name, err)
		}
		p, ok := r.Find(verified(leaf()))
		if p.Subject != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q %t", name, p.Subject, ok)
		}
		if ok && (p.Purpose != "TREAT" || p.Scopes != nil || !slices.Equal(p.Roles, []string{"clinician"})) {
			t.Errorf("%s: %+v", name, p)
		}
		for what, state := range map[string]*tls.ConnectionState{"no TLS": nil, "no certificate": {}, "not verified": {PeerCertificates: []*x509.Certificate{leaf()}}} {
			if _, ok := r.Find(state); ok {
				t.Errorf("%s: %s counts", name, what)
			}
		}
	}
	var none *holder.Registry
	if _, ok := none.Find(verified(leaf())); ok {
		t.Error("nobody is registered")
	}
}

func TestBadRegistrations(t *testing.T) {
	good := holder.Holder{Name: "dns:a", Sub: "a", Roles: []string{"ehr"}}
	for name, change := range map[string]func(*holder.Holder){
		"no certificate":  func(h *holder.Holder) { h.Name = "" },
		"two ways":        func(h *holder.Holder) { h.Subject = "CN=a" },
		"a short sum":     func(h *holder.Holder) { h.Name, h.SHA256 = "", "00" },
		"no sum":          func(h *holder.Holder) { h.Name, h.SHA256 = "", "xyz" },
		"an unknown kind": func(h *holder.Holder) { h.Name = "ip:1.2.3.4" },
		"an empty name":   func(h *holder.Holder) { h.Name = "dns:" },
		"nobody":          func(h *holder.Holder) { h.Sub = "" },
		"no role":         func(h *holder.Holder) { h.Roles = nil },
		"a bad scope":     func(h *holder.Holder) { h.Scope = "patient/Observation.dus" },
	} {
		h := good
		change(&h)
		if _, err := holder.New([]holder.Holder{good, h}); fhir.KindOf(err) != fhir.Invalid || !strings.Contains(err.Error(), "holder 2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
