package onnx

import (
	"slices"
	"sync"

	"galen/models"
	"galen/models/manifest"
)

// kit is a call with memory of its own that is made once and used again and
// again for calls of the same shapes: copying a few numbers in and out costs less
// than making and freeing the C values around them.
type kit struct {
	call
	inputs []models.Tensor
}

// kits are the kits of one session, by the shapes of their inputs.
type kits struct {
	mu      sync.Mutex
	buckets []bucket
}

type bucket struct {
	shapes [][]int64
	free   []*kit
}

const (
	maxBuckets  = 8     // further shapes are called without a kit
	maxFree     = 16    // kits kept for each shape
	maxElements = 16384 // larger tensors are handed over without a copy
)

// suits says whether calls of these tensors are worth a kit.
func (g *graph) suits(in []models.Tensor) bool {
	n := 0
	for i, t := range in {
		if g.inputs[i].DType == manifest.String {
			return false
		}
		n += t.Len()
	}
	for i := range g.outputs {
		shape, ok := g.resolve(&g.outputs[i], in)
		if !ok || g.outputs[i].DType == manifest.String {
			return false
		}
		size := 1
		for _, d := range shape {
			size *= int(d)
		}
		n += size
	}
	return n <= maxElements
}

// take gives a kit for the tensors, or nil when they do not suit.
func (s *session) take(in []models.Tensor) (*kit, error) {
	if !s.graph.suits(in) {
		return nil, nil
	}
	if k, known := s.kits.take(in); k != nil || !known {
		return k, nil
	}
	return s.newKit(in)
}

func (s *session) newKit(in []models.Tensor) (*kit, error) {
	k := &kit{}
	for _, t := range in {
		own, err := models.MakeTensor(t.DType(), t.Shape())
		if err != nil {
			return nil, err
		}
		k.inputs = append(k.inputs, own)
	}
	err := k.prepare(s.graph, k.inputs)
	if err == nil {
		k.options, err = newRunOptions()
	}
	if err != nil {
		k.free()
		return nil, err
	}
	return k, nil
}

// take gives a free kit of the shapes; known says whether they have a bucket,
// which they get now if there is room.
func (ks *kits) take(in []models.Tensor) (k *kit, known bool) {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	b := ks.find(in)
	if b == nil {
		if len(ks.buckets) == maxBuckets {
			return nil, false
		}
		shapes := make([][]int64, len(in))
		for i, t := range in {
			shapes[i] = slices.Clone(t.Shape())
		}
		ks.buckets = append(ks.buckets, bucket{shapes: shapes})
		return nil, true
	}
	if n := len(b.free); n > 0 {
		k, b.free = b.free[n-1], b.free[:n-1]
	}
	return k, true
}

func (ks *kits) find(in []models.Tensor) *bucket {
	for i := range ks.buckets {
		if slices.EqualFunc(ks.buckets[i].shapes, in, func(shape []int64, t models.Tensor) bool { return slices.Equal(shape, t.Shape()) }) {
			return &ks.buckets[i]
		}
	}
	return nil
}

// give takes a kit back, or frees it when there are enough.
func (ks *kits) give(k *kit) {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	if b := ks.find(k.inputs); b != nil && len(b.free) < maxFree {
		b.free = append(b.free, k)
		return
	}
	k.free()
}

func (ks *kits) free() {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	for _, b := range ks.buckets {
		for _, k := range b.free {
			k.free()
		}
	}
	ks.buckets = nil
}
