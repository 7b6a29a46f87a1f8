package remote_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"galen/models"
	"galen/models/manifest"
	"galen/models/modeltest"
	"galen/models/oip"
	"galen/models/oip/remote"
)

// stub is a server of the protocol that runs the contract's model in memory, and
// misbehaves as a test wants.
type stub struct {
	*httptest.Server
	fake  modeltest.Fake
	spoil atomic.Pointer[func(w http.ResponseWriter, r *http.Request) bool] // true when it has answered
	calls atomic.Int64
}

func serve(t *testing.T) *stub {
	s := &stub{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.calls.Add(1)
		if f := s.spoil.Load(); f != nil && (*f)(w, r) {
			return
		}
		switch r.URL.Path {
		case "/v2/models/contract":
			body, err := json.Marshal(oip.ModelMetadata{
				Name: "contract", Platform: "onnxruntime_onnx", Inputs: oip.Metadata(s.fake.Inputs()), Outputs: oip.Metadata(s.fake.Outputs()),
			})
			if err != nil {
				t.Error(err)
			}
			_, _ = w.Write(body)
		case "/v2/models/contract/infer":
			s.infer(t, w, r)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *stub) infer(t *testing.T, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went away
	}
	header, err := strconv.Atoi(r.Header.Get("Inference-Header-Content-Length"))
	if err != nil {
		t.Error(err)
	}
	req, err := oip.DecodeRequest(body, header)
	if err != nil {
		t.Error(err)
		return
	}
	var in []models.Tensor
	for _, n := range req.Inputs {
		in = append(in, n.Tensor)
	}
	out, err := s.fake.Predict(r.Context(), in)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	res := oip.Response{Outputs: []oip.Named{{Name: "ratio", Tensor: out[1]}, {Name: "sum", Tensor: out[0]}}} // another order
	e := res.Encode(req)
	w.Header().Set("Inference-Header-Content-Length", strconv.Itoa(e.Header))
	_, _ = w.Write(e.Body)
}

func (s *stub) misbehave(f func(w http.ResponseWriter, r *http.Request) bool) { s.spoil.Store(&f) }

func (s *stub) manifest(change func(*manifest.Remote)) *manifest.Manifest {
	m := &manifest.Manifest{Name: "contract", Runtime: manifest.OIP, Remote: &manifest.Remote{URL: s.URL, Deadline: 60_000}}
	if change != nil {
		change(m.Remote)
	}
	return m
}

func (s *stub) open(t *testing.T, opts remote.Options, change func(*manifest.Remote)) models.Runner {
	t.Helper()
	opts.Servers = append(opts.Servers, remote.Server{URL: s.URL})
	r, err := remote.New(opts).Open(t.Context(), s.manifest(change), nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The contract of a Runner holds over the network too.
func TestContract(t *testing.T) {
	s := serve(t)
	modeltest.Run(t, func(t *testing.T) models.Runner { return s.open(t, remote.Options{}, nil) })
}

func TestOpenRefuses(t *testing.T) {
	s := serve(t)
	opener := remote.New(remote.Options{Servers: []remote.Server{{URL: s.URL}}})
	for name, m := range map[string]*manifest.Manifest{
		"not listed":    s.manifest(func(r *manifest.Remote) { r.URL = "http://169.254.169.254" }),
		"no such model": s.manifest(func(r *manifest.Remote) { r.Model = "other" }),
		"no remote":     {Name: "contract"},
	} {
		if _, err := opener.Open(t.Context(), m, nil); models.KindOf(err) != models.Refused || err == nil {
			t.Errorf("%s: %v, want Refused", name, err)
		}
	}
	for name, body := range map[string]string{
		"no JSON": "x", "no ports": `{}`, "unknown type": `{"inputs":[{"name":"x","datatype":"FP8","shape":[1]}],"outputs":[{"name":"y","datatype":"FP32","shape":[1]}]}`,
	} {
		s.misbehave(func(w http.ResponseWriter, _ *http.Request) bool {
			_, _ = io.WriteString(w, body)
			return true
		})
		if _, err := opener.Open(t.Context(), s.manifest(nil), nil); models.KindOf(err) != models.Refused || err == nil {
			t.Errorf("%s: %v, want Refused", name, err)
		}
	}
	s.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
		return true
	})
	if _, err := opener.Open(t.Context(), s.manifest(nil), nil); err == nil {
		t.Error("a redirect was followed")
	}
}

func TestAnswers(t *testing.T) {
	const secret = "4711"
	for _, c := range []struct {
		name   string
		status int
		body   string
		header string
		kind   models.Kind
	}{
		{"declines", 400, `{"error":"4711 is wrong"}`, "", models.BadInput},
		{"busy", 429, "", "", models.Busy},
		{"no model any more", 404, "", "", models.Refused},
		{"no token", 401, "", "", models.Unavailable},
		{"broken", 500, "4711", "", models.Unavailable},
		{"gateway", 502, "", "", models.Unavailable},
		{"no JSON", 200, "4711", "", models.Internal},
		{"no outputs", 200, `{"outputs":[]}`, "", models.Internal},
		{"other outputs", 200, `{"outputs":[{"name":"a","datatype":"FP64","shape":[1],"data":[4711]},{"name":"b","datatype":"FP64","shape":[1],"data":[1]}]}`, "", models.Internal},
		{"bad length", 200, `{}`, "x", models.Internal},
		{"too long", 200, strings.Repeat(" ", 5000), "", models.Internal},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t)
			r := s.open(t, remote.Options{MaxAnswer: 4000}, nil)
			s.misbehave(func(w http.ResponseWriter, _ *http.Request) bool {
				if c.header != "" {
					w.Header().Set("Inference-Header-Content-Length", c.header)
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
				return true
			})
			_, err := r.Predict(t.Context(), modeltest.Inputs(t, 0, [2]float64{1, 2}))
			if models.KindOf(err) != c.kind || err == nil {
				t.Fatalf("Predict = %v, want %v", err, c.kind)
			}
			if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), s.URL) {
				t.Errorf("%v tells what the other server said, or its URL", err)
			}
		})
	}
}

