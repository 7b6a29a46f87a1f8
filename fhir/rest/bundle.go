package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/r4"
	"galen/store"
)

// entry is one entry of a batch or transaction on its way
// (https://hl7.org/fhir/R4/http.html#transaction).
type entry struct {
	at          string // "Bundle.entry[3]"
	fullURL     string
	method      string
	path        string // "Patient/1"
	query       string
	ifMatch     string
	ifNoneExist string
	resource    jsontree.Node // absent for GET and DELETE
}

// key is the type and id that the path names.
func (e *entry) key() fhir.Key {
	resourceType, id, _ := strings.Cut(e.path, "/")
	return fhir.Key{Type: resourceType, ID: id}
}

// Bundle performs a batch or a transaction and returns its response Bundle, in
// the request's order. A transaction is all or nothing; the entries of a batch
// stand alone and each has its own outcome.
func (s *Service) Bundle(ctx context.Context, c Caller, body []byte) ([]byte, error) {
	const op = "rest.Bundle"
	bundle, err := fhir.Parse(body, jsontree.Limits{Depth: s.Limits.Depth})
	if err != nil {
		return nil, err
	}
	if bundle.Type != "Bundle" {
		return nil, fhir.E(op, fhir.Invalid, "resourceType", "only a Bundle can be posted here")
	}
	entries, err := s.entries(bundle.Root(), c.Base)
	if err != nil {
		return nil, err
	}
	switch kind := bundle.Root().Get("type").Text(); kind {
	case "batch":
		return s.batch(ctx, c, entries), nil
	case "transaction":
		return s.transaction(ctx, c, entries)
	case "":
		return nil, fhir.E(op, fhir.Required, "Bundle.type", "Bundle.type is missing")
	}
	return nil, fhir.E(op, fhir.Invalid, "Bundle.type", "only a batch or a transaction can be posted here")
}

// entries reads the requests of a Bundle.
func (s *Service) entries(root jsontree.Node, base string) ([]entry, error) {
	const op = "rest.entries"
	list := root.Get("entry")
	if list.Exists() && list.Kind() != jsontree.Array {
		return nil, fhir.E(op, fhir.Invalid, "Bundle.entry", "Bundle.entry must be an array")
	}
	if list.Len() > s.Limits.Entries {
		return nil, fhir.E(op, fhir.TooLong, "Bundle.entry", "the Bundle has more entries than allowed")
	}
	var out []entry
	for node := range list.Items() {
		at := fmt.Sprintf("Bundle.entry[%d]", len(out))
		request := node.Get("request")
		e := entry{
			at: at, fullURL: node.Get("fullUrl").Text(), method: request.Get("method").Text(),
			ifMatch: request.Get("ifMatch").Text(), ifNoneExist: request.Get("ifNoneExist").Text(),
			resource: node.Get("resource"),
		}
		if e.resource.Exists() && e.resource.Kind() != jsontree.Object {
			return nil, fhir.E(op, fhir.Invalid, at+".resource", "a resource is an object")
		}
		if e.method == "" {
			return nil, fhir.E(op, fhir.Required, at+".request.method", "an entry needs request.method and request.url")
		}
		url := strings.TrimPrefix(strings.TrimPrefix(request.Get("url").Text(), base), "/")
		e.path, e.query, _ = strings.Cut(url, "?")
		out = append(out, e)
	}
	return out, nil
}

// batch performs entry after entry.
func (s *Service) batch(ctx context.Context, c Caller, entries []entry) []byte {
	w := newBundle("batch-response", c.Base, len(entries)*300)
	for i := range entries {
		e := &entries[i]
		w.entry()
		if err := s.batchEntry(ctx, c, e, w); err != nil {
			w.response(failure(e, err))
		}
		w.close()
	}
	return w.bytes()
}

// failure is the response of an entry that failed.
func failure(e *entry, err error) response {
	kind := fhir.KindOf(err)
	issues := fhir.IssuesOf(err)
	for i := range issues {
		if issues[i].At == "" {
			issues[i].At = e.at
		}
	}
	return response{status: status(kind.Status()), outcome: r4.OperationOutcome(issues)}
}

func status(code int) string { return strconv.Itoa(code) + " " + http.StatusText(code) }

func (s *Service) batchEntry(ctx context.Context, c Caller, e *entry, w *bundleWriter) error {
	key := e.key()
	switch e.method {
	case http.MethodGet:
		return s.get(ctx, c, e, w)
	case http.MethodPost:
		if err := e.needsResource(); err != nil {
			return err
		}
		out, err := s.Create(ctx, c, key.Type, e.resource.Raw(), e.ifNoneExist)
		if err == nil {
			w.written(out)
		}
		return err
	case http.MethodPut:
		if err := e.needsResource(); err != nil {
			return err
		}
		out, err := s.Update(ctx, c, key, e.resource.Raw(), e.ifMatch)
		if err == nil {
			w.written(out)
		}
		return err
	case http.MethodDelete:
		_, err := s.Delete(ctx, c, key, e.ifMatch)
		if err == nil {
			w.response(response{status: status(http.StatusNoContent)})
		}
		return err
	}
	return e.unknownMethod()
}

func (e *entry) needsResource() error {
	if e.resource.Exists() {
		return nil
	}
	return fhir.E("rest.entry", fhir.Required, e.at+".resource", e.method+" needs a resource")
}

func (e *entry) unknownMethod() error {
	return fhir.E("rest.entry", fhir.NotSupported, e.at+".request.method", "only GET, POST, PUT and DELETE are offered in a Bundle")
}

// get answers a read, a vread or a search inside a Bundle.
func (s *Service) get(ctx context.Context, c Caller, e *entry, w *bundleWriter) error {
	parts := strings.Split(e.path, "/")
	var rec store.Record
	var err error
	switch {
	case len(parts) == 1:
		var bundle []byte
		if bundle, err = s.Search(ctx, c, SearchIn{Type: parts[0], Query: e.query}); err == nil {
			w.resource(bundle)
			w.response(response{status: status(http.StatusOK)})
		}
		return err
	case len(parts) == 2:
		rec, err = s.Read(ctx, c, e.key())
	case len(parts) == 4 && parts[2] == "_history":
		rec, err = s.VRead(ctx, c, fhir.Key{Type: parts[0], ID: parts[1]}, parts[3])
	default:
		err = fhir.E("rest.get", fhir.NotSupported, e.at+".request.url", "only read, vread and search are offered in a Bundle")
	}
	if err != nil {
		return err
	}
	w.resource(rec.Body)
	w.response(response{status: status(http.StatusOK), header: rec.Header})
	return nil
}

// written is the response of a create or update.
func (w *bundleWriter) written(out Outcome) {
	code := http.StatusOK
	if out.Created {
		code = http.StatusCreated
	}
	w.fullURL(out.Key)
	w.response(response{
		status: status(code), header: out.Header,
		location: w.base + "/" + fhir.VersionedReference(out.Key, out.Version),
	})
}

// entryError puts an entry's place before that of an error.
func entryError(e *entry, err error) error {
	var cause *fhir.Error
	if !errors.As(err, &cause) {
		return err
	}
	at := e.at
	if cause.At != "" {
		at += ": " + cause.At
	}
	return &fhir.Error{Op: cause.Op, Kind: cause.Kind, At: at, Err: cause.Err}
}
