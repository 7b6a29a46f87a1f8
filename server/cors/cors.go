// Package cors lets web pages of named origins use an API
// (https://fetch.spec.whatwg.org/#http-cors-protocol).
//
// An origin is named exactly and answered by its own name, never by a star, and
// without credentials: tokens are sent in a header. One that is not named gets
// no header, and its browser then shows it nothing.
package cors

import "net/http"

// Policy says what pages may do.
type Policy struct {
	Origin  func(origin string) bool // whether an origin may call
	Methods string                   // "GET, POST, OPTIONS"
	Headers string                   // of requests, beyond the safe ones
	Expose  string                   // of responses
}

// Answer sets the headers of the answer to a request, preflight or not.
func (p Policy) Answer(answer http.Header, method string, request http.Header) {
	answer.Add("Vary", "Origin")
	origin := request.Get("Origin")
	if origin == "" || !p.Origin(origin) {
		return
	}
	answer.Set("Access-Control-Allow-Origin", origin)
	answer.Set("Access-Control-Expose-Headers", p.Expose)
	if method == http.MethodOptions {
		answer.Set("Access-Control-Allow-Methods", p.Methods)
		answer.Set("Access-Control-Allow-Headers", p.Headers)
		answer.Set("Access-Control-Max-Age", "600") // seconds
	}
}
