package hookjwt

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"

	"galen/fhir"
	"galen/hooks/clients"
)

// How long keys are used.
const (
	fresh     = time.Hour        // before they are fetched again
	stale     = 24 * time.Hour   // at most, while they cannot be fetched
	between   = 30 * time.Second // between two fetches, whatever kid is asked for
	patience  = 3 * time.Second  // for one fetch
	maxKeySet = 256 << 10        // bytes of a JWK Set
)

// ring is one JWK Set of a client and where it comes from.
type ring struct {
	url  string // "" if it is not fetched from the network
	load func(ctx context.Context) (jwk.Set, error)
	now  func() time.Time

	forever bool // it stands in the registration and never changes

	fetching sync.Mutex // held while keys are loaded; guards tried
	tried    time.Time

	mu     sync.RWMutex // guards what follows; never held while keys are loaded
	set    jwk.Set
	loaded time.Time
}

func newRings(c *clients.Client, fetch fetcher, now func() time.Time) ([]*ring, error) {
	var rings []*ring
	switch {
	case len(c.JWKS) > 0:
		set, err := parseSet(c.JWKS)
		if err != nil {
			return nil, keyError(c, err)
		}
		return []*ring{{set: set, forever: true, now: now}}, nil
	case c.JWKSFile != "":
		load := func(context.Context) (jwk.Set, error) {
			text, err := os.ReadFile(c.JWKSFile)
			if err != nil {
				return nil, err
			}
			return parseSet(text)
		}
		set, err := load(context.Background())
		if err != nil {
			return nil, keyError(c, err)
		}
		return []*ring{{load: load, set: set, loaded: now(), tried: now(), now: now}}, nil
	}
	for _, u := range c.JKU {
		rings = append(rings, &ring{url: u, now: now, load: func(ctx context.Context) (jwk.Set, error) { return fetch.get(ctx, u) }})
	}
	return rings, nil
}

func keyError(c *clients.Client, err error) error {
	return &fhir.Error{Op: "hookjwt.New", Kind: fhir.Invalid, At: c.Issuer, Err: err}
}

var errPrivate = errors.New("a JWK Set of a client holds public keys of RSA or EC only")

// parseSet reads a JWK Set; a private or symmetric key in it is a mistake that
// must not go unseen.
func parseSet(text []byte) (jwk.Set, error) {
	set, err := jwk.Parse(text)
	if err != nil {
		return nil, errors.New("the JWK Set cannot be read")
	}
	for i := range set.Len() {
		key, _ := set.Key(i)
		switch key.(type) {
		case jwk.RSAPrivateKey, jwk.ECDSAPrivateKey, jwk.SymmetricKey, jwk.OKPPrivateKey:
			return nil, errPrivate
		}
	}
	return set, nil
}

// find is the key of that kid. An unknown kid means that the client may have
// changed its keys: they are loaded again, but not often, and those who ask for
// a key that is known do not wait for it.
func (r *ring) find(ctx context.Context, kid string) (jwk.Key, bool) {
	key, ok, isFresh := r.known(kid)
	if r.forever || (ok && isFresh) {
		return key, ok
	}
	r.fetching.Lock()
	defer r.fetching.Unlock()
	if key, ok, isFresh = r.known(kid); ok && isFresh {
		return key, true
	}
	now := r.now()
	if !r.tried.IsZero() && now.Sub(r.tried) < between {
		return key, ok
	}
	r.tried = now
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if set, err := r.load(ctx); err == nil {
		r.mu.Lock()
		r.set, r.loaded = set, now
		r.mu.Unlock()
	}
	key, ok, _ = r.known(kid)
	return key, ok
}

// known looks the key up in what is loaded. isFresh is false for keys that are
// to be loaded again.
func (r *ring) known(kid string) (key jwk.Key, ok, isFresh bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	age := r.now().Sub(r.loaded)
	if r.set == nil || (!r.forever && age >= stale) {
		return nil, false, false
	}
	key, ok = r.set.LookupKeyID(kid)
	return key, ok, age < fresh
}

// fetcher gets JWK Sets.
type fetcher struct{ client *http.Client }

func newFetcher(transport http.RoundTripper) fetcher {
	if transport == nil {
		transport = &http.Transport{MaxIdleConns: 4, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: patience, ForceAttemptHTTP2: true}
	}
	return fetcher{&http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

var errFetch = errors.New("the JWK Set cannot be fetched")

func (f fetcher) get(ctx context.Context, url string) (jwk.Set, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, errFetch
	}
	req.Header.Set("Accept", "application/json")
	res, err := f.client.Do(req)
	if err != nil {
		return nil, errFetch
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, errFetch
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxKeySet+1))
	if err != nil || len(text) > maxKeySet {
		return nil, errFetch
	}
	return parseSet(text)
}
