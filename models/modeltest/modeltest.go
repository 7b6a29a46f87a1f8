// Package modeltest is the contract of a models.Runner as tests, and a Runner in
// memory that keeps it. Every Runner is tested with Run; other packages' tests
// use Fake where they need a model but no runtime.
//
// The contract's model has two inputs, x float64 [N,2] and work int64 [N], and two
// outputs, sum float64 [N] = x₀+x₁ and ratio float64 [N] = x₀÷x₁. It does the
// largest of work steps first, which makes it as slow as a test wants.
// models/training/contract makes the ONNX file.
package modeltest

import (
	"context"
	_ "embed" // for contract.onnx
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"galen/models"
	"galen/models/manifest"
)

//go:embed contract.onnx
var contract string

// Contract is the contract's model as an ONNX file.
func Contract() []byte { return []byte(contract) }

// ContractOpset is the operator set of the Contract file.
const ContractOpset = 17

// slow is more work than any machine does within a test.
const slow = math.MaxInt32

// Run tests a Runner; open makes one of the contract's model.
func Run(t *testing.T, open func(t *testing.T) models.Runner) {
	t.Run("declares its ports", func(t *testing.T) { testPorts(t, opened(t, open)) })
	t.Run("computes", func(t *testing.T) { testComputes(t, opened(t, open)) })
	t.Run("lets non-finite values through", func(t *testing.T) { testNonFinite(t, opened(t, open)) })
	t.Run("gives outputs to the caller", func(t *testing.T) { testOwnership(t, opened(t, open)) })
	t.Run("refuses tensors that do not fit", func(t *testing.T) { testBadInput(t, opened(t, open)) })
	t.Run("runs concurrently", func(t *testing.T) { testConcurrent(t, opened(t, open)) })
	t.Run("does not start after the context ended", func(t *testing.T) { testEnded(t, opened(t, open)) })
	t.Run("stops when the context ends", func(t *testing.T) { testCancel(t, opened(t, open)) })
	t.Run("fails after close", func(t *testing.T) { testClosed(t, opened(t, open)) })
	t.Run("closes after the last run", func(t *testing.T) { testCloseWaits(t, opened(t, open)) })
}

func opened(t *testing.T, open func(*testing.T) models.Runner) models.Runner {
	r := open(t)
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return r
}

// Inputs makes the contract's inputs: rows of x, and work for each row.
func Inputs(t *testing.T, work int64, x ...[2]float64) []models.Tensor {
	t.Helper()
	var flat []float64
	for _, row := range x {
		flat = append(flat, row[:]...)
	}
	n := int64(len(x))
	xs, err := models.NewTensor([]int64{n, 2}, flat)
	if err != nil {
		t.Fatal(err)
	}
	ws, err := models.NewTensor([]int64{n}, slices.Repeat([]int64{work}, len(x)))
	if err != nil {
		t.Fatal(err)
	}
	return []models.Tensor{xs, ws}
}

func data(t *testing.T, tensor models.Tensor) []float64 {
	t.Helper()
	d, ok := models.Data[float64](tensor)
	if !ok {
		t.Fatalf("output is %s, want float64", tensor.DType())
	}
	return d
}

