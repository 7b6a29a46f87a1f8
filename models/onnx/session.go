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
	graph *graph
	mu    sync.RWMutex
	ort   *ort.DynamicAdvancedSession // nil once closed
}

var _ models.Runner = (*session)(nil)

func newSession(g *graph, file []byte) (*session, error) {
	opts, err := sessionOptions()
	if err != nil {
		return nil, err
	}
	defer opts.Destroy()
	s, err := ort.NewDynamicAdvancedSessionWithONNXData(file, names(g.inputs), names(g.outputs), opts)
	if err != nil {
		return nil, err
	}
	return &session{graph: g, ort: s}, nil
}

// sessionOptions: one thread a run and no spinning, because the server's own
// requests are the parallelism (measured: 1.7 ms against 3.2 ms a call, and a
// tail of 14 ms against 101 ms under load); no CPU arena, because it keeps the
// largest batch for ever and costs nothing measurable to do without.
func sessionOptions() (*ort.SessionOptions, error) {
	o, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		o.SetIntraOpNumThreads(1),
		o.SetInterOpNumThreads(1),
		o.SetExecutionMode(ort.ExecutionModeSequential),
		o.SetGraphOptimizationLevel(ort.GraphOptimizationLevelEnableAll),
		o.SetCpuMemArena(false),
		o.SetLogSeverityLevel(ort.LoggingLevelError),
		o.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"),
		o.AddSessionConfigEntry("session.inter_op.allow_spinning", "0"),
	)
	if err != nil {
		return nil, errors.Join(err, o.Destroy())
	}
	return o, nil
}

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
	c := call{outputs: make([]models.Tensor, len(s.graph.outputs))}
	defer c.free()
	if err := c.prepare(s.graph, in); err != nil {
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

// run runs with an end: when ctx ends, the run stops at its next operator.
func (s *session) run(ctx context.Context, c *call) error {
	if ctx.Done() == nil {
		return runError(ctx, s.ort.Run(c.in, c.out))
	}
	opts, err := ort.NewRunOptions()
	if err != nil {
		return failure("run", models.Internal, err)
	}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		_ = opts.Terminate() // fails only without options; the run then ends by itself
	})
	err = s.ort.RunWithOptions(c.in, c.out, opts)
	if !stop() {
		<-done // Terminate must not meet freed options
	}
	return errors.Join(runError(ctx, err), opts.Destroy())
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
	err := s.ort.Destroy()
	s.ort = nil
	trim()
	if err != nil {
		return failure("close model", models.Internal, err)
	}
	return nil
}
