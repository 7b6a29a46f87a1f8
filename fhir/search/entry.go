package search

import (
	"galen/fhir"
	"galen/fhir/decimal"
)

// Entry is one value by which a resource is found: what a search parameter's
// expression yields on it, in the form that searching needs.
type Entry struct {
	Param string // code of the search parameter, "code-value-quantity"
	Value Value
}

// Value is one of Token, Text, TypedIdentifier, String, Date, Number, Quantity,
// Reference, URI, Position or Composite. The set is closed: every driver and
// Match handle each of them.
type Value interface{ value() }

// Token is a code, Coding, Identifier, ContactPoint or boolean
// (https://hl7.org/fhir/R4/search.html#token).
type Token struct {
	System string // "" for none
	Code   string // lower case when Folded
	Folded bool   // the code system does not heed case
}

// Text is the words of a token or reference that :text searches: a display, a
// CodeableConcept.text, a Reference.display; made by NormalizeWords, so that
// words are letters and digits with one space between.
type Text struct{ Norm string }

// TypedIdentifier is an Identifier with its type, for :of-type; one for each
// coding of the type.
type TypedIdentifier struct{ System, Code, Value string }

// String is a string, or one part of a HumanName or Address
// (https://hl7.org/fhir/R4/search.html#string).
type String struct {
	Exact string // as written
	Norm  string // without case, accents and surplus white space: Normalize
}

// Date is a date, dateTime, instant, Period or Timing as the interval it covers.
type Date struct{ fhir.Period }

// Range is a closed interval of decimals; an open end has no bound.
type Range struct {
	Low, High         decimal.Decimal
	OpenLow, OpenHigh bool
}

// Number is an integer, decimal or Range.
type Number struct{ Range }

// Quantity is a Quantity, Money, Range of quantities or SampledData. Canonical
// is Range in UCUM base units, and CanonicalUnit is "" where the unit is not
// UCUM (https://hl7.org/fhir/R4/search.html#quantity).
type Quantity struct {
	Range
	System, Code, Unit string
	Canonical          Range
	CanonicalUnit      string
}

// Reference is where a Reference, canonical or uri element leads
// (https://hl7.org/fhir/R4/search.html#reference). A literal to a resource of
// this server has a Key; anything else has only a URL. A Reference.identifier
// is a Token under the same parameter.
type Reference struct {
	fhir.Key        // of a resource on this server, else zero
	URL      string // absolute URL, urn, canonical without version or "#contained"; "" when Key is set
	Version  string // of a versioned reference or canonical
}

// URI is a uri, url, oid, uuid or canonical.
type URI struct{ URI string }

// Position is the place of a Location for near.
type Position struct{ Latitude, Longitude float64 } // degrees, WGS 84

// Composite is one combination of the values of a composite parameter's
// components, in their order.
type Composite struct{ Parts []Value }

func (Token) value()           {}
func (Text) value()            {}
func (TypedIdentifier) value() {}
func (String) value()          {}
func (Date) value()            {}
func (Number) value()          {}
func (Quantity) value()        {}
func (Reference) value()       {}
func (URI) value()             {}
func (Position) value()        {}
func (Composite) value()       {}