func testPorts(t *testing.T, r models.Runner) {
	in := []models.Port{
		{Name: "x", DType: manifest.Float64, Shape: []int64{-1, 2}},
		{Name: "work", DType: manifest.Int64, Shape: []int64{-1}},
	}
	out := []models.Port{
		{Name: "sum", DType: manifest.Float64, Shape: []int64{-1}},
		{Name: "ratio", DType: manifest.Float64, Shape: []int64{-1}},
	}
	if diff := cmp.Diff(in, r.Inputs()); diff != "" {
		t.Errorf("Inputs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(out, r.Outputs()); diff != "" {
		t.Errorf("Outputs (-want +got):\n%s", diff)
	}
}

func testComputes(t *testing.T, r models.Runner) {
	for rows := 1; rows <= 3; rows++ {
		x := [][2]float64{{1, 4}, {0.1, 0.2}, {-3, 2}}[:rows]
		out, err := r.Predict(t.Context(), Inputs(t, 1, x...))
		if err != nil {
			t.Fatal(err)
		}
		var sums, ratios []float64
		for _, row := range x {
			sums, ratios = append(sums, row[0]+row[1]), append(ratios, row[0]/row[1])
		}
		if diff := cmp.Diff(sums, data(t, out[0])); diff != "" {
			t.Errorf("sum of %d rows (-want +got):\n%s", rows, diff)
		}
		if diff := cmp.Diff(ratios, data(t, out[1])); diff != "" {
			t.Errorf("ratio of %d rows (-want +got):\n%s", rows, diff)
		}
		if diff := cmp.Diff([]int64{int64(rows)}, out[0].Shape()); diff != "" {
			t.Errorf("shape (-want +got):\n%s", diff)
		}
	}
}

func testNonFinite(t *testing.T, r models.Runner) {
	out, err := r.Predict(t.Context(), Inputs(t, 0, [2]float64{0, 0}, [2]float64{1, 0}, [2]float64{math.NaN(), 1}))
	if err != nil {
		t.Fatal(err)
	}
	ratio := data(t, out[1])
	if !math.IsNaN(ratio[0]) || !math.IsInf(ratio[1], 1) || !math.IsNaN(ratio[2]) {
		t.Errorf("ratios 0/0, 1/0, NaN/1 = %v, want NaN, +Inf, NaN", ratio)
	}
}

func testOwnership(t *testing.T, r models.Runner) {
	in := Inputs(t, 0, [2]float64{1, 1})
	first, err := r.Predict(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	x, _ := models.Data[float64](in[0])
	x[0] = 5
	if _, err := r.Predict(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if got := data(t, first[0])[0]; got != 2 {
		t.Errorf("a later Predict changed an earlier output: sum = %v, want 2", got)
	}
}

func testBadInput(t *testing.T, r models.Runner) {
	good := Inputs(t, 0, [2]float64{1, 2})
	tensor := func(made models.Tensor, err error) models.Tensor {
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	cases := map[string][]models.Tensor{
		"no tensor":    nil,
		"one tensor":   good[:1],
		"three":        {good[0], good[1], good[1]},
		"zero tensor":  {{}, good[1]},
		"other type":   {tensor(models.NewTensor([]int64{1, 2}, []float32{1, 2})), good[1]},
		"other width":  {tensor(models.NewTensor([]int64{1, 3}, []float64{1, 2, 3})), good[1]},
		"other rank":   {tensor(models.NewTensor([]int64{2}, []float64{1, 2})), good[1]},
		"no rows":      {tensor(models.NewTensor([]int64{0, 2}, []float64{})), good[1]},
		"wrong order":  {good[1], good[0]},
		"text":         {tensor(models.NewTensor([]int64{1, 2}, []string{"a", "b"})), good[1]},
		"wrong second": {good[0], good[0]},
	}
	for name, in := range cases {
		t.Run(name, func(t *testing.T) {
			out, err := r.Predict(t.Context(), in)
			if models.KindOf(err) != models.BadInput || err == nil {
				t.Errorf("Predict = %v, %v; want BadInput", out, err)
			}
		})
	}
	if _, err := r.Predict(t.Context(), good); err != nil {
		t.Errorf("Predict after bad input: %v", err)
	}
}

func testConcurrent(t *testing.T, r models.Runner) {
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 100 {
				a, b := float64(g), float64(i+1)
				out, err := r.Predict(t.Context(), Inputs(t, 3, [2]float64{a, b}))
				if err != nil {
					t.Error(err)
					return
				}
				if got := data(t, out[0])[0]; got != a+b {
					t.Errorf("%v + %v = %v", a, b, got)
				}
			}
		})
	}
	wg.Wait()
}

func testEnded(t *testing.T, r models.Runner) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Predict(ctx, Inputs(t, 0, [2]float64{1, 2})); models.KindOf(err) != models.Timeout || err == nil {
		t.Errorf("Predict = %v, want Timeout", err)
	}
}

