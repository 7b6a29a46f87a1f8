package parse

import (
	"strings"
	"time"

	"galen/fhir"
	"galen/fhir/decimal"
	"galen/fhir/search"
	"galen/fhir/spec"
)

// token reads code, system|code, |code or system|
// (https://hl7.org/fhir/R4/search.html#token).
func (s *state) token(piece string) (search.Test, error) {
	parts := split(piece, '|')
	switch {
	case len(parts) == 1:
		return search.TokenTest{Code: unescape(piece), AnySystem: true}, nil
	case len(parts) > 2:
		return nil, s.fail(fhir.Value, `a token is system|code; write a bar in either as \|`)
	case parts[0] == "" && parts[1] == "":
		return nil, s.fail(fhir.Value, "neither system nor code is given")
	}
	return search.TokenTest{System: unescape(parts[0]), Code: unescape(parts[1]), AnyCode: parts[1] == ""}, nil
}

// words reads the value of :text.
func (s *state) words(piece string) (search.Test, error) {
	text := search.NormalizeWords(unescape(piece))
	if text == "" {
		return nil, s.fail(fhir.Value, "no word is given")
	}
	return search.TextTest{Norm: text}, nil
}

// typed reads the value of :of-type, system|code|value.
func (s *state) typed(piece string) (search.Test, error) {
	parts := split(piece, '|')
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return nil, s.fail(fhir.Value, "of-type needs system|code|value")
	}
	return search.TypedTest{System: unescape(parts[0]), Code: unescape(parts[1]), Value: unescape(parts[2])}, nil
}

func stringReader(mode search.StringMode) func(string) (search.Test, error) {
	return func(piece string) (search.Test, error) {
		text := unescape(piece)
		if mode != search.Exact {
			text = search.Normalize(text)
		}
		return search.StringTest{Mode: mode, Text: text}, nil
	}
}

func uriReader(mode search.URIMode) func(string) (search.Test, error) {
	return func(piece string) (search.Test, error) { return search.URITest{Mode: mode, URI: unescape(piece)}, nil }
}

// referenceReader reads id, type/id, a URL or canonical|version. A bare id gets
// its type if only one is possible; with only, it must have that type.
func (s *state) referenceReader(types []string, only bool) func(string) (search.Test, error) {
	one := ""
	if len(types) == 1 {
		one = types[0]
	}
	return func(piece string) (search.Test, error) {
		text := unescape(piece)
		if fhir.ValidID(text) {
			return search.ReferenceTest{Key: fhir.Key{Type: one, ID: text}}, nil
		}
		ref := search.ParseReference(text, s.opts.Base)
		if ref.Key.Type != "" && !s.defs.IsResource(ref.Key.Type) {
			return nil, s.fail(fhir.Value, "the reference names no resource type of R4")
		}
		if ref.Key.Type == "" && !strings.ContainsAny(ref.URL, ":#") {
			return nil, s.fail(fhir.Value, "not an id, a type/id or a URL")
		}
		if only && ref.Key.Type != one && !strings.Contains(ref.URL, "/"+one+"/") {
			return nil, s.fail(fhir.Value, "the reference is not to the type after the colon")
		}
		return search.ReferenceTest(ref), nil
	}
}

// prefix takes a comparison prefix off a value
// (https://hl7.org/fhir/R4/search.html#prefix).
func (s *state) prefix(piece string) (search.Op, string, error) {
	if piece == "" || piece[0] < 'a' || piece[0] > 'z' {
		return search.Eq, piece, nil
	}
	for o := search.Eq; o <= search.Ap; o++ {
		if rest, ok := strings.CutPrefix(piece, o.String()); ok && rest != "" {
			return o, rest, nil
		}
	}
	return search.Eq, "", s.fail(fhir.Value, "unknown prefix; eq, ne, gt, lt, ge, le, sa, eb and ap are known")
}

