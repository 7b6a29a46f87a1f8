package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"galen/models"
	"galen/models/oip"
)

// runner is one model on one server.
type runner struct {
	server   *server
	opts     *Options
	path     string // URL of the model
	deadline time.Duration
	retries  int

	platform        string
	inputs, outputs []models.Port

	mu     sync.RWMutex // held shared by a run and alone by Close
	closed bool
}

var (
	_ models.Runner    = (*runner)(nil)
	_ models.Described = (*runner)(nil)

	errClosed  = errors.New("the model is closed")
	errOpen    = errors.New("the model's server has failed again and again and is left alone for a while")
	errReach   = errors.New("the model's server cannot be reached")
	errAnswer  = errors.New("the model's server gave an answer that is not understood")
	errDecline = errors.New("the model's server does not take these tensors")
)

// Inputs lists the input ports.
func (r *runner) Inputs() []models.Port { return r.inputs }

// Outputs lists the output ports.
func (r *runner) Outputs() []models.Port { return r.outputs }

// Backend tells the server and what it runs the model on.
func (r *runner) Backend() models.Backend {
	return models.Backend{Platform: r.platform, Provider: r.server.URL}
}

// Close ends the runner; it waits for running Predicts.
func (r *runner) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	return nil
}

// describe reads the model's metadata.
func (r *runner) describe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.deadline)
	defer cancel()
	a, err := r.try(ctx, http.MethodGet, "", oip.Encoded{Header: -1})
	if err != nil {
		return failure("open model", kindOf(ctx, err), err)
	}
	var m oip.ModelMetadata
	if json.Unmarshal(a.body, &m) != nil || len(m.Inputs) == 0 || len(m.Outputs) == 0 {
		return failure("open model", models.Refused, errAnswer)
	}
	r.platform = m.Platform
	if r.inputs, err = portsOf(m.Inputs); err == nil {
		r.outputs, err = portsOf(m.Outputs)
	}
	if err != nil {
		return failure("open model", models.Refused, err)
	}
	return nil
}

func portsOf(list []oip.TensorMetadata) ([]models.Port, error) {
	out := make([]models.Port, len(list))
	for i, t := range list {
		dtype, ok := oip.DType(t.Datatype)
		if !ok {
			return nil, fmt.Errorf("port %q has a datatype that is not supported", t.Name)
		}
		out[i] = models.Port{Name: t.Name, DType: dtype, Shape: t.Shape}
	}
	return out, nil
}

