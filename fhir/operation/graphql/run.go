package graphql

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/rest"
	"galen/fhir/spec"
	"galen/store"
)

// run is one query under way.
type run struct {
	*Engine
	ctx       context.Context
	caller    rest.Caller
	fragments ast.FragmentDefinitionList
	variables map[string]any
	read      map[fhir.Key]*resource // each resource is read once
	path      []string               // of the field being answered
	fields    int
	resources int
	problems  []problem
}

// resource is one that was read.
type resource struct {
	key  fhir.Key
	root jsontree.Node
	typ  *spec.Type
}

// scope is a value whose fields are asked for. The zero scope is the system.
type scope struct {
	node jsontree.Node
	typ  *spec.Type
	in   *resource
}

func (r *resource) scope() scope { return scope{r.root, r.typ, r} }

func (r *run) fail(kind fhir.Kind, f *ast.Field, message string) error {
	at := strings.Join(r.path, ".")
	if f != nil && f.Position != nil {
		message = fmt.Sprintf("%s (line %d, column %d)", message, f.Position.Line, f.Position.Column)
	}
	return fhir.E(op, kind, at, message)
}

// field is a field with all selections that the query makes on it.
type field struct {
	*ast.Field
	set ast.SelectionSet
}

// collect lists the fields that a selection asks of a type, fragments resolved
// and fields of one key merged (https://spec.graphql.org/October2021/#CollectFields()).
func (r *run) collect(set ast.SelectionSet, t *spec.Type, into []field, visited map[string]bool) ([]field, error) {
	for _, s := range set {
		var err error
		switch s := s.(type) {
		case *ast.Field:
			into, err = r.merge(s, into)
		case *ast.InlineFragment:
			into, err = r.fragment(s.TypeCondition, s.Directives, s.SelectionSet, t, into, visited)
		case *ast.FragmentSpread:
			if visited[s.Name] {
				continue
			}
			visited[s.Name] = true
			f := r.fragments.ForName(s.Name)
			if f == nil {
				return nil, r.fail(fhir.Invalid, nil, "a fragment that the query does not define")
			}
			if skip, err := r.skipped(s.Directives); err != nil || skip {
				if err != nil {
					return nil, err
				}
				continue
			}
			into, err = r.fragment(f.TypeCondition, nil, f.SelectionSet, t, into, visited)
		}
		if err != nil {
			return nil, err
		}
	}
	return into, nil
}

func (r *run) merge(f *ast.Field, into []field) ([]field, error) {
	if skip, err := r.skipped(f.Directives); err != nil || skip {
		return into, err
	}
	for i := range into {
		if into[i].Alias != f.Alias {
			continue
		}
		if into[i].Name != f.Name {
			return nil, r.fail(fhir.Invalid, f, "two fields under one name")
		}
		into[i].set = slices.Concat(into[i].set, f.SelectionSet)
		return into, nil
	}
	return append(into, field{f, f.SelectionSet}), nil
}

func (r *run) fragment(on string, directives ast.DirectiveList, set ast.SelectionSet, t *spec.Type, into []field, visited map[string]bool) ([]field, error) {
	skip, err := r.skipped(directives)
	if err != nil || skip || on != "" && (t == nil || !r.rest.Defs.IsA(t.Name, on)) {
		return into, err
	}
	return r.collect(set, t, into, visited)
}

// skipped evaluates @skip and @include.
func (r *run) skipped(list ast.DirectiveList) (bool, error) {
	for _, d := range list {
		if d.Name != "skip" && d.Name != "include" {
			continue
		}
		a := d.Arguments.ForName("if")
		if a == nil {
			return false, r.fail(fhir.Required, nil, "@"+d.Name+" needs the argument if")
		}
		value, err := a.Value.Value(r.variables)
		yes, ok := value.(bool)
		if err != nil || !ok {
			return false, r.fail(fhir.Value, nil, "the argument if is true or false")
		}
		if yes == (d.Name == "skip") {
			return true, nil
		}
	}
	return false, nil
}

// object answers a selection on a value.
func (r *run) object(set ast.SelectionSet, s scope) (*object, error) {
	if len(r.path) > maxDepth {
		return nil, r.fail(fhir.TooCostly, nil, "the query nests deeper than allowed")
	}
	if err := r.ctx.Err(); err != nil {
		return nil, &fhir.Error{Op: op, Kind: fhir.Timeout, Err: err}
	}
	fields, err := r.collect(set, s.typ, nil, map[string]bool{})
	if err != nil {
		return nil, err
	}
	out := &object{}
	for i := range fields {
		if r.fields++; r.fields > maxFields {
			return nil, r.fail(fhir.TooCostly, nil, "the answer would be larger than allowed")
		}
		r.path = append(r.path, fields[i].Alias)
		if err := r.field(out, &fields[i], s); err != nil {
			return nil, err
		}
		r.path = r.path[:len(r.path)-1]
	}
	return out, nil
}

// field answers one field into the object.
func (r *run) field(out *object, f *field, s scope) error {
	isResource := s.typ != nil && s.typ.Kind == spec.ResourceKind
	switch {
	case f.Name == "__typename":
		name := "Query"
		if s.typ != nil {
			name = s.typ.Name
		}
		out.set(f.Alias, jsontree.AppendString(nil, name))
		return nil
	case f.Name == "resourceType" && isResource:
		out.set(f.Alias, jsontree.AppendString(nil, s.typ.Name))
		return nil
	case f.Name == "resource" && s.typ != nil && s.typ.Name == "Reference":
		return r.follow(out, f, s)
	case s.typ == nil || isResource:
		if done, err := r.queried(out, f, s); done || err != nil {
			return err
		}
	}
	if s.typ == nil {
		return r.fail(fhir.Invalid, f.Field, "there is no such field: it is a resource type, or one with List or Connection")
	}
	return r.element(out, f, s)
}

// resource reads a resource, once in a query.
func (r *run) resource(key fhir.Key) (*resource, error) {
	if known, ok := r.read[key]; ok {
		return known, nil
	}
	if r.resources++; r.resources > maxResources {
		return nil, r.fail(fhir.TooCostly, nil, "the query reads more resources than allowed")
	}
	rec, err := r.rest.Read(r.ctx, r.caller, key)
	if err != nil {
		return nil, err
	}
	return r.keep(rec)
}

func (r *run) keep(rec store.Record) (*resource, error) {
	doc, err := jsontree.Parse(rec.Body, jsontree.Limits{})
	if err != nil {
		return nil, &fhir.Error{Op: op, Err: err}
	}
	t, _ := r.rest.Defs.Type(rec.Type)
	res := &resource{rec.Key, doc.Root(), t}
	r.read[rec.Key] = res
	return res, nil
}

// gone are the kinds of error about one resource, with what errors says: what is
// hidden and what never was read alike.
var gone = map[fhir.Kind]string{
	fhir.NotFound:  "there is no such resource",
	fhir.Deleted:   "the resource was deleted",
	fhir.Forbidden: "the policies do not permit this",
}

// missing turns an error about one resource into null and an entry of errors;
// any other ends the query.
func (r *run) missing(err error) error {
	message, ok := gone[fhir.KindOf(err)]
	if err == nil || !ok {
		return err
	}
	r.problems = append(r.problems, problem{message, slices.Clone(r.path)})
	return nil
}
