package models

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"galen/models/manifest"
)

// Info describes a served version. It is shared and must not be changed; it
// stays valid after the version is gone.
type Info struct {
	Ref            Ref
	Manifest       *manifest.Manifest
	Digest         string // SHA-256 of the model file, lower-case hex; equals Manifest.SHA256
	ManifestDigest string // SHA-256 of manifest.yaml, lower-case hex
	Card           string // CARD.md, Markdown
	Source         string // the catalog source it came from
}

// Model is a hold on one served version: while it is held the version stays
// loaded, even when the catalog drops it. Release it when done. It is safe for
// concurrent use.
type Model struct {
	v        *version
	released atomic.Bool
}

// Info describes the version.
func (m *Model) Info() *Info { return &m.v.info }

// Release gives up the hold; Predict fails afterwards. A second Release does nothing.
func (m *Model) Release() {
	if m.released.CompareAndSwap(false, true) {
		m.v.release()
	}
}

// Predict runs the model: one tensor for each of the manifest's inputs, in that
// order and of the same number of rows; out comes one for each of its outputs,
// in that order, with as many rows, owned by the caller. Inputs are not kept.
//
// At most Options.Concurrency callers run at once and Options.Queue wait, per
// version. Errors: BadInput, NotFinite (an output that may not be NaN was not
// finite), Busy, Timeout (ctx ended), NotFound (after Release), Internal.
func (m *Model) Predict(ctx context.Context, in []Tensor) ([]Tensor, error) {
	if m.released.Load() || !m.v.acquire() {
		return nil, m.v.error("predict", NotFound, errReleased)
	}
	defer m.v.release()
	return m.v.predict(ctx, in)
}

var (
	errReleased = errors.New("the hold on this version was released")
	errQueue    = errors.New("too many callers are waiting")
)

// version is one loaded version. refs counts its holders: the catalog while it
// is served, each Model, each running Predict. At zero it is closed.
type version struct {
	info     Info
	runner   Runner
	inputs   []int // position in the manifest → position at the runner, and
	outputs  []int // likewise for outputs
	slots    chan struct{}
	waiting  atomic.Int64
	queue    int64
	refs     atomic.Int64
	drained  chan struct{} // closed once the runner is closed
	closeErr error         // readable once drained is closed
}

// acquire adds a holder unless the version is closed already.
func (v *version) acquire() bool {
	for {
		n := v.refs.Load()
		if n == 0 {
			return false
		}
		if v.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (v *version) release() {
	if v.refs.Add(-1) == 0 {
		v.closeErr = v.runner.Close()
		close(v.drained)
	}
}

func (v *version) error(op string, kind Kind, err error) error {
	return &Error{Op: op, Kind: kind, Model: v.info.Ref.String(), Err: err}
}

func (v *version) predict(ctx context.Context, in []Tensor) ([]Tensor, error) {
	rows, err := v.checkInputs(in)
	if err != nil {
		return nil, v.error("predict", BadInput, err)
	}
	if err := v.enter(ctx); err != nil {
		return nil, err
	}
	defer func() { <-v.slots }()
	raw, err := v.runner.Predict(ctx, arrange(in, v.inputs))
	if err != nil {
		return nil, v.error("predict", KindOf(err), err)
	}
	return v.checkOutputs(raw, rows)
}

// enter takes a slot to run in, waiting in the bounded queue if it must.
func (v *version) enter(ctx context.Context) error {
	if ctx.Err() != nil {
		return v.error("predict", Timeout, context.Cause(ctx))
	}
	select {
	case v.slots <- struct{}{}:
		return nil
	default:
	}
	if v.waiting.Add(1) > v.queue {
		v.waiting.Add(-1)
		return v.error("predict", Busy, errQueue)
	}
	defer v.waiting.Add(-1)
	select {
	case v.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return v.error("predict", Timeout, context.Cause(ctx))
	}
}

// arrange gives the runner's order: place i of the result is what the manifest
// has at the place j with order[j] == i.
func arrange(in []Tensor, order []int) []Tensor {
	out := make([]Tensor, len(in))
	for j, t := range in {
		out[order[j]] = t
	}
	return out
}

func (v *version) checkInputs(in []Tensor) (rows int, err error) {
	ports := v.info.Manifest.Inputs
	if len(in) != len(ports) {
		return 0, fmt.Errorf("%d tensors for %d inputs", len(in), len(ports))
	}
	rows = in[0].Rows()
	if rows == 0 {
		return 0, fmt.Errorf("input %s has no rows", ports[0].Name)
	}
	for i, t := range in {
		p := &ports[i]
		if t.dtype != p.DType {
			return 0, fmt.Errorf("input %s wants %s, not %s", p.Name, p.DType, t.dtype)
		}
		if !fits(t.shape, p.Shape) {
			return 0, fmt.Errorf("input %s wants shape %v, not %v", p.Name, p.Shape, t.shape)
		}
		if t.Rows() != rows {
			return 0, fmt.Errorf("input %s has %d rows, %s has %d", p.Name, t.Rows(), ports[0].Name, rows)
		}
	}
	return rows, nil
}

// fits says whether a shape lies in a declared one, where -1 is any size.
func fits(shape, declared []int64) bool {
	if len(shape) != len(declared) {
		return false
	}
	for i, d := range declared {
		if d != -1 && shape[i] != d {
			return false
		}
	}
	return true
}

func (v *version) checkOutputs(raw []Tensor, rows int) ([]Tensor, error) {
	ports := v.info.Manifest.Outputs
	if len(raw) != len(ports) {
		return nil, v.error("predict", Internal, fmt.Errorf("%d tensors for %d outputs", len(raw), len(ports)))
	}
	out := make([]Tensor, len(ports))
	for i := range ports {
		p, t := &ports[i], raw[v.outputs[i]]
		if t.dtype != p.DType || !fits(t.shape, p.Shape) || t.Rows() != rows {
			return nil, v.error("predict", Internal, fmt.Errorf("output %s came as %s %v for %d rows", p.Name, t.dtype, t.shape, rows))
		}
		if !p.MayBeNaN && !t.finite() {
			return nil, v.error("predict", NotFinite, fmt.Errorf("output %s", p.Name))
		}
		out[i] = t
	}
	return out, nil
}
