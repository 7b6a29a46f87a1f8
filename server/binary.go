package server

import (
	"net/http"
	"strings"

	"galen/fhir"
	"galen/fhir/binary"
	"galen/server/media"
)

// nativeBinary reports whether a read of a Binary answers with its content and
// not with the resource: unless the client asks for a FHIR type by name
// (https://hl7.org/fhir/R4/binary.html#rest).
func nativeBinary(r *request, override string) bool {
	if r.param("type") != binary.Type || r.param("id") == "" || override != "" ||
		r.method != http.MethodGet && r.method != http.MethodHead {
		return false
	}
	for part := range strings.SplitSeq(r.header.Get("Accept"), ",") {
		if name, _ := media.Parse(part); media.Of(name) != 0 {
			return false
		}
	}
	return true
}

// native answers with the content of a Binary in its own type. It never runs in
// the browser as a page of this server.
func native(header http.Header, body []byte) (response, error) {
	c, err := binary.Of(body)
	if err != nil { // it was stored, so it is one
		return response{}, &fhir.Error{Op: "server.native", Kind: fhir.Internal, Err: err}
	}
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	if c.Context != "" {
		header.Set("X-Security-Context", c.Context)
	}
	return response{header: header, kind: c.Type, body: c.Data}, nil
}

// binary is the resource in the body of a write of a Binary: the body itself if
// it is one, else one made of it (https://hl7.org/fhir/R4/binary.html#rest) with
// the Content-Type as its type and X-Security-Context as its security context.
func (r *request) binary() ([]byte, error) {
	kind := r.header.Get("Content-Type")
	switch name, _ := media.Parse(kind); {
	case name == "application/fhir+xml", name == "application/fhir+json", name == "application/json+fhir":
		_, err := media.Content(kind)
		return r.body, err
	case media.Of(name) == media.JSON:
		if _, err := binary.Of(r.body); err == nil {
			return r.body, nil
		}
	case !strings.Contains(name, "/"):
		return nil, fhir.E("server.binary", fhir.MediaUnknown, "Content-Type", "a Binary needs a media type")
	}
	return binary.Content{Type: kind, Context: r.header.Get("X-Security-Context"), Data: r.body}.Resource(r.param("id")), nil
}
