// Package system holds the values of FHIRPath's System types that Go lacks:
// dates and times with the precision they were written in, and quantities
// (https://hl7.org/fhirpath/N1/, 4.1: literals, 6: operations).
//
// Comparison is three-valued: whether 2018-03 lies before 2018-03-01 is unknown,
// and so is the order of two times of which one has no zone unless they lie
// further apart than zones can. Nothing passes through binary floating point.
//
// It knows no FHIR element and no expression.
package system

// Order is the outcome of a comparison.
type Order uint8

// The outcomes. Uncertain is FHIRPath's empty collection; Incomparable values
// have no order at all (a date and a time, centimetres and seconds).
const (
	Uncertain Order = iota
	Less
	Equal
	Greater
	Incomparable
)

func order(c int) Order { return Equal + Order(c) }
