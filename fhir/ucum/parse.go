package ucum

import (
	"errors"
	"math/big"
	"strconv"
	"strings"
)

// parser reads one code by the grammar of UCUM §§2-12:
//
//	main      = ["/"] term
//	term      = component { ("." | "/") component }      left to right
//	component = unit [exponent] [annotation] | digits [annotation]
//	          | annotation | "(" term ")" [annotation]
//
// The grammar gives no annotation to a number or a parenthesis; UCUM's own
// table of examples has U/(10.g){feces} and its functional tests 1{c}, so both
// are read.
type parser struct {
	code     string
	at       int
	depth    int
	prefixes map[string]prefix
	find     func(symbol string) (atom, bool)
}

// node is the meaning of a part of a code, and its words.
type node struct {
	measure measure
	name    string
}

func (p *parser) parse() (node, error) {
	if len(p.code) > MaxCode {
		return node{}, p.fail(MaxCode, ErrLimit)
	}
	out := node{measure: measure{magnitude: big.NewRat(1, 1)}, name: "1"}
	var err error
	if p.peek() == '/' {
		out, err = p.term(out)
	} else if out, err = p.component(); err == nil {
		out, err = p.term(out)
	}
	if err == nil && p.at < len(p.code) {
		err = p.fail(p.at, ErrSyntax)
	}
	return out, err
}

// term continues left with the operators and components that follow.
func (p *parser) term(left node) (node, error) {
	for {
		start, op := p.at, p.peek()
		if op != '.' && op != '/' {
			return left, nil
		}
		p.at++
		right, err := p.component()
		if err != nil {
			return node{}, err
		}
		words := " * "
		if op == '/' {
			words = " / "
			if right.measure, err = right.measure.raised(-1); err != nil {
				return node{}, p.fail(start, err)
			}
		}
		if left.measure, err = left.measure.times(right.measure); err != nil {
			return node{}, p.fail(start, err)
		}
		left.name += words + right.name
	}
}

func (p *parser) component() (node, error) {
	var out node
	var err error
	switch p.peek() {
	case '{':
		out.measure = measure{magnitude: big.NewRat(1, 1)}
	case '(':
		out, err = p.parenthesis()
	default:
		out, err = p.simple()
	}
	if err != nil || p.peek() != '{' {
		return out, err
	}
	start := p.at
	if err := p.annotation(); err != nil {
		return node{}, err
	}
	out.name += p.code[start:p.at]
	return out, nil
}

func (p *parser) parenthesis() (node, error) {
	if p.depth++; p.depth > MaxDepth {
		return node{}, p.fail(p.at, ErrLimit)
	}
	p.at++
	out, err := p.component()
	if err == nil {
		out, err = p.term(out)
	}
	if err != nil {
		return node{}, err
	}
	if p.peek() != ')' {
		return node{}, p.fail(p.at, ErrSyntax)
	}
	p.at++
	p.depth--
	out.name = "(" + out.name + ")"
	return out, nil
}

// annotation steps over {…}: printable ASCII without braces (UCUM §§6, 12).
func (p *parser) annotation() error {
	for p.at++; p.at < len(p.code); p.at++ {
		switch c := p.code[p.at]; {
		case c == '}':
			p.at++
			return nil
		case c < '!' || c > '~' || c == '{':
			return p.fail(p.at, ErrSyntax)
		}
	}
	return p.fail(p.at, ErrSyntax)
}

// simple reads a number, or a unit with its exponent.
func (p *parser) simple() (node, error) {
	start := p.at
	if err := p.skip(); err != nil {
		return node{}, err
	}
	word := p.code[start:p.at]
	symbol := strings.TrimRight(word, "0123456789")
	if symbol == "" {
		if word == "" {
			return node{}, p.fail(start, ErrSyntax)
		}
		number, _ := new(big.Rat).SetString(word) // digits only
		return node{measure{magnitude: number}, word}, nil
	}
	if c := symbol[len(symbol)-1]; (c == '+' || c == '-') && len(symbol) < len(word) {
		symbol = symbol[:len(symbol)-1]
	}
	out, ok := p.unit(symbol)
	if !ok {
		return node{}, p.fail(start, ErrUnknown)
	}
	if err := out.raise(word[len(symbol):]); err != nil {
		return node{}, p.fail(start+len(symbol), err)
	}
	out.name = "(" + out.name + ")"
	return out, nil
}

// raise applies the exponent text, "" for none.
func (n *node) raise(text string) error {
	if text == "" {
		return nil
	}
	exponent, err := strconv.Atoi(text)
	if errors.Is(err, strconv.ErrRange) || exponent > MaxExponent || exponent < -MaxExponent {
		return ErrLimit
	}
	n.name += " ^ " + strconv.Itoa(exponent)
	n.measure, err = n.measure.raised(exponent)
	return err
}

// skip moves to the end of a word: all but operators, parentheses and braces;
// square brackets hide what is in them, as in B[10.nV].
func (p *parser) skip() error {
	bracket := -1
	for ; p.at < len(p.code); p.at++ {
		c := p.code[p.at]
		switch {
		case c < '!' || c > '~':
			return p.fail(p.at, ErrSyntax)
		case bracket >= 0:
			if c == ']' {
				bracket = -1
			}
		case c == '[':
			bracket = p.at
		case strings.IndexByte("./(){}", c) >= 0:
			return nil
		}
	}
	if bracket >= 0 {
		return p.fail(bracket, ErrSyntax)
	}
	return nil
}

// unit finds a unit by its whole symbol first, then as a prefix and a metric
// unit (UCUM §11). No symbol reads as two prefixes; a test says so.
func (p *parser) unit(symbol string) (node, bool) {
	if a, ok := p.find(symbol); ok {
		return node{a.measure, a.name}, true
	}
	for n := 1; n <= 2 && n < len(symbol); n++ {
		pre, ok := p.prefixes[symbol[:n]]
		if !ok {
			continue
		}
		a, ok := p.find(symbol[n:])
		if !ok || !a.metric {
			continue
		}
		m, err := a.measure.times(measure{magnitude: pre.value})
		return node{m, pre.name + a.name}, err == nil
	}
	return node{}, false
}

func (p *parser) peek() byte {
	if p.at < len(p.code) {
		return p.code[p.at]
	}
	return 0
}

func (p *parser) fail(at int, reason error) error {
	return &Error{Code: p.code, At: at, Err: reason}
}
