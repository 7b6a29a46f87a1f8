package filter

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxDepth bounds parentheses and brackets within each other.
const maxDepth = 50

// SyntaxError says where a filter breaks the grammar.
type SyntaxError struct {
	Offset int    // bytes from the start
	Reason string // without any of the text
}

// Error says why and where.
func (e *SyntaxError) Error() string { return fmt.Sprintf("%s at offset %d", e.Reason, e.Offset) }

// Parse reads a filter. The error is a *SyntaxError.
func Parse(text string) (Expr, error) {
	p := &parser{text: text}
	if !utf8.ValidString(text) {
		return nil, &SyntaxError{0, "not UTF-8"}
	}
	e := p.or(0)
	if p.space(); p.err == nil && p.at < len(p.text) {
		p.fail("there is more than a filter")
	}
	if p.err != nil {
		return nil, p.err
	}
	return e, nil
}

type parser struct {
	text string
	at   int
	err  *SyntaxError
}

func (p *parser) fail(reason string) {
	if p.err == nil {
		p.err = &SyntaxError{p.at, reason}
	}
}

func (p *parser) space() {
	for p.at < len(p.text) {
		r, size := utf8.DecodeRuneInString(p.text[p.at:])
		if !unicode.IsSpace(r) {
			return
		}
		p.at += size
	}
}

// or reads terms with "or" between.
func (p *parser) or(depth int) Expr {
	parts := []Expr{p.and(depth)}
	for p.err == nil && p.word("or") {
		parts = append(parts, p.and(depth))
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return Or(parts)
}

// and reads factors with "and" between.
func (p *parser) and(depth int) Expr {
	parts := []Expr{p.factor(depth)}
	for p.err == nil && p.word("and") {
		parts = append(parts, p.factor(depth))
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return And(parts)
}

// factor reads a filter in parentheses, perhaps with not before, or a comparison.
func (p *parser) factor(depth int) Expr {
	if depth > maxDepth {
		p.fail("too deep")
		return nil
	}
	start := p.at
	not := p.word("not")
	if p.space(); not && (p.at == len(p.text) || p.text[p.at] != '(') {
		p.at, not = start, false // a parameter of that name
	}
	if p.space(); p.at == len(p.text) || p.text[p.at] != '(' {
		return p.comparison(depth)
	}
	p.at++
	e := p.or(depth + 1)
	p.need(')')
	if not {
		return Not{e}
	}
	return e
}

func (p *parser) need(c byte) {
	p.space()
	if p.at == len(p.text) || p.text[p.at] != c {
		p.fail("a closing bracket or parenthesis is missing")
		return
	}
	p.at++
}

// word takes a word that white space or a parenthesis ends.
func (p *parser) word(w string) bool {
	p.space()
	rest, ok := strings.CutPrefix(p.text[p.at:], w)
	if !ok || rest == "" {
		return false
	}
	if r, _ := utf8.DecodeRuneInString(rest); r != '(' && !unicode.IsSpace(r) {
		return false
	}
	p.at += len(w)
	return true
}

func (p *parser) comparison(depth int) Expr {
	c := Comparison{Path: p.path(depth)}
	p.space()
	c.Op = Op(p.token())
	if p.err == nil && !c.Op.known() {
		p.fail("a comparison operator is needed")
	}
	c.Value = p.value()
	return c
}

// path reads names with dots between; a name may have a filter in brackets, and
// then another follows.
func (p *parser) path(depth int) []Step {
	var steps []Step
	for p.err == nil {
		s := Step{Name: p.name()}
		if p.at < len(p.text) && p.text[p.at] == '[' {
			p.at++
			s.Where = p.or(depth + 1)
			if p.need(']'); p.err == nil && (p.at == len(p.text) || p.text[p.at] != '.') {
				p.fail("a name is needed after the brackets")
			}
		}
		steps = append(steps, s)
		if p.err != nil || p.at == len(p.text) || p.text[p.at] != '.' {
			break
		}
		p.at++
	}
	return steps
}

// name reads a parameter's name. A colon in it names the type of a chain
// ("subject:Patient") or what _has needs, as in a URL.
func (p *parser) name() string {
	start := p.at
	for p.at < len(p.text) && nameChar(p.text[p.at]) {
		p.at++
	}
	name := p.text[start:p.at]
	if name == "" || name[0] != '_' && (name[0]|0x20 < 'a' || name[0]|0x20 > 'z') || name[len(name)-1] == ':' {
		p.fail("the name of a parameter is needed")
	}
	return name
}

func nameChar(c byte) bool {
	return c == '_' || c == '-' || c == ':' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// value reads a JSON string, or what stands until white space, ")" or "]".
func (p *parser) value() string {
	p.space()
	if p.at == len(p.text) || p.text[p.at] != '"' {
		v := p.token()
		if v == "" {
			p.fail("a value is needed")
		}
		return v
	}
	end := p.at + 1
	for end < len(p.text) && p.text[end] != '"' {
		if p.text[end] == '\\' {
			end++
		}
		end++
	}
	var v string
	if end >= len(p.text) || json.Unmarshal([]byte(p.text[p.at:end+1]), &v) != nil {
		p.fail("not a JSON string")
		return ""
	}
	p.at = end + 1
	return v
}

func (p *parser) token() string {
	end := strings.IndexFunc(p.text[p.at:], func(r rune) bool { return r == ')' || r == ']' || unicode.IsSpace(r) })
	if end < 0 {
		end = len(p.text) - p.at
	}
	start := p.at
	p.at += end
	return p.text[start:p.at]
}
