// Package onnx runs ONNX models with ONNX Runtime, on the CPU or on the first
// execution provider of a list that is there. It is the only importer of
// onnxruntime_go, and none of its types shows outside.
//
// It promises that a file is parsed and checked (operator sets, operator domains,
// no data outside the file) before ONNX Runtime sees it; that one session serves
// any number of concurrent Predicts; that a session is destroyed only when no run
// is in flight; that a context that ends stops the run at its next operator; and
// that no error text carries a tensor's values.
//
// It chooses no model and checks no digest: galen/models does.
package onnx
