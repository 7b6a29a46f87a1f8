// Package definition finds conformance resources (StructureDefinition, ValueSet,
// CodeSystem, ConceptMap, SearchParameter) by canonical URL
// (https://hl7.org/fhir/R4/references.html#canonical), wherever they come from:
// built in, FHIR packages in a folder, or what a server stores.
//
// It knows nothing of what they mean; fhir/terminology and fhir/profile do.
package definition

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"slices"
	"strings"
	"sync"

	"galen/fhir"
	"galen/fhir/jsontree"
)

// Source finds definitions.
type Source interface {
	// Find returns the definition of a canonical URL without version, the latest
	// if version is ""; false if there is none that the caller may see.
	Find(ctx context.Context, resourceType, url, version string) (fhir.Resource, bool, error)
	// List returns the definitions of a type, the latest of each URL, in no order
	// that means anything. It is for types of which there are few: of more than
	// MaxList the rest is left out.
	List(ctx context.Context, resourceType string) ([]fhir.Resource, error)
}

// MaxList is how many definitions one source lists.
const MaxList = 1000

// Stack asks sources in turn: the first that has a definition answers.
type Stack []Source

// Find asks each source.
func (s Stack) Find(ctx context.Context, resourceType, url, version string) (fhir.Resource, bool, error) {
	for _, source := range s {
		if r, ok, err := source.Find(ctx, resourceType, url, version); ok || err != nil {
			return r, ok, err
		}
	}
	return fhir.Resource{}, false, nil
}

// List lists what each source has; a definition hides those of the same URL
// further down.
func (s Stack) List(ctx context.Context, resourceType string) ([]fhir.Resource, error) {
	var out []fhir.Resource
	seen := map[string]bool{}
	for _, source := range s {
		list, err := source.List(ctx, resourceType)
		if err != nil {
			return nil, err
		}
		for _, r := range list {
			if url := r.Root().Get("url").Text(); url == "" || !seen[url] {
				seen[url] = true
				out = append(out, r)
			}
		}
	}
	return out, nil
}

// Given is a Source of a few definitions at hand.
type Given []fhir.Resource

// Find returns the first that fits.
func (g Given) Find(_ context.Context, resourceType, url, version string) (fhir.Resource, bool, error) {
	for _, r := range g {
		if r.Type == resourceType && r.Root().Get("url").Text() == url && (version == "" || r.Root().Get("version").Text() == version) {
			return r, true, nil
		}
	}
	return fhir.Resource{}, false, nil
}

// List returns those of a type.
func (g Given) List(_ context.Context, resourceType string) ([]fhir.Resource, error) {
	var out []fhir.Resource
	for _, r := range g {
		if r.Type == resourceType {
			out = append(out, r)
		}
	}
	return out, nil
}

// Canonical takes "url|version" and "url#fragment" apart.
func Canonical(text string) (url, version string) {
	text, _, _ = strings.Cut(text, "#")
	url, version, _ = strings.Cut(text, "|")
	return url, version
}

// Library holds definitions in memory, unpacked when it is first asked. It is
// safe for concurrent use.
type Library struct {
	load func() (map[string][]byte, error)
}

// Packed is a Library of gzipped lines "type url TAB document", as fhir/spec/gen
// writes them.
func Packed(packed []byte) *Library {
	return &Library{sync.OnceValues(func() (map[string][]byte, error) { return unpack(packed) })}
}

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

// Find returns a definition; its id is empty, for it is no resource of a server.
func (l *Library) Find(_ context.Context, resourceType, url, version string) (fhir.Resource, bool, error) {
	const op = "definition.Library"
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
	if version != "" && r.Root().Get("version").Text() != version {
		return fhir.Resource{}, false, nil
	}
	r.ID = ""
	return r, true, nil
}

// List parses all definitions of a type.
func (l *Library) List(ctx context.Context, resourceType string) ([]fhir.Resource, error) {
	var out []fhir.Resource
	for _, url := range l.URLs(resourceType)[:min(len(l.URLs(resourceType)), MaxList)] {
		r, ok, err := l.Find(ctx, resourceType, url, "")
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, r)
		}
	}
	return out, nil
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
