package rest

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"galen/fhir"
	"galen/fhir/binary"
	"galen/fhir/jsontree"
	"galen/policies"
	"galen/store"
)

// inContext holds a Binary against its securityContext: who may not read that
// resource may not read the Binary either
// (https://hl7.org/fhir/R4/binary-definitions.html#Binary.securityContext). One
// that is deleted or on another server limits nobody.
func (s *Service) inContext(ctx context.Context, a *act, r store.Record) (bool, error) {
	if r.Type != binary.Type || !bytes.Contains(r.Body, []byte("securityContext")) {
		return true, nil
	}
	doc, err := jsontree.Parse(r.Body, jsontree.Limits{})
	if err != nil {
		return false, &fhir.Error{Op: "rest.inContext", Kind: fhir.Internal, Err: err}
	}
	ref := fhir.ParseReference(doc.Root().Get("securityContext").Get("reference").Text())
	if !ref.Local(a.caller.Base+"/") || ref.Key.Type == binary.Type {
		return true, nil
	}
	d := s.Policies.Decide(ctx, a.caller.Principal, policies.Request{Action: policies.Read, Type: ref.Key.Type, ID: ref.Key.ID})
	if !d.Allow || d.Filter == nil {
		return d.Allow, nil
	}
	there, err := s.storeOf(ref.Key.Type).Read(ctx, ref.Key)
	if err != nil {
		return false, ignore(err, fhir.NotFound, fhir.Deleted)
	}
	as := *a
	as.decision = d
	return s.permits(ctx, &as, there)
}

// reveal puts what a search found on record. A Binary whose security context the
// caller may not read is taken out first: the page is one shorter, and the total
// still counts it.
func (s *Service) reveal(ctx context.Context, a *act, found *store.SearchResult) error {
	for _, list := range []*[]store.Record{&found.Matches, &found.Included} {
		var failed error
		*list = slices.DeleteFunc(*list, func(r store.Record) bool {
			shown, err := s.inContext(ctx, a, r)
			failed = errors.Join(failed, err)
			return !shown
		})
		if failed != nil {
			return failed
		}
		for _, r := range *list {
			a.touch(r)
		}
	}
	return nil
}
