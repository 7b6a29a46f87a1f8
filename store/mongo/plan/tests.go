package plan

import (
	"math"
	"regexp"
	"slices"
	"strings"
	stdutf8 "unicode/utf8"

	"galen/fhir"
	"galen/fhir/search"
	"galen/store/mongo/index"
)

// utf8 is what becomes of a key that is not UTF-8.
func utf8(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

// tests is the filter of a Where: equal keys in one $in, each range of keys a
// branch of its own; nil if nothing passes.
func tests(w search.Where) (filter Doc, exact bool) {
	c := cells{param: w.Param, exact: true}
	for _, t := range w.Any {
		c.test(t)
	}
	var list List
	if len(c.equal) > 0 {
		slices.Sort(c.equal)
		list = append(list, Doc{{Keys, in(slices.Compact(c.equal))}})
	}
	for _, d := range c.ranges {
		list = append(list, d)
	}
	switch len(list) {
	case 0:
		return nil, true
	case 1:
		return list[0].(Doc), c.exact
	}
	return Doc{{"$or", list}}, c.exact
}

// cells collects the keys that lead to what passes.
type cells struct {
	param  string
	equal  []string
	ranges []Doc
	exact  bool
}

func (c *cells) key(letter, text string) {
	c.equal = append(c.equal, utf8(index.Of(c.param, letter)+text))
}

// open adds what is found by a range of keys, which is not exact.
func (c *cells) open(conditions ...any) {
	c.exact = false
	if len(conditions) == 1 {
		c.ranges = append(c.ranges, Doc{{Keys, conditions[0]}})
		return
	}
	var list List
	for _, cond := range conditions {
		list = append(list, Doc{{Keys, cond}})
	}
	c.ranges = append(c.ranges, Doc{{"$and", list}})
}

func (c *cells) prefix(letter, text string) { c.open(prefix(index.Of(c.param, letter) + text)) }

func (c *cells) test(t search.Test) {
	switch t := t.(type) {
	case search.TokenTest:
		c.token(t)
	case search.TextTest:
		word, _, more := strings.Cut(t.Norm, " ")
		if more && word != "" && len(word) <= index.MaxWord {
			c.exact = false
			c.key(index.Word, word)
		} else {
			c.prefix(index.Word, index.CutWord(word))
		}
	case search.TypedTest:
		c.key(index.Typed, t.System+index.Sep+t.Code+index.Sep+t.Value)
	case search.StringTest:
		c.text(t)
	case search.DateTest:
		c.date(t)
	case search.NumberTest:
		c.number(t, index.NumLow, index.NumHigh)
	case search.QuantityTest:
		if !t.AnyUnit && t.CanonicalUnit != "" {
			c.number(t.Canonical, index.CanonLow+t.CanonicalUnit+index.Sep, index.CanonHigh+t.CanonicalUnit+index.Sep)
		} else {
			c.number(t.NumberTest, index.QtyLow, index.QtyHigh)
		}
	case search.ReferenceTest:
		c.reference(t)
	case search.URITest:
		c.uri(t)
	case search.NearTest:
		c.near(t)
	case search.CompositeTest:
		c.composite(t)
	case search.Other:
		c.other(t.Of)
	}
}

func (c *cells) token(t search.TokenTest) {
	lower := strings.ToLower(t.Code)
	switch {
	case t.AnyCode && t.AnySystem:
		c.prefix(index.System, "")
	case t.AnyCode:
		c.key(index.System, t.System)
	case t.AnySystem:
		c.prefix(index.Token, t.Code+index.Sep)
		c.prefix(index.Folded, lower+index.Sep)
	default:
		c.key("", index.Code(false, t.Code, t.System))
		c.key("", index.Code(true, lower, t.System))
	}
}

func (c *cells) text(t search.StringTest) {
	switch t.Mode {
	case search.StartsWith:
		if len(t.Text) > index.MaxString {
			c.exact = false
			c.key(index.Norm, index.Cut(t.Text))
			return
		}
		c.prefix(index.Norm, t.Text)
	case search.Exact:
		c.exact = c.exact && len(t.Text) <= index.MaxString
		c.key(index.Exactly, index.Cut(t.Text))
	case search.Whole:
		c.exact = c.exact && len(t.Text) <= index.MaxString
		c.key(index.Norm, index.Cut(t.Text))
	default:
		pattern := regexp.QuoteMeta(utf8(t.Text))
		if t.Mode == search.EndsWith {
			pattern += "$"
		}
		of := index.Of(c.param, index.Norm)
		within := prefix(of)
		within = append(Doc{}, within[0].Value.(Doc)...)
		within = append(within, Field{"$regex", Regex("^" + regexp.QuoteMeta(of) + "(.*" + pattern + "|.*" + index.Long + "$)")})
		c.open(Doc{{"$elemMatch", within}})
	}
}

// date: the ends that each prefix needs; search.DateTest has the rules.
func (c *cells) date(t search.DateTest) {
	low, high := index.Instant(t.Low), index.Instant(t.High)
	least, most := min(low, high), max(low, high)
	switch t.Op {
	case search.Eq:
		c.open(c.between(index.DateLow, least, most), c.between(index.DateHigh, least, most))
		c.key(index.Backwards, "")
	case search.Ne:
		c.prefix(index.DateLow, "")
	case search.Gt:
		c.open(c.above(index.DateHigh, high))
	case search.Lt:
		c.open(c.below(index.DateLow, low))
	case search.Ge:
		c.open(c.above(index.DateHigh, least))
		c.key(index.Backwards, "")
	case search.Le:
		c.open(c.below(index.DateLow, most))
		c.key(index.Backwards, "")
	case search.Sa:
		c.open(c.above(index.DateLow, high))
	case search.Eb:
		c.open(c.below(index.DateHigh, low))
	default:
		c.open(c.below(index.DateLow, high), c.above(index.DateHigh, low))
	}
}

// number is the same for search.NumberTest.
func (c *cells) number(t search.NumberTest, lowLetter, highLetter string) {
	value, low, high := t.Value.SortKey(), t.Low.SortKey(), t.High.SortKey()
	switch t.Op {
	case search.Eq:
		c.open(c.between(lowLetter, low, high), c.between(highLetter, low, high))
		c.key(index.Backwards, "")
	case search.Ne:
		c.prefix(lowLetter, "")
	case search.Gt, search.Ge:
		c.open(c.above(highLetter, value))
	case search.Lt, search.Le:
		c.open(c.below(lowLetter, value))
	case search.Sa:
		c.open(c.above(lowLetter, value))
	case search.Eb:
		c.open(c.below(highLetter, value))
	default:
		c.open(c.below(lowLetter, high), c.above(highLetter, low))
	}
}

func (c *cells) reference(t search.ReferenceTest) {
	c.exact = c.exact && t.Version == ""
	switch {
	case t.URL != "":
		c.key(index.URL, t.URL)
	case t.ID == "":
	case t.Type == "":
		c.prefix(index.Key, t.ID+index.Sep)
	default:
		c.key(index.Key, index.Ref(t.Key))
	}
}

func (c *cells) uri(t search.URITest) {
	c.key(index.URI, t.URI)
	switch t.Mode {
	case search.URIBelow:
		c.prefix(index.URI, strings.TrimSuffix(t.URI, "/")+"/")
	case search.URIAbove:
		c.exact = false
		for i := range len(t.URI) {
			if t.URI[i] == '/' {
				c.key(index.URI, t.URI[:i])
				c.key(index.URI, t.URI[:i+1])
			}
		}
	}
}

// metersPerDegree is less than a degree of latitude is long.
const metersPerDegree = 110_000

func (c *cells) near(t search.NearTest) {
	degrees := math.Abs(t.Meters)/metersPerDegree + 1e-6
	c.open(c.between(index.Latitude, index.Float(t.Latitude-degrees), index.Float(t.Latitude+degrees)))
}

func (c *cells) composite(t search.CompositeTest) {
	if len(t.Parts) > 0 {
		if code, ok := t.Parts[0].(search.TokenTest); ok && !code.AnyCode {
			c.prefix(index.Parts+index.Token, code.Code+index.Sep)
			c.prefix(index.Parts+index.Folded, strings.ToLower(code.Code)+index.Sep)
			return
		}
	}
	c.prefix(index.Parts, "")
}

// other needs every value of the kind.
func (c *cells) other(of search.Test) {
	switch of.(type) {
	case search.TokenTest:
		c.prefix(index.System, "")
	case search.StringTest:
		c.prefix(index.Norm, "")
	case search.DateTest:
		c.prefix(index.DateLow, "")
	case search.NumberTest:
		c.prefix(index.NumLow, "")
	case search.QuantityTest:
		c.prefix(index.QtyLow, "")
	case search.ReferenceTest:
		c.prefix(index.Key, "")
		c.prefix(index.URL, "")
	case search.URITest:
		c.prefix(index.URI, "")
	case search.CompositeTest:
		c.prefix(index.Parts, "")
	}
}

// updated is a superset by the millisecond.
func updated(t search.DateTest) Doc {
	const slack = 2000
	low, high := min(t.Low, t.High), max(t.Low, t.High)
	from, to := Field{"$gte", index.Instant(less(low, slack))}, Field{"$lte", index.Instant(more(high, slack))}
	switch t.Op {
	case search.Eq, search.Ap:
		return Doc{{Updated, Doc{from, to}}}
	case search.Gt, search.Ge, search.Sa:
		return Doc{{Updated, Doc{from}}}
	case search.Lt, search.Le, search.Eb:
		return Doc{{Updated, Doc{to}}}
	}
	return nil
}

func less(i, by fhir.Instant) fhir.Instant { return max(i, math.MinInt64+by) - by }

func more(i, by fhir.Instant) fhir.Instant { return min(i, math.MaxInt64-by) + by }

// prefix are the keys that begin with it.
func prefix(p string) Doc {
	p = utf8(p)
	return Doc{{"$elemMatch", Doc{{"$gte", p}, {"$lt", after(p)}}}}
}

func (c *cells) between(letter, low, high string) any {
	of := index.Of(c.param, letter)
	return Doc{{"$elemMatch", Doc{{"$gte", of + low}, {"$lte", of + high}}}}
}

func (c *cells) above(letter, low string) any {
	of := index.Of(c.param, letter)
	return Doc{{"$elemMatch", Doc{{"$gte", of + low}, {"$lt", after(of)}}}}
}

func (c *cells) below(letter, high string) any {
	of := index.Of(c.param, letter)
	return Doc{{"$elemMatch", Doc{{"$gte", of}, {"$lte", of + high}}}}
}

// after is the least string above all that begin with p.
func after(p string) string {
	for p != "" {
		r, size := stdutf8.DecodeLastRuneInString(p)
		p = p[:len(p)-size]
		switch {
		case r == 0xD7FF: // before the surrogates
			return p + "\ue000"
		case r < stdutf8.MaxRune:
			return p + string(r+1)
		}
	}
	return "\U0010ffff"
}

// pair is the filter of a patient with codes, where a type has such keys and the
// condition asks for both.
func pair(typ string, parts And) Doc {
	rule, ok := index.DatedTypes[typ]
	if !ok {
		return nil
	}
	var patient *search.Where
	var codes *search.Where
	for _, part := range parts {
		w, ok := part.(search.Where)
		switch {
		case !ok:
		case w.Param == rule.Code:
			codes = &w
		case slices.Contains(index.PatientParams[:], w.Param):
			patient = &w
		}
	}
	if patient == nil || codes == nil {
		return nil
	}
	var equal []string
	var list List
	for _, p := range patient.Any {
		ref, ok := p.(search.ReferenceTest)
		if !ok || ref.URL != "" || ref.Type == "" || ref.ID == "" {
			return nil
		}
		for _, c := range codes.Any {
			t, ok := c.(search.TokenTest)
			if !ok || t.AnyCode {
				return nil
			}
			for _, folded := range [...]bool{false, true} {
				code, system := t.Code, t.System
				if folded {
					code = strings.ToLower(code)
				}
				if t.AnySystem {
					system = ""
				}
				key := utf8(index.Pair(patient.Param, rule.Code, ref.Key, index.Code(folded, code, system)))
				if t.AnySystem {
					list = append(list, Doc{{Keys, prefix(key)}})
				} else {
					equal = append(equal, key)
				}
			}
		}
	}
	if len(equal)+len(list) == 0 || len(equal) > MaxIn {
		return nil
	}
	if len(equal) > 0 {
		list = append(list, Doc{{Keys, in(equal)}})
	}
	if len(list) == 1 {
		return list[0].(Doc)
	}
	return Doc{{"$or", list}}
}
