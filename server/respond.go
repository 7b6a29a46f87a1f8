package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/r4"
	"galen/fhir/xml"
	"galen/policies"
	"galen/server/media"
)

// response is what a handler answers. This file is the only one that writes
// responses.
type response struct {
	status int         // 0 means 200
	header http.Header // nil for none
	kind   string      // Content-Type, "" for a resource in the client's format
	body   []byte      // not changed, may be stored bytes; a resource as JSON
}

// wanted is how a client wants its answer.
type wanted struct {
	media.Wanted
	inference bool // errors are those of the Open Inference Protocol
}

// zipped is where compressing begins to pay.
const zipped = 1400 // bytes: about one packet

var _ http.ResponseWriter = gin.ResponseWriter(nil)

// respond writes an answer, a resource in the format that the client wants. The
// error is of Kind NotAcceptable, and then nothing is written.
func (s *Server) respond(c *gin.Context, w wanted, out response) error {
	if len(out.body) > 0 && out.kind == "" {
		if err := s.encode(w, &out); err != nil {
			return err
		}
	}
	h := c.Writer.Header()
	for name, values := range out.header {
		h[name] = values
	}
	if out.status == 0 {
		out.status = http.StatusOK
	}
	h.Add("Vary", "Accept, Accept-Encoding")
	if len(out.body) == 0 {
		c.Writer.WriteHeader(out.status)
		c.Writer.WriteHeaderNow()
		return nil
	}
	h.Set("Content-Type", out.kind)
	body := out.body
	if len(body) >= zipped && acceptsGzip(c.Request.Header.Get("Accept-Encoding")) {
		var err error
		if body, err = s.zips.Gzip(body); err == nil {
			h.Set("Content-Encoding", "gzip")
		} else {
			body = out.body
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	c.Writer.WriteHeader(out.status)
	if c.Request.Method == http.MethodHead {
		c.Writer.WriteHeaderNow()
		return nil
	}
	// A client that went away is not an error of the server.
	_, _ = c.Writer.Write(body)
	return nil
}

// deepest is how deep an answer may nest: a stored resource and the Bundle
// around it.
const deepest = 256

// encode puts the JSON of a resource in the format that the client wants.
func (s *Server) encode(w wanted, out *response) error {
	out.kind = w.Format.ContentType()
	if w.Format != media.XML {
		if w.Pretty {
			var b bytes.Buffer
			if json.Indent(&b, out.body, "", "  ") == nil {
				out.body = b.Bytes()
			}
		}
		return nil
	}
	doc, err := jsontree.Parse(out.body, jsontree.Limits{Depth: deepest})
	if err != nil {
		return &fhir.Error{Op: "server.encode", Err: err}
	}
	style := xml.Compact
	if w.Pretty {
		style = xml.Pretty
	}
	out.body, err = s.codec.ToXML(doc.Root(), style)
	return err
}

// respondError answers with the OperationOutcome and status of err
// (https://hl7.org/fhir/R4/http.html#Status-Codes).
func (s *Server) respondError(c *gin.Context, w wanted, err error) {
	kind := fhir.KindOf(err)
	out := response{status: kind.Status(), header: http.Header{}}
	if w.inference {
		out.kind, out.body = plainJSON, inferenceError(err)
	} else {
		out.body = r4.OperationOutcome(fhir.IssuesOf(err))
	}
	switch kind {
	case fhir.Unauthorized:
		out.header.Set("WWW-Authenticate", challenge(c.Request.Header.Get("Authorization")))
	case fhir.Forbidden:
		var refused policies.Refused
		if errors.As(err, &refused) && (refused.Reason == policies.NoScope || refused.Reason == policies.NoLaunchPatient) {
			out.header.Set("WWW-Authenticate", `Bearer error="insufficient_scope"`)
		}
	case fhir.Throttled, fhir.Unavailable, fhir.Timeout:
		out.header.Set("Retry-After", "1")
	}
	if s.respond(c, w, out) != nil { // an OperationOutcome of ours has an XML
		_ = s.respond(c, wanted{}, out)
	}
}

// challenge is the WWW-Authenticate of a 401: without a token it names no error
// (https://www.rfc-editor.org/rfc/rfc6750#section-3.1).
func challenge(authorization string) string {
	if authorization == "" {
		return "Bearer"
	}
	return `Bearer error="invalid_token"`
}

// inferenceError is how the Open Inference Protocol reports an error.
func inferenceError(err error) []byte {
	body, failed := json.Marshal(map[string]string{"error": fhir.IssuesOf(err).Error()})
	if failed != nil {
		return []byte(`{"error":"internal error"}`)
	}
	return body
}

func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, params := media.Parse(part)
		if (name == "gzip" || name == "x-gzip" || name == "*") && media.Quality(params) > 0 {
			return true
		}
	}
	return false
}
