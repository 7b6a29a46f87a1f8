package server

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"

	"galen/fhir"
	"galen/fhir/r4"
)

// response is what a handler answers. This file is the only one that writes
// responses.
type response struct {
	status int         // 0 means 200
	header http.Header // nil for none
	kind   string      // Content-Type, "" for FHIR JSON
	body   []byte      // not changed, may be stored bytes
}

// zipped is where compressing begins to pay.
const zipped = 1400 // bytes: about one packet

var _ http.ResponseWriter = gin.ResponseWriter(nil)

func (s *Server) respond(c *gin.Context, out response) {
	h := c.Writer.Header()
	for name, values := range out.header {
		h[name] = values
	}
	if out.status == 0 {
		out.status = http.StatusOK
	}
	if len(out.body) == 0 {
		c.Writer.WriteHeader(out.status)
		c.Writer.WriteHeaderNow()
		return
	}
	if out.kind == "" {
		out.kind = fhirJSON
	}
	h.Set("Content-Type", out.kind)
	body := out.body
	if len(body) >= zipped && acceptsGzip(c.Request.Header.Get("Accept-Encoding")) {
		var err error
		if body, err = s.zip(body); err == nil {
			h.Set("Content-Encoding", "gzip")
		} else {
			body = out.body
		}
	}
	h.Add("Vary", "Accept, Accept-Encoding")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	c.Writer.WriteHeader(out.status)
	if c.Request.Method == http.MethodHead {
		c.Writer.WriteHeaderNow()
		return
	}
	// A client that went away is not an error of the server.
	_, _ = c.Writer.Write(body)
}

// respondError answers with the OperationOutcome and status of err
// (https://hl7.org/fhir/R4/http.html#Status-Codes).
func (s *Server) respondError(c *gin.Context, err error) {
	kind := fhir.KindOf(err)
	out := response{status: kind.Status(), header: http.Header{}, body: r4.OperationOutcome(fhir.IssuesOf(err))}
	switch kind {
	case fhir.Unauthorized:
		out.header.Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	case fhir.Throttled, fhir.Unavailable, fhir.Timeout:
		out.header.Set("Retry-After", "1")
	}
	s.respond(c, out)
}

func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, _ := mediaType(part)
		if name == "gzip" && qualityOf(part) > 0 {
			return true
		}
	}
	return false
}

// zippers reuses gzip writers: a new one costs 800 KB.
type zippers struct{ pool sync.Pool }

func newZippers() *zippers {
	return &zippers{sync.Pool{New: func() any {
		w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is a valid constant
		return w
	}}}
}

func (s *Server) zip(body []byte) ([]byte, error) {
	w := s.zippers.pool.Get().(*gzip.Writer)
	defer s.zippers.pool.Put(w)
	var out bytes.Buffer
	out.Grow(len(body) / 4)
	w.Reset(&out)
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
