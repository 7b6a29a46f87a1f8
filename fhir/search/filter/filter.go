// Package filter is the grammar of the search parameter _filter
// (https://hl7.org/fhir/R4/search_filter.html): it turns text into a tree and
// back.
//
// Promises: "and" binds tighter than "or", as everywhere; Parse undoes String;
// nothing a client sends makes it panic or nest without end; errors tell the
// place and never the value.
//
// It knows no search parameters: what a path or an operator means is
// search/parse's affair.
package filter

import (
	"strings"

	"galen/fhir/jsontree"
)

// Expr is a filter: And, Or, Not or Comparison. The set is closed.
type Expr interface {
	String() string
	filter()
}

// And holds if all parts hold; it has two at least.
type And []Expr

// Or holds if one part holds; it has two at least.
type Or []Expr

// Not holds if the other does not.
type Not struct{ Of Expr }

// Comparison holds if something that the path leads to compares as asked.
type Comparison struct {
	Path  []Step // one at least
	Op    Op
	Value string
}

// Step is one name of a path; what it leads to must pass Where, if there is one.
type Step struct {
	Name  string
	Where Expr
}

// Op is a comparison operator.
type Op string

// The operators (https://hl7.org/fhir/R4/search_filter.html).
const (
	Equal        Op = "eq" // an item equals the value
	NotEqual     Op = "ne" // an item does not
	Contains     Op = "co" // an item contains the value
	StartsWith   Op = "sw"
	EndsWith     Op = "ew"
	Greater      Op = "gt"
	Less         Op = "lt"
	GreaterEqual Op = "ge"
	LessEqual    Op = "le"
	Approximate  Op = "ap"
	StartsAfter  Op = "sa"
	EndsBefore   Op = "eb"
	Present      Op = "pr" // there is an item, or (value false) none
	Overlaps     Op = "po" // a period overlaps the value's
	Subsumes     Op = "ss" // the value subsumes an item
	SubsumedBy   Op = "sb" // the value is subsumed by an item
	In           Op = "in" // an item is in the value set
	RefersTo     Op = "re" // a reference leads to the value
)

func (o Op) known() bool {
	switch o {
	case Equal, NotEqual, Contains, StartsWith, EndsWith, Greater, Less, GreaterEqual, LessEqual,
		Approximate, StartsAfter, EndsBefore, Present, Overlaps, Subsumes, SubsumedBy, In, RefersTo:
		return true
	}
	return false
}

func (And) filter()        {}
func (Or) filter()         {}
func (Not) filter()        {}
func (Comparison) filter() {}

// String writes it so that Parse reads it again.
func (e And) String() string { return join(e, " and ") }

// String writes it so that Parse reads it again.
func (e Or) String() string { return join(e, " or ") }

// String writes it so that Parse reads it again.
func (e Not) String() string { return "not (" + e.Of.String() + ")" }

// String writes it with its value quoted.
func (e Comparison) String() string {
	var b strings.Builder
	for i, s := range e.Path {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(s.Name)
		if s.Where != nil {
			b.WriteString("[" + s.Where.String() + "]")
		}
	}
	return b.String() + " " + string(e.Op) + " " + string(jsontree.AppendString(nil, e.Value))
}

func join(parts []Expr, word string) string {
	list := make([]string, len(parts))
	for i, p := range parts {
		list[i] = p.String()
		switch p.(type) {
		case And, Or:
			list[i] = "(" + list[i] + ")"
		}
	}
	return strings.Join(list, word)
}
