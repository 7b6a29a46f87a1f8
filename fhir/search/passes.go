package search

import (
	"math"
	"strings"

	"galen/fhir"
)

func (t Other) passes(v Value) bool {
	same := false
	switch t.Of.(type) {
	case TokenTest:
		_, same = v.(Token)
	case StringTest:
		_, same = v.(String)
	case DateTest:
		_, same = v.(Date)
	case NumberTest:
		_, same = v.(Number)
	case QuantityTest:
		_, same = v.(Quantity)
	case ReferenceTest:
		_, same = v.(Reference)
	case URITest:
		_, same = v.(URI)
	case CompositeTest:
		_, same = v.(Composite)
	}
	return same && !Passes(t.Of, v)
}

// passes: https://hl7.org/fhir/R4/search.html#token.
func (t TokenTest) passes(v Token) bool {
	if !t.AnySystem && t.System != v.System {
		return false
	}
	switch {
	case t.AnyCode:
		return true
	case v.Folded:
		return strings.ToLower(t.Code) == v.Code
	}
	return t.Code == v.Code
}

func (t StringTest) passes(v String) bool {
	switch t.Mode {
	case Exact:
		return v.Exact == t.Text
	case Contains:
		return strings.Contains(v.Norm, t.Text)
	case EndsWith:
		return strings.HasSuffix(v.Norm, t.Text)
	case Whole:
		return v.Norm == t.Text
	}
	return strings.HasPrefix(v.Norm, t.Text)
}

// passes compares intervals as https://hl7.org/fhir/R4/search.html#prefix
// defines each prefix for ranges: the resource's v against the search's t.
func (t DateTest) passes(v fhir.Period) bool {
	contains := t.Low <= v.Low && v.High <= t.High
	switch t.Op {
	case Eq:
		return contains
	case Ne:
		return !contains
	case Gt:
		return v.High > t.High
	case Lt:
		return v.Low < t.Low
	case Ge:
		return v.High > t.High || contains
	case Le:
		return v.Low < t.Low || contains
	case Sa:
		return v.Low >= t.High
	case Eb:
		return v.High <= t.Low
	}
	return v.Low < t.High && t.Low < v.High
}

// passes is the same for numbers, where the value has no width of its own but
// for eq, ne and ap.
func (t NumberTest) passes(v Range) bool {
	closed := !v.OpenLow && !v.OpenHigh
	contains := closed && t.Low.Cmp(v.Low) <= 0 && v.High.Cmp(t.High) < 0
	exactly := closed && v.Low.Equal(t.Value) && v.High.Equal(t.Value)
	above := v.OpenHigh || v.High.Cmp(t.Value) > 0
	below := v.OpenLow || v.Low.Cmp(t.Value) < 0
	switch t.Op {
	case Eq:
		return contains
	case Ne:
		return !contains
	case Gt:
		return above
	case Lt:
		return below
	case Ge:
		return above || exactly
	case Le:
		return below || exactly
	case Sa:
		return !v.OpenLow && v.Low.Cmp(t.Value) > 0
	case Eb:
		return !v.OpenHigh && v.High.Cmp(t.Value) < 0
	}
	return (v.OpenLow || v.Low.Cmp(t.High) < 0) && (v.OpenHigh || v.High.Cmp(t.Low) >= 0)
}

// passes: https://hl7.org/fhir/R4/search.html#quantity.
func (t QuantityTest) passes(v Quantity) bool {
	switch {
	case t.AnyUnit:
	case t.CanonicalUnit != "":
		return v.CanonicalUnit == t.CanonicalUnit && t.Canonical.passes(v.Canonical)
	case t.AnySystem:
		if t.Code != v.Code && t.Code != v.Unit {
			return false
		}
	case t.System != v.System || (t.Code != "" && t.Code != v.Code):
		return false
	}
	return t.NumberTest.passes(v.Range)
}

// passes: https://hl7.org/fhir/R4/search.html#reference.
func (t ReferenceTest) passes(v Reference) bool {
	if t.Version != "" && t.Version != v.Version {
		return false
	}
	if t.URL != "" {
		return t.URL == v.URL
	}
	return t.ID == v.ID && v.ID != "" && (t.Type == "" || t.Type == v.Type)
}

// passes: https://hl7.org/fhir/R4/search.html#uri.
func (t URITest) passes(uri string) bool {
	switch t.Mode {
	case URIBelow:
		return below(uri, t.URI)
	case URIAbove:
		return below(t.URI, uri)
	}
	return uri == t.URI
}

// below reports whether uri is base or a path below it, segment by segment. A
// urn has no path.
func below(uri, base string) bool {
	if uri == base {
		return true
	}
	rest, ok := strings.CutPrefix(uri, strings.TrimSuffix(base, "/"))
	return ok && strings.HasPrefix(rest, "/") && !strings.HasPrefix(base, "urn:")
}

// earthRadius in meters is the mean one of IUGG, 1980.
const earthRadius = 6_371_008.8

// passes measures along the great circle (haversine).
func (t NearTest) passes(v Position) bool {
	const radian = math.Pi / 180
	sinLat := math.Sin((v.Latitude - t.Latitude) * radian / 2)
	sinLong := math.Sin((v.Longitude - t.Longitude) * radian / 2)
	h := sinLat*sinLat + math.Cos(v.Latitude*radian)*math.Cos(t.Latitude*radian)*sinLong*sinLong
	return 2*earthRadius*math.Asin(math.Sqrt(min(h, 1))) <= t.Meters
}

func (t CompositeTest) passes(v Composite) bool {
	if len(t.Parts) != len(v.Parts) {
		return false
	}
	for i, part := range t.Parts {
		if !Passes(part, v.Parts[i]) {
			return false
		}
	}
	return true
}