func testCancel(t *testing.T, r models.Runner) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := r.Predict(ctx, Inputs(t, slow, [2]float64{1, 2}))
	if models.KindOf(err) != models.Timeout || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Predict = %v, want Timeout by the deadline", err)
	}
	if _, err := r.Predict(t.Context(), Inputs(t, 0, [2]float64{1, 2})); err != nil {
		t.Errorf("Predict after a stopped one: %v", err)
	}
}

func testClosed(t *testing.T, r models.Runner) {
	for range 2 {
		if err := r.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	if _, err := r.Predict(t.Context(), Inputs(t, 0, [2]float64{1, 2})); models.KindOf(err) != models.Internal || err == nil {
		t.Errorf("Predict = %v, want Internal", err)
	}
}

func testCloseWaits(t *testing.T, r models.Runner) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			_, err := r.Predict(ctx, Inputs(t, slow, [2]float64{1, 2}))
			if k := models.KindOf(err); err == nil || k != models.Timeout && k != models.Internal {
				t.Errorf("Predict = %v, want Timeout, or Internal when Close came first", err)
			}
		})
	}
	wg.Go(func() {
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	cancel()
	wg.Wait()
}

// Fake is a Runner of the contract's model in memory. Its zero value is ready.
type Fake struct {
	mu     sync.RWMutex
	closed bool
}

var _ models.Runner = (*Fake)(nil)

// Inputs lists the input ports.
func (f *Fake) Inputs() []models.Port {
	return []models.Port{
		{Name: "x", DType: manifest.Float64, Shape: []int64{-1, 2}},
		{Name: "work", DType: manifest.Int64, Shape: []int64{-1}},
	}
}

// Outputs lists the output ports.
func (f *Fake) Outputs() []models.Port {
	return []models.Port{
		{Name: "sum", DType: manifest.Float64, Shape: []int64{-1}},
		{Name: "ratio", DType: manifest.Float64, Shape: []int64{-1}},
	}
}

// Predict computes the contract.
func (f *Fake) Predict(ctx context.Context, in []models.Tensor) ([]models.Tensor, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.closed {
		return nil, &models.Error{Op: "run", Kind: models.Internal, Err: errors.New("closed")}
	}
	x, work, err := f.check(in)
	if err != nil {
		return nil, &models.Error{Op: "run", Kind: models.BadInput, Err: err}
	}
	for step := int64(0); step <= slices.Max(work); step++ {
		if ctx.Err() != nil {
			return nil, &models.Error{Op: "run", Kind: models.Timeout, Err: context.Cause(ctx)}
		}
	}
	var sums, ratios []float64
	for i := range work {
		sums, ratios = append(sums, x[2*i]+x[2*i+1]), append(ratios, x[2*i]/x[2*i+1])
	}
	sum, err1 := models.NewTensor([]int64{int64(len(work))}, sums)
	ratio, err2 := models.NewTensor([]int64{int64(len(work))}, ratios)
	return []models.Tensor{sum, ratio}, errors.Join(err1, err2)
}

func (f *Fake) check(in []models.Tensor) (x []float64, work []int64, err error) {
	if len(in) != 2 {
		return nil, nil, fmt.Errorf("%d tensors for 2 inputs", len(in))
	}
	x, ok1 := models.Data[float64](in[0])
	work, ok2 := models.Data[int64](in[1])
	if !ok1 || !ok2 || len(in[0].Shape()) != 2 || in[0].Shape()[1] != 2 || len(work) == 0 || len(x) != 2*len(work) {
		return nil, nil, errors.New("want x float64 [N,2] and work int64 [N]")
	}
	return x, work, nil
}

// Close waits for running Predicts.
func (f *Fake) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}

// FakeOpener opens every file as a Fake, but refuses one whose bytes start with
// "corrupt".
func FakeOpener() models.Opener {
	return models.OpenerFunc(func(_ context.Context, _ *manifest.Manifest, file []byte) (models.Runner, error) {
		if len(file) >= 7 && string(file[:7]) == "corrupt" {
			return nil, &models.Error{Op: "open model", Kind: models.Refused, Err: errors.New("not a model")}
		}
		return &Fake{}, nil
	})
}
