// Package vocabulary answers what searches ask of terminology (:in, :not-in,
// :above, :below on tokens) from the server's own value sets and code systems.
//
// It holds none itself: that is fhir/terminology.
package vocabulary

import (
	"context"
	"strings"
	"time"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/search/parse"
	"galen/fhir/terminology"
	"galen/store"
)

// Vocabulary is the terminology of a parser. The parser is made before the store,
// so it gets its parts later, before the first search.
type Vocabulary struct {
	Service *terminology.Service
	Store   *store.Store // of ValueSet/id
}

var _ parse.Terminology = (*Vocabulary)(nil)

// patience is how long a search may wait for a value set.
const patience = 10 * time.Second

// Codes lists a value set by its canonical URL, or a stored one as ValueSet/id.
func (v *Vocabulary) Codes(valueSet string, limit int) ([]parse.Coding, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if id, ok := strings.CutPrefix(valueSet, "ValueSet/"); ok {
		record, err := v.Store.Read(ctx, fhir.Key{Type: "ValueSet", ID: id})
		if fhir.KindOf(err) == fhir.Deleted {
			err = fhir.E("vocabulary.Codes", fhir.NotFound, "", "the value set was deleted")
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
	list, err := v.Service.Codes(ctx, valueSet, limit)
	return codings(list), err
}

// Hierarchy lists a code and all below or above it.
func (v *Vocabulary) Hierarchy(code parse.Coding, above bool) ([]parse.Coding, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	list, err := v.Service.Hierarchy(ctx, terminology.Coding{System: code.System, Code: code.Code}, above)
	return codings(list), err
}

func codings(list []terminology.Coding) []parse.Coding {
	out := make([]parse.Coding, len(list))
	for i, c := range list {
		out[i] = parse.Coding{System: c.System, Code: c.Code}
	}
	return out
}
