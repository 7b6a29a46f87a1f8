package operation

import (
	"context"
	"net/http"
	"slices"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/store"
)

// mostInDocument is how many resources a document may hold.
const mostInDocument = 2_000

// document answers $document (https://hl7.org/fhir/R4/composition-operation-document.html):
// a Bundle of the Composition and all that it refers to, directly or through
// what it refers to. What the Composition names itself must be there and
// visible: a document with holes is none.
func (s *Set) document(ctx context.Context, c *call) (Result, error) {
	persist, err := c.flag("persist")
	if err != nil {
		return Result{}, err
	}
	if persist && c.Method != http.MethodPost {
		return Result{}, fhir.E("operation.document", fhir.MethodUnknown, "persist", "a document is stored by POST only")
	}
	composition, err := s.rest.Read(ctx, c.Caller, c.key())
	if err != nil {
		return Result{}, err
	}
	records, err := s.closure(ctx, c, composition)
	if err != nil {
		return Result{}, err
	}
	b := newBundle("document", c.Base)
	identifier := jsontree.AppendString([]byte(`{"system":"urn:ietf:rfc:3986","value":`), "urn:uuid:"+s.rest.Store.NewID())
	b.member("identifier", append(identifier, '}'))
	b.member("timestamp", jsontree.AppendString(nil, fhir.FormatInstant(s.rest.Now())))
	for _, r := range records {
		b.entry(r, "")
	}
	if !persist {
		return Result{Body: b.bytes()}, nil
	}
	out, err := s.rest.Create(ctx, c.Caller, "Bundle", b.bytes(), "")
	if err != nil {
		return Result{}, err
	}
	return Result{
		Status: http.StatusCreated, Body: out.Body,
		Header: http.Header{"Location": {c.Base + "/" + fhir.VersionedReference(out.Key, out.Version)}, "Etag": {out.ETag()}},
	}, nil
}

// closure is the Composition and, round after round, what is referred to.
func (s *Set) closure(ctx context.Context, c *call, composition store.Record) ([]store.Record, error) {
	const op = "operation.document"
	records := []store.Record{composition}
	seen := map[fhir.Key]bool{composition.Key: true}
	for round, from := 0, 0; from < len(records); round++ {
		var wanted []fhir.Key
		for _, r := range records[from:] {
			keys, err := literals(r.Body, c.Base+"/")
			if err != nil {
				return nil, err
			}
			for _, k := range keys {
				if s.rest.Defs.IsResource(k.Type) && !seen[k] {
					seen[k] = true
					wanted = append(wanted, k)
				}
			}
		}
		if from = len(records); from+len(wanted) > mostInDocument {
			return nil, fhir.E(op, fhir.TooCostly, "", "the document would hold more resources than allowed")
		}
		slices.SortFunc(wanted, fhir.Key.Compare)
		found, err := s.readAll(ctx, c, wanted, nil)
		if err != nil {
			return nil, err
		}
		if round == 0 && len(found) < len(wanted) {
			return nil, fhir.E(op, fhir.Unprocessable, "Composition", "a resource that the Composition refers to cannot be read")
		}
		records = append(records, found...)
	}
	return records, nil
}
