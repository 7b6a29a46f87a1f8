package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/urfave/cli/v3"

	"galen/policies"
	"galen/policies/smart"
	"galen/server"
	"galen/server/auth"
	"galen/server/auth/holder"
	"galen/server/certificate"
	"galen/server/certificate/acme"
)

// securityFlags are about who may connect and how.
func securityFlags() []cli.Flag {
	return []cli.Flag{
		text("auth", "on", "on, or off: everybody is administrator (loopback only)"),
		text("issuers", "", "YAML file of external issuers of access tokens"),
		text("tls-cert", "", "certificate file (PEM); read again when it changes"),
		text("tls-key", "", "its private key (PEM)"),
		text("tls-client-ca", "", "authorities of client certificates (PEM)"),
		&cli.BoolFlag{Name: "tls-require-client", Usage: "refuse clients without a certificate"},
		text("tls-clients", "", "YAML file of those who are known by a client certificate alone, without a token"),
		text("acme-domains", "", "names, separated by commas, for which a certificate is got from an authority (RFC 8555) instead of --tls-cert; needs port 443 and accepts the authority's terms"),
		text("acme-email", "", "where the authority writes to"),
		text("acme-directory", "", "URL of the authority's directory; default: the usual public one"),
		text("acme-ca", "", "PEM file of the authorities by which that directory is known, if it is a private one"),
		&cli.BoolFlag{Name: "insecure", Usage: "allow plain HTTP beyond loopback, as behind a proxy that ends TLS"},
		&cli.Int64Flag{Name: "rate", Usage: "requests a second that one client may make on average; 0 for no limit"},
		&cli.Int64Flag{Name: "burst", Value: 100, Usage: "requests that one client may make at once"},
	}
}

// issuerEntry is one external issuer in the file of --issuers.
type issuerEntry struct {
	Issuer     string            `yaml:"issuer"`
	Audience   []string          `yaml:"audience"`
	Algorithms []string          `yaml:"algorithms"`
	Types      []string          `yaml:"types"`      // of tokens; at+jwt if absent
	Roles      string            `yaml:"roles"`      // claim of the roles, "realm_access.roles"
	Org        string            `yaml:"org"`        // claim of the organization
	Map        map[string]string `yaml:"map"`        // the issuer's role → ours
	ClientID   string            `yaml:"client-id"`  // of this server, for introspection
	SecretEnv  string            `yaml:"secret-env"` // environment variable of its secret
}

// readIssuers reads the file of --issuers; fhirBase is the audience of those that
// name none.
func readIssuers(path, fhirBase string) ([]*auth.Provider, error) {
	if path == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var entries []issuerEntry
	if err := yaml.UnmarshalWithOptions(raw, &entries, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	providers := make([]*auth.Provider, len(entries))
	for i, e := range entries {
		if len(e.Audience) == 0 {
			e.Audience = []string{fhirBase}
		}
		if providers[i], err = auth.NewProvider(auth.ProviderConfig{
			Issuer: e.Issuer, Audience: e.Audience, Algorithms: e.Algorithms, Types: e.Types,
			Claims:   auth.ClaimNames{Roles: e.Roles, Org: e.Org, Map: e.Map, Base: fhirBase + "/"},
			ClientID: e.ClientID, Secret: os.Getenv(e.SecretEnv),
		}); err != nil {
			return nil, fmt.Errorf("%s: issuer %d: %w", path, i+1, err)
		}
	}
	return providers, nil
}

// readHolders reads the file of --tls-clients.
func readHolders(path string) (*holder.Registry, error) {
	if path == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var holders []holder.Holder
	if err := yaml.UnmarshalWithOptions(raw, &holders, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return holder.New(holders)
}

// everybody is the authenticator of --auth=off.
type everybody struct{}

// Verify lets anybody in as administrator and clinician.
func (everybody) Verify(context.Context, string) (policies.Principal, error) {
	return policies.Principal{Subject: "anonymous", Roles: []string{"admin", "clinician"}}, nil
}

// authentication is who may call, and where apps get their tokens.
func authentication(c *cli.Command, addr net.Addr, issuer *auth.Issuer, fhirBase string, log *slog.Logger) (server.Authenticator, func(context.Context) (smart.Endpoints, error), error) {
	switch c.String("auth") {
	case "on":
		providers, err := readIssuers(c.String("issuers"), fhirBase)
		if err != nil {
			return nil, nil, err
		}
		verifier, err := auth.NewVerifier(issuer, time.Now, providers...)
		if len(providers) == 0 {
			return verifier, nil, err
		}
		return verifier, providers[0].Endpoints, err
	case "off":
		if !loopback(addr) {
			return nil, nil, errors.New("--auth=off is for loopback addresses only")
		}
		log.Warn("AUTHENTICATION IS OFF: everybody on this machine is administrator")
		fmt.Fprintln(os.Stderr, "\n  !!! AUTHENTICATION IS OFF: everybody on this machine is administrator !!!")
		return everybody{}, nil, nil
	}
	return nil, nil, errors.New("--auth must be on or off")
}

func loopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// listen opens the address, with TLS if there is a certificate. Plain HTTP is for
// loopback, or for --insecure.
func listen(ctx context.Context, c *cli.Command, log *slog.Logger) (net.Listener, string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.String("addr"))
	if err != nil {
		return nil, "", err
	}
	if c.String("tls-cert") == "" && c.String("acme-domains") == "" {
		if !loopback(listener.Addr()) && !c.Bool("insecure") {
			return nil, "", errors.Join(errors.New("plain HTTP is for loopback addresses only: give --tls-cert and --tls-key, or --insecure behind a proxy that ends TLS"), listener.Close())
		}
		return listener, "http", nil
	}
	o := certificate.Options{
		Cert: c.String("tls-cert"), Key: c.String("tls-key"), ClientCA: c.String("tls-client-ca"),
		RequireClient: c.Bool("tls-require-client"),
		Failed:        func(err error) { log.Error("certificate not reloaded", slog.Any("error", err)) },
	}
	if domains := c.String("acme-domains"); domains != "" {
		o.Challenge = acme.Protocol
		if o.Get, err = acme.Source(acme.Options{
			Domains: strings.Split(domains, ","), Email: c.String("acme-email"), Directory: c.String("acme-directory"), CA: c.String("acme-ca"),
			Dir: filepath.Join(c.String("data"), "acme"),
		}); err != nil {
			return nil, "", errors.Join(err, listener.Close())
		}
	}
	config, err := certificate.Config(o)
	if err != nil {
		return nil, "", errors.Join(err, listener.Close())
	}
	return tls.NewListener(listener, config), "https", nil
}
