// Package body reads the body of an HTTP request to its end, plain or gzip, up to
// a length that counts after decompression.
package body

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"

	"galen/fhir"
)

// Read returns the body, at most limit bytes. The error is an *fhir.Error of
// Kind TooLong, MediaUnknown for another Content-Encoding, or Malformed for a
// body that is not gzip or ends too soon.
func Read(r *http.Request, limit int64) ([]byte, error) {
	const op = "body.Read"
	tooLong := fhir.E(op, fhir.TooLong, "", "the request body is longer than allowed")
	if r.ContentLength > limit {
		drain(r)
		return nil, tooLong
	}
	reader := io.Reader(r.Body)
	switch strings.ToLower(r.Header.Get("Content-Encoding")) {
	case "", "identity":
	case "gzip":
		unzip, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, fhir.E(op, fhir.Malformed, "Content-Encoding", "the body is not gzip")
		}
		reader = unzip
	default:
		return nil, fhir.E(op, fhir.MediaUnknown, "Content-Encoding", "only gzip is read")
	}
	body, err := io.ReadAll(io.LimitReader(reader, limit+1))
	if err != nil {
		return nil, fhir.E(op, fhir.Malformed, "", "the request body could not be read to its end")
	}
	if int64(len(body)) > limit {
		drain(r)
		return nil, tooLong
	}
	return body, nil
}

// drained is how much of a body that is too long is read to no purpose.
const drained = 256 << 20

// drain reads what a client still sends: one that does not look for an answer
// before it has sent everything would otherwise see a broken connection instead
// of the 413. One that asks first (RFC 9110, section 10.1.1) sends nothing.
func drain(r *http.Request) {
	if r.Header.Get("Expect") == "" {
		_, _ = io.CopyN(io.Discard, r.Body, drained) // how it ends changes nothing
	}
}
