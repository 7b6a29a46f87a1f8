// Package media reads the media types by which clients say what they send and
// what they want (https://hl7.org/fhir/R4/http.html#mime-type, RFC 9110).
//
// It knows the two formats of FHIR resources, by all the names that clients use
// for them, and the versions of FHIR that they may ask for. It converts nothing.
package media

import (
	"mime"
	"net/url"
	"strconv"
	"strings"

	"galen/fhir"
)

// Format is a representation of FHIR resources on the wire; 0 is none.
type Format uint8

// The formats that are read and served.
const (
	JSON Format = iota + 1
	XML
)

// names maps what clients write for the two formats, the DSTU2 names
// included, which the CDS Hooks Sandbox still sends.
var names = map[string]Format{
	"json": JSON, "application/json": JSON, "application/fhir+json": JSON,
	"application/json+fhir": JSON, "text/json": JSON,
	"xml": XML, "application/xml": XML, "application/fhir+xml": XML,
	"application/xml+fhir": XML, "text/xml": XML,
}

// Of is the format that a media type without parameters, or a code of _format,
// names; 0 for any other.
func Of(name string) Format { return names[name] }

// ContentType is the media type of an answer in the format.
func (f Format) ContentType() string {
	if f == XML {
		return "application/fhir+xml; charset=utf-8"
	}
	return "application/fhir+json; charset=utf-8"
}

// Wanted is how a client wants its answer. The zero Wanted is JSON.
type Wanted struct {
	Format Format // JSON if nothing that is served was asked for
	Pretty bool
}

// Negotiate reads what answer the client wants: _format before Accept, JSON
// when neither says more. The error is of Kind NotAcceptable; the answer that
// says so is in JSON.
func Negotiate(query url.Values, accept []string) (Wanted, error) {
	const op = "media.Negotiate"
	w := Wanted{Format: JSON, Pretty: query.Get("_pretty") == "true"}
	if override := query.Get("_format"); override != "" {
		// A client that does not escape the + of application/fhir+json means it.
		name, params := Parse(strings.Replace(override, " ", "+", 1))
		f, ok := names[name]
		if !ok || !ForR4(params) {
			return w, fhir.E(op, fhir.NotAcceptable, "_format", "only JSON and XML of FHIR R4 are served")
		}
		w.Format = f
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
	w.Format = f
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
func preferred(accept string) (Format, bool) {
	var ranks [XML + 1]rank
	named := Format(0)
	for part := range strings.SplitSeq(accept, ",") {
		name, params := Parse(part)
		if !ForR4(params) {
			continue
		}
		quality := Quality(params)
		specific := map[string]int{"*/*": 1, "*": 1, "application/*": 2, "text/*": 2}[name]
		if f, ok := names[name]; ok {
			if named == 0 {
				named = f
			}
			if r := &ranks[f]; r.specific < 3 || r.quality < quality {
				*r = rank{quality, 3}
			}
			continue
		}
		for _, f := range []Format{JSON, XML} {
			if r := &ranks[f]; specific > r.specific {
				*r = rank{quality, specific}
			}
		}
	}
	best := JSON
	if x, j := ranks[XML], ranks[JSON]; x.quality > j.quality ||
		x.quality == j.quality && (x.specific > j.specific || x.specific == 3 && named == XML) {
		best = XML
	}
	return best, ranks[best].quality > 0
}

// ForR4 checks the fhirVersion parameter of a media type
// (https://hl7.org/fhir/R4/http.html#version-parameter).
func ForR4(params map[string]string) bool {
	v, given := params["fhirversion"]
	return !given || v == "4.0" || v == "4.0.1"
}

// Parse takes a media type apart; one that is not well-formed keeps its
// name.
func Parse(text string) (string, map[string]string) {
	name, params, err := mime.ParseMediaType(text)
	if err != nil {
		name, _, _ = strings.Cut(text, ";")
		name = strings.ToLower(strings.TrimSpace(name))
	}
	return name, params
}

// Quality is the q of a range, 1 if it says none, 0 if it is not a number.
func Quality(params map[string]string) float64 {
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

// Content reads the Content-Type of a request body. The error is of Kind
// MediaUnknown.
func Content(contentType string) (Format, error) {
	const op = "media.Content"
	name, params := Parse(contentType)
	f, ok := names[name]
	if !ok || !ForR4(params) {
		return 0, fhir.E(op, fhir.MediaUnknown, "Content-Type", "a body must be application/fhir+json or application/fhir+xml of FHIR R4")
	}
	if charset, given := params["charset"]; given && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "us-ascii") {
		return 0, fhir.E(op, fhir.MediaUnknown, "Content-Type", "a body must be in UTF-8")
	}
	return f, nil
}
