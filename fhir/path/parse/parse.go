// Package parse reads FHIRPath (https://hl7.org/fhirpath/N1/, appendix B: the
// grammar) into a syntax tree and prints the tree back.
//
// Promises: no input panics, takes more than linear time or nests deeper than
// MaxDepth; String prints what Parse reads as the same tree. Errors name an
// offset and never repeat the text.
//
// It knows no type, no function and no model: those are galen/fhir/path's.
package parse

import (
	"fmt"
	"strings"
)

// Limits of an expression.
const (
	MaxLength = 64 << 10 // bytes; the longest expression of R4 has 6 KB
	MaxDepth  = 250      // nesting of operators, calls and parentheses
)

// Error is why a text is no FHIRPath. It never holds a piece of the text.
type Error struct {
	Offset int // in bytes, from 0
	Msg    string
}

// Error says what was expected and where.
func (e *Error) Error() string { return fmt.Sprintf("offset %d: %s", e.Offset, e.Msg) }

// Kind is the sort of a Node.
type Kind uint8

// The kinds of node, and which fields of Node they use.
const (
	Empty     Kind = iota // {}
	Boolean               // Text: true or false
	String                // Text: decoded
	Number                // Text: digits, with a point if it is a Decimal
	Quantity              // Text: number; Unit; Calendar
	Date                  // Text without @
	DateTime              // Text without @; a trailing T if there is no time
	Time                  // Text without @T
	External              // %Text
	This                  // $this
	Index                 // $index
	Total                 // $total
	Name                  // Left (nil for the focus) . Text
	Call                  // Left (nil for the focus) . Text ( Args )
	Subscript             // Left [ Args[0] ]
	Unary                 // Text: + or -; Args[0]
	Binary                // Left Text Args[0]
	TypeOf                // Left Text ("is", "as") Type
)

// TypeName is a type specifier: FHIR.Patient, System.String, Quantity.
type TypeName struct {
	Namespace string // "" if not given
	Name      string
}

// Node is one node of the tree.
type Node struct {
	Kind     Kind
	Offset   int
	Text     string
	Unit     string
	Calendar bool // the unit is a word: 4 days, not 4 'd'
	Type     TypeName
	Left     *Node
	Args     []*Node
}

// precedence of the binary operators, higher binds tighter (N1, 7: operator
// precedence).
var precedence = map[string]int{
	"implies": 1, "or": 2, "xor": 2, "and": 3, "in": 4, "contains": 4,
	"=": 5, "~": 5, "!=": 5, "!~": 5, "<": 6, "<=": 6, ">": 6, ">=": 6,
	"|": 7, "is": 8, "as": 8, "+": 9, "-": 9, "&": 9, "*": 10, "/": 10, "div": 10, "mod": 10,
}

const unaryPrecedence = 11

// Parse reads a whole expression; the error is an *Error.
func Parse(text string) (*Node, error) {
	if len(text) > MaxLength {
		return nil, &Error{MaxLength, "expression longer than allowed"}
	}
	p := &parser{lex: lexer{src: text}}
	p.next()
	n := p.expression(0)
	if p.err == nil && p.tok.kind != tokenEnd {
		p.fail(p.tok.offset, "expected an operator or the end")
	}
	if p.err != nil {
		return nil, p.err
	}
	return n, nil
}

// parser is a precedence climber with one token of lookahead. After an error
// every token is the end, so that all loops stop.
type parser struct {
	lex   lexer
	tok   token
	depth int
	err   error
}

func (p *parser) next() {
	if p.err != nil {
		return
	}
	tok, err := p.lex.next()
	if err != nil {
		p.fail(err.Offset, err.Msg)
		return
	}
	p.tok = tok
}

func (p *parser) fail(offset int, msg string) {
	if p.err == nil {
		p.err = &Error{offset, msg}
		p.tok = token{kind: tokenEnd, offset: offset}
	}
}

// symbol reports whether the token is that punctuation, and takes it.
func (p *parser) symbol(text string) bool {
	if p.tok.kind != tokenSymbol || p.tok.text != text {
		return false
	}
	p.next()
	return true
}

func (p *parser) expect(text string) {
	if !p.symbol(text) {
		p.fail(p.tok.offset, "expected "+text)
	}
}

// enter bounds the recursion; each call is paired with leave.
func (p *parser) enter() {
	if p.depth++; p.depth > MaxDepth {
		p.fail(p.tok.offset, "nested too deep")
	}
}

func (p *parser) leave() { p.depth-- }

// operator returns the binary operator at hand and its precedence, 0 if none.
func (p *parser) operator() (string, int) {
	if p.tok.kind == tokenSymbol || p.tok.kind == tokenName && !p.tok.quoted {
		return p.tok.text, precedence[p.tok.text]
	}
	return "", 0
}

// expression reads operators that bind tighter than least. Every operator adds
// a level to the tree, so the loop counts them against the depth too.
func (p *parser) expression(least int) *Node {
	p.enter()
	defer p.leave()
	left := p.unary()
	chain := 0
	for {
		op, strength := p.operator()
		if strength <= least || p.err != nil {
			p.depth -= chain
			return left
		}
		p.enter()
		chain++
		n := &Node{Kind: Binary, Offset: p.tok.offset, Text: op, Left: left}
		p.next()
		if op == "is" || op == "as" {
			n.Kind, n.Type = TypeOf, p.typeName()
		} else {
			n.Args = []*Node{p.expression(strength)}
		}
		left = n
	}
}

