package export

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/operation"
	"galen/fhir/rest"
	"galen/fhir/search/parse"
	"galen/policies"
)

// auditType is not exported: the audit has an export of its own.
const auditType = "AuditEvent"

// order is what a job is to do.
type order struct {
	Principal policies.Principal
	Base      string // absolute FHIR base
	Request   string // absolute URL of the kick-off
	RequestID string
	Address   string
	Patients  bool // only what is about a patient
	Sources   []source
}

// source is one search whose matches are exported.
type source struct {
	Type        string   `json:",omitempty"` // "" with a compartment: those of Query
	Compartment fhir.Key `json:",omitzero"`
	Query       string   `json:",omitempty"` // raw
	Overlaps    bool     `json:",omitempty"` // with another source of the type
}

// order reads the parameters and decides what there is to search.
func (s *Service) order(ctx context.Context, r operation.Request, arguments map[string][]string) (order, error) {
	const op = "export.start"
	o := order{Principal: r.Principal, Base: r.Base, Request: requested(r), RequestID: r.RequestID, Address: r.Address, Patients: r.Type == "Patient"}
	if format := arguments["_outputFormat"]; len(format) > 0 && !slices.Contains(outputFormats, strings.ReplaceAll(format[0], " ", "+")) {
		return o, fhir.E(op, fhir.NotSupported, "_outputFormat", "only NDJSON is written: application/fhir+ndjson")
	}
	query := ""
	if since := arguments["_since"]; len(since) > 0 {
		query = "_lastUpdated=gt" + url.QueryEscape(strings.ReplaceAll(since[0], " ", "+"))
	}
	types, err := s.types(ctx, r, words(arguments["_type"]))
	if err != nil {
		return o, err
	}
	filters, err := typeFilters(arguments["_typeFilter"], types)
	if err != nil {
		return o, err
	}
	centers := []fhir.Key{{}}
	if r.ID != "" {
		if centers, err = s.members(ctx, r); err != nil {
			return o, err
		}
	}
	for _, t := range types {
		queries := filters[t]
		if len(queries) == 0 {
			queries = []string{""}
		}
		for _, q := range queries {
			full := strings.Trim(q+"&"+query, "&")
			if _, err := s.REST.Parser.Parse(t, full, parse.Strict); err != nil {
				return o, err
			}
			for _, c := range centers {
				o.Sources = append(o.Sources, source{Type: t, Compartment: c, Query: full, Overlaps: len(queries)*len(centers) > 1})
			}
		}
	}
	return o, nil
}

// requested is the URL of the kick-off.
func requested(r operation.Request) string {
	u := r.Base
	for _, part := range []string{r.Type, r.ID, "$export"} {
		if part != "" {
			u += "/" + part
		}
	}
	if r.Query != "" {
		u += "?" + r.Query
	}
	return u
}

// types are those to export: what the caller asks for and may search, or all
// that he may.
func (s *Service) types(ctx context.Context, r operation.Request, asked []string) ([]string, error) {
	const op = "export.start"
	possible := s.REST.Defs.ResourceTypes()
	if r.Type != "" {
		c, _ := s.REST.Defs.Compartment("Patient")
		possible = append(c.ResourceTypes(), r.Type)
	}
	for _, t := range asked {
		if !s.REST.Defs.IsResource(t) {
			return nil, fhir.E(op, fhir.Value, "_type", "no such resource type in R4")
		}
	}
	var out []string
	for _, t := range possible {
		if t == auditType || len(asked) > 0 && !slices.Contains(asked, t) || slices.Contains(out, t) {
			continue
		}
		d := s.REST.Policies.Decide(ctx, r.Principal, policies.Request{Action: policies.Search, Type: t})
		switch {
		case d.Allow:
			out = append(out, t)
		case len(asked) > 0:
			return nil, d.Refusal(op)
		}
	}
	if len(out) == 0 {
		return nil, fhir.E(op, fhir.Forbidden, "", "the policies do not permit this")
	}
	return out, nil
}

// typeFilters are the searches of _typeFilter, "Type?query", by type.
func typeFilters(values, types []string) (map[string][]string, error) {
	out := map[string][]string{}
	for _, v := range values {
		t, query, ok := strings.Cut(v, "?")
		if !ok || !slices.Contains(types, t) {
			return nil, fhir.E("export.start", fhir.Value, "_typeFilter", "Type?query is needed, of a type that is exported")
		}
		out[t] = append(out[t], query)
	}
	return out, nil
}

// members are the patients of a group.
func (s *Service) members(ctx context.Context, r operation.Request) ([]fhir.Key, error) {
	c := r.Caller
	rec, err := s.REST.Read(ctx, c, fhir.Key{Type: r.Type, ID: r.ID})
	if err != nil {
		return nil, err
	}
	doc, err := jsontree.Parse(rec.Body, jsontree.Limits{})
	if err != nil {
		return nil, &fhir.Error{Op: "export.start", Err: err}
	}
	var out []fhir.Key
	for m := range doc.Root().Get("member").Items() {
		ref := fhir.ParseReference(m.Get("entity").Get("reference").Text())
		if ref.Key.Type == "Patient" && ref.Key.ID != "" && m.Get("inactive").Text() != "true" && !slices.Contains(out, ref.Key) {
			out = append(out, ref.Key)
		}
	}
	return out, nil
}

// caller is who searches in the job.
func (o order) caller() rest.Caller {
	return rest.Caller{Principal: o.Principal, RequestID: o.RequestID, Address: o.Address, Base: o.Base, Operation: "$export"}
}
