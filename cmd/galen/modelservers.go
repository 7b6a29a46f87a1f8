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

	"galen/cds/imaging/dicomweb"
	"galen/models/oip/remote"
)

// listedServer is one entry of the files of --model-servers and --dicomweb-servers.
type listedServer struct {
	URL       string `yaml:"url"`        // without /v2; of DICOMweb the base of its services
	TokenFile string `yaml:"token-file"` // read anew for each request; "" for no token
	CAFile    string `yaml:"ca-file"`    // PEM; "" for the system's
	CertFile  string `yaml:"cert-file"`  // PEM, of this client; "" for none
	KeyFile   string `yaml:"key-file"`
}

// openServers reads the list of servers that models may run on; without one
// there are none, and manifests of runtime oip are refused.
func openServers(file string) (*remote.Opener, error) {
	list, err := readServers(file)
	return remote.New(remote.Options{Servers: list, Jitter: func() time.Duration { return rand.N(20 * time.Millisecond) }}), err
}

// openArchives reads the list of image archives, nil without one.
func openArchives(file string) (*dicomweb.Client, error) {
	list, err := readServers(file)
	if err != nil || list == nil {
		return nil, err
	}
	archives := make([]dicomweb.Server, len(list))
	for i, s := range list {
		archives[i] = dicomweb.Server(s)
	}
	return dicomweb.New(archives), nil
}

// readServers reads a list of servers; "" is none.
func readServers(file string) (out []remote.Server, err error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var list []listedServer
	if err := yaml.UnmarshalWithOptions(text, &list, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s is not a list of servers: %s", file, yaml.FormatError(err, false, false))
	}
	for _, entry := range list {
		s, err := entry.open()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		out = append(out, s)
	}
	return out, nil
}

func (m listedServer) open() (remote.Server, error) {
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
