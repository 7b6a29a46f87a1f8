package server

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"galen/fhir"
	"galen/fhir/binary"
	"galen/fhir/etag"
	"galen/fhir/rest"
	"galen/fhir/rest/bundle"
	"galen/fhir/view"
	"galen/server/header"
	"galen/server/media"
	"galen/store"
)

func (r *request) key() fhir.Key { return fhir.Key{Type: r.param("type"), ID: r.param("id")} }

// read answers GET [type]/[id] and [type]/[id]/_history/[version], conditional
// reads included (https://hl7.org/fhir/R4/http.html#read, #vread, #cread). The
// answer for a deleted resource has the version of its deletion. _summary and
// _elements leave out parts (https://hl7.org/fhir/R4/search.html#summary).
func (s *Server) read(ctx context.Context, r *request) (response, error) {
	part, err := view.Parse(r.query)
	if err != nil {
		return response{}, err
	}
	var rec store.Record
	if version := r.param("version"); version != "" {
		rec, err = s.REST.VRead(ctx, r.Caller, r.key(), version)
	} else {
		rec, err = s.REST.Read(ctx, r.Caller, r.key())
	}
	if err != nil {
		return response{header: versionHeader(rec.Header)}, err
	}
	header := versionHeader(rec.Header)
	if etag.Unchanged(strings.Join(r.header.Values("If-None-Match"), ","), r.header.Get("If-Modified-Since"), rec.Header) {
		return response{status: http.StatusNotModified, header: header}, nil
	}
	if r.native {
		return native(header, rec.Body)
	}
	body, err := view.Apply(s.REST.Defs, part, rec.Body)
	return response{header: header, body: body}, err
}

// versionHeader is empty for the zero Header.
func versionHeader(h fhir.Header) http.Header {
	if h.Version == 0 {
		return http.Header{}
	}
	return http.Header{
		"Etag":          {h.ETag()},
		"Last-Modified": {h.LastUpdated.UTC().Format(http.TimeFormat)},
	}
}

// resource is the FHIR JSON of a request's body.
func (r *request) resource() ([]byte, error) {
	if r.param("type") == binary.Type {
		return r.binary()
	}
	_, err := media.Content(r.header.Get("Content-Type"))
	return r.body, err
}

func (s *Server) create(ctx context.Context, r *request) (response, error) {
	body, err := r.resource()
	if err != nil {
		return response{}, err
	}
	out, err := s.REST.Create(ctx, r.Caller, r.param("type"), body, r.ifNoneExist())
	if err != nil {
		return response{}, err
	}
	return r.written(out), nil
}

// ifNoneExist is the criteria of a conditional create. A header without criteria
// is not the same as none: it is refused further down.
func (r *request) ifNoneExist() string {
	values := r.header.Values("If-None-Exist")
	if len(values) > 0 && strings.TrimSpace(strings.Join(values, "")) == "" {
		return "?"
	}
	return strings.Join(values, "&")
}

func (s *Server) update(ctx context.Context, r *request) (response, error) {
	body, err := r.resource()
	if err != nil {
		return response{}, err
	}
	var out rest.Outcome
	switch {
	case r.param("id") == "" && r.header.Get("If-None-Match") != "":
		err = fhir.E("server.update", fhir.NotSupported, "If-None-Match", "a conditional update creates or updates; for creating only, POST with If-None-Exist")
	case r.param("id") == "":
		out, err = s.REST.UpdateWhere(ctx, r.Caller, r.param("type"), r.criteria(), body, r.header.Get("If-Match"))
	case etag.Absent(r.header.Get("If-None-Match")):
		out, err = s.REST.UpdateAbsent(ctx, r.Caller, r.key(), body)
	default:
		out, err = s.REST.Update(ctx, r.Caller, r.key(), body, r.header.Get("If-Match"))
	}
	if err != nil {
		return response{}, err
	}
	return r.written(out), nil
}

// criteria is the query of a conditional interaction without what is for the
// server itself.
func (r *request) criteria() string {
	parts := strings.Split(r.query, "&")
	parts = slices.DeleteFunc(parts, func(p string) bool {
		name, _, _ := strings.Cut(p, "=")
		return name == "_format" || name == "_pretty"
	})
	return strings.Join(parts, "&")
}

