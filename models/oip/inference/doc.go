// Package inference is the generated code of the Open Inference Protocol's gRPC
// service, GRPCInferenceService, from open_inference.proto. `make gen` runs gen.sh
// to make it anew. The messages become tensors in galen/server/rpc.
package inference
