package parse

import (
	"strings"
	"unicode"

	"galen/fhir"
	"galen/fhir/search"
)

// fullText reads _text or _content: words that all must be there, "or" and
// "not" between them, parentheses, and phrases in double quotes
// (https://hl7.org/fhir/R4/search.html#content). A word stands for all that
// start with it.
func (s *state) fullText(name, modifier, value string) (search.Expr, error) {
	if s.opts.FullText < search.FullTextOf(name) {
		return nil, s.fail(fhir.NotSupported, name+" is not indexed on this server")
	}
	if modifier == "missing" {
		missing, err := s.flag(value)
		if missing {
			return search.Not{Of: search.Present{Param: name}}, err
		}
		return search.Present{Param: name}, err
	}
	if modifier != "" {
		return nil, s.badModifier()
	}
	pieces, err := each(s, value, func(piece string) (search.Expr, error) {
		w := &wordReader{state: s, param: name, rest: unescape(piece)}
		w.next()
		e := w.or(0)
		if w.err == nil && w.token != "" {
			w.err = s.fail(fhir.Value, "the parentheses do not match")
		}
		return e, w.err
	})
	if len(pieces) == 1 {
		return pieces[0], err
	}
	return search.Any(pieces), err
}

// wordReader is a reader of one such expression.
type wordReader struct {
	*state
	param  string
	rest   string
	token  string // "" at the end
	quoted bool
	err    error
}

// next takes a parenthesis, a phrase or a word.
func (w *wordReader) next() {
	w.rest = strings.TrimSpace(w.rest)
	w.token, w.quoted = "", false
	switch {
	case w.rest == "":
	case w.rest[0] == '(' || w.rest[0] == ')':
		w.token, w.rest = w.rest[:1], w.rest[1:]
	case w.rest[0] == '"':
		w.token, w.rest, w.quoted = w.rest, "", true
		if end := strings.IndexByte(w.token[1:], '"'); end >= 0 {
			w.token, w.rest = w.token[:end+2], w.token[end+2:]
		}
	default:
		end := strings.IndexFunc(w.rest, func(r rune) bool { return r == '(' || r == ')' || r == '"' || unicode.IsSpace(r) })
		if end < 0 {
			end = len(w.rest)
		}
		w.token, w.rest = w.rest[:end], w.rest[end:]
	}
}

func (w *wordReader) is(word string) bool { return !w.quoted && strings.EqualFold(w.token, word) }

func (w *wordReader) or(depth int) search.Expr {
	parts := search.Any{w.and(depth)}
	for w.err == nil && w.is("or") {
		w.next()
		parts = append(parts, w.and(depth))
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return parts
}

func (w *wordReader) and(depth int) search.Expr {
	parts := []search.Expr{w.factor(depth)}
	for w.err == nil && w.token != "" && !w.is("or") && !w.is(")") {
		if w.is("and") {
			w.next()
		}
		parts = append(parts, w.factor(depth))
	}
	return search.And(parts...)
}

func (w *wordReader) factor(depth int) search.Expr {
	switch {
	case w.err != nil:
	case depth > w.opts.MaxChain:
		w.err = w.fail(fhir.TooCostly, "too many parentheses within each other")
	case w.is("not"):
		w.next()
		return search.Not{Of: w.factor(depth + 1)}
	case w.is("("):
		w.next()
		e := w.or(depth + 1)
		if w.err == nil && !w.is(")") {
			w.err = w.fail(fhir.Value, "the parentheses do not match")
		}
		w.next()
		return e
	default:
		return w.phrase()
	}
	return nil
}

// phrase reads a word or, of a narrative, words that follow each other; what is
// written as one ("follow-up") may be several.
func (w *wordReader) phrase() search.Expr {
	words := search.NormalizeWords(w.token)
	if words == "" || w.is(")") {
		w.err = w.fail(fhir.Value, "a word is needed")
		return nil
	}
	w.next()
	phrases := []string{words}
	if w.param == search.ContentParam { // whose words stand in no order
		phrases = strings.Fields(words)
	}
	parts := make([]search.Expr, len(phrases))
	for i, p := range phrases {
		if w.tests++; w.tests > w.opts.MaxTests {
			w.err = w.fail(fhir.TooCostly, "too many words")
			return nil
		}
		parts[i] = search.Where{Param: w.param, Any: []search.Test{search.TextTest{Norm: p}}}
	}
	return search.And(parts...)
}