// patch answers PATCH (https://hl7.org/fhir/R4/http.html#patch).
func (s *Server) patch(ctx context.Context, r *request) (response, error) {
	name, params := media.Parse(r.header.Get("Content-Type"))
	if !media.ForR4(params) {
		name = ""
	}
	p, err := s.REST.Patches.Read(name, r.body)
	if err != nil {
		return response{header: http.Header{"Accept-Patch": {strings.Join(s.REST.Patches.MediaTypes(), ", ")}}}, err
	}
	var out rest.Outcome
	if r.param("id") == "" {
		out, err = s.REST.PatchWhere(ctx, r.Caller, r.param("type"), r.criteria(), p, r.header.Get("If-Match"))
	} else {
		out, err = s.REST.Patch(ctx, r.Caller, r.key(), p, r.header.Get("If-Match"))
	}
	if err != nil {
		return response{}, err
	}
	return r.written(out), nil
}

// delete answers DELETE, conditional or not, the same whether there was
// something to delete or not.
func (s *Server) delete(ctx context.Context, r *request) (response, error) {
	var out rest.Outcome
	var err error
	if r.param("id") == "" {
		var all []rest.Outcome
		if all, err = s.REST.DeleteWhere(ctx, r.Caller, r.param("type"), r.criteria(), r.header.Get("If-Match")); len(all) == 1 {
			out = all[0]
		}
	} else {
		out, err = s.REST.Delete(ctx, r.Caller, r.key(), r.header.Get("If-Match"))
	}
	if err != nil {
		return response{}, err
	}
	res := response{status: http.StatusNoContent, header: versionHeader(out.Header)}
	if header.Prefer(r.header, "return") == "OperationOutcome" {
		res.status, res.body = http.StatusOK, information("deleted")
	}
	return res, nil
}

// written answers a create, update or patch as Prefer asks
// (https://hl7.org/fhir/R4/http.html#ops).
func (r *request) written(out rest.Outcome) response {
	res := response{status: http.StatusOK, header: versionHeader(out.Header)}
	done := "stored"
	switch {
	case out.Created:
		res.status, done = http.StatusCreated, "created"
	case out.Matched:
		done = "there already"
	}
	res.header.Set("Location", r.fhirBase()+"/"+fhir.VersionedReference(out.Key, out.Version))
	switch header.Prefer(r.header, "return") {
	case "minimal":
	case "OperationOutcome":
		res.body = information(done)
	default:
		res.body = out.Body
	}
	return res
}

// information is an OperationOutcome of a success
// (https://hl7.org/fhir/R4/valueset-issue-type.html#informational).
func information(text string) []byte {
	return []byte(`{"resourceType":"OperationOutcome","issue":[{"severity":"information","code":"informational","diagnostics":"` + text + `"}]}`)
}

const formType = "application/x-www-form-urlencoded"

// search answers for the system, a type or a compartment ("*" is all types of it),
// and merges the URL's query with a form body
// (https://hl7.org/fhir/R4/http.html#search).
func (s *Server) search(ctx context.Context, r *request) (response, error) {
	in := rest.SearchIn{Type: r.param("type"), Query: r.query, Strict: header.Prefer(r.header, "handling") == "strict"}
	if inner := r.param("inner"); inner != "" {
		in.Type, in.Compartment = inner, r.key()
	}
	if in.Type == "*" {
		in.Type = ""
	}
	if r.method == http.MethodPost {
		if name, _ := media.Parse(r.header.Get("Content-Type")); name != formType && len(r.body) > 0 {
			return response{}, fhir.E("server.search", fhir.MediaUnknown, "Content-Type", "_search takes "+formType)
		}
		in.Query = strings.Trim(in.Query+"&"+string(r.body), "&")
	}
	body, err := s.REST.Search(ctx, r.Caller, in)
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
	if _, err := media.Content(r.header.Get("Content-Type")); err != nil {
		return response{}, err
	}
	body, err := bundle.Perform(ctx, s.REST, r.Caller, bundle.In{
		Body: r.body, Return: header.Prefer(r.header, "return"), Strict: header.Prefer(r.header, "handling") == "strict", Operations: s.ops,
	})
	return response{body: body}, err
}
