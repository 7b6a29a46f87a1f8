package onnx

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"

	ort "github.com/yalue/onnxruntime_go"

	"galen/models"
)

// session is a Runner over one ONNX Runtime session, which is itself safe for
// concurrent runs. mu is held shared by a run and alone by Close.
type session struct {
	graph   *graph
	backend models.Backend
	kits    kits
	mu      sync.RWMutex
	ort     *ort.DynamicAdvancedSession // nil once closed
}

var (
	_ models.Runner    = (*session)(nil)
	_ models.Described = (*session)(nil)
)

// newSession opens the file on the first of the providers that takes it.
func newSession(g *graph, file []byte, providers []provider) (*session, error) {
	backend := models.Backend{Platform: "onnxruntime " + ort.GetVersion()}
	for _, p := range providers {
		s, err := p.session(g, file)
		if err == nil {
			backend.Provider = p.String()
			return &session{graph: g, ort: s, backend: backend}, nil
		}
		if p.name == cpu {
			return nil, err
		}
		backend.Fallbacks = append(backend.Fallbacks, p.String()+": "+firstLine(err))
	}
	return nil, errNoProvider
}

// Backend says what the session runs on.
func (s *session) Backend() models.Backend { return s.backend }

func names(ports []port) []string {
	out := make([]string, len(ports))
	for i := range ports {
		out[i] = ports[i].Name
	}
	return out
}

func public(ports []port) []models.Port {
	out := make([]models.Port, len(ports))
	for i := range ports {
		out[i] = ports[i].Port
	}
	return out
}

// Inputs lists the input ports.
func (s *session) Inputs() []models.Port { return public(s.graph.inputs) }

// Outputs lists the output ports.
func (s *session) Outputs() []models.Port { return public(s.graph.outputs) }

var errClosed = errors.New("the model is closed")

// Predict runs the model.
func (s *session) Predict(ctx context.Context, in []models.Tensor) ([]models.Tensor, error) {
	if err := s.check(in); err != nil {
		return nil, failure("run", models.BadInput, err)
	}
	if ctx.Err() != nil {
		return nil, failure("run", models.Timeout, context.Cause(ctx))
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.ort == nil {
		return nil, failure("run", models.Internal, errClosed)
	}
	k, err := s.take(in)
	if err != nil {
		return nil, failure("run", models.Internal, err)
	}
	if k != nil {
		return s.runKit(ctx, k, in)
	}
	return s.runOnce(ctx, in)
}

// runKit runs with the memory of a kit.
func (s *session) runKit(ctx context.Context, k *kit, in []models.Tensor) ([]models.Tensor, error) {
	for i := range in {
		models.Copy(k.inputs[i], in[i])
	}
	if err := s.run(ctx, &k.call); err != nil {
		k.free()
		return nil, err
	}
	out := make([]models.Tensor, len(k.outputs))
	for i, t := range k.outputs {
		out[i] = t.Clone()
	}
	s.kits.give(k)
	return out, nil
}

// runOnce runs on the caller's own memory.
func (s *session) runOnce(ctx context.Context, in []models.Tensor) ([]models.Tensor, error) {
	c := call{}
	defer c.free()
	err := c.prepare(s.graph, in)
	if err == nil && ctx.Done() != nil {
		c.options, err = newRunOptions()
	}
	if err != nil {
		return nil, failure("run", models.Internal, err)
	}
	if err := s.run(ctx, &c); err != nil {
		return nil, err
	}
	runtime.KeepAlive(in) // ONNX Runtime reads their memory in place
	if err := c.collect(); err != nil {
		return nil, failure("run", models.Internal, err)
	}
	return c.outputs, nil
}

// run runs with an end: when ctx ends, the run stops at its next operator. A
// call that failed must not be used again: it may still carry the stop.
func (s *session) run(ctx context.Context, c *call) error {
	if ctx.Done() == nil || c.options == nil {
		return runError(ctx, s.ort.Run(c.in, c.out))
	}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		_ = c.options.Terminate() // fails only without options; the run then ends by itself
	})
	err := s.ort.RunWithOptions(c.in, c.out, c.options)
	if stop() {
		return runError(ctx, err)
	}
	<-done // Terminate must not meet freed options
	if err == nil {
		err = context.Cause(ctx)
	}
	return runError(ctx, err)
}

// newRunOptions is ort.NewRunOptions with a nil of the right type.
func newRunOptions() (*ort.RunOptions, error) {
	o, err := ort.NewRunOptions()
	if err != nil {
		return nil, err
	}
	return o, nil
}

// badInput are the beginnings of messages with which ONNX Runtime refuses the
// caller's tensors rather than fails by itself.
var badInput = []string{"Got invalid dimensions", "Unexpected input data type", "Invalid rank for input", "Invalid input name"}

// runError classifies a run's error. Messages of operators may quote elements of
// tensors, so of those only the operator's name is told.
func runError(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return failure("run", models.Timeout, context.Cause(ctx))
	}
	text := err.Error()
	for _, start := range badInput {
		if strings.Contains(text, start) {
			return failure("run", models.BadInput, errors.New(start))
		}
	}
	text, _, _ = strings.Cut(text, "Status Message:")
	return failure("run", models.Internal, errors.New(strings.TrimSpace(text)))
}

// check refuses tensors that do not fit the ports before any C memory is touched.
func (s *session) check(in []models.Tensor) error {
	if len(in) != len(s.graph.inputs) {
		return fmt.Errorf("%d tensors for %d inputs", len(in), len(s.graph.inputs))
	}
	for i, t := range in {
		p := &s.graph.inputs[i]
		if t.DType() != p.DType || len(t.Shape()) != len(p.Shape) {
			return fmt.Errorf("input %s wants %s %v, not %s %v", p.Name, p.DType, p.Shape, t.DType(), t.Shape())
		}
		for j, d := range p.Shape {
			if d != -1 && d != t.Shape()[j] || t.Shape()[j] == 0 {
				return fmt.Errorf("input %s wants shape %v, not %v", p.Name, p.Shape, t.Shape())
			}
		}
	}
	return nil
}

// Close waits for running Predicts and frees the session.
func (s *session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ort == nil {
		return nil
	}
	s.kits.free()
	err := s.ort.Destroy()
	s.ort = nil
	trim()
	if err != nil {
		return failure("close model", models.Internal, err)
	}
	return nil
}
