package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/search"
	"galen/fhir/search/parse"
	"galen/fhir/terminology"
	"galen/store"
	"galen/store/sqlite"
)

// codes is the terminology of searches. The parser is made before the store, so
// it gets its parts later, before the first search.
type codes struct {
	service *terminology.Service
	store   *store.Store
}

var _ parse.Terminology = (*codes)(nil)

// codesTime is how long a search may wait for a value set.
const codesTime = 10 * time.Second

// Codes lists a value set by its canonical URL, or a stored one as ValueSet/id.
func (c *codes) Codes(valueSet string, limit int) ([]parse.Coding, error) {
	ctx, cancel := context.WithTimeout(context.Background(), codesTime)
	defer cancel()
	if id, ok := strings.CutPrefix(valueSet, "ValueSet/"); ok {
		record, err := c.store.Read(ctx, fhir.Key{Type: "ValueSet", ID: id})
		if fhir.KindOf(err) == fhir.Deleted {
			err = fhir.E("galen.Codes", fhir.NotFound, "", "the value set was deleted")
		}
		if err != nil {
			return nil, err
		}
		r, err := fhir.Parse(record.Body, jsontree.Limits{})
		if err != nil {
			return nil, err
		}
		valueSet = r.Root().Get("url").Text()
	}
	list, err := c.service.Codes(ctx, valueSet, limit)
	return codings(list), err
}

// Hierarchy lists a code and all below or above it.
func (c *codes) Hierarchy(code parse.Coding, above bool) ([]parse.Coding, error) {
	ctx, cancel := context.WithTimeout(context.Background(), codesTime)
	defer cancel()
	list, err := c.service.Hierarchy(ctx, terminology.Coding{System: code.System, Code: code.Code}, above)
	return codings(list), err
}

func codings(list []terminology.Coding) []parse.Coding {
	out := make([]parse.Coding, len(list))
	for i, c := range list {
		out[i] = parse.Coding{System: c.System, Code: c.Code}
	}
	return out
}

// fullText is how much text the store indexes. A store keeps what it was made
// with: words that were not indexed from the start would be found in part only.
func fullText(dir, want string) (search.FullText, error) {
	amounts := map[string]search.FullText{"none": search.NoFullText, "narrative": search.Narratives, "all": search.AllText}
	if _, ok := amounts[want]; !ok && want != "" {
		return 0, errors.New("--full-text must be none, narrative or all")
	}
	path := filepath.Join(dir, "fulltext")
	made, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if made, err = newFullText(dir, path, want); err != nil {
			return 0, err
		}
	}
	if err != nil {
		return 0, err
	}
	text := strings.TrimSpace(string(made))
	amount, ok := amounts[text]
	switch {
	case !ok:
		return 0, errors.New(path + " must hold none, narrative or all")
	case want != "" && want != text:
		return 0, errors.New("--full-text differs from what the store was made with: " + text)
	}
	return amount, nil
}

// newFullText puts down what a new store is made with; one that was made before
// there was a choice has none.
func newFullText(dir, path, want string) ([]byte, error) {
	if _, err := os.Stat(filepath.Join(dir, sqlite.File)); err == nil {
		want = "none"
	}
	if want == "" {
		want = "all"
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return []byte(want), os.WriteFile(path, []byte(want+"\n"), 0o600)
}
