package remote_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"galen/fhir"
	"galen/hooks/prefetch"
	"galen/hooks/remote"
)

const secret = "sesame-token"

// stub is an EHR's FHIR server that counts what it is asked.
type stub struct {
	*httptest.Server
	calls, withToken atomic.Int64
}

func newStub(t *testing.T, answer http.HandlerFunc) *stub {
	t.Helper()
	s := &stub{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.calls.Add(1)
		if r.Header.Get("Authorization") == "Bearer "+secret {
			s.withToken.Add(1)
		}
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *stub) base() string { return s.URL + "/fhir/" }

func write(w http.ResponseWriter, format string, args ...any) {
	w.Header().Set("Content-Type", "application/fhir+json")
	_, _ = fmt.Fprintf(w, format, args...)
}

func source(t *testing.T, opt remote.Options, base string, listed bool) prefetch.Pager {
	t.Helper()
	if opt.Pause == 0 {
		opt.Pause = time.Millisecond
	}
	c := remote.New(opt)
	t.Cleanup(func() { _ = c.Close() })
	s, err := c.Source(remote.Target{Base: base, Listed: listed, Token: secret})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Acceptance 9: exactly the query is asked, with the bearer token, and cited on
// that server.
func TestFetch(t *testing.T) {
	var got string
	s := newStub(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.URL.RequestURI()
		write(w, `{"resourceType":"Patient","id":"p1","meta":{"versionId":"4"}}`)
	})
	items, err := source(t, remote.Options{}, s.base(), true).Fetch(t.Context(), "Patient/p1")
	if err != nil || got != "/fhir/Patient/p1" || s.withToken.Load() != 1 {
		t.Fatalf("%v: asked %s, token %d times", err, got, s.withToken.Load())
	}
	if items[0].Citation != s.base()+"Patient/p1/_history/4" {
		t.Errorf("cited as %s", items[0].Citation)
	}
}

// Acceptance 11: all pages are used; a next link that leads elsewhere is
// refused, and the token never goes there.
func TestPages(t *testing.T) {
	thief := newStub(t, func(w http.ResponseWriter, _ *http.Request) { write(w, `{"resourceType":"Bundle"}`) })
	page := func(n int, next string) string {
		return fmt.Sprintf(`{"resourceType":"Bundle","link":[{"relation":"next","url":%q}],"entry":[{"resource":{"resourceType":"Observation","id":"o%d"}}]}`, next, n)
	}
	for name, tt := range map[string]struct {
		next  func(base string) string
		items int
		kind  fhir.Kind
	}{
		"below the base":        {func(base string) string { return base + "Observation?page=2" }, 2, 0},
		"relative":              {func(string) string { return "Observation?page=2" }, 2, 0},
		"the base itself":       {func(base string) string { return strings.TrimSuffix(base, "/") + "?page=2" }, 2, 0},
		"another host":          {func(string) string { return thief.base() + "Observation?page=2" }, 0, fhir.Unavailable},
		"another path":          {func(base string) string { return strings.Replace(base, "/fhir/", "/admin/", 1) }, 0, fhir.Unavailable},
		"another scheme":        {func(base string) string { return strings.Replace(base, "http:", "file:", 1) }, 0, fhir.Unavailable},
		"a user in the URL":     {func(base string) string { return strings.Replace(base, "//", "//x@", 1) + "Observation?page=2" }, 0, fhir.Unavailable},
		"climbing":              {func(base string) string { return base + "../admin?page=2" }, 0, fhir.Unavailable},
		"protocol-relative":     {func(string) string { return strings.TrimPrefix(thief.base(), "http:") }, 0, fhir.Unavailable},
		"itself, without end":   {func(base string) string { return base + "Observation?page=1" }, 0, fhir.TooCostly},
		"a host with a newline": {func(string) string { return "http://evil\n.test/" }, 0, fhir.Unavailable},
	} {
		var s *stub
		s = newStub(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("page") == "2" {
				write(w, `{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Observation","id":"last"}}]}`)
				return
			}
			write(w, "%s", page(1, tt.next(s.base())))
		})
		items, err := source(t, remote.Options{Pages: 5}, s.base(), true).Fetch(t.Context(), "Observation?patient=p1")
		if len(items) != tt.items || (err != nil) != (tt.kind != 0) || (err != nil && fhir.KindOf(err) != tt.kind) {
			t.Errorf("%s: %d items, %v", name, len(items), err)
		}
		if err == nil {
			continue
		}
		if _, err := source(t, remote.Options{Pages: 5}, s.base(), true).Follow(t.Context(), tt.next(s.base())); err == nil {
			t.Errorf("%s: followed", name)
		}
	}
	if n := thief.calls.Load(); n != 0 {
		t.Errorf("another host was called %d times", n)
	}
}

