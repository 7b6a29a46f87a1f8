package graphql

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/rest"
	"galen/fhir/search"
	"galen/fhir/search/parse"
	"galen/store"
)

// text is an argument's value as a URL writes it.
func text(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case json.Number:
		return v.String(), true
	}
	return "", false
}

// queried answers the fields that read and search: Patient(id:), PatientList
// and PatientConnection. It reports false for any other field.
func (r *run) queried(out *object, f *field, s scope) (bool, error) {
	name, list := strings.CutSuffix(f.Name, "List")
	if !list {
		name, list = strings.CutSuffix(f.Name, "Connection")
	}
	if !r.rest.Defs.IsResource(name) { // List is a resource type itself
		name, list = f.Name, false
	}
	if !r.rest.Defs.IsResource(name) || !list && s.typ != nil {
		return false, nil
	}
	if len(f.set) == 0 {
		return true, r.fail(fhir.Invalid, f.Field, "a resource needs a selection of fields")
	}
	if !list {
		return true, r.one(out, f, name)
	}
	result, err := r.search(f, name, s)
	if err != nil {
		out.set(f.Alias, nil)
		return true, r.missing(err)
	}
	var resources []*resource
	for _, rec := range result.Matches {
		res, err := r.keep(rec)
		if err != nil {
			return true, err
		}
		resources = append(resources, res)
	}
	if strings.HasSuffix(f.Name, "List") {
		values, err := r.objects(f, resources)
		out.set(f.Alias, values)
		return true, err
	}
	connection, err := r.connection(f, result, resources)
	out.set(f.Alias, connection)
	return true, err
}

// one answers Patient(id: "1").
func (r *run) one(out *object, f *field, name string) error {
	id, err := r.argument(f.Arguments, "id")
	if err != nil {
		return err
	}
	if id == "" || len(f.Arguments) > 1 {
		return r.fail(fhir.Required, f.Field, "the argument id is needed, and no other")
	}
	out.set(f.Alias, nil)
	res, err := r.resource(fhir.Key{Type: name, ID: id})
	if err != nil {
		return r.missing(err)
	}
	value, err := r.object(f.set, res.scope())
	out.set(f.Alias, value)
	return err
}

