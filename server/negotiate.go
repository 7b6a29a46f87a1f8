package server

import (
	"mime"
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
// included, which the CDS Hooks Sandbox still sends. In _format a "+" may have
// become a space.
var mediaTypes = map[string]format{
	"json": formatJSON, "application/json": formatJSON, "application/fhir+json": formatJSON,
	"application/fhir json": formatJSON, "application/json+fhir": formatJSON, "text/json": formatJSON,
	"xml": formatXML, "application/xml": formatXML, "application/fhir+xml": formatXML,
	"application/fhir xml": formatXML, "application/xml+fhir": formatXML, "text/xml": formatXML,
}

const fhirJSON = "application/fhir+json; charset=utf-8"

// readable are the formats that are served and read today.
func readable(f format) bool { return f == formatJSON }

// accepted picks the format of the answer: _format before Accept, JSON when
// neither says more. The error is of Kind NotAcceptable.
func accepted(override, accept string) (format, error) {
	const op = "server.accepted"
	if override != "" {
		if f, ok := offered(override); ok {
			return f, nil
		}
		return 0, fhir.E(op, fhir.NotAcceptable, "_format", "only JSON is served")
	}
	if strings.TrimSpace(accept) == "" {
		return formatJSON, nil
	}
	best, quality := format(0), 0.0
	for part := range strings.SplitSeq(accept, ",") {
		f, ok := offered(part)
		if !ok {
			continue
		}
		if q := qualityOf(part); q > quality {
			best, quality = f, q
		}
	}
	if best == 0 {
		return 0, fhir.E(op, fhir.NotAcceptable, "Accept", "only FHIR R4 JSON is served")
	}
	return best, nil
}

// offered reads one media range; false for what is not served here.
func offered(text string) (format, bool) {
	name, params := mediaType(text)
	if !rightVersion(params) {
		return 0, false
	}
	switch name {
	case "*/*", "application/*", "text/*":
		return formatJSON, true
	}
	f, ok := mediaTypes[name]
	return f, ok && readable(f)
}

// rightVersion checks the fhirVersion parameter of a media type
// (https://hl7.org/fhir/R4/http.html#version-parameter).
func rightVersion(params map[string]string) bool {
	v, given := params["fhirversion"]
	return !given || v == "4.0" || v == "4.0.1"
}

func mediaType(text string) (string, map[string]string) {
	name, params, err := mime.ParseMediaType(text)
	if err != nil {
		name, _, _ = strings.Cut(text, ";")
		name = strings.ToLower(strings.TrimSpace(name))
	}
	return name, params
}

func qualityOf(text string) float64 {
	_, params := mediaType(text)
	q, given := params["q"]
	if !given {
		return 1
	}
	value, err := strconv.ParseFloat(q, 64)
	if err != nil {
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
	if !ok || !readable(f) || !rightVersion(params) {
		return 0, fhir.E(op, fhir.MediaUnknown, "Content-Type", "a body must be application/fhir+json of FHIR R4")
	}
	if charset, given := params["charset"]; given && !strings.EqualFold(charset, "utf-8") {
		return 0, fhir.E(op, fhir.MediaUnknown, "Content-Type", "a body must be in UTF-8")
	}
	return f, nil
}
