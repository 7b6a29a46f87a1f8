package fhir

import (
	"errors"
	"strconv"
	"time"

	"galen/fhir/jsontree"
)

// Header is what the server knows of a resource's version without reading its
// content.
type Header struct {
	Key
	Version     int64     // meta.versionId, counted from 1; 0 for a resource not stored yet
	LastUpdated time.Time // meta.lastUpdated, UTC, milliseconds
}

// ETag is the weak entity tag of the version
// (https://hl7.org/fhir/R4/http.html#versioning).
func (h Header) ETag() string { return `W/"` + strconv.FormatInt(h.Version, 10) + `"` }

// Resource is one resource as its exact bytes, an index over them and its
// Header. It is immutable and safe for concurrent use. The zero Resource is
// none.
type Resource struct {
	Header
	doc *jsontree.Doc
}

// Parse reads a resource's JSON, keeping b. It checks what makes the bytes a
// resource at all (an object with a resourceType; id and meta of the right
// shape) and leaves the rest to fhir/validate. A version or lastUpdated that is
// not of this server's form is left zero in the Header: a client's meta is not
// the server's. The error is an *Error of Kind Malformed, TooLong, Invalid or
// Required.
func Parse(b []byte, lim jsontree.Limits) (Resource, error) {
	const op = "fhir.Parse"
	doc, err := jsontree.Parse(b, lim)
	if err != nil {
		return Resource{}, syntaxError(op, err)
	}
	root := doc.Root()
	if root.Kind() != jsontree.Object {
		return Resource{}, E(op, Malformed, "offset "+strconv.Itoa(root.Offset()), "a resource is a JSON object")
	}
	kind := root.Get("resourceType")
	if !kind.Exists() {
		return Resource{}, E(op, Required, "resourceType", "resourceType is missing")
	}
	if kind.Kind() != jsontree.String || !ValidTypeName(kind.Text()) {
		return Resource{}, E(op, Invalid, "resourceType", "resourceType is not the name of a resource type")
	}
	r := Resource{Header{Key: Key{Type: kind.Text()}}, doc}
	return r, r.readHeader(root)
}

func (r *Resource) readHeader(root jsontree.Node) error {
	const op = "fhir.Parse"
	if id := root.Get("id"); id.Exists() {
		if id.Kind() != jsontree.String || !ValidID(id.Text()) {
			return E(op, Value, r.Type+".id", "id must be 1 to 64 letters, digits, - or .")
		}
		r.ID = id.Text()
	}
	meta := root.Get("meta")
	if meta.Exists() && meta.Kind() != jsontree.Object {
		return E(op, Invalid, r.Type+".meta", "meta must be an object")
	}
	version := meta.Get("versionId")
	if v, err := strconv.ParseInt(version.Text(), 10, 64); err == nil && v > 0 &&
		version.Kind() == jsontree.String && strconv.FormatInt(v, 10) == version.Text() {
		r.Version = v
	}
	if t, err := time.Parse(time.RFC3339Nano, meta.Get("lastUpdated").Text()); err == nil {
		r.LastUpdated = t.UTC().Truncate(time.Millisecond)
	}
	return nil
}

func syntaxError(op string, err error) error {
	e := &Error{Op: op, Kind: Malformed, Err: err}
	var s *jsontree.SyntaxError
	if errors.As(err, &s) {
		e.At = "offset " + strconv.Itoa(s.Offset)
		if s.Reason == jsontree.TooLong {
			e.Kind = TooLong
		}
	}
	return e
}

// Bytes returns the exact bytes, not to be changed; nil for the zero Resource.
func (r Resource) Bytes() []byte {
	if r.doc == nil {
		return nil
	}
	return r.doc.Bytes()
}

// Root returns the root of the index over the bytes.
func (r Resource) Root() jsontree.Node {
	if r.doc == nil {
		return jsontree.Node{}
	}
	return r.doc.Root()
}

// Edit starts a change to the resource's bytes; parse the result again.
func (r Resource) Edit() *jsontree.Edit { return r.doc.Edit() }

// Stamp returns the resource's bytes with id, meta.versionId and
// meta.lastUpdated of h; no other byte differs. h.Type must be r.Type.
func (r Resource) Stamp(h Header) []byte {
	e := r.doc.Edit()
	root := r.doc.Root()
	id := jsontree.AppendString(nil, h.ID)
	version := strconv.AppendQuote(nil, strconv.FormatInt(h.Version, 10))
	updated := strconv.AppendQuote(nil, FormatInstant(h.LastUpdated))
	whole := append([]byte(`{"versionId":`), version...)
	whole = append(append(append(whole, `,"lastUpdated":`...), updated...), '}')

	e.Set(root, "id", id, "resourceType")
	meta := root.Get("meta")
	switch {
	case meta.Len() > 0:
		e.Set(meta, "versionId", version, "id")
		e.Set(meta, "lastUpdated", updated, "versionId")
	case root.Get("id").Exists():
		e.Set(root, "meta", whole, "id")
	default: // both are new: inserted behind resourceType in the order of these calls
		e.Set(root, "meta", whole, "resourceType")
	}
	return e.Bytes()
}
