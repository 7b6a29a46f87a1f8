package server

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"galen/fhir"
	"galen/fhir/r4"
	"galen/fhir/rest"
	"galen/fhir/rest/bundle"
	"galen/store"
)

func (s *Server) capabilities(_ context.Context, r *request) (response, error) {
	return response{body: s.REST.Capabilities(r.fhirBase())}, nil
}

func (r *request) key() fhir.Key { return fhir.Key{Type: r.param("type"), ID: r.param("id")} }

// read answers GET [type]/[id], conditional reads included
// (https://hl7.org/fhir/R4/http.html#read, #cread).
func (s *Server) read(ctx context.Context, r *request) (response, error) {
	rec, err := s.REST.Read(ctx, r.Caller, r.key())
	if err != nil {
		return response{}, err
	}
	if unchanged(r.header, rec.Header) {
		return response{status: http.StatusNotModified, header: versionHeader(rec.Header)}, nil
	}
	return recordResponse(rec), nil
}

func (s *Server) vread(ctx context.Context, r *request) (response, error) {
	rec, err := s.REST.VRead(ctx, r.Caller, r.key(), r.param("version"))
	if err != nil {
		return response{}, err
	}
	return recordResponse(rec), nil
}

func recordResponse(rec store.Record) response {
	return response{header: versionHeader(rec.Header), body: rec.Body}
}

func versionHeader(h fhir.Header) http.Header {
	return http.Header{
		"Etag":          {h.ETag()},
		"Last-Modified": {h.LastUpdated.UTC().Format(http.TimeFormat)},
	}
}

// unchanged evaluates If-None-Match, and without it If-Modified-Since
// (RFC 9110, section 13.2.2).
func unchanged(header http.Header, h fhir.Header) bool {
	if tags := header.Get("If-None-Match"); tags != "" {
		for tag := range strings.SplitSeq(tags, ",") {
			tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
			if tag == "*" || "W/"+tag == h.ETag() {
				return true
			}
		}
		return false
	}
	since, err := http.ParseTime(header.Get("If-Modified-Since"))
	return err == nil && !h.LastUpdated.Truncate(time.Second).After(since)
}

func (s *Server) create(ctx context.Context, r *request) (response, error) {
	if _, err := contentFormat(r.header.Get("Content-Type")); err != nil {
		return response{}, err
	}
	out, err := s.REST.Create(ctx, r.Caller, r.param("type"), r.body, r.header.Get("If-None-Exist"))
	if err != nil {
		return response{}, err
	}
	return r.written(out), nil
}

func (s *Server) update(ctx context.Context, r *request) (response, error) {
	if _, err := contentFormat(r.header.Get("Content-Type")); err != nil {
		return response{}, err
	}
	out, err := s.REST.Update(ctx, r.Caller, r.key(), r.body, r.header.Get("If-Match"))
	if err != nil {
		return response{}, err
	}
	return r.written(out), nil
}

func (s *Server) delete(ctx context.Context, r *request) (response, error) {
	out, err := s.REST.Delete(ctx, r.Caller, r.key(), r.header.Get("If-Match"))
	if err != nil {
		return response{}, err
	}
	res := response{status: http.StatusNoContent}
	if out.Version != 0 {
		res.header = http.Header{"Etag": {out.ETag()}}
	}
	return res, nil
}

// written answers a create or update as Prefer asks
// (https://hl7.org/fhir/R4/http.html#ops).
func (r *request) written(out rest.Outcome) response {
	res := response{status: http.StatusOK, header: versionHeader(out.Record.Header)}
	if out.Created {
		res.status = http.StatusCreated
	}
	res.header.Set("Location", r.fhirBase()+"/"+fhir.VersionedReference(out.Record.Key, out.Record.Version))
	switch prefer(r.header, "return") {
	case "minimal":
	case "OperationOutcome":
		res.body = r4.OperationOutcome(fhir.Issues{{Severity: fhir.Information, Kind: fhir.Invalid, Diagnostics: "stored"}})
	default:
		res.body = out.Record.Body
	}
	return res
}

// prefer reads one preference of RFC 7240, "" if it is not given.
func prefer(h http.Header, name string) string {
	for _, line := range h.Values("Prefer") {
		for part := range strings.FieldsFuncSeq(line, func(c rune) bool { return c == ',' || c == ';' }) {
			key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			if strings.EqualFold(strings.TrimSpace(key), name) {
				return strings.Trim(strings.TrimSpace(value), `"`)
			}
		}
	}
	return ""
}

func (s *Server) searchType(ctx context.Context, r *request) (response, error) {
	return s.search(ctx, r, r.param("type"))
}

func (s *Server) searchSystem(ctx context.Context, r *request) (response, error) {
	return s.search(ctx, r, "")
}

const formType = "application/x-www-form-urlencoded"

// search merges the URL's query with a form body
// (https://hl7.org/fhir/R4/http.html#search).
func (s *Server) search(ctx context.Context, r *request, resourceType string) (response, error) {
	query := r.query
	if r.method == http.MethodPost {
		if name, _ := mediaType(r.header.Get("Content-Type")); name != formType && len(r.body) > 0 {
			return response{}, fhir.E("server.search", fhir.MediaUnknown, "Content-Type", "_search takes "+formType)
		}
		query = strings.Trim(query+"&"+string(r.body), "&")
	}
	body, err := s.REST.Search(ctx, r.Caller, rest.SearchIn{
		Type: resourceType, Query: query, Strict: prefer(r.header, "handling") == "strict",
	})
	return response{body: body}, err
}

func (s *Server) history(ctx context.Context, r *request) (response, error) {
	query, err := url.ParseQuery(r.query)
	if err != nil {
		return response{}, fhir.E("server.history", fhir.Malformed, "", "the query is not URL-encoded")
	}
	body, err := s.REST.History(ctx, r.Caller, rest.HistoryIn{Type: r.param("type"), ID: r.param("id"), Query: query})
	return response{body: body}, err
}

func (s *Server) bundle(ctx context.Context, r *request) (response, error) {
	if _, err := contentFormat(r.header.Get("Content-Type")); err != nil {
		return response{}, err
	}
	body, err := bundle.Perform(ctx, s.REST, r.Caller, bundle.In{Body: r.body, Return: prefer(r.header, "return")})
	return response{body: body}, err
}