// date reads a prefix and a date, dateTime or instant.
func (s *state) date(piece string) (search.DateTest, error) {
	o, text, err := s.prefix(unescape(piece))
	if err != nil {
		return search.DateTest{}, err
	}
	// A "+" that was not written %2B came as a space; no date has one.
	if i := len(text) - len(" 01:00"); i > 0 && text[i] == ' ' {
		text = text[:i] + "+" + text[i+1:]
	}
	period, _, err := fhir.ParseDateTime(text, s.opts.Zone)
	if err != nil {
		return search.DateTest{}, s.fail(fhir.Value, "not a date or dateTime")
	}
	if o == search.Ap {
		period = s.widened(period)
	}
	return search.DateTest{Op: o, Period: period}, nil
}

// widened adds a tenth of the gap between now and the period to both sides, as
// R4 advises for ap; one that holds now stays as it is.
func (s *state) widened(p fhir.Period) fhir.Period {
	now := fhir.InstantOf(s.opts.Now().Truncate(time.Millisecond))
	gap := max(p.Low-now, now-p.High, 0) / 10
	return fhir.Period{Low: p.Low - gap, High: p.High + gap}
}

// tenth is R4's advice for ap on numbers.
var tenth, _ = decimal.Parse("0.1")

// number reads a prefix and a number.
func (s *state) number(piece string) (search.NumberTest, error) {
	o, text, err := s.prefix(unescape(piece))
	if err != nil {
		return search.NumberTest{}, err
	}
	value, err := decimal.Parse(text)
	if err != nil {
		return search.NumberTest{}, s.fail(fhir.Value, "not a number")
	}
	low, high := value.Interval()
	if o == search.Ap {
		margin := value.Abs().Mul(tenth)
		low, high = low.Sub(margin), high.Add(margin)
	}
	return search.NumberTest{Op: o, Value: value, Low: low, High: high}, nil
}

// quantity reads number or number|system|code, each with a prefix
// (https://hl7.org/fhir/R4/search.html#quantity).
func (s *state) quantity(piece string) (search.Test, error) {
	parts := split(piece, '|')
	if len(parts) != 1 && len(parts) != 3 {
		return nil, s.fail(fhir.Value, "a quantity is number or number|system|code")
	}
	n, err := s.number(parts[0])
	if err != nil {
		return nil, err
	}
	q := search.QuantityTest{NumberTest: n, AnySystem: true, AnyUnit: true}
	if len(parts) == 3 {
		q.System, q.Code = unescape(parts[1]), unescape(parts[2])
		q.AnySystem = q.System == ""
		q.AnyUnit = q.AnySystem && q.Code == ""
	}
	exact, unit, ok := search.Canonical(s.units, search.Range{Low: q.Value, High: q.Value}, q.System, q.Code)
	wide, _, _ := search.Canonical(s.units, search.Range{Low: q.Low, High: q.High}, q.System, q.Code)
	if ok && wide.Low.Cmp(wide.High) < 0 {
		q.Canonical = search.NumberTest{Op: q.Op, Value: exact.Low, Low: wide.Low, High: wide.High}
		q.CanonicalUnit = unit
	}
	return q, nil
}

// composite reads a$b (https://hl7.org/fhir/R4/search.html#composite).
func (s *state) composite(p *spec.SearchParam, typ string) (func(string) (search.Test, error), error) {
	readers := make([]func(string) (search.Test, error), len(p.Components))
	for i, c := range p.Components {
		var err error
		if readers[i], err = s.plain(c.Param, typ); err != nil {
			return nil, err
		}
	}
	return func(piece string) (search.Test, error) {
		parts := split(piece, '$')
		if len(parts) != len(readers) {
			return nil, s.fail(fhir.Value, "a composite needs one value for each component, with $ between")
		}
		tests := make([]search.Test, len(parts))
		for i, part := range parts {
			if part == "" {
				return nil, s.fail(fhir.Value, "a component has no value")
			}
			var err error
			if tests[i], err = readers[i](part); err != nil {
				return nil, err
			}
		}
		return search.CompositeTest{Parts: tests}, nil
	}, nil
}
