// Package patch applies JSON Patch (RFC 6902,
// https://www.rfc-editor.org/rfc/rfc6902) and FHIRPath Patch
// (https://hl7.org/fhir/R4/fhirpatch.html) to resources.
//
// It promises that what a patch does not name keeps its exact bytes, decimals
// and escapes included; only white space around changed values may go. A patch
// that does not fit leaves no result. Work is bounded by the number of
// operations and the size of the result.
//
// It does not judge the result: identity, validity and the version that a patch
// is meant for are fhir/rest's. Libraries for JSON Patch were not used since
// they decode and encode, which rewrites numbers, escapes and member order.
package patch

import (
	"context"
	"slices"
	"strings"
	"time"

	"galen/fhir"
	"galen/fhir/path"
	"galen/fhir/spec"
)

// Patch is a change to a resource, read and well-formed. It is immutable and
// safe for concurrent use.
type Patch interface {
	// Apply returns the bytes of the changed resource, not validated. Errors: an
	// *fhir.Error of Kind Unprocessable if the patch does not fit the resource
	// (a failed test, nothing at a path), TooLong, Timeout.
	Apply(ctx context.Context, r fhir.Resource) ([]byte, error)
}

// Reader reads a patch document. The error is an *fhir.Error of Kind Malformed,
// Invalid, Required, Value or TooLong.
type Reader func(body []byte) (Patch, error)

// Formats are the formats that patches can have, by media type in lower case and
// without parameters.
type Formats map[string]Reader

// The media types of the formats here
// (https://hl7.org/fhir/R4/http.html#patch).
const (
	JSONPatch     = "application/json-patch+json"
	FHIRPathPatch = "application/fhir+json"
)

// New returns the formats of this package; others can be added to the map. now
// is the clock of FHIRPath's now().
func New(defs *spec.Definitions, engine *path.Engine, now func() time.Time) Formats {
	e := &fhirPath{defs, engine, now}
	return Formats{
		JSONPatch:     readJSON,
		FHIRPathPatch: e.read,
	}
}

// Read reads a patch in the format of a media type; MediaUnknown if there is
// none for it.
func (f Formats) Read(mediaType string, body []byte) (Patch, error) {
	read, ok := f[mediaType]
	if !ok {
		return nil, fhir.E("patch.Read", fhir.MediaUnknown, "Content-Type", "a patch must be "+strings.Join(f.MediaTypes(), ", "))
	}
	return read(body)
}

// MediaTypes lists the formats, sorted.
func (f Formats) MediaTypes() []string {
	out := make([]string, 0, len(f))
	for name := range f {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// Bounds on what one patch may ask for.
const (
	maxOperations = 1000
	maxResult     = 16 << 20 // bytes; copies can double a document each time
)

// misfit is the error of an operation that does not fit the resource.
func misfit(at, message string) error {
	return fhir.E("patch.Apply", fhir.Unprocessable, at, message)
}

// late is the error of a patch that ran into the deadline.
func late(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return &fhir.Error{Op: "patch.Apply", Kind: fhir.Timeout, Err: err}
	}
	return nil
}
