package operation

import (
	"context"
	"errors"
	"strconv"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/patch/diff"
	"galen/store"
)

// diff answers $diff, an operation of this server's own: how one version differs
// from another, as a FHIRPath Patch that makes the second of the first. On an
// instance fromVersion is the version before the last and toVersion the last
// unless they are given; on the system from and to are references, with
// _history or without. Parameters are those of HAPI's operation of that name.
func (s *Set) diff(ctx context.Context, c *call) (Result, error) {
	meta, err := c.flag("includeMeta")
	if err != nil {
		return Result{}, err
	}
	from, to, err := s.versions(ctx, c)
	if err != nil {
		return Result{}, err
	}
	var parsed [2]fhir.Resource
	for i, rec := range []store.Record{from, to} {
		if parsed[i], err = fhir.Parse(rec.Body, jsontree.Limits{}); err != nil {
			return Result{}, &fhir.Error{Op: "operation.diff", Err: err}
		}
	}
	body, err := diff.Parameters(s.rest.Defs, parsed[0], parsed[1], diff.Options{Meta: meta})
	return Result{Body: body}, err
}

// versions reads the two versions to compare.
func (s *Set) versions(ctx context.Context, c *call) (from, to store.Record, err error) {
	if c.Type == "" {
		if from, err = s.named(ctx, c, "from"); err == nil {
			to, err = s.named(ctx, c, "to")
		}
		return from, to, err
	}
	if to, err = s.version(ctx, c, c.key(), c.text("toVersion"), "toVersion"); err != nil {
		return from, to, err
	}
	before := c.text("fromVersion")
	if before == "" {
		if to.Version < 2 {
			return to, to, nil // there is nothing before the first: no difference
		}
		before = strconv.FormatInt(to.Version-1, 10)
	}
	from, err = s.version(ctx, c, c.key(), before, "fromVersion")
	return from, to, err
}

// named reads what a parameter refers to.
func (s *Set) named(ctx context.Context, c *call, name string) (store.Record, error) {
	text := c.text(name)
	if text == "" {
		return store.Record{}, fhir.E("operation.diff", fhir.Required, name, "the parameter is required")
	}
	ref := fhir.ParseReference(text)
	if ref.Key.ID == "" || !ref.Local(c.Base+"/") {
		return store.Record{}, fhir.E("operation.diff", fhir.Value, name, "a reference to a resource of this server is needed")
	}
	return s.version(ctx, c, ref.Key, ref.Version, name)
}

// version reads a version, the last if it is "". A version that is a delete has
// no content to compare.
func (s *Set) version(ctx context.Context, c *call, key fhir.Key, version, at string) (rec store.Record, err error) {
	if version == "" {
		rec, err = s.rest.Read(ctx, c.Caller, key)
	} else {
		rec, err = s.rest.VRead(ctx, c.Caller, key, version)
	}
	var e *fhir.Error
	if errors.As(err, &e) && e.At == "" {
		err = &fhir.Error{Op: e.Op, Kind: e.Kind, At: at, Err: e.Err}
	}
	return rec, err
}
