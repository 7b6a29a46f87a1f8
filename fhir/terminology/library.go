package terminology

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"io"
	"slices"
	"strings"
	"sync"

	"galen/fhir"
	"galen/fhir/jsontree"
)

//go:embed r4.ndjson.gz
var packed []byte

// Library is R4's own code systems, value sets and concept maps: one JSON
// document a line, without narratives and publication data. fhir/spec/gen makes
// it; see fhir/spec/SOURCE.md.
type Library struct {
	load func() (map[string][]byte, error)
}

// Builtin returns the Library. It unpacks 7 MB when it is first asked.
func Builtin() *Library {
	return &Library{sync.OnceValues(func() (map[string][]byte, error) { return unpack(packed) })}
}

// unpack maps type and URL to the bytes of each document.
func unpack(packed []byte) (map[string][]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	documents := map[string][]byte{}
	for line := range bytes.Lines(text) {
		name, body, _ := bytes.Cut(line, []byte{'\t'})
		documents[string(name)] = bytes.TrimSuffix(body, []byte{'\n'})
	}
	return documents, nil
}

func (l *Library) find(resourceType, url string) (fhir.Resource, bool, error) {
	const op = "terminology.Library"
	documents, err := l.load()
	if err != nil {
		return fhir.Resource{}, false, &fhir.Error{Op: op, Kind: fhir.Internal, Err: err}
	}
	body, ok := documents[resourceType+" "+url]
	if !ok {
		return fhir.Resource{}, false, nil
	}
	r, err := fhir.Parse(body, jsontree.Limits{})
	if err != nil {
		return fhir.Resource{}, false, &fhir.Error{Op: op, Kind: fhir.Internal, Err: err}
	}
	r.ID = "" // not a resource of this server
	return r, true, nil
}

// URLs are the canonical URLs of one resource type, sorted.
func (l *Library) URLs(resourceType string) []string {
	documents, err := l.load()
	if err != nil {
		return nil
	}
	var out []string
	for name := range documents {
		if url, ok := strings.CutPrefix(name, resourceType+" "); ok {
			out = append(out, url)
		}
	}
	slices.Sort(out)
	return out
}
