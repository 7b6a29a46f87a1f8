package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"galen/models/oip/remote"
)

// modelServer is one entry of the file of --model-servers.
type modelServer struct {
	URL       string `yaml:"url"`        // without /v2
	TokenFile string `yaml:"token-file"` // read anew for each request; "" for no token
	CAFile    string `yaml:"ca-file"`    // PEM; "" for the system's
	CertFile  string `yaml:"cert-file"`  // PEM, of this client; "" for none
	KeyFile   string `yaml:"key-file"`
}

// openServers reads the list of servers that models may run on; without one
// there are none, and manifests of runtime oip are refused.
func openServers(file string) (*remote.Opener, error) {
	var list []modelServer
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if err := yaml.UnmarshalWithOptions(text, &list, yaml.Strict()); err != nil {
			return nil, fmt.Errorf("%s is not a list of servers: %s", file, yaml.FormatError(err, false, false))
		}
	}
	opts := remote.Options{Jitter: func() time.Duration { return rand.N(20 * time.Millisecond) }}
	for _, entry := range list {
		s, err := entry.server()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		opts.Servers = append(opts.Servers, s)
	}
	return remote.New(opts), nil
}

func (m modelServer) server() (remote.Server, error) {
	s := remote.Server{URL: strings.TrimRight(m.URL, "/")}
	if !strings.HasPrefix(s.URL, "https://") && !strings.HasPrefix(s.URL, "http://") {
		return s, errors.New("a server wants url: https://…")
	}
	if m.TokenFile != "" {
		s.Token = func() (string, error) {
			text, err := os.ReadFile(m.TokenFile)
			return strings.TrimSpace(string(text)), err
		}
		if _, err := s.Token(); err != nil {
			return s, err
		}
	}
	if m.CAFile == "" && m.CertFile == "" {
		return s, nil
	}
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if m.CAFile != "" {
		text, err := os.ReadFile(m.CAFile)
		if err != nil {
			return s, err
		}
		s.TLS.RootCAs = x509.NewCertPool()
		if !s.TLS.RootCAs.AppendCertsFromPEM(text) {
			return s, errors.New("ca-file holds no certificate")
		}
	}
	if m.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(m.CertFile, m.KeyFile)
		if err != nil {
			return s, err
		}
		s.TLS.Certificates = []tls.Certificate{pair}
	}
	return s, nil
}
