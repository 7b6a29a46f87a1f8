package server

import (
	"net/http"
	"net/url"

	"galen/server/media"
)

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
	name, _ := media.Parse(contentType)
	if len(r.body) == 0 || r.method == http.MethodPatch || media.Of(name) != media.XML || r.param("type") == "Binary" && name != "application/fhir+xml" {
		return nil
	}
	if _, err := media.Content(contentType); err != nil {
		return err
	}
	body, err := s.codec.ToJSON(r.body, int(s.MaxBody))
	r.body = body
	return err
}

// form takes _format and _pretty from a search's form body; there they count as
// in the URL (https://hl7.org/fhir/R4/http.html#search).
func (*Server) form(r *request) error {
	if name, _ := media.Parse(r.header.Get("Content-Type")); name != formType {
		return nil
	}
	values, err := url.ParseQuery(string(r.body))
	if err != nil || values.Get("_format") == "" && values.Get("_pretty") == "" {
		return nil // the search says what is wrong with the form
	}
	if values.Get("_format") == "" {
		r.Pretty = values.Get("_pretty") == "true"
		return nil
	}
	r.Wanted, err = media.Negotiate(values, nil)
	return err
}
