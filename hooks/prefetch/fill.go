package prefetch

import (
	"context"
	"errors"

	"galen/fhir"
	"galen/fhir/jsontree"
)

// Item is one resource and how it is cited: a versioned reference, relative to
// this server or absolute.
type Item struct {
	Resource fhir.Resource
	Citation string
}

// Source answers the queries of absent keys: the local store, or the FHIR
// server of the client. A resource that does not exist is no item and no error.
// Errors are *fhir.Error.
type Source interface {
	Fetch(ctx context.Context, query string) ([]Item, error)
}

// State is how a key was satisfied.
type State uint8

// The states of a key.
const (
	Given   State = iota + 1 // by the client
	NoData                   // null: the client has nothing
	Outcome                  // an OperationOutcome: the client could not get it
	Fetched                  // from the Source
	Failed                   // absent, and no Source had it
)

// Data is what one key holds.
type Data struct {
	Template
	State State
	Items []Item
}

// Filler reads the prefetch of a call.
type Filler struct {
	// Server is the call's fhirServer with a slash at its end, for citations; ""
	// if none was given.
	Server string
	// Source answers absent keys; nil if there is none.
	Source Source
}

// Fill reads every template's key out of the call's prefetch object (or an
// absent node). The error is of Kind Precondition and names the key when a
// required one cannot be had, of Kind Invalid or the like when one is not FHIR.
func (f Filler) Fill(ctx context.Context, templates []Template, callContext, prefetch jsontree.Node) ([]Data, error) {
	out := make([]Data, len(templates))
	for i, t := range templates {
		d, err := f.one(ctx, t, callContext, prefetch.Get(t.Key))
		if err != nil {
			return nil, err
		}
		if t.Required && (d.State == Failed || d.State == Outcome) {
			return nil, fhir.E("prefetch.Fill", fhir.Precondition, "prefetch."+t.Key, "prefetch "+t.Key+" is needed and was neither sent nor to be had")
		}
		out[i] = d
	}
	return out, nil
}

func (f Filler) one(ctx context.Context, t Template, callContext, value jsontree.Node) (Data, error) {
	d := Data{Template: t}
	switch value.Kind() {
	case jsontree.Absent:
		return f.fetch(ctx, d, callContext)
	case jsontree.Null:
		d.State = NoData
		return d, nil
	}
	resource, err := parse(value, "prefetch."+t.Key)
	if err != nil {
		return d, err
	}
	switch resource.Type {
	case "OperationOutcome":
		d.State = Outcome
		return d, nil
	case "Bundle":
		d.State = Given
		d.Items, err = f.entries(resource, "prefetch."+t.Key)
		return d, err
	}
	d.State, d.Items = Given, []Item{f.item(resource)}
	return d, nil
}

func (f Filler) fetch(ctx context.Context, d Data, callContext jsontree.Node) (Data, error) {
	d.State = Failed
	if f.Source == nil {
		return d, nil
	}
	query, err := d.Resolve(callContext)
	if err != nil {
		return d, err
	}
	items, err := f.Source.Fetch(ctx, query)
	switch kind := fhir.KindOf(err); {
	case err == nil:
		d.State, d.Items = Fetched, items
	case kind == fhir.NotFound || kind == fhir.Deleted || kind == fhir.Forbidden:
		// as if there were none: hidden looks absent
	default:
		return d, err
	}
	return d, nil
}

// entries are the resources of a searchset, its outcomes left out.
func (f Filler) entries(bundle fhir.Resource, at string) ([]Item, error) {
	var items []Item
	for entry := range bundle.Root().Get("entry").Items() {
		node := entry.Get("resource")
		if !node.Exists() || entry.Get("search").Get("mode").Text() == "outcome" {
			continue
		}
		r, err := parse(node, at+".entry.resource")
		if err != nil {
			return nil, err
		}
		if r.Type != "OperationOutcome" {
			items = append(items, f.item(r))
		}
	}
	return items, nil
}

func parse(node jsontree.Node, at string) (fhir.Resource, error) {
	r, err := fhir.Parse(node.Raw(), jsontree.Limits{})
	var e *fhir.Error
	if errors.As(err, &e) {
		return r, &fhir.Error{Op: "prefetch.Fill", Kind: e.Kind, At: at, Err: e.Err}
	}
	return r, err
}

// item cites a resource that the client sent: on its server, if it named one.
func (f Filler) item(r fhir.Resource) Item {
	if r.ID == "" {
		return Item{r, f.Server + r.Type}
	}
	citation := f.Server + r.String()
	if v := r.Root().Get("meta").Get("versionId").Text(); fhir.ValidID(v) {
		citation += "/_history/" + v
	}
	return Item{r, citation}
}
