package manifest

import (
	"math"
	"slices"
)

func (l *linter) features() {
	names := make([]string, len(l.m.Features))
	for i := range l.m.Features {
		names[i] = l.m.Features[i].Name
	}
	l.names("features", identPattern, names)
	for i := range l.m.Features {
		l.feature(at("features", i), &l.m.Features[i])
	}
}

func (l *linter) feature(key string, f *Feature) {
	l.text(key+".label", f.Label)
	oneOf(l, key+".kind", f.Kind, Age, Sex, Race, Observation, Condition, Onset, Medication, Procedure, Stay)
	oneOf(l, key+".comparator", f.Comparator, "", ComparatorReject, ComparatorUse)
	l.duration(key+".window", f.Window)
	l.need(!f.Past || f.Kind == Condition || f.Kind == Onset, key+".past", "needs kind condition or onset")
	l.kind(key, f)
	l.missing(key, f)
	for i := range f.Codes {
		l.code(at(key+".codes", i), f, &f.Codes[i])
	}
	l.conversions(key+".conversions", f.Unit, f.Conversions)
	if f.Plausible != nil {
		l.limits(key+".plausible", *f.Plausible, true)
	}
	for i, c := range f.Categories {
		l.coding(at(key+".categories", i), c.Coding)
		first, _ := f.Category(c.System, c.Code)
		l.need(first == c.Value, at(key+".categories", i), "%s has another value above", quote(c.Code))
		l.need(!math.IsNaN(c.Value) && !math.IsInf(c.Value, 0), at(key+".categories", i)+".value", "want a finite number")
	}
}

// kind checks what each kind of feature must and must not say.
func (l *linter) kind(key string, f *Feature) {
	switch f.Kind {
	case Age:
		oneOf(l, key+".unit", f.Unit, "a", "mo", "d")
		l.bare(key, f)
	case Stay:
		oneOf(l, key+".unit", f.Unit, "h")
		l.bare(key, f)
	case Sex, Race:
		l.need(len(f.Categories) > 0, key+".categories", "is missing: want a number for each code")
		l.bare(key, f)
	case Observation:
		l.need(f.Unit != "" || len(f.Categories) > 0, key+".unit", "is missing: want a UCUM unit, or categories")
		oneOf(l, key+".aggregate", f.Aggregate, Latest, Earliest, Mean, Min, Max, Sum, Count, Any)
		l.need(len(f.Codes) > 0, key+".codes", "is missing")
	case Onset:
		oneOf(l, key+".unit", f.Unit, "a")
		oneOf(l, key+".aggregate", f.Aggregate, Min)
		l.need(len(f.Codes) > 0, key+".codes", "is missing")
		l.need(len(f.Categories) == 0 && len(f.Conversions) == 0, key, "categories and conversions need kind observation")
	case Condition, Medication, Procedure:
		oneOf(l, key+".aggregate", f.Aggregate, Any, Count)
		l.need(len(f.Codes) > 0, key+".codes", "is missing")
		l.need(len(f.Categories) == 0 && len(f.Conversions) == 0, key, "categories and conversions need kind observation")
	}
}

// bare: age and sex come from the Patient alone.
func (l *linter) bare(key string, f *Feature) {
	l.need(len(f.Codes) == 0 && f.Window.IsZero() && f.Aggregate == "" && len(f.Conversions) == 0,
		key, "codes, conversions, window and aggregate have no meaning for kind %s", f.Kind)
}

func (l *linter) missing(key string, f *Feature) {
	oneOf(l, key+".missing", f.Missing, MissingRequired, MissingOptional, MissingDefault)
	isDefault := f.Missing == MissingDefault
	l.need(isDefault == (f.Default != nil), key+".default", "goes with missing: default, and only with it")
	l.need(isDefault == (f.DefaultNote != ""), key+".default_note", "goes with missing: default, and only with it")
	if f.Default != nil {
		l.need(!math.IsNaN(*f.Default) && !math.IsInf(*f.Default, 0), key+".default", "want a finite number")
	}
}

func (l *linter) code(key string, f *Feature, c *Code) {
	l.coding(key, c.Coding)
	for i, p := range c.Panels {
		l.coding(at(key+".panels", i), p)
	}
	first := slices.IndexFunc(f.Codes, func(o Code) bool { return o.System == c.System && o.Code == c.Code })
	l.need(&f.Codes[first] == c, key, "%s is listed twice", quote(c.Code))
	l.need((c.Unit != "") == (len(c.Bins) > 0), key+".unit", "a code's own unit goes with bins, and only with them")
	for i, b := range c.Bins {
		l.limits(at(key+".bins", i), b.Limits, false)
		l.text(at(key+".bins", i)+".label", b.Label)
	}
	if len(c.Bins) > 0 {
		l.need(f.Kind == Observation && len(f.Categories) > 0, key+".bins", "go with an observation that has categories")
		l.cover(key+".bins", len(c.Bins), func(i int) (Limits, bool) { return c.Bins[i].Limits, true })
	}
	l.conversions(key+".conversions", f.Target(c), c.Conversions)
}

func (l *linter) conversions(key, target string, list []Conversion) {
	for i, c := range list {
		k := at(key, i)
		l.text(k+".unit", c.Unit)
		l.need(c.Unit != target, k+".unit", "is the unit itself")
		for _, x := range []float64{c.Offset, c.Multiply, c.Divide} {
			l.need(!math.IsNaN(x) && !math.IsInf(x, 0), k, "want finite numbers")
		}
		l.need(c.Multiply >= 0 && c.Divide >= 0, k, "want positive factors")
	}
}

// cover checks that ranges leave no number out: it tries every end, a hair to
// each side of it, and both infinities.
func (l *linter) cover(key string, n int, limits func(int) (Limits, bool)) {
	probes := []float64{math.Inf(-1), math.Inf(1)}
	for i := range n {
		lim, _ := limits(i)
		for _, end := range lim.ends() {
			probes = append(probes, end, math.Nextafter(end, math.Inf(-1)), math.Nextafter(end, math.Inf(1)))
		}
	}
	for _, x := range probes {
		held := false
		for i := range n {
			lim, counts := limits(i)
			held = held || counts && lim.Contains(x)
		}
		if !held {
			l.fail(key, "none holds %v", x)
			return
		}
	}
}
