package server

import (
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"galen/fhir"
)

// format is a representation of FHIR resources on the wire
// (https://hl7.org/fhir/R4/http.html#mime-type).
type format uint8

const (
	formatJSON format = iota + 1
	formatXML
)

// mediaTypes maps what clients write for the two formats, the DSTU2 names
// included, which the CDS Hooks Sandbox still sends.
var mediaTypes = map[string]format{
	"json": formatJSON, "application/json": formatJSON, "application/fhir+json": formatJSON,
	"application/json+fhir": formatJSON, "text/json": formatJSON,
	"xml": formatXML, "application/xml": formatXML, "application/fhir+xml": formatXML,
	"application/xml+fhir": formatXML, "text/xml": formatXML,
}

// contentTypes are the Content-Types of the answers.
var contentTypes = map[format]string{
	formatJSON: "application/fhir+json; charset=utf-8",
	formatXML:  "application/fhir+xml; charset=utf-8",
}

// wanted is how a client wants its answer.
type wanted struct {
	inference bool   // errors are those of the Open Inference Protocol
	format    format // JSON if nothing that is served was asked for
	pretty    bool
}

// negotiate reads what answer the client wants: _format before Accept, JSON
// when neither says more. The error is of Kind NotAcceptable; the answer that
// says so is in JSON.
func negotiate(query url.Values, accept []string) (wanted, error) {
	const op = "server.negotiate"
	w := wanted{format: formatJSON, pretty: query.Get("_pretty") == "true"}
	if override := query.Get("_format"); override != "" {
		// A client that does not escape the + of application/fhir+json means it.
		name, params := mediaType(strings.Replace(override, " ", "+", 1))
		f, ok := mediaTypes[name]
		if !ok || !rightVersion(params) {
			return w, fhir.E(op, fhir.NotAcceptable, "_format", "only JSON and XML of FHIR R4 are served")
		}
		w.format = f
		return w, nil
	}
	ranges := strings.Join(accept, ",")
	if strings.TrimSpace(ranges) == "" {
		return w, nil
	}
	f, ok := preferred(ranges)
	if !ok {
		return w, fhir.E(op, fhir.NotAcceptable, "Accept", "only JSON and XML of FHIR R4 are served")
	}
	w.format = f
	return w, nil
}

// rank is how much a client wants a format: the quality of the most specific
// range that covers it (RFC 9110, section 12.5.1).
type rank struct {
	quality  float64
	specific int // 0 for no range, 1 for */*, 2 for application/*, 3 for a type
}

// preferred picks the format that an Accept header wants most. Of two wanted
// alike, a named one comes before one that a wildcard covers, then the one named
// first, then JSON.
func preferred(accept string) (format, bool) {
	var ranks [formatXML + 1]rank
	named := format(0)
	for part := range strings.SplitSeq(accept, ",") {
		name, params := mediaType(part)
		if !rightVersion(params) {
			continue
		}
		quality := qualityOf(params)
		specific := map[string]int{"*/*": 1, "*": 1, "application/*": 2, "text/*": 2}[name]
		if f, ok := mediaTypes[name]; ok {
			if named == 0 {
				named = f
			}
			if r := &ranks[f]; r.specific < 3 || r.quality < quality {
				*r = rank{quality, 3}
			}
			continue
		}
		for _, f := range []format{formatJSON, formatXML} {
			if r := &ranks[f]; specific > r.specific {
				*r = rank{quality, specific}
			}
		}
	}
	best := formatJSON
	if x, j := ranks[formatXML], ranks[formatJSON]; x.quality > j.quality ||
		x.quality == j.quality && (x.specific > j.specific || x.specific == 3 && named == formatXML) {
		best = formatXML
	}
	return best, ranks[best].quality > 0
}

// rightVersion checks the fhirVersion parameter of a media type
// (https://hl7.org/fhir/R4/http.html#version-parameter).
func rightVersion(params map[string]string) bool {
	v, given := params["fhirversion"]
	return !given || v == "4.0" || v == "4.0.1"
}

// mediaType takes a media type apart; one that is not well-formed keeps its
// name.
func mediaType(text string) (string, map[string]string) {
	name, params, err := mime.ParseMediaType(text)
	if err != nil {
		name, _, _ = strings.Cut(text, ";")
		name = strings.ToLower(strings.TrimSpace(name))
	}
	return name, params
}

// qualityOf is the q of a range, 1 if it says none, 0 if it is not a number.
func qualityOf(params map[string]string) float64 {
	q, given := params["q"]
	if !given {
		return 1
	}
	value, err := strconv.ParseFloat(q, 64)
	if err != nil || value < 0 || value > 1 {
		return 0
	}
	return value
}

// contentFormat reads the Content-Type of a request body. The error is of Kind
// MediaUnknown.
func contentFormat(contentType string) (format, error) {
	const op = "server.contentFormat"
	name, params := mediaType(contentType)
	f, ok := mediaTypes[name]
	if !ok || !rightVersion(params) {
		return 0, fhir.E(op, fhir.MediaUnknown, "Content-Type", "a body must be application/fhir+json or application/fhir+xml of FHIR R4")
	}
	if charset, given := params["charset"]; given && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "us-ascii") {
		return 0, fhir.E(op, fhir.MediaUnknown, "Content-Type", "a body must be in UTF-8")
	}
	return f, nil
}

// understand reads what a body says that concerns formats.
func (s *Server) understand(r *request) error {
	if err := s.form(r); err != nil {
		return err
	}
	return s.decode(r)
}

// decode turns a body in FHIR XML into FHIR JSON, which is all that handlers
// see; other bodies stay as they are, and so does a patch, and any body that a
// Binary is to hold as it is (https://hl7.org/fhir/R4/binary.html#rest).
func (s *Server) decode(r *request) error {
	contentType := r.header.Get("Content-Type")
	name, _ := mediaType(contentType)
	if len(r.body) == 0 || r.method == http.MethodPatch || mediaTypes[name] != formatXML || r.param("type") == "Binary" && name != "application/fhir+xml" {
		return nil
	}
	if _, err := contentFormat(contentType); err != nil {
		return err
	}
	body, err := s.codec.ToJSON(r.body, int(s.MaxBody))
	r.body = body
	return err
}

// form takes _format and _pretty from a search's form body; there they count as
// in the URL (https://hl7.org/fhir/R4/http.html#search).
func (*Server) form(r *request) error {
	if name, _ := mediaType(r.header.Get("Content-Type")); name != formType {
		return nil
	}
	values, err := url.ParseQuery(string(r.body))
	if err != nil || values.Get("_format") == "" && values.Get("_pretty") == "" {
		return nil // the search says what is wrong with the form
	}
	if values.Get("_format") == "" {
		r.pretty = values.Get("_pretty") == "true"
		return nil
	}
	r.wanted, err = negotiate(values, nil)
	return err
}
