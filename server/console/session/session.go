// Package session keeps who is signed in at the console: a random name in the
// browser's cookie, the access token here and nowhere else.
//
// It promises that a session ends after Idle without use and after Absolute in
// any case, that what is kept cannot be turned back into a cookie, and that the
// number of sessions is bounded: the one unused for longest makes room.
//
// It does not check tokens: its caller does, at every use.
package session

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"sync"
	"time"

	"galen/fhir"
)

// Limits bound sessions; zero values have the defaults that they name.
type Limits struct {
	Idle     time.Duration // 0 is 15 minutes
	Absolute time.Duration // 0 is 8 hours
	Count    int           // 0 is 10,000
}

// Session is one sign-in.
type Session struct {
	Token string // the access token
	CSRF  string // what each form must bring along

	key     [sha256.Size]byte
	started time.Time
	used    time.Time
}

// Sessions are all that are signed in. They are safe for concurrent use.
type Sessions struct {
	limits Limits
	now    func() time.Time
	random io.Reader

	mu   sync.Mutex
	live map[[sha256.Size]byte]*Session
}

// New returns Sessions that use a clock and a source of randomness, which must
// be fit for secrets.
func New(l Limits, now func() time.Time, random io.Reader) *Sessions {
	if l.Idle == 0 {
		l.Idle = 15 * time.Minute
	}
	if l.Absolute == 0 {
		l.Absolute = 8 * time.Hour
	}
	if l.Count == 0 {
		l.Count = 10_000
	}
	return &Sessions{limits: l, now: now, random: random, live: map[[sha256.Size]byte]*Session{}}
}

// Secret returns 256 random bits in base64url. The error is of Kind Internal.
func (s *Sessions) Secret() (string, error) {
	var raw [32]byte
	if _, err := io.ReadFull(s.random, raw[:]); err != nil {
		return "", &fhir.Error{Op: "session.Secret", Kind: fhir.Internal, Err: err}
	}
	return base64.RawURLEncoding.EncodeToString(raw[:]), nil
}

// Open starts a session and returns the cookie's value.
func (s *Sessions) Open(token string) (cookie string, err error) {
	cookie, err = s.Secret()
	if err != nil {
		return "", err
	}
	csrf, err := s.Secret()
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.makeRoom(now)
	key := sha256.Sum256([]byte(cookie))
	s.live[key] = &Session{Token: token, CSRF: csrf, key: key, started: now, used: now}
	return cookie, nil
}

// makeRoom forgets what has ended, and the session unused for longest if there
// are still too many.
func (s *Sessions) makeRoom(now time.Time) {
	if len(s.live) < s.limits.Count {
		return
	}
	var oldest *Session
	for key, one := range s.live {
		if s.over(one, now) {
			delete(s.live, key)
		} else if oldest == nil || one.used.Before(oldest.used) {
			oldest = one
		}
	}
	if len(s.live) >= s.limits.Count {
		delete(s.live, oldest.key)
	}
}

func (s *Sessions) over(one *Session, now time.Time) bool {
	return now.Sub(one.used) >= s.limits.Idle || now.Sub(one.started) >= s.limits.Absolute
}

// Find returns the session of a cookie and counts as a use of it.
func (s *Sessions) Find(cookie string) (Session, bool) {
	key := sha256.Sum256([]byte(cookie))
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.live[key]
	if !ok {
		return Session{}, false
	}
	now := s.now()
	if s.over(one, now) {
		delete(s.live, key)
		return Session{}, false
	}
	one.used = now
	return *one, true
}

// Close ends a session.
func (s *Sessions) Close(one Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.live, one.key)
}