func (r *run) objects(f *field, resources []*resource) ([]any, error) {
	values := make([]any, 0, len(resources))
	for _, res := range resources {
		value, err := r.object(f.set, res.scope())
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, nil
}

// search performs the search that the arguments are: a parameter's dashes are
// underscores, a list of values is alternatives, _reference is the parameter
// that leads back to the resource around the field
// (https://hl7.org/fhir/R4/graphql.html#searching).
func (r *run) search(f *field, name string, s scope) (store.SearchResult, error) {
	values := url.Values{}
	in := rest.QueryIn{Count: r.rest.Limits.Page, Total: search.TotalNone}
	back := false
	for _, a := range f.Arguments {
		texts, err := r.texts(a)
		if err != nil {
			return store.SearchResult{}, err
		}
		switch a.Name {
		case "_cursor":
			in.After = texts[0]
		case "_reference":
			if s.in == nil {
				return store.SearchResult{}, r.fail(fhir.Invalid, f.Field, "_reference is for a search inside a resource")
			}
			back = true
			values.Add(r.param(name, texts[0]), s.in.key.String())
		default:
			values.Add(r.param(name, a.Name), strings.Join(texts, ","))
		}
	}
	if s.in != nil && !back {
		return store.SearchResult{}, r.fail(fhir.Required, f.Field, "a search inside a resource needs the argument _reference")
	}
	req, err := r.rest.Parser.Parse(name, values.Encode(), parse.Strict)
	if err != nil {
		return store.SearchResult{}, err
	}
	if len(req.Include)+len(req.RevInclude) > 0 {
		return store.SearchResult{}, r.fail(fhir.NotSupported, f.Field, "a field resource follows references, not _include")
	}
	if in.Query = req.Query; req.HasCount {
		in.Count = min(req.Count, r.rest.Limits.MaxPage)
	}
	if strings.HasSuffix(f.Name, "Connection") {
		in.Total = search.TotalAccurate
	}
	if r.resources += in.Count; r.resources > maxResources {
		return store.SearchResult{}, r.fail(fhir.TooCostly, f.Field, "the query reads more resources than allowed")
	}
	result, err := r.rest.Query(r.ctx, r.caller, in)
	r.resources -= in.Count - len(result.Matches)
	return result, err
}

// param is the search parameter that an argument names.
func (r *run) param(resourceType, name string) string {
	dashed := strings.TrimLeft(name, "_")
	dashed = name[:len(name)-len(dashed)] + strings.ReplaceAll(dashed, "_", "-")
	if _, ok := r.rest.Defs.Param(resourceType, dashed); ok {
		return dashed
	}
	return name
}

// connection answers PatientConnection: a page with its total and the cursor of
// the next. R4's first, previous, last and offset are null, as a page's place is
// not known here.
func (r *run) connection(f *field, result store.SearchResult, resources []*resource) (*object, error) {
	fields, err := r.collect(f.set, nil, nil, map[string]bool{})
	if err != nil {
		return nil, err
	}
	out := &object{}
	for i := range fields {
		edge := &fields[i]
		switch edge.Name {
		case "count":
			out.set(edge.Alias, strconv.AppendInt(nil, int64(result.Total), 10))
		case "pagesize":
			out.set(edge.Alias, strconv.AppendInt(nil, int64(len(resources)), 10))
		case "next":
			out.set(edge.Alias, nil)
			if result.Next != "" {
				out.set(edge.Alias, jsontree.AppendString(nil, result.Next))
			}
		case "first", "previous", "last", "offset":
			out.set(edge.Alias, nil)
		case "edges":
			edges, err := r.edges(edge, resources)
			if err != nil {
				return nil, err
			}
			out.set(edge.Alias, edges)
		default:
			return nil, r.fail(fhir.Invalid, edge.Field, "a Connection has no such field")
		}
	}
	return out, nil
}

func (r *run) edges(f *field, resources []*resource) ([]any, error) {
	fields, err := r.collect(f.set, nil, nil, map[string]bool{})
	if err != nil {
		return nil, err
	}
	list := make([]any, 0, len(resources))
	for _, res := range resources {
		edge := &object{}
		for i := range fields {
			switch part := &fields[i]; part.Name {
			case "mode":
				edge.set(part.Alias, []byte(`"match"`))
			case "score":
				edge.set(part.Alias, nil)
			case "resource":
				value, err := r.object(part.set, res.scope())
				if err != nil {
					return nil, err
				}
				edge.set(part.Alias, value)
			default:
				return nil, r.fail(fhir.Invalid, part.Field, "an edge has no such field")
			}
		}
		list = append(list, edge)
	}
	return list, nil
}

// follow answers resource(optional:, type:) of a Reference.
func (r *run) follow(out *object, f *field, s scope) error {
	out.set(f.Alias, nil)
	optional, err := r.argument(f.Arguments, "optional")
	if err != nil {
		return err
	}
	only, err := r.argument(f.Arguments, "type")
	if err != nil {
		return err
	}
	if len(f.set) == 0 {
		return r.fail(fhir.Invalid, f.Field, "a resource needs a selection of fields")
	}
	target, err := r.target(s)
	if err != nil {
		if _, ok := gone[fhir.KindOf(err)]; ok && optional == "true" {
			return nil
		}
		return r.missing(err)
	}
	if target.typ == nil || only != "" && target.typ.Name != only {
		return nil
	}
	value, err := r.object(f.set, target)
	out.set(f.Alias, value)
	return err
}

// target is the resource that a Reference leads to: a contained one, or one of
// this server.
func (r *run) target(s scope) (scope, error) {
	text := s.node.Get("reference").Text()
	if id, contained := strings.CutPrefix(text, "#"); contained {
		for n := range s.in.root.Get("contained").Items() {
			if n.Get("id").Text() == id {
				t, _ := r.rest.Defs.Type(n.Get("resourceType").Text())
				return scope{n, t, s.in}, nil
			}
		}
		return scope{}, r.fail(fhir.NotFound, nil, "the contained resource is not there")
	}
	ref := fhir.ParseReference(text)
	if ref.Key.ID == "" || !ref.Local(r.caller.Base+"/") {
		return scope{}, r.fail(fhir.NotFound, nil, "the reference leads to no resource of this server")
	}
	res, err := r.resource(ref.Key)
	if err != nil {
		return scope{}, err
	}
	return res.scope(), nil
}
