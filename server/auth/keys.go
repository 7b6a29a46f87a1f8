package auth

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
)

// keySource finds the public key that a token names.
type keySource interface {
	// key returns the key and until when it may be relied on without asking
	// again; the zero time is for ever.
	key(ctx context.Context, kid string, algorithm jwa.SignatureAlgorithm) (jwk.Key, time.Time, error)
}

// fixed is a key set that never changes.
type fixed struct{ set jwk.Set }

func fixedKeys(set jwk.Set) keySource { return fixed{set} }

func (f fixed) key(_ context.Context, kid string, algorithm jwa.SignatureAlgorithm) (jwk.Key, time.Time, error) {
	key, ok := choose(f.set, kid, algorithm)
	if !ok {
		return nil, time.Time{}, errToken
	}
	return key, time.Time{}, nil
}

// choose finds the key with that id; without an id, the one key that fits. A key
// that is not for signatures, or for another algorithm, does not fit.
func choose(set jwk.Set, kid string, algorithm jwa.SignatureAlgorithm) (jwk.Key, bool) {
	var found jwk.Key
	for i := range set.Len() {
		key, _ := set.Key(i)
		id, _ := key.KeyID()
		if kid != "" && id != kid || !fits(key, algorithm) {
			continue
		}
		if found != nil {
			return nil, false // two keys of one name: nobody can say which is meant
		}
		found = key
	}
	return found, found != nil
}

func fits(key jwk.Key, algorithm jwa.SignatureAlgorithm) bool {
	if use, ok := key.KeyUsage(); ok && use != "" && use != "sig" {
		return false
	}
	if own, ok := key.Algorithm(); ok && own.String() != algorithm.String() {
		return false
	}
	family := jwa.RSA()
	if algorithm.String()[0] == 'E' {
		family = jwa.EC()
	}
	private, err := jwk.IsPrivateKey(key)
	return err == nil && !private && key.KeyType() == family
}

const (
	keysFresh = 5 * time.Minute  // a set is relied on for so long
	keysStale = time.Hour        // and, if the provider cannot be asked, for so long
	keysPause = 10 * time.Second // between two questions, whatever tokens say
)

// remoteKeys is the key set of a provider. It is fetched when it is needed, again
// when it is no longer fresh or a token names a key that it lacks, and not more
// often than keysPause. While the provider cannot be asked the keys that are
// known keep their value until they are stale.
type remoteKeys struct {
	meta *metadata
	now  func() time.Time
	// changed is told that another set is known: what was verified before may rest
	// on a key that is no more. nil tells nobody.
	changed func()

	mu    sync.Mutex // held during a fetch: one question at a time
	set   jwk.Set
	raw   []byte    // of set
	from  time.Time // when set was fetched
	tried time.Time // when it was last asked for
}

func (r *remoteKeys) key(ctx context.Context, kid string, algorithm jwa.SignatureAlgorithm) (jwk.Key, time.Time, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if r.set == nil || now.Sub(r.from) >= keysFresh {
		r.fetch(ctx, now)
	}
	key, ok := r.find(kid, algorithm, now)
	if !ok && r.from != now {
		r.fetch(ctx, now)
		key, ok = r.find(kid, algorithm, now)
	}
	if !ok {
		return nil, time.Time{}, errToken
	}
	until := r.from.Add(keysFresh)
	if until.Before(now) {
		until = now // the provider is down: do not remember
	}
	return key, until, nil
}

func (r *remoteKeys) find(kid string, algorithm jwa.SignatureAlgorithm, now time.Time) (jwk.Key, bool) {
	if r.set == nil || now.Sub(r.from) >= keysStale {
		return nil, false
	}
	return choose(r.set, kid, algorithm)
}

// fetch asks the provider unless it was just asked; a failure leaves what is known.
func (r *remoteKeys) fetch(ctx context.Context, now time.Time) {
	if !r.tried.IsZero() && now.Sub(r.tried) < keysPause {
		return
	}
	r.tried = now
	endpoints, err := r.meta.fetch(ctx)
	if err != nil {
		return
	}
	var raw []byte
	if err := r.meta.get(ctx, endpoints.JWKS, &raw); err != nil {
		return
	}
	if set, err := jwk.Parse(raw); err == nil {
		if r.changed != nil && !bytes.Equal(raw, r.raw) {
			r.changed()
		}
		r.set, r.raw, r.from = set, raw, now
	}
}
