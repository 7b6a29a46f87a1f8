package models

import (
	"context"

	"galen/models/manifest"
)

// Port is the name, element type and shape of an input or output as the model
// file itself declares it. -1 is any size.
type Port struct {
	Name  string
	DType DType
	Shape []int64
}

// Runner executes one model. It is safe for concurrent use.
type Runner interface {
	// Inputs and Outputs are the model's ports in the order of Predict.
	Inputs() []Port
	Outputs() []Port

	// Predict runs the model on one tensor for each input and gives one for each
	// output, which the caller owns. It keeps no input after it returns. When ctx
	// ends it stops as soon as the runtime can and returns Timeout. Errors:
	// BadInput for tensors that do not fit, Timeout, Internal. NaN passes through.
	Predict(ctx context.Context, in []Tensor) ([]Tensor, error)

	// Close frees the model; it waits for running Predicts, and later ones fail
	// with Internal. A second Close does nothing.
	Close() error
}

// Backend is what a Runner runs on.
type Backend struct {
	Platform  string   // such as "onnxruntime 1.30.0"
	Provider  string   // the execution provider in use, such as "cpu" or "cuda"
	Fallbacks []string // providers that were preferred and could not be had, with the reason
}

// Described is a Runner that can tell what it runs on.
type Described interface {
	Backend() Backend
}

// Opener makes a Runner of a model file whose digest has been verified. The
// bytes must not be kept. Errors: Refused when the file is no such model.
type Opener interface {
	Open(ctx context.Context, m *manifest.Manifest, file []byte) (Runner, error)
}

// OpenerFunc is a function as an Opener.
type OpenerFunc func(ctx context.Context, m *manifest.Manifest, file []byte) (Runner, error)

// Open calls f.
func (f OpenerFunc) Open(ctx context.Context, m *manifest.Manifest, file []byte) (Runner, error) {
	return f(ctx, m, file)
}
