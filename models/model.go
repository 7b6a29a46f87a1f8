package models

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"galen/models/manifest"
)

// Info describes a served version. It is shared and must not be changed; it
// stays valid after the version is gone.
type Info struct {
	Ref            Ref
	Manifest       *manifest.Manifest
	Digest         string // SHA-256 of the model file, lower-case hex: Manifest.SHA256; a remote model's may be ManifestDigest
	ManifestDigest string // SHA-256 of manifest.yaml, lower-case hex
	Card           string // CARD.md, Markdown
	Source         string // the catalog source it came from
	Backend        Backend
	Cost           time.Duration // of one warm run of one golden case on this machine
	Slow           bool          // it runs in the slow lane, see Options.Lane
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
// finite), Busy, Timeout (ctx ended), NotFound (after Release), Unavailable,
// Internal.
func (m *Model) Predict(ctx context.Context, in []Tensor) ([]Tensor, error) {
	out, failed, err := m.PredictRows(ctx, in)
	if err == nil && len(failed) > 0 {
		err = failed[0].Err
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// RowError says why one row of a batch has no answer.
type RowError struct {
	Row int
	Err error // *Error of Kind NotFinite, BadInput or Internal
}

// PredictRows is Predict for a batch in which a bad row does not fail the
// others: it gives the rows without an answer, in order, and in the outputs they
// are NaN, or zero where the type has no NaN. An error is as Predict's and means
// that no row has an answer.
func (m *Model) PredictRows(ctx context.Context, in []Tensor) ([]Tensor, []RowError, error) {
	if m.released.Load() || !m.v.acquire() {
		return nil, nil, m.v.error("predict", NotFound, errReleased)
	}
	defer m.v.release()
	return m.v.predictRows(ctx, in)
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
	lane     chan struct{} // what a slow version must hold besides; nil for others
	waiting  atomic.Int64
	queue    int64
	refs     atomic.Int64
	drained  chan struct{} // closed once the runner is closed
	closeErr error         // readable once drained is closed
}

// folder is where the version lies in its source.
func (v *version) folder() string { return v.info.Ref.Name + "/" + string(v.info.Ref.Version) }

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

// predictRows is PredictRows by a holder.
func (v *version) predictRows(ctx context.Context, in []Tensor) ([]Tensor, []RowError, error) {
	rows, err := v.checkInputs(in)
	if err != nil {
		return nil, nil, v.error("predict", BadInput, err)
	}
	if err := v.enter(ctx); err != nil {
		return nil, nil, err
	}
	defer v.leave()
	out, err := v.run(ctx, in, rows)
	if kind := KindOf(err); err != nil && rows > 1 && (kind == Internal || kind == BadInput) {
		return v.oneByOne(ctx, in, rows)
	}
	if err != nil {
		return nil, nil, err
	}
	return out, v.refuse(out, rows), nil
}

// run runs what fits and checks the shapes of what comes out.
func (v *version) run(ctx context.Context, in []Tensor, rows int) ([]Tensor, error) {
	raw, err := v.runner.Predict(ctx, arrange(in, v.inputs))
	if err != nil {
		return nil, v.error("predict", KindOf(err), err)
	}
	return v.checkOutputs(raw, rows)
}

// refuse finds the rows whose answer is not finite where it must be.
func (v *version) refuse(out []Tensor, rows int) []RowError {
	bad := map[int]RowError{}
	for i := range out {
		p := &v.info.Manifest.Outputs[i]
		if p.MayBeNaN {
			continue
		}
		for _, row := range out[i].badRows() {
			if _, known := bad[row]; !known {
				bad[row] = RowError{row, v.error("predict", NotFinite, fmt.Errorf("output %s", p.Name))}
			}
		}
	}
	if len(bad) == 0 {
		return nil
	}
	var failed []RowError
	for row := range rows {
		if f, ok := bad[row]; ok {
			failed = append(failed, f)
			spoilRow(out, row)
		}
	}
	return failed
}

func spoilRow(out []Tensor, row int) {
	for i := range out {
		out[i].spoil(row)
	}
}

// oneByOne runs the rows of a batch that failed as a whole, so that only those
// fail that are at fault.
func (v *version) oneByOne(ctx context.Context, in []Tensor, rows int) ([]Tensor, []RowError, error) {
	var out []Tensor
	var failed []RowError
	for row := range rows {
		one := make([]Tensor, len(in))
		for i, t := range in {
			one[i] = t.row(row)
		}
		part, err := v.run(ctx, one, 1)
		if kind := KindOf(err); err != nil && kind != Internal && kind != BadInput {
			return nil, nil, err
		}
		if err == nil {
			if out, err = v.put(out, part, row, rows); err == nil {
				continue
			}
		}
		failed = append(failed, RowError{row, err})
	}
	if out == nil {
		return nil, nil, failed[0].Err
	}
	for _, f := range failed {
		spoilRow(out, f.Row)
	}
	failed = append(failed, v.refuse(out, rows)...)
	slices.SortStableFunc(failed, func(a, b RowError) int { return a.Row - b.Row })
	return out, slices.CompactFunc(failed, func(a, b RowError) bool { return a.Row == b.Row }), nil
}

// put copies one row's outputs to their place among all rows.
func (v *version) put(all, part []Tensor, row, rows int) ([]Tensor, error) {
	if all == nil {
		for _, t := range part {
			shape := slices.Clone(t.shape)
			shape[0] = int64(rows)
			whole, err := MakeTensor(t.dtype, shape)
			if err != nil {
				return nil, err
			}
			all = append(all, whole)
		}
	}
	for i, t := range part {
		if !Copy(all[i].row(row), t) {
			return all, v.error("predict", Internal, fmt.Errorf("output %s has another size than in other rows", v.info.Manifest.Outputs[i].Name))
		}
	}
	return all, nil
}

// enter takes a slot to run in, and a slow version also a place in the slow
// lane, waiting in the bounded queue if it must.
func (v *version) enter(ctx context.Context) error {
	if ctx.Err() != nil {
		return v.error("predict", Timeout, context.Cause(ctx))
	}
	if take(v.slots) {
		if v.lane == nil || take(v.lane) {
			return nil
		}
		<-v.slots
	}
	if v.waiting.Add(1) > v.queue {
		v.waiting.Add(-1)
		return v.error("predict", Busy, errQueue)
	}
	defer v.waiting.Add(-1)
	select {
	case v.slots <- struct{}{}:
	case <-ctx.Done():
		return v.error("predict", Timeout, context.Cause(ctx))
	}
	if v.lane == nil {
		return nil
	}
	select {
	case v.lane <- struct{}{}:
		return nil
	case <-ctx.Done():
		<-v.slots
		return v.error("predict", Timeout, context.Cause(ctx))
	}
}

func (v *version) leave() {
	if v.lane != nil {
		<-v.lane
	}
	<-v.slots
}

func take(places chan struct{}) bool {
	select {
	case places <- struct{}{}:
		return true
	default:
		return false
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
		out[i] = t
	}
	return out, nil
}
