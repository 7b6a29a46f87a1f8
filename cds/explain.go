package cds

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"galen/cds/feature"
	"galen/models/manifest"
)

// explain takes the contributions to the headline, greatest first.
func (a *Assessment) explain(o *manifest.Output, row []float64) {
	headline, _ := a.Model.Manifest.Headline()
	if headline == nil || o.Of != headline.Name {
		return
	}
	for i, name := range o.Columns {
		f, ok := a.Model.Manifest.Feature(name)
		if ok && i < len(row) && !math.IsNaN(row[i]) {
			a.Contributions = append(a.Contributions, Contribution{f, row[i], o.Scale})
		}
	}
	slices.SortStableFunc(a.Contributions, func(x, y Contribution) int {
		switch dx, dy := math.Abs(x.Amount), math.Abs(y.Amount); {
		case dx > dy:
			return -1
		case dx < dy:
			return 1
		}
		return 0
	})
}

// topContributions is how many a rationale names.
const topContributions = 3

// Rationale names in one sentence what moved the headline most, "" if the model
// explains nothing.
func (a *Assessment) Rationale() string {
	parts := make([]string, 0, topContributions)
	for _, c := range a.Contributions {
		if len(parts) == topContributions || c.Amount == 0 {
			break
		}
		sign := "+"
		if c.Amount < 0 {
			sign = "−"
		}
		parts = append(parts, c.Feature.Label+" "+sign+Digits(math.Abs(c.Amount), 3)+" "+c.Scale)
	}
	if len(parts) == 0 {
		return ""
	}
	return "Main contributions: " + strings.Join(parts, "; ") + "."
}

// Text is the prediction for people: "1.25 %", "7 points", "68.6 mL/min/{1.73_m2}".
func (p *Prediction) Text() string {
	switch p.Output.Meaning {
	case manifest.Probability:
		return Digits(p.Value*100, 3) + " %"
	case manifest.Points:
		if p.Value == 1 {
			return "1 point"
		}
		return Digits(p.Value, 4) + " points"
	case manifest.Class:
		if i := int(p.Value); i >= 0 && i < len(p.Output.Classes) {
			return p.Output.Classes[i].Display
		}
	}
	return strings.TrimSpace(Digits(p.Value, 4) + " " + unitText(p.Output.Unit))
}

// Text is the value for people, in the model's unit, with what the record says
// when it says it in another.
func Text(v *feature.Value) string {
	switch {
	case v.Status == feature.Missing:
		return "missing"
	case v.Feature.Kind.Recorded() && v.Number == 0:
		return "none on record"
	case v.Feature.Kind.Recorded():
		return "on record"
	}
	text := strings.TrimSpace(Digits(v.Number, 4) + " " + unitText(v.Feature.Unit))
	for _, c := range v.Feature.Categories {
		if c.Value == v.Number && c.Display != "" {
			text = c.Display
			break
		}
	}
	if v.Recorded != "" && v.Recorded != text && len(v.Feature.Categories) == 0 {
		text += " (recorded as " + v.Recorded + ")"
	}
	return text
}

// unitText shows a UCUM code; "1" is no unit.
func unitText(unit string) string {
	if unit == "1" {
		return ""
	}
	return unit
}

// Digits writes a number with that many significant digits and no exponent.
func Digits(x float64, significant int) string {
	if x == 0 {
		return "0"
	}
	places := max(0, significant-1-int(math.Floor(math.Log10(math.Abs(x)))))
	s := strconv.FormatFloat(x, 'f', places, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}
