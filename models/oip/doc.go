// Package oip is the Open Inference Protocol, version 2, as data: requests,
// responses and documents as JSON and as Triton's binary tensors
// (https://github.com/open-inference/open-inference-protocol and
// https://github.com/triton-inference-server/server, docs/protocol).
//
// It promises that a request is read once, straight into tensors, with memory
// bounded by the length of its body; that integers are exact; that JSON holds
// null where a number is NaN, in both directions; and that no error text carries
// a value of a tensor.
//
// It serves nothing and decides nothing: see galen/models/serving and
// galen/server. The generated gRPC messages are in galen/models/oip/inference.
package oip