// Predict sends the tensors in binary and reads what comes back.
func (r *runner) Predict(ctx context.Context, in []models.Tensor) ([]models.Tensor, error) {
	if err := r.check(in); err != nil {
		return nil, failure("run", models.BadInput, err)
	}
	if ctx.Err() != nil {
		return nil, failure("run", models.Timeout, context.Cause(ctx))
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.closed {
		return nil, failure("run", models.Internal, errClosed)
	}
	req := oip.Request{Binary: true}
	for i, t := range in {
		req.Inputs = append(req.Inputs, oip.Named{Name: r.inputs[i].Name, Tensor: t})
	}
	for _, p := range r.outputs {
		req.Outputs = append(req.Outputs, oip.Output{Name: p.Name})
	}
	ctx, cancel := context.WithTimeout(ctx, r.deadline)
	defer cancel()
	a, err := r.withRetries(ctx, req.Encode())
	if err != nil {
		return nil, failure("run", kindOf(ctx, err), errOf(ctx, err))
	}
	out, err := r.outputsOf(a)
	if err != nil {
		return nil, failure("run", models.Internal, err)
	}
	return out, nil
}

// check refuses what does not fit before anything is sent.
func (r *runner) check(in []models.Tensor) error {
	if len(in) != len(r.inputs) {
		return fmt.Errorf("%d tensors for %d inputs", len(in), len(r.inputs))
	}
	for i, t := range in {
		p := &r.inputs[i]
		fits := t.DType() == p.DType && len(t.Shape()) == len(p.Shape)
		for j := 0; fits && j < len(p.Shape); j++ {
			fits = t.Shape()[j] > 0 && (p.Shape[j] == -1 || p.Shape[j] == t.Shape()[j])
		}
		if !fits {
			return fmt.Errorf("input %s wants %s %v, not %s %v", p.Name, p.DType, p.Shape, t.DType(), t.Shape())
		}
	}
	return nil
}

// outputsOf puts the answer's tensors into the order of the ports.
func (r *runner) outputsOf(a answer) ([]models.Tensor, error) {
	res, err := oip.DecodeResponse(a.body, a.header)
	if err != nil || len(res.Outputs) != len(r.outputs) {
		return nil, errAnswer
	}
	out := make([]models.Tensor, len(r.outputs))
	for _, n := range res.Outputs {
		for i, p := range r.outputs {
			if p.Name == n.Name && p.DType == n.Tensor.DType() {
				out[i] = n.Tensor
			}
		}
	}
	for i := range out {
		if out[i].DType() == "" {
			return nil, errAnswer
		}
	}
	return out, nil
}

// answer is a response that was read whole; header is as oip.Encoded has it.
type answer struct {
	body   []byte
	header int
}

// callError is a call that failed. Again says that it did not reach the model,
// so that it may be made again.
type callError struct {
	kind  models.Kind
	again bool
	err   error
}

func (e *callError) Error() string { return e.err.Error() }
func (e *callError) Unwrap() error { return e.err }

func kindOf(ctx context.Context, err error) models.Kind {
	var e *callError
	switch {
	case ctx.Err() != nil:
		return models.Timeout
	case errors.As(err, &e):
		return e.kind
	}
	return models.Internal
}

func errOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// firstWait is the wait before the first retry; each one doubles it.
const firstWait = 20 * time.Millisecond

func (r *runner) withRetries(ctx context.Context, message oip.Encoded) (answer, error) {
	wait := firstWait
	for n := 0; ; n++ {
		a, err := r.try(ctx, http.MethodPost, "/infer", message)
		var e *callError
		if err == nil || n == r.retries || !errors.As(err, &e) || !e.again {
			return a, err
		}
		pause := wait
		if r.opts.Jitter != nil {
			pause += r.opts.Jitter()
		}
		select {
		case <-ctx.Done():
			return answer{}, err
		case <-time.After(pause):
		}
		wait *= 2
	}
}

// try makes one call, if the breaker lets it.
func (r *runner) try(ctx context.Context, method, path string, message oip.Encoded) (answer, error) {
	b := r.server.breaker
	if !b.enter() {
		return answer{}, &callError{models.Unavailable, false, errOpen}
	}
	a, err := r.call(ctx, method, path, message)
	var e *callError
	switch {
	case err == nil:
		b.leave(good)
	case errors.As(err, &e) && (e.kind == models.BadInput || e.kind == models.Refused):
		b.leave(good) // it answered
	case errors.Is(ctx.Err(), context.Canceled):
		b.leave(nothing)
	default:
		b.leave(bad)
	}
	return a, err
}

func (r *runner) call(ctx context.Context, method, path string, message oip.Encoded) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.path+path, bytes.NewReader(message.Body))
	if err != nil {
		return answer{}, &callError{models.Internal, false, errReach}
	}
	if message.Header >= 0 {
		req.Header.Set("Content-Type", "application/octet-stream")
		req.Header.Set("Inference-Header-Content-Length", strconv.Itoa(message.Header))
	}
	if r.server.Token != nil {
		token, err := r.server.Token()
		if err != nil {
			return answer{}, &callError{models.Unavailable, false, errors.New("the token for the model's server cannot be read")}
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := r.server.client.Do(req)
	if err != nil {
		return answer{}, &callError{models.Unavailable, true, errReach} // not err: its text holds the URL
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, r.opts.MaxAnswer+1))
	switch {
	case err != nil:
		return answer{}, &callError{models.Unavailable, true, errReach}
	case int64(len(body)) > r.opts.MaxAnswer:
		return answer{}, &callError{models.Internal, false, errAnswer}
	}
	return read(res, body)
}

// read judges an answer by its status.
func read(res *http.Response, body []byte) (answer, error) {
	switch {
	case res.StatusCode == http.StatusOK:
	case res.StatusCode == http.StatusTooManyRequests:
		return answer{}, &callError{models.Busy, true, statusError(res.StatusCode)}
	case res.StatusCode == http.StatusNotFound:
		return answer{}, &callError{models.Refused, false, statusError(res.StatusCode)}
	case res.StatusCode == http.StatusBadRequest || res.StatusCode == http.StatusUnprocessableEntity:
		return answer{}, &callError{models.BadInput, false, errDecline}
	case res.StatusCode >= 502:
		return answer{}, &callError{models.Unavailable, true, statusError(res.StatusCode)}
	default:
		return answer{}, &callError{models.Unavailable, false, statusError(res.StatusCode)}
	}
	a := answer{body, -1}
	if text := res.Header.Get("Inference-Header-Content-Length"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return answer{}, &callError{models.Internal, false, errAnswer}
		}
		a.header = n
	}
	return a, nil
}
