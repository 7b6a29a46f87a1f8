package index

import (
	"strings"

	"galen/fhir/decimal"
	"galen/fhir/jsontree"
	"galen/fhir/search"
)

// currencySystem is the system of Money.currency.
const currencySystem = "urn:iso:std:iso:4217"

// unit is the system, code and unit of a Quantity.
func unit(v jsontree.Node) search.Quantity {
	return search.Quantity{System: v.Get("system").Text(), Code: v.Get("code").Text(), Unit: v.Get("unit").Text()}
}

// quantity: a comparator leaves one side open, so that <5 is what may be any
// number below 5 (https://hl7.org/fhir/R4/datatypes.html#Quantity).
func quantity(w *walk, e *emit, v jsontree.Node) {
	d, ok := figure(v.Get("value"))
	if !ok {
		return
	}
	q := unit(v)
	q.Range = search.Range{Low: d, High: d}
	switch v.Get("comparator").Text() {
	case "<", "<=":
		q.Low, q.OpenLow = decimal.Decimal{}, true
	case ">", ">=":
		q.High, q.OpenHigh = decimal.Decimal{}, true
	}
	w.canonical(e, q)
}

// canonical adds a quantity with its range in base units, if it has them.
func (w *walk) canonical(e *emit, q search.Quantity) {
	q.Canonical, q.CanonicalUnit, _ = search.Canonical(w.units, q.Range, q.System, q.Code)
	w.add(e, q)
}

func quantityRange(w *walk, e *emit, v jsontree.Node) {
	r, ok := ends(v)
	if !ok {
		return
	}
	low, high := unit(v.Get("low")), unit(v.Get("high"))
	q := low
	if r.OpenLow {
		q = high
	}
	q.Range = r
	w.canonical(e, q)
}

func money(w *walk, e *emit, v jsontree.Node) {
	if d, ok := figure(v.Get("value")); ok {
		w.add(e, search.Quantity{System: currencySystem, Code: v.Get("currency").Text(), Range: search.Range{Low: d, High: d}})
	}
}

// sampled is a series as the range of its values
// (https://hl7.org/fhir/R4/datatypes.html#SampledData): origin + factor × each;
// L and U stand for the limits, E for an error.
func sampled(w *walk, e *emit, v jsontree.Node) {
	origin, ok := figure(v.Get("origin").Get("value"))
	if !ok {
		return
	}
	factor, ok := figure(v.Get("factor"))
	if !ok {
		factor = decimal.FromInt(1)
	}
	q, found := unit(v.Get("origin")), false
	for text := range strings.FieldsSeq(v.Get("data").Text()) {
		d, ok := sample(v, text)
		if !ok {
			continue
		}
		if d = origin.Add(factor.Mul(d)); !found {
			q.Low, q.High, found = d, d, true
			continue
		}
		if d.Cmp(q.Low) < 0 {
			q.Low = d
		}
		if d.Cmp(q.High) > 0 {
			q.High = d
		}
	}
	if found {
		w.canonical(e, q)
	}
}

func sample(v jsontree.Node, text string) (decimal.Decimal, bool) {
	switch text {
	case "L":
		return figure(v.Get("lowerLimit"))
	case "U":
		return figure(v.Get("upperLimit"))
	}
	d, err := decimal.Parse(text)
	return d, err == nil
}
