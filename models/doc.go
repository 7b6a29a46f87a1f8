// Package models is the catalog of prediction models: folders
// <name>/<version>/{manifest.yaml, model file, CARD.md, golden.json}, each
// version served only after its digest, ports and golden cases have held.
//
// It promises that a version that does not hold is refused with a reason while
// the rest keep serving; that a served version never changes; that a version is
// closed only after its last use; that one slow model never starves another; and
// that a value that is not finite never passes for an answer.
//
// It knows tensors and nothing of FHIR: galen/cds fills the tensors and reads
// them. It runs nothing itself: a Runner does, made by an Opener such as
// galen/models/onnx. No name here has to do with samply's "FHIR models".
package models
