package search

import (
	"galen/fhir"
	"galen/fhir/decimal"
)

// Query says which resources are meant and in which order: all that a driver
// has to know. It holds meaning, not text, and is immutable once made.
type Query struct {
	Types []string // resource types; empty means every type
	Where Expr     // nil means every resource
	Sort  []Sort   // then by creation, oldest first
}

// Sort is one key of the order. Descending takes a resource's greatest value of
// the parameter, ascending its least; resources without a value come last
// either way (https://hl7.org/fhir/R4/search.html#sort).
type Sort struct {
	Param      string // a parameter's code; _id and _lastUpdated included
	Descending bool
}

// Expr is a condition on a resource: one of All, Any, Not, Where, Present,
// HasID, HasType, Updated, Chain, Reverse or Tree. The set is closed.
type Expr interface{ expr() }

// All holds if every part holds; an empty All always does.
type All []Expr

// Any holds if one part holds; an empty Any never does.
type Any []Expr

// Not holds if the other does not: of the whole resource, as :not asks.
type Not struct{ Of Expr }

// Where holds if some entry of the parameter passes some test.
type Where struct {
	Param string
	Any   []Test
}

// Present holds if the parameter has an entry at all (:missing=false).
type Present struct{ Param string }

// HasID holds if the resource's logical id is one of these (_id).
type HasID struct{ IDs []string }

// HasType holds if the resource is of one of these types: for a search over
// several types of which each has its own condition (compartments, policies).
type HasType struct{ Types []string }

// Updated compares meta.lastUpdated (_lastUpdated) as a Date of one millisecond.
type Updated struct{ DateTest }

// Chain holds if a Reference entry of the parameter leads to a current resource
// of Type for which Of holds; a chain over several types is an Any of Chains
// (https://hl7.org/fhir/R4/search.html#chaining). Only a Reference with a Key
// leads somewhere: canonicals and foreign URLs are not followed.
type Chain struct {
	Param string
	Type  string
	Of    Expr
}

// Reverse holds if some current resource of Type, for which Of holds, refers to
// this one by Param (_has).
type Reverse struct {
	Type  string
	Param string
	Of    Expr
}

func (All) expr()     {}
func (Any) expr()     {}
func (Not) expr()     {}
func (Where) expr()   {}
func (Present) expr() {}
func (HasID) expr()   {}
func (HasType) expr() {}
func (Updated) expr() {}
func (Chain) expr()   {}
func (Reverse) expr() {}

// Test is a condition on one entry: one of TokenTest, TextTest, TypedTest,
// StringTest, DateTest, NumberTest, QuantityTest, ReferenceTest, URITest,
// NearTest, CompositeTest or Other. The set is closed.
type Test interface{ test() }

// Op is how a value is compared, named as the prefixes of
// https://hl7.org/fhir/R4/search.html#prefix.
type Op uint8

// The prefixes. The zero Op is Eq.
const (
	Eq Op = iota // the search range contains the entry's range
	Ne           // not Eq
	Gt           // the entry's range reaches above the value
	Lt
	Ge // Gt or Eq
	Le
	Sa // the entry's range starts after the value
	Eb // the entry's range ends before the value
	Ap // the ranges overlap, the search range widened by 10 %
)

var prefixes = [...]string{Eq: "eq", Ne: "ne", Gt: "gt", Lt: "lt", Ge: "ge", Le: "le", Sa: "sa", Eb: "eb", Ap: "ap"}

// String is the prefix, "ge".
func (o Op) String() string { return prefixes[min(o, Ap)] }

// TokenTest passes tokens by system and code. A Folded token is compared with
// Code in lower case (strings.ToLower), any other with Code as it is.
type TokenTest struct {
	System    string // "" means: no system
	Code      string
	AnySystem bool // "code"
	AnyCode   bool // "system|"
}

// TextTest passes Text entries of which a word starts with Norm: the entry starts
// with it or holds it after a space. Norm is made by NormalizeWords.
type TextTest struct{ Norm string }

// TypedTest passes TypedIdentifier entries (:of-type).
type TypedTest struct{ System, Code, Value string }

// StringMode is how StringTest compares.
type StringMode uint8

// The ways of https://hl7.org/fhir/R4/search.html#string.
const (
	StartsWith StringMode = iota // Norm starts with it
	Contains                     // Norm contains it
	Exact                        // Exact equals it
	EndsWith                     // Norm ends with it
	Whole                        // Norm equals it
)

// StringTest passes String entries; Text is normalised unless Mode is Exact.
type StringTest struct {
	Mode StringMode
	Text string
}

// DateTest passes Date entries. For Ap the Period is widened already.
type DateTest struct {
	Op Op
	fhir.Period
}

// NumberTest passes Number entries: Value is the number as written, [Low, High)
// its implicit range, widened already for Ap. Eq, Ne and Ap use the range, the
// others Value: Ge is Gt or an entry that is exactly Value
// (https://hl7.org/fhir/R4/search.html#number).
type NumberTest struct {
	Op        Op
	Value     decimal.Decimal
	Low, High decimal.Decimal
}

// QuantityTest passes Quantity entries. Without System and Code any unit
// passes; a Code without System equals the entry's code or unit; a System without
// Code equals the entry's system. With a UCUM unit, Canonical is the comparison
// in base units, and the entry's CanonicalUnit must be the same.
type QuantityTest struct {
	NumberTest
	System, Code  string
	AnySystem     bool // no system was given
	AnyUnit       bool // neither system nor code was given
	Canonical     NumberTest
	CanonicalUnit string // "" if the unit is not UCUM
}

// ReferenceTest passes Reference entries with this Key (any type if Type is ""),
// or with this URL; a Version must then be equal unless it is "".
type ReferenceTest struct {
	fhir.Key
	URL     string
	Version string
}

// URIMode is how URITest compares.
type URIMode uint8

// The ways of https://hl7.org/fhir/R4/search.html#uri.
const (
	URIEqual URIMode = iota
	URIBelow         // the entry is the URI or a path below it
	URIAbove         // the entry is the URI or a path above it
)

// URITest passes URI entries.
type URITest struct {
	Mode URIMode
	URI  string
}

// NearTest passes Position entries within a distance.
type NearTest struct {
	Latitude, Longitude float64 // degrees
	Meters              float64
}

// CompositeTest passes Composite entries of which every part passes its test.
type CompositeTest struct{ Parts []Test }

// Other passes values of the kind that Of is for which Of does not pass (ne of
// https://hl7.org/fhir/R4/search_filter.html).
type Other struct{ Of Test }

func (Other) test()         {}
func (TokenTest) test()     {}
func (TextTest) test()      {}
func (TypedTest) test()     {}
func (StringTest) test()    {}
func (DateTest) test()      {}
func (NumberTest) test()    {}
func (QuantityTest) test()  {}
func (ReferenceTest) test() {}
func (URITest) test()       {}
func (NearTest) test()      {}
func (CompositeTest) test() {}
