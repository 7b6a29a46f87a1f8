package search

import (
	"iter"
	"slices"
	"strings"

	"galen/fhir"
)

// Corpus is a set of indexed resources as of one moment: the current versions,
// without deleted ones.
type Corpus interface {
	// Keys yields the resources of a type, "" for all, oldest created first.
	Keys(resourceType string) iter.Seq[fhir.Key]
	// Header is that of a resource; false if it is not there.
	Header(key fhir.Key) (fhir.Header, bool)
	// Entries are what a resource is found by; nil if it is not there.
	Entries(key fhir.Key) []Entry
}

// Find is the answer to a query in its order. It looks at every resource: it is
// the oracle that drivers are held against, not a way to serve a large store.
func Find(q *Query, c Corpus) []fhir.Key {
	var found []fhir.Key
	for key := range c.Keys("") {
		if (len(q.Types) == 0 || slices.Contains(q.Types, key.Type)) && (q.Where == nil || Match(q.Where, key, c)) {
			found = append(found, key)
		}
	}
	if len(q.Sort) == 0 {
		return found
	}
	keys := make(map[fhir.Key][]sortKey, len(found))
	for _, key := range found {
		keys[key] = sortKeys(q.Sort, key, c)
	}
	slices.SortStableFunc(found, func(a, b fhir.Key) int { return compareKeys(q.Sort, keys[a], keys[b]) })
	return found
}

// Match reports whether a resource of the corpus meets a condition.
func Match(e Expr, key fhir.Key, c Corpus) bool {
	switch e := e.(type) {
	case All:
		return !slices.ContainsFunc(e, func(part Expr) bool { return !Match(part, key, c) })
	case Any:
		return slices.ContainsFunc(e, func(part Expr) bool { return Match(part, key, c) })
	case Not:
		return !Match(e.Of, key, c)
	case Where:
		return slices.ContainsFunc(c.Entries(key), func(entry Entry) bool {
			return entry.Param == e.Param && slices.ContainsFunc(e.Any, func(t Test) bool { return Passes(t, entry.Value) })
		})
	case Present:
		return slices.ContainsFunc(c.Entries(key), func(entry Entry) bool { return entry.Param == e.Param })
	case HasID:
		return slices.Contains(e.IDs, key.ID)
	case HasType:
		return slices.Contains(e.Types, key.Type)
	case Updated:
		h, ok := c.Header(key)
		return ok && Passes(e.DateTest, LastUpdated(h))
	case Chain:
		return slices.ContainsFunc(c.Entries(key), func(entry Entry) bool {
			ref, ok := entry.Value.(Reference)
			if !ok || entry.Param != e.Param || ref.Type != e.Type {
				return false
			}
			_, exists := c.Header(ref.Key)
			return exists && Match(e.Of, ref.Key, c)
		})
	case Tree:
		return slices.ContainsFunc(References(c.Entries(key), e.Param), func(to fhir.Key) bool {
			return e.Reaches(to, func(k fhir.Key) []fhir.Key { return References(c.Entries(k), e.Up) })
		})
	case Reverse:
		for other := range c.Keys(e.Type) {
			if refers(c.Entries(other), e.Param, key) && Match(e.Of, other, c) {
				return true
			}
		}
	}
	return false
}

func refers(entries []Entry, param string, to fhir.Key) bool {
	return slices.ContainsFunc(entries, func(entry Entry) bool {
		ref, ok := entry.Value.(Reference)
		return ok && entry.Param == param && ref.Key == to
	})
}

// LastUpdated is the value that _lastUpdated compares: the millisecond of
// meta.lastUpdated.
func LastUpdated(h fhir.Header) Date {
	low := fhir.InstantOf(h.LastUpdated)
	return Date{fhir.Period{Low: low, High: low + 1000}}
}

// Passes reports whether one entry's value passes a test. A test passes no value
// of another kind.
func Passes(t Test, v Value) bool {
	switch t := t.(type) {
	case TokenTest:
		v, ok := v.(Token)
		return ok && t.passes(v)
	case TextTest:
		v, ok := v.(Text)
		return ok && (strings.HasPrefix(v.Norm, t.Norm) || strings.Contains(v.Norm, " "+t.Norm))
	case TypedTest:
		v, ok := v.(TypedIdentifier)
		return ok && TypedTest(v) == t
	case StringTest:
		v, ok := v.(String)
		return ok && t.passes(v)
	case DateTest:
		v, ok := v.(Date)
		return ok && t.passes(v.Period)
	case NumberTest:
		v, ok := v.(Number)
		return ok && t.passes(v.Range)
	case QuantityTest:
		v, ok := v.(Quantity)
		return ok && t.passes(v)
	case ReferenceTest:
		v, ok := v.(Reference)
		return ok && t.passes(v)
	case URITest:
		v, ok := v.(URI)
		return ok && t.passes(v.URI)
	case NearTest:
		v, ok := v.(Position)
		return ok && t.passes(v)
	case Other:
		return t.passes(v)
	case CompositeTest:
		v, ok := v.(Composite)
		return ok && t.passes(v)
	}
	return false
}
