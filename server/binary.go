package server

import (
	"encoding/base64"
	"net/http"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
)

const binaryType = "Binary"

// nativeBinary reports whether a read of a Binary answers with its content and
// not with the resource: unless the client asks for a FHIR type by name
// (https://hl7.org/fhir/R4/binary.html#rest).
func nativeBinary(r *request, override string) bool {
	if r.param("type") != binaryType || r.param("id") == "" || override != "" ||
		r.method != http.MethodGet && r.method != http.MethodHead {
		return false
	}
	for part := range strings.SplitSeq(r.header.Get("Accept"), ",") {
		if name, _ := mediaType(part); mediaTypes[name] != 0 {
			return false
		}
	}
	return true
}

// native answers with the content of a Binary in its own type. It never runs in
// the browser as a page of this server.
func native(header http.Header, body []byte) (response, error) {
	const op = "server.native"
	doc, err := jsontree.Parse(body, jsontree.Limits{})
	if err != nil {
		return response{}, &fhir.Error{Op: op, Kind: fhir.Internal, Err: err}
	}
	root := doc.Root()
	content, err := base64.StdEncoding.DecodeString(unspaced(root.Get("data").Text()))
	if err != nil {
		return response{}, &fhir.Error{Op: op, Kind: fhir.Internal, Err: err}
	}
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	if context := root.Get("securityContext").Get("reference").Text(); context != "" {
		header.Set("X-Security-Context", context)
	}
	return response{header: header, kind: root.Get("contentType").Text(), body: content}, nil
}

// unspaced takes out the white space that base64Binary may hold.
func unspaced(s string) string { return strings.Join(strings.Fields(s), "") }

// binary is the resource in the body of a write of a Binary: the body itself if
// it is one, else one made of it (https://hl7.org/fhir/R4/binary.html#rest) with
// the Content-Type as its type and X-Security-Context as its security context.
func (r *request) binary() ([]byte, error) {
	kind := r.header.Get("Content-Type")
	switch name, _ := mediaType(kind); {
	case name == "application/fhir+xml", name == "application/fhir+json", name == "application/json+fhir", mediaTypes[name] == formatJSON && isBinary(r.body):
		_, err := contentFormat(kind)
		return r.body, err
	case !strings.Contains(name, "/"):
		return nil, fhir.E("server.binary", fhir.MediaUnknown, "Content-Type", "a Binary needs a media type")
	}
	out := []byte(`{"resourceType":"Binary"`)
	if id := r.param("id"); id != "" {
		out = append(out, `,"id":`...)
		out = jsontree.AppendString(out, id)
	}
	out = append(out, `,"contentType":`...)
	out = jsontree.AppendString(out, kind)
	if context := r.header.Get("X-Security-Context"); context != "" {
		out = append(out, `,"securityContext":{"reference":`...)
		out = append(jsontree.AppendString(out, context), '}')
	}
	if len(r.body) > 0 {
		out = append(out, `,"data":"`...)
		out = base64.StdEncoding.AppendEncode(out, r.body)
		out = append(out, '"')
	}
	return append(out, '}'), nil
}

// isBinary tells the resource from JSON that is to be kept as a Binary.
func isBinary(body []byte) bool {
	doc, err := jsontree.Parse(body, jsontree.Limits{})
	return err == nil && doc.Root().Get("resourceType").Text() == binaryType
}