// Acceptance 13: no redirect is followed, and no address inside the network is
// dialled for a server that no registration names.
func TestNoWayInside(t *testing.T) {
	inside := newStub(t, func(w http.ResponseWriter, _ *http.Request) { write(w, `{"resourceType":"Patient","id":"p1"}`) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		s := newStub(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, inside.base()+"Patient/p1", status)
		})
		if _, err := source(t, remote.Options{}, s.base(), true).Fetch(t.Context(), "Patient/p1"); fhir.KindOf(err) != fhir.Unavailable {
			t.Errorf("redirect %d: %v", status, err)
		}
	}
	c := remote.New(remote.Options{Pause: time.Millisecond})
	defer func() { _ = c.Close() }()
	port := inside.Listener.Addr().(*net.TCPAddr).Port
	for _, host := range []string{
		"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "127.1.2.3", "10.0.0.1", "172.16.0.1", "192.168.0.1",
		"169.254.169.254", "[fe80::1]", "[fd00::1]", "100.64.0.1", "198.18.0.1", "[64:ff9b::7f00:1]", "224.0.0.1", "255.255.255.255", "2130706433",
	} {
		s, err := c.Source(remote.Target{Base: fmt.Sprintf("https://%s:%d/fhir/", host, port), Token: secret})
		if err != nil {
			continue
		}
		if _, err := s.Fetch(t.Context(), "Patient/p1"); err == nil {
			t.Errorf("%s was reached", host)
		}
	}
	for _, base := range []string{"http://example.com/fhir/", "ftp://example.com/fhir/", "https:///fhir/", "https://u:p@example.com/fhir/", "https://example.com/fhir", "https://example.com/fhir/?a=b", "file:///etc/", "https://example.com/#/"} {
		if _, err := c.Source(remote.Target{Base: base}); fhir.KindOf(err) != fhir.Value {
			t.Errorf("%s: %v", base, err)
		}
	}
	listed, err := c.Source(remote.Target{Base: "http://169.254.169.1:1/fhir/", Listed: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := listed.Fetch(ctx, "Patient/p1"); err == nil {
		t.Error("a link-local address answered")
	}
	if n := inside.calls.Load(); n != 0 {
		t.Errorf("the server inside was called %d times", n)
	}
}

// A server that is slow, lies, sends without end or fails is given up in time;
// what may pass is tried again.
func TestBadServers(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		kind   fhir.Kind
		calls  int64
	}{
		"slow": {func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		}, fhir.Timeout, 1},
		"slow body": {func(w http.ResponseWriter, r *http.Request) {
			write(w, `{"resourceType":`)
			w.(http.Flusher).Flush()
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		}, fhir.Timeout, 1},
		"500":         {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, fhir.Unavailable, 3},
		"503":         {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, fhir.Unavailable, 3},
		"429":         {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) }, fhir.Unavailable, 3},
		"400":         {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(400) }, fhir.Unavailable, 1},
		"401":         {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, fhir.Forbidden, 1},
		"404":         {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, fhir.NotFound, 1},
		"410":         {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(410) }, fhir.NotFound, 1},
		"HTML":        {func(w http.ResponseWriter, _ *http.Request) { write(w, "<html>") }, fhir.Unavailable, 1},
		"no resource": {func(w http.ResponseWriter, _ *http.Request) { write(w, "{}") }, fhir.Unavailable, 1},
		"outcome":     {func(w http.ResponseWriter, _ *http.Request) { write(w, `{"resourceType":"OperationOutcome"}`) }, fhir.Unavailable, 1},
		"bad entry": {func(w http.ResponseWriter, _ *http.Request) {
			write(w, `{"resourceType":"Bundle","entry":[{"resource":1}]}`)
		}, fhir.Unavailable, 1},
		"huge": {func(w http.ResponseWriter, _ *http.Request) {
			write(w, `{"resourceType":"Patient","id":"%s"}`, strings.Repeat("x", 1<<20))
		}, fhir.TooCostly, 1},
		"huge, in zip":   {func(w http.ResponseWriter, _ *http.Request) { write(w, "%s", strings.Repeat(" ", 1<<20)) }, fhir.TooCostly, 1},
		"closes at once": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, fhir.Unavailable, 3},
	} {
		s := newStub(t, tt.answer)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		_, err := source(t, remote.Options{Page: 64 << 10}, s.base(), true).Fetch(ctx, "Patient/p1")
		cancel()
		if fhir.KindOf(err) != tt.kind {
			t.Errorf("%s: %v", name, err)
		}
		if n := s.calls.Load(); n < tt.calls || n > max(tt.calls, 6) {
			t.Errorf("%s: asked %d times, want %d", name, n, tt.calls)
		}
		if err != nil && (strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "127.0.0.1") || strings.Contains(err.Error(), "p1")) {
			t.Errorf("%s: the error tells too much: %v", name, err)
		}
	}
}

func TestSecondTryHelps(t *testing.T) {
	var n atomic.Int64
	s := newStub(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) == 1 {
			w.WriteHeader(503)
			return
		}
		write(w, `{"resourceType":"Patient","id":"p1"}`)
	})
	if _, err := source(t, remote.Options{}, s.base(), true).Fetch(t.Context(), "Patient/p1"); err != nil {
		t.Error(err)
	}
}

func TestTargetHidesItsToken(t *testing.T) {
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, remote.Target{Base: "https://x.test/", Token: secret}); strings.Contains(text, secret) {
			t.Errorf("%s shows %s", format, text)
		}
	}
}
