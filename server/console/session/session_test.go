package session_test

import (
	"crypto/rand"
	"testing"
	"time"

	"galen/server/console/session"
)

// A session ends when it is idle, when it is old, and when it is closed.
func TestEnds(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := session.New(session.Limits{Idle: 10 * time.Minute, Absolute: 25 * time.Minute}, func() time.Time { return now }, rand.Reader)
	open := func() string {
		cookie, err := s.Open("token")
		if err != nil {
			t.Fatal(err)
		}
		return cookie
	}
	idle := open()
	now = now.Add(10 * time.Minute)
	if _, ok := s.Find(idle); ok {
		t.Error("found after the idle time")
	}
	old := open()
	for range 2 {
		now = now.Add(9 * time.Minute)
		if _, ok := s.Find(old); !ok {
			t.Fatal("lost while in use")
		}
	}
	now = now.Add(9 * time.Minute)
	if _, ok := s.Find(old); ok {
		t.Error("found after the absolute time")
	}
	closed := open()
	one, _ := s.Find(closed)
	s.Close(one)
	if _, ok := s.Find(closed); ok {
		t.Error("found after it was closed")
	}
	if _, ok := s.Find(""); ok {
		t.Error("no cookie found a session")
	}
}

// The number of sessions is bounded: the one unused for longest makes room.
func TestBounded(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := session.New(session.Limits{Count: 2}, func() time.Time { return now }, rand.Reader)
	var cookies []string
	for range 3 {
		now = now.Add(time.Second)
		cookie, err := s.Open("token")
		if err != nil {
			t.Fatal(err)
		}
		cookies = append(cookies, cookie)
	}
	for i, want := range []bool{false, true, true} {
		if _, ok := s.Find(cookies[i]); ok != want {
			t.Errorf("session %d: found %v, want %v", i, ok, want)
		}
	}
}
