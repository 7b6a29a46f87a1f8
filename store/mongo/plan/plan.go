// Package plan says which MongoDB filters and sorts answer a query over the
// documents of store/mongo. It knows no driver and runs nothing: a Doc is plain
// Go, in order.
//
// Promises: a Node's filter finds every resource that the condition holds for,
// and if it is Exact no other; Holds is search.Match, clause by clause; a filter
// always has a field that an index begins with, and so has every branch of an
// $or in it.
package plan

import (
	"iter"
	"slices"

	"galen/fhir"
	"galen/fhir/search"
	"galen/store/mongo/index"
)

// Doc is a document, its fields in order. A value is a string, an int64, a bool,
// nil, a Doc, a List or a Regex.
type Doc []Field

// Field is one of a Doc.
type Field struct {
	Name  string
	Value any
}

// List is an array.
type List []any

// Regex is a regular expression in which . is every character.
type Regex string

// The fields of a current document that plans name.
const (
	ID      = "_id" // the logical id
	Keys    = "k"   // index.Keys; empty for a tombstone
	Created = "c"   // when the resource came to be, a number of the whole store
	Updated = "t"   // index.Instant of meta.lastUpdated
	Up      = "a."  // sort keys by parameter, ascending
	Down    = "d."  // and descending
)

// MaxIn bounds the values of one $in; what leads to more is taken out by Holds.
const MaxIn = 1000

// Resource is what Holds looks at.
type Resource struct {
	fhir.Header
	Entries []search.Entry
}

// Node is a condition on the resources of one type.
type Node struct {
	Filter Doc  // nil for every resource
	Exact  bool // the filter finds what the condition holds for and no more
	Never  bool // it holds for nothing

	keyed bool // Filter limits Keys or ID in all its branches
	holds func(*Resource) bool
}

// Holds reports whether a resource meets the condition.
func (n Node) Holds(r *Resource) bool { return !n.Never && n.holds(r) }

// Where is the filter with a field that an index begins with.
func (n Node) Where() Doc {
	if n.keyed {
		return n.Filter
	}
	return append(Doc{{Keys, index.All}}, n.Filter...)
}

var (
	always = Node{Exact: true, holds: func(*Resource) bool { return true }}
	never  = Node{Exact: true, Never: true, holds: func(*Resource) bool { return false }}
)

// Compile makes the plan of a resolved condition for a type; nil holds always.
func Compile(typ string, e Expr) Node {
	switch e := e.(type) {
	case nil:
		return always
	case And:
		return and(typ, e)
	case Or:
		return or(typ, e)
	case Not:
		return not(Compile(typ, e.Of))
	case Refers:
		return refers(e)
	case Among:
		return among(typ, e)
	case search.HasType:
		if slices.Contains(e.Types, typ) {
			return always
		}
		return never
	case search.HasID:
		return Node{
			Filter: Doc{{ID, in(e.IDs)}, {Keys, index.All}}, Exact: true, keyed: true,
			holds: func(r *Resource) bool { return slices.Contains(e.IDs, r.ID) },
		}
	case search.Updated:
		return leaf(e, updated(e.DateTest))
	case search.Present:
		n := leaf(e, Doc{{Keys, utf8(e.Param)}})
		n.Exact, n.keyed = true, true
		return n
	case search.Where:
		filter, exact := tests(e)
		if filter == nil {
			return never
		}
		n := leaf(e, filter)
		n.Exact, n.keyed = exact, true
		return n
	}
	return never
}

// leaf lets search.Match decide.
func leaf(e search.Expr, filter Doc) Node {
	return Node{Filter: filter, holds: func(r *Resource) bool { return search.Match(e, r.Key, one{r}) }}
}

// one is a corpus of one resource: enough for a condition on that alone.
type one struct{ r *Resource }

func (o one) Keys(string) iter.Seq[fhir.Key] {
	return func(yield func(fhir.Key) bool) { yield(o.r.Key) }
}

func (o one) Header(fhir.Key) (fhir.Header, bool) { return o.r.Header, true }

func (o one) Entries(fhir.Key) []search.Entry { return o.r.Entries }

func and(typ string, parts And) Node {
	n := always
	var list List
	paired := pair(typ, parts)
	for _, part := range parts {
		p := Compile(typ, part)
		if p.Never {
			return never
		}
		before := n.holds
		n.holds = func(r *Resource) bool { return before(r) && p.holds(r) }
		n.Exact = n.Exact && p.Exact
		n.keyed = n.keyed || p.keyed
		if p.Filter != nil {
			list = append(list, p.Filter)
		}
	}
	if paired != nil { // first: the most selective
		list = append(List{paired}, list...)
	}
	switch len(list) {
	case 0:
	case 1:
		n.Filter = list[0].(Doc)
	default:
		n.Filter = Doc{{"$and", list}}
	}
	return n
}

func or(typ string, parts Or) Node {
	n := never
	n.keyed = true
	open := false
	var list List
	for _, part := range parts {
		p := Compile(typ, part)
		if p.Never {
			continue
		}
		before := n.holds
		n.Never, n.holds = false, func(r *Resource) bool { return before(r) || p.holds(r) }
		n.Exact = n.Exact && p.Exact
		n.keyed = n.keyed && p.keyed
		open = open || p.Filter == nil
		list = append(list, p.Filter)
	}
	switch {
	case open:
		n.keyed = false
	case len(list) == 1:
		n.Filter = list[0].(Doc)
	case len(list) > 1:
		n.Filter = Doc{{"$or", list}}
	}
	return n
}

func not(of Node) Node {
	switch {
	case of.Never:
		return always
	case of.Exact && of.Filter == nil:
		return never
	}
	n := Node{holds: func(r *Resource) bool { return !of.holds(r) }}
	if of.Exact {
		n.Exact, n.Filter = true, Doc{{"$nor", List{of.Filter}}}
	}
	return n
}

// refers is for resources of which a parameter leads into a set.
func refers(e Refers) Node {
	if len(e.To) == 0 {
		return never
	}
	n := Node{keyed: true, holds: func(r *Resource) bool {
		return slices.ContainsFunc(r.Entries, func(entry search.Entry) bool {
			ref, ok := entry.Value.(search.Reference)
			return ok && entry.Param == e.Param && ref.ID != "" && e.To[ref.Key]
		})
	}}
	if len(e.To) > MaxIn {
		n.Filter = Doc{{Keys, prefix(index.Of(e.Param, index.Key))}}
		return n
	}
	keys := make([]string, 0, len(e.To))
	for to := range e.To {
		keys = append(keys, utf8(index.Of(e.Param, index.Key)+index.Ref(to)))
	}
	slices.Sort(keys)
	n.Exact, n.Filter = true, Doc{{Keys, in(keys)}}
	return n
}

// among is for resources of a set.
func among(typ string, e Among) Node {
	var ids []string
	for k := range e.Of {
		if k.Type == typ {
			ids = append(ids, k.ID)
		}
	}
	if len(ids) == 0 {
		return never
	}
	n := Node{holds: func(r *Resource) bool { return e.Of[r.Key] }}
	if len(ids) <= MaxIn {
		slices.Sort(ids)
		n.Filter, n.Exact, n.keyed = Doc{{ID, in(ids)}, {Keys, index.All}}, true, true
	}
	return n
}

// in is equality with one of several values.
func in(values []string) any {
	if len(values) == 1 {
		return utf8(values[0])
	}
	list := make(List, len(values))
	for i, v := range values {
		list[i] = utf8(v)
	}
	return Doc{{"$in", list}}
}
