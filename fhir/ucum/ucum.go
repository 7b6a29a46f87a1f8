// Package ucum reads units in the Unified Code for Units of Measure, case
// sensitive form, and converts quantities between them
// (https://ucum.org/ucum, version 2.2).
//
// Promises: the whole grammar and all 312 units with their prefixes, arbitrary
// and special units included; conversions are exact when the factor is a
// terminating decimal, else rounded to 34 digits, never through binary floating
// point but for the two units of slope. A Table is immutable to its users and
// safe for concurrent use; no code, however long or deep, makes it panic or
// run long. An error's text holds offsets and reasons, not the code.
//
// It is not a clinical authority: mol is a number in UCUM and eq equals mol, so
// meq/L and mmol/L convert; that mg/dL and mmol/L differ by analyte is not known.
package ucum

import (
	"errors"
	"fmt"
	"slices"

	"galen/fhir/decimal"
)

// Limits on a code; a longer or greater one is refused with ErrLimit.
const (
	MaxCode     = 255 // bytes
	MaxDepth    = 16  // nested parentheses
	MaxExponent = 99  // of one unit, either sign
)

// Reasons inside an [Error].
var (
	ErrSyntax          = errors.New("not a UCUM expression")
	ErrUnknown         = errors.New("not a UCUM unit")
	ErrSpecial         = errors.New("a special unit stands only alone or times a number")
	ErrLimit           = fmt.Errorf("over a limit: %d bytes, depth %d, exponent %d, or the magnitude", MaxCode, MaxDepth, MaxExponent)
	ErrIncommensurable = errors.New("the units measure different things")
	ErrDomain          = errors.New("the value has no meaning in the special unit")
)

// Error is what every function here returns. Code is the unit at fault and At
// the byte offset in it; Error leaves the code out, as it may come from a
// patient's record.
type Error struct {
	Code string
	At   int
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("ucum: offset %d: %v", e.At, e.Err) }

// Unwrap returns one of the reasons of this package.
func (e *Error) Unwrap() error { return e.Err }

// Unit is one parsed code. It is immutable; the zero value is not a unit.
type Unit struct {
	code, name, base string
	measure          measure
	toBase           ratio // of the measure's magnitude
	scale            ratio // of a special unit's prefix and numbers
}

// Code returns the code as parsed.
func (u Unit) Code() string { return u.code }

// Name returns the unit in words in the form of the UCUM functional tests, such
// as "(milligram) / (deciliter)", with the names of the table.
func (u Unit) Name() string { return u.name }

// Base returns the expression in base units (m s g rad K C cd) and arbitrary
// units, sorted, such as "g.m-3", or "1" for a number. Units with the same Base
// are commensurable, and no others.
func (u Unit) Base() string { return u.base }

// Special reports whether the unit stands on a scale of its own (Cel, [pH], B),
// so that values cannot be added or multiplied before conversion.
func (u Unit) Special() bool { return u.measure.fn != nil }

// Arbitrary reports whether an arbitrary unit such as [iU] takes part, so that
// the unit converts only within the same procedure-defined unit.
func (u Unit) Arbitrary() bool {
	return slices.ContainsFunc(u.measure.dims, func(p power) bool { return p.arbitrary })
}

// Table is the set of known prefixes and units with a cache of parsed codes.
// Make one with Load and share it.
type Table struct {
	prefixes map[string]prefix
	atoms    map[string]atom
	units    *cache[string, Unit]
	pairs    *cache[pair, conversion]
}

// Parse reads a case-sensitive code: terms with . and /, exponents, prefixes,
// integers, parentheses and annotations. The *Error wraps ErrSyntax, ErrUnknown,
// ErrSpecial or ErrLimit.
func (t *Table) Parse(code string) (Unit, error) {
	if u, ok := t.units.get(code); ok {
		return u, nil
	}
	u, err := t.parse(code)
	if err != nil {
		return Unit{}, err
	}
	t.units.put(code, u)
	return u, nil
}

func (t *Table) parse(code string) (Unit, error) {
	p := parser{code: code, prefixes: t.prefixes, find: t.find}
	node, err := p.parse()
	if err != nil {
		return Unit{}, err
	}
	u := Unit{code: code, name: node.name, measure: node.measure, base: node.measure.base()}
	u.toBase = newRatio(node.measure.magnitude)
	if u.Special() {
		u.scale = newRatio(node.measure.scale)
	}
	return u, nil
}

func (t *Table) find(symbol string) (atom, bool) {
	a, ok := t.atoms[symbol]
	return a, ok
}

// Valid reports whether code is a UCUM expression.
func (t *Table) Valid(code string) bool {
	_, err := t.Parse(code)
	return err == nil
}

// Commensurable reports whether both codes are valid and measure the same
// dimension, special units by the unit beneath them: Cel and K are.
func (t *Table) Commensurable(a, b string) bool {
	_, err := t.conversion(a, b)
	return err == nil
}

// Canonical returns the value in base units and their expression, the same for
// all codes of one dimension: 1 mg is 0.001 g, 37 Cel is 310.15 K. The result is
// exact when the factor is a terminating decimal, else has 34 digits; its places
// do not tell precision, so take [decimal.Decimal.Interval] before, not after.
// Errors are those of Parse, and ErrDomain.
func (t *Table) Canonical(v decimal.Decimal, code string) (value decimal.Decimal, unit string, err error) {
	u, err := t.Parse(code)
	if err != nil {
		return decimal.Decimal{}, "", err
	}
	value, ok := u.toBaseValue(v)
	if !ok {
		return decimal.Decimal{}, "", &Error{Code: code, Err: ErrDomain}
	}
	return value, u.base, nil
}

// Convert returns v, a quantity in unit from, in unit to, as exact as Canonical.
// Errors are those of Parse, ErrIncommensurable (Code is then to) and ErrDomain.
func (t *Table) Convert(v decimal.Decimal, from, to string) (decimal.Decimal, error) {
	c, err := t.conversion(from, to)
	if err != nil {
		return decimal.Decimal{}, err
	}
	out, ok := c.apply(v)
	if !ok {
		return decimal.Decimal{}, &Error{Code: to, Err: ErrDomain}
	}
	return out, nil
}

func (t *Table) conversion(from, to string) (conversion, error) {
	key := pair{from, to}
	if c, ok := t.pairs.get(key); ok {
		return c, nil
	}
	a, err := t.Parse(from)
	if err != nil {
		return conversion{}, err
	}
	b, err := t.Parse(to)
	if err != nil {
		return conversion{}, err
	}
	if a.base != b.base {
		return conversion{}, &Error{Code: to, Err: ErrIncommensurable}
	}
	c := newConversion(a, b)
	t.pairs.put(key, c)
	return c, nil
}