func (p *parser) unary() *Node {
	if p.tok.kind == tokenSymbol && (p.tok.text == "-" || p.tok.text == "+") {
		n := &Node{Kind: Unary, Offset: p.tok.offset, Text: p.tok.text}
		p.next()
		n.Args = []*Node{p.expression(unaryPrecedence - 1)}
		return n
	}
	return p.chain()
}

// chain reads a term with the .names, .calls() and [subscripts] behind it.
func (p *parser) chain() *Node {
	n := p.term()
	links := 0
	for p.err == nil {
		offset := p.tok.offset
		switch {
		case p.symbol("."):
			n = p.invocation(n)
		case p.symbol("["):
			n = &Node{Kind: Subscript, Offset: offset, Left: n, Args: []*Node{p.expression(0)}}
			p.expect("]")
		default:
			p.depth -= links
			return n
		}
		p.enter()
		links++
	}
	p.depth -= links
	return n
}

// invocation reads what may follow a dot. The grammar's keywords are let
// through as names there, since nothing else could stand in the place.
func (p *parser) invocation(left *Node) *Node {
	tok := p.tok
	switch {
	case tok.kind == tokenName:
		p.next()
		return p.member(left, tok)
	case tok.kind == tokenVariable:
		p.fail(tok.offset, "a $variable cannot follow a dot")
	default:
		p.fail(tok.offset, "expected a name")
	}
	return left
}

// member is a name or, with a parenthesis behind it, a call.
func (p *parser) member(left *Node, name token) *Node {
	n := &Node{Kind: Name, Offset: name.offset, Text: name.text, Left: left}
	if !p.symbol("(") {
		return n
	}
	n.Kind = Call
	if p.symbol(")") {
		return n
	}
	for {
		n.Args = append(n.Args, p.expression(0))
		if !p.symbol(",") {
			p.expect(")")
			return n
		}
	}
}

var tokenNodes = map[tokenKind]Kind{
	tokenString: String, tokenDate: Date, tokenDateTime: DateTime, tokenTime: Time, tokenExternal: External,
}

func (p *parser) term() *Node {
	tok := p.tok
	n := &Node{Offset: tok.offset, Text: tok.text}
	switch tok.kind {
	case tokenNumber:
		p.next()
		return p.number(n)
	case tokenString, tokenDate, tokenDateTime, tokenTime, tokenExternal:
		n.Kind = tokenNodes[tok.kind]
		p.next()
		return n
	case tokenVariable:
		return p.variable(n)
	case tokenName:
		return p.name(tok)
	}
	switch {
	case p.symbol("("):
		n = p.expression(0)
		p.expect(")")
	case p.symbol("{"):
		p.expect("}")
		n.Text = ""
	default:
		p.fail(tok.offset, "expected a term")
	}
	return n
}

// name is a word where a term starts: a literal, a member of the focus or a
// call. as, is, in and contains are names there; the other operators are not.
func (p *parser) name(tok token) *Node {
	if !tok.quoted {
		switch tok.text {
		case "true", "false":
			p.next()
			return &Node{Kind: Boolean, Offset: tok.offset, Text: tok.text}
		case "and", "or", "xor", "implies", "div", "mod":
			p.fail(tok.offset, "expected a term")
			return &Node{}
		}
	}
	p.next()
	return p.member(nil, tok)
}

func (p *parser) variable(n *Node) *Node {
	switch n.Text {
	case "this":
		n.Kind = This
	case "index":
		n.Kind = Index
	case "total":
		n.Kind = Total
	default:
		p.fail(n.Offset, "no such $variable")
	}
	p.next()
	return n
}

// number is a number or, with a unit behind it, a quantity.
func (p *parser) number(n *Node) *Node {
	n.Kind = Number
	switch {
	case p.tok.kind == tokenString:
		n.Kind, n.Unit = Quantity, p.tok.text
		p.next()
	case p.tok.kind == tokenName && !p.tok.quoted && CalendarUnit(p.tok.text) != "":
		n.Kind, n.Unit, n.Calendar = Quantity, p.tok.text, true
		p.next()
	}
	return n
}

// typeName is the right side of is and as: a name or namespace.name.
func (p *parser) typeName() TypeName {
	var parts []string
	for {
		if p.tok.kind != tokenName {
			p.fail(p.tok.offset, "expected the name of a type")
			return TypeName{}
		}
		parts = append(parts, p.tok.text)
		p.next()
		if len(parts) == 2 || !p.symbol(".") {
			break
		}
	}
	if len(parts) == 1 {
		return TypeName{Name: parts[0]}
	}
	return TypeName{parts[0], parts[1]}
}

// AsType reads the node as a type specifier, as the argument of ofType(), is()
// and as() is one.
func (n *Node) AsType() (TypeName, bool) {
	switch {
	case n.Kind != Name:
		return TypeName{}, false
	case n.Left == nil:
		return TypeName{Name: n.Text}, true
	case n.Left.Kind == Name && n.Left.Left == nil:
		return TypeName{n.Left.Text, n.Text}, true
	}
	return TypeName{}, false
}

// CalendarUnit is the singular of a calendar duration's unit, "day" of "days";
// "" for any other word (N1, 2.3: time-valued quantities).
func CalendarUnit(word string) string {
	word = strings.TrimSuffix(word, "s")
	switch word {
	case "year", "month", "week", "day", "hour", "minute", "second", "millisecond":
		return word
	}
	return ""
}
