package search

import (
	"net/url"
	"strconv"
	"strings"
)

// Request is all that a search URL asks. It is immutable once made.
type Request struct {
	Query
	Type    string   // the resource type in the URL, "" for the whole system
	Clauses []Clause // the conditions as the client wrote them, for String

	Count         int // _count; means something if HasCount
	HasCount      bool
	Total         Total
	Summary       Summary
	Elements      []string // _elements
	Include       []Include
	RevInclude    []Include
	Contained     Contained
	ContainedType ContainedType

	// Ignored are the parameters that lenient handling passed over; the answer
	// should warn of them. String leaves them out.
	Ignored []Ignored
}

// Clause is one condition in text: the parameter with its modifier or chain,
// and its alternatives without empty ones.
type Clause struct{ Name, Value string }

// Ignored is a parameter that was passed over.
type Ignored struct {
	Name   string
	Reason string // for a person; holds no value
}

// Include is one _include or _revinclude
// (https://hl7.org/fhir/R4/search.html#include).
type Include struct {
	Source  string // the type that refers; "" with the wildcard alone: any type
	Param   string // its reference parameter; "*" for all of them
	Target  string // the type referred to; "" for any
	Iterate bool   // apply to included resources too
}

// String is the parameter's value.
func (i Include) String() string {
	s := i.Param
	if i.Source != "" {
		s = i.Source + ":" + s
	}
	if i.Target != "" {
		s += ":" + i.Target
	}
	return s
}

// Total is _total (https://hl7.org/fhir/R4/search.html#total).
type Total uint8

// The values of _total.
const (
	TotalUnset Total = iota
	TotalNone
	TotalEstimate
	TotalAccurate
)

// Summary is _summary (https://hl7.org/fhir/R4/search.html#summary).
type Summary uint8

// The values of _summary.
const (
	SummaryUnset Summary = iota
	SummaryTrue
	SummaryText
	SummaryData
	SummaryCount
	SummaryFalse
)

// Contained is _contained (https://hl7.org/fhir/R4/search.html#contained): do
// contained resources match.
type Contained uint8

// The values of _contained.
const (
	ContainedUnset Contained = iota
	ContainedFalse
	ContainedTrue
	ContainedBoth
)

// ContainedType is _containedType: what to return for a contained match.
type ContainedType uint8

// The values of _containedType.
const (
	ContainedTypeUnset ContainedType = iota
	ContainedTypeContainer
	ContainedTypeContained
)

// String is the code, "accurate"; "" if unset.
func (t Total) String() string { return code(t, "none", "estimate", "accurate") }

// String is the code, "count"; "" if unset.
func (s Summary) String() string { return code(s, "true", "text", "data", "count", "false") }

// String is the code, "both"; "" if unset.
func (c Contained) String() string { return code(c, "false", "true", "both") }

// String is the code, "container"; "" if unset.
func (c ContainedType) String() string { return code(c, "container", "contained") }

func code[T ~uint8](v T, codes ...string) string {
	if v < 1 || int(v) > len(codes) {
		return ""
	}
	return codes[v-1]
}

// String is the query part of the URL that asks the same again, for the self
// link: what was applied and nothing else, percent-encoded. Parsing it gives an
// equal Request.
func (r *Request) String() string {
	var q query
	for _, c := range r.Clauses {
		q.add(c.Name, c.Value)
	}
	if r.Type == "" {
		q.add("_type", strings.Join(r.Types, ","))
	}
	keys := make([]string, len(r.Sort))
	for i, s := range r.Sort {
		keys[i] = s.String()
	}
	q.add("_sort", strings.Join(keys, ","))
	if r.HasCount {
		q.add("_count", strconv.Itoa(r.Count))
	}
	q.includes("_include", r.Include)
	q.includes("_revinclude", r.RevInclude)
	q.add("_summary", r.Summary.String())
	q.add("_elements", strings.Join(r.Elements, ","))
	q.add("_total", r.Total.String())
	q.add("_contained", r.Contained.String())
	q.add("_containedType", r.ContainedType.String())
	return q.String()
}

// Values is String taken apart.
func (r *Request) Values() url.Values {
	v, _ := url.ParseQuery(r.String()) // String encodes all that could fail
	return v
}

// String is the key as _sort writes it, "-date".
func (s Sort) String() string {
	if s.Descending {
		return "-" + s.Param
	}
	return s.Param
}

// query collects name=value pairs.
type query struct{ strings.Builder }

func (q *query) includes(name string, list []Include) {
	for _, i := range list {
		if i.Iterate {
			q.add(name+":iterate", i.String())
		} else {
			q.add(name, i.String())
		}
	}
}

func (q *query) add(name, value string) {
	if value == "" {
		return
	}
	if q.Len() > 0 {
		q.WriteByte('&')
	}
	q.encode(name)
	q.WriteByte('=')
	q.encode(value)
}

// encode leaves the characters that RFC 3986 allows in a query and no form
// decoder changes, so that links stay readable.
func (q *query) encode(s string) {
	const plain = "-._~:/,$*@!()'"
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte(plain, c) >= 0:
			q.WriteByte(c)
		default:
			q.WriteByte('%')
			q.WriteByte(hex[c>>4])
			q.WriteByte(hex[c&15])
		}
	}
}
