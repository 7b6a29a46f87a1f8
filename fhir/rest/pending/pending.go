// Package pending finds resources that a transaction is about to write by the
// criteria of its conditional interactions and references, before they are
// stored (https://hl7.org/fhir/R4/http.html#trules: what is created is there for
// what comes later in the processing order).
//
// Criteria on tokens, such as an identifier, are looked up; others are held
// against each pending resource of the type. A chain is not followed from a
// pending resource.
//
// It knows no store: what is stored already, the caller asks there.
package pending

import (
	"context"
	"iter"
	"slices"
	"strings"

	"galen/fhir"
	"galen/fhir/search"
)

// Indexer tells by which entries a resource is found.
type Indexer interface {
	Index(fhir.Resource) ([]search.Entry, error)
}

// Set is a number of pending resources. It is not safe for concurrent use.
type Set struct {
	index Indexer
	types map[string]*shelf
}

// shelf holds the resources of one type, indexed when first asked for.
type shelf struct {
	items  []item
	tokens map[token][]int // positions in items, ascending
}

type item struct {
	id       int // the caller's
	resource fhir.Resource
	entries  []search.Entry
}

// token is a code under a parameter, in lower case.
type token struct{ param, code string }

// New returns an empty Set.
func New(index Indexer) *Set { return &Set{index, map[string]*shelf{}} }

// Add puts a resource in, under a number of the caller's. All are added before
// the first Match of their type.
func (s *Set) Add(id int, r fhir.Resource) {
	sh := s.types[r.Type]
	if sh == nil {
		sh = &shelf{}
		s.types[r.Type] = sh
	}
	sh.items = append(sh.items, item{id: id, resource: r})
}

// Match returns the numbers of the resources that the query means, at most
// limit of them, in the order they were added. Errors are the Indexer's, or that
// of a ctx that has ended, of Kind Timeout.
func (s *Set) Match(ctx context.Context, q *search.Query, limit int, but func(id int) bool) ([]int, error) {
	var found []int
	for _, t := range q.Types {
		sh := s.types[t]
		if sh == nil {
			continue
		}
		if err := sh.prepare(s.index); err != nil {
			return nil, err
		}
		for n, at := range sh.candidates(q.Where) {
			if n%1024 == 1023 && ctx.Err() != nil {
				return nil, &fhir.Error{Op: "pending.Match", Kind: fhir.Timeout, Err: ctx.Err()}
			}
			it := &sh.items[at]
			if but(it.id) || q.Where != nil && !search.Match(q.Where, it.resource.Key, one{it}) {
				continue
			}
			if found = append(found, it.id); len(found) == limit {
				return found, nil
			}
		}
	}
	return found, nil
}

func (sh *shelf) prepare(index Indexer) error {
	if sh.tokens != nil {
		return nil
	}
	tokens := map[token][]int{}
	for i := range sh.items {
		entries, err := index.Index(sh.items[i].resource)
		if err != nil {
			return err
		}
		sh.items[i].entries = entries
		for _, e := range entries {
			t, ok := e.Value.(search.Token)
			if !ok {
				continue
			}
			k := token{e.Param, strings.ToLower(t.Code)}
			if at := tokens[k]; len(at) == 0 || at[len(at)-1] != i {
				tokens[k] = append(at, i)
			}
		}
	}
	sh.tokens = tokens
	return nil
}

// candidates are the positions of the items that may match: those with one of
// the tokens that a part of the condition needs, else all.
func (sh *shelf) candidates(where search.Expr) iter.Seq2[int, int] {
	parts := []search.Expr{where}
	if all, ok := where.(search.All); ok {
		parts = all
	}
	for _, p := range parts {
		if w, ok := p.(search.Where); ok {
			if keys, ok := tokensOf(w); ok {
				return sh.with(keys)
			}
		}
	}
	return func(yield func(int, int) bool) {
		for i := range sh.items {
			if !yield(i, i) {
				return
			}
		}
	}
}

func (sh *shelf) with(keys []token) iter.Seq2[int, int] {
	var at []int
	for _, k := range keys {
		at = append(at, sh.tokens[k]...)
	}
	slices.Sort(at)
	return slices.All(slices.Compact(at))
}

// tokensOf are the tokens of which a resource must have one; ok is false when
// other values pass too.
func tokensOf(w search.Where) (keys []token, ok bool) {
	for _, test := range w.Any {
		t, isToken := test.(search.TokenTest)
		if !isToken || t.AnyCode {
			return nil, false
		}
		keys = append(keys, token{w.Param, strings.ToLower(t.Code)})
	}
	return keys, true
}

// one is a corpus of one resource.
type one struct{ it *item }

// Header is the resource's, as it was sent.
func (c one) Header(k fhir.Key) (fhir.Header, bool) {
	return c.it.resource.Header, k == c.it.resource.Key
}

// Entries are the resource's.
func (c one) Entries(k fhir.Key) []search.Entry {
	if k == c.it.resource.Key {
		return c.it.entries
	}
	return nil
}

// Keys yields the one key.
func (c one) Keys(resourceType string) iter.Seq[fhir.Key] {
	return func(yield func(fhir.Key) bool) {
		if resourceType == c.it.resource.Type {
			yield(c.it.resource.Key)
		}
	}
}