// A call that did not reach the model is made again, within the deadline.
func TestRetries(t *testing.T) {
	s := serve(t)
	r := s.open(t, remote.Options{}, func(m *manifest.Remote) { m.Retries = 3 })
	fail := func(times int64, status int) {
		var n atomic.Int64
		s.misbehave(func(w http.ResponseWriter, _ *http.Request) bool {
			if n.Add(1) > times {
				return false
			}
			w.WriteHeader(status)
			return true
		})
	}
	predict := func() (int64, error) {
		before := s.calls.Load()
		_, err := r.Predict(t.Context(), modeltest.Inputs(t, 0, [2]float64{1, 2}))
		return s.calls.Load() - before, err
	}
	fail(3, 503)
	if n, err := predict(); n != 4 || err != nil {
		t.Errorf("three failures: %d calls, %v", n, err)
	}
	fail(9, 503)
	if n, err := predict(); n != 4 || models.KindOf(err) != models.Unavailable {
		t.Errorf("only failures: %d calls, %v", n, err)
	}
	fail(9, 400)
	if n, err := predict(); n != 1 || models.KindOf(err) != models.BadInput {
		t.Errorf("a refusal: %d calls, %v", n, err)
	}
}

func TestDeadline(t *testing.T) {
	s := serve(t)
	r := s.open(t, remote.Options{}, func(m *manifest.Remote) { m.Deadline = 30 })
	leave := make(chan struct{})
	defer close(leave)
	s.misbehave(func(_ http.ResponseWriter, r *http.Request) bool {
		select {
		case <-leave:
		case <-r.Context().Done():
		}
		return true
	})
	_, err := r.Predict(t.Context(), modeltest.Inputs(t, 0, [2]float64{1, 2}))
	if models.KindOf(err) != models.Timeout || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Predict = %v, want Timeout", err)
	}
}

// After failures in a row nothing goes to the server for a while; then one call
// tries, and what succeeds closes the circuit.
func TestBreaker(t *testing.T) {
	s := serve(t)
	now := time.Unix(0, 0)
	r := s.open(t, remote.Options{Failures: 2, Rest: time.Minute, Now: func() time.Time { return now }}, nil)
	predict := func() (int64, models.Kind) {
		before := s.calls.Load()
		_, err := r.Predict(t.Context(), modeltest.Inputs(t, 0, [2]float64{1, 2}))
		if err == nil {
			return s.calls.Load() - before, -1
		}
		return s.calls.Load() - before, models.KindOf(err)
	}
	s.misbehave(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusBadGateway)
		return true
	})
	for i, want := range []int64{1, 1, 0, 0} {
		if n, kind := predict(); n != want || kind != models.Unavailable {
			t.Errorf("call %d: %d reached the server, %v", i, n, kind)
		}
	}
	now = now.Add(2 * time.Minute)
	if n, kind := predict(); n != 1 || kind != models.Unavailable {
		t.Errorf("the trial: %d calls, %v", n, kind)
	}
	if n, _ := predict(); n != 0 {
		t.Errorf("after a trial that failed: %d calls", n)
	}
	now = now.Add(2 * time.Minute)
	s.misbehave(func(http.ResponseWriter, *http.Request) bool { return false })
	for range 3 {
		if n, kind := predict(); n != 1 || kind != -1 {
			t.Errorf("closed again: %d calls, %v", n, kind)
		}
	}
}

func TestToken(t *testing.T) {
	s := serve(t)
	seen := ""
	s.misbehave(func(_ http.ResponseWriter, r *http.Request) bool {
		seen = r.Header.Get("Authorization")
		return false
	})
	broken := false
	opts := remote.Options{Servers: []remote.Server{{URL: s.URL, Token: func() (string, error) {
		if broken {
			return "", errors.New("no file")
		}
		return "secret", nil
	}}}}
	r, err := remote.New(opts).Open(t.Context(), s.manifest(nil), nil)
	if err != nil || seen != "Bearer secret" {
		t.Fatalf("Authorization %q, %v", seen, err)
	}
	broken = true
	if _, err := r.Predict(t.Context(), modeltest.Inputs(t, 0, [2]float64{1, 2})); models.KindOf(err) != models.Unavailable {
		t.Errorf("without a token: %v", err)
	}
}
