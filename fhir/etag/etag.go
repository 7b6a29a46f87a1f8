// Package etag reads the conditions that a request puts on the version of a
// resource: If-Match, If-None-Match and If-Modified-Since, as headers
// (RFC 9110, section 13) and as members of Bundle.entry.request.
//
// It evaluates the conditions of reads; those of writes it only reads, since
// the store must evaluate them at the moment of the write.
package etag

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"galen/fhir"
)

// Versions that Match returns beside the numbers of versions, which count from 1.
const (
	None  int64 = 0             // no condition
	Any   int64 = -1            // "*": the resource must exist, in any version
	Never int64 = math.MaxInt64 // an entity tag that no version here has
)

// Match reads If-Match: W/"3", "3" or *
// (https://hl7.org/fhir/R4/http.html#concurrency). A strong tag is taken for a
// weak one, since clients send both. The error is of Kind Value: what is no
// single entity tag.
func Match(text string) (int64, error) {
	text = strings.TrimSpace(text)
	switch text {
	case "":
		return None, nil
	case "*":
		return Any, nil
	}
	opaque, ok := tag(text)
	if !ok {
		return 0, fhir.E("etag.Match", fhir.Value, "If-Match", `must be an ETag such as W/"3"`)
	}
	if n, err := strconv.ParseInt(opaque, 10, 64); err == nil && n > 0 && strconv.FormatInt(n, 10) == opaque {
		return n, nil
	}
	return Never, nil
}

// tag takes an entity tag out of its quotes (RFC 9110, section 8.8.3).
func tag(text string) (opaque string, ok bool) {
	text = strings.TrimPrefix(text, "W/")
	if len(text) < 2 || text[0] != '"' || text[len(text)-1] != '"' {
		return "", false
	}
	opaque = text[1 : len(text)-1]
	return opaque, !strings.ContainsAny(opaque, "\" \t")
}

// Absent reads If-None-Match of a write, where only * has a meaning: the
// resource must not be there (RFC 9110, section 13.1.2).
func Absent(ifNoneMatch string) bool { return strings.TrimSpace(ifNoneMatch) == "*" }

// Unchanged reports whether a read need not send the resource again: what
// If-None-Match says, and without it If-Modified-Since
// (RFC 9110, section 13.2.2; https://hl7.org/fhir/R4/http.html#cread). What
// cannot be read counts as absent: the client then gets the resource.
func Unchanged(ifNoneMatch, ifModifiedSince string, h fhir.Header) bool {
	if ifNoneMatch != "" {
		want := strconv.FormatInt(h.Version, 10)
		for part := range strings.SplitSeq(ifNoneMatch, ",") {
			part = strings.TrimSpace(part)
			if opaque, ok := tag(part); part == "*" || ok && opaque == want {
				return true
			}
		}
		return false
	}
	return notSince(ifModifiedSince, h.LastUpdated)
}

// notSince compares in whole seconds, as Last-Modified has no more; a Bundle may
// give a FHIR instant.
func notSince(text string, updated time.Time) bool {
	since, err := http.ParseTime(text)
	if err != nil {
		if since, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return false
		}
		return !updated.After(since)
	}
	return !updated.Truncate(time.Second).After(since)
}
