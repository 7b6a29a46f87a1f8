package feature

import (
	"galen/fhir/decimal"
	"galen/fhir/jsontree"
	"galen/models/manifest"
)

const ucumSystem = "http://unitsofmeasure.org"

// quantity reads a Quantity (https://hl7.org/fhir/R4/datatypes.html#Quantity).
func (g *gatherer) quantity(q jsontree.Node, c *candidate) string {
	value := q.Get("value")
	if value.Kind() != jsontree.Number {
		return reasonNoValue
	}
	if comparator := q.Get("comparator").Text(); comparator != "" {
		if g.feature.Comparator != manifest.ComparatorUse {
			return reasonComparator
		}
		c.note = "recorded as a limit (" + comparator + "); the limit itself is used"
		c.recorded = comparator + " "
	}
	unit := unitOf(q)
	if unit == "" && g.target(c) != "1" {
		return reasonNoUnit
	}
	c.recorded += value.Text()
	if unit != "" && unit != "1" {
		c.recorded += " " + unit
	}
	return g.number(value.Text(), unit, c)
}

// unitOf is the UCUM code of a quantity. Records often carry the unit only as
// text; a text that is no UCUM code converts to nothing and is refused then.
func unitOf(q jsontree.Node) string {
	code, system := q.Get("code").Text(), q.Get("system").Text()
	if code != "" && (system == ucumSystem || system == "") {
		return code
	}
	if system == "" || system == ucumSystem {
		return q.Get("unit").Text()
	}
	return ""
}

func (g *gatherer) target(c *candidate) string {
	return g.feature.Target(&g.feature.Codes[c.code])
}

// number converts a decimal's text to the target unit: as it is when the units
// are equal, by the manifest's conversion, else by UCUM.
func (g *gatherer) number(text, unit string, c *candidate) string {
	d, err := decimal.Parse(text)
	if err != nil {
		return reasonNoValue
	}
	target := g.target(c)
	if unit == target || unit == "" && target == "1" {
		return g.place(d.Float64(), c)
	}
	if conv, ok := g.feature.Conversion(&g.feature.Codes[c.code], unit); ok {
		return g.place(conv.Apply(d.Float64()), c)
	}
	converted, err := g.units.Convert(d, unit, target)
	if err != nil {
		return reasonUnit
	}
	return g.place(converted.Float64(), c)
}
