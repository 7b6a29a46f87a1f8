package parse

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenSymbol
	tokenName
	tokenString
	tokenNumber
	tokenDate
	tokenDateTime
	tokenTime
	tokenExternal
	tokenVariable
)

// token is one lexical element; text is decoded and without its marks.
type token struct {
	kind   tokenKind
	quoted bool // a name in backquotes
	offset int
	text   string
}

type lexer struct {
	src string
	at  int
}

func fail(offset int, msg string) (token, *Error) { return token{}, &Error{offset, msg} }

func (l *lexer) peek(ahead int) byte {
	if l.at+ahead < len(l.src) {
		return l.src[l.at+ahead]
	}
	return 0
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_' }

// run takes the bytes that fit.
func (l *lexer) run(fits func(byte) bool) string {
	start := l.at
	for l.at < len(l.src) && fits(l.src[l.at]) {
		l.at++
	}
	return l.src[start:l.at]
}

func (l *lexer) word() string { return l.run(func(c byte) bool { return isLetter(c) || isDigit(c) }) }

// space skips white space and comments.
func (l *lexer) space() *Error {
	for {
		l.run(func(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' })
		if l.peek(0) != '/' {
			return nil
		}
		rest := l.src[l.at:]
		switch l.peek(1) {
		case '/':
			end := strings.IndexByte(rest, '\n')
			if end < 0 {
				end = len(rest)
			}
			l.at += end
		case '*':
			end := strings.Index(rest[2:], "*/")
			if end < 0 {
				return &Error{l.at, "comment without an end"}
			}
			l.at += end + 4
		default:
			return nil
		}
	}
}

func (l *lexer) next() (token, *Error) {
	if err := l.space(); err != nil {
		return token{}, err
	}
	start := l.at
	c := l.peek(0)
	switch {
	case l.at == len(l.src):
		return token{kind: tokenEnd, offset: start}, nil
	case isDigit(c):
		return l.number(), nil
	case isLetter(c):
		return token{kind: tokenName, offset: start, text: l.word()}, nil
	}
	switch c {
	case '`':
		text, err := l.quoted('`')
		return token{kind: tokenName, quoted: true, offset: start, text: text}, err
	case '\'':
		text, err := l.quoted('\'')
		return token{kind: tokenString, offset: start, text: text}, err
	case '@':
		return l.temporal()
	case '%':
		return l.external()
	case '$':
		l.at++
		return token{kind: tokenVariable, offset: start, text: l.word()}, nil
	}
	return l.symbol()
}

func (l *lexer) symbol() (token, *Error) {
	start := l.at
	width := 1
	switch l.src[start] {
	case '(', ')', '[', ']', '{', '}', '.', ',', '|', '+', '-', '*', '/', '&', '=', '~':
	case '<', '>':
		if l.peek(1) == '=' {
			width = 2
		}
	case '!':
		if c := l.peek(1); c != '=' && c != '~' {
			return fail(start, "expected != or !~")
		}
		width = 2
	default:
		return fail(start, "unexpected character")
	}
	l.at += width
	return token{kind: tokenSymbol, offset: start, text: l.src[start:l.at]}, nil
}

// number reads digits and a fraction. A point without a digit behind it is the
// start of an invocation: 1.toString().
func (l *lexer) number() token {
	start := l.at
	l.run(isDigit)
	if l.peek(0) == '.' && isDigit(l.peek(1)) {
		l.at++
		l.run(isDigit)
	}
	return token{kind: tokenNumber, offset: start, text: l.src[start:l.at]}
}

func (l *lexer) external() (token, *Error) {
	start := l.at
	l.at++
	tok := token{kind: tokenExternal, offset: start}
	var err *Error
	switch c := l.peek(0); {
	case c == '`' || c == '\'':
		tok.text, err = l.quoted(c)
	case isLetter(c):
		tok.text = l.word()
	default:
		return fail(start, "expected a name behind %")
	}
	return tok, err
}

// temporal reads @2015, @2015-02-04T14:34:28.123+10:00, @T14:34 and the like.
// What the digits mean is checked by package system.
func (l *lexer) temporal() (token, *Error) {
	start := l.at
	l.at++
	tok := token{kind: tokenDate, offset: start}
	from := l.at
	if l.peek(0) == 'T' {
		l.at++
		from = l.at
		tok.kind = tokenTime
		l.clock()
	} else {
		l.run(isDigit)
		for l.peek(0) == '-' && isDigit(l.peek(1)) && l.at-from <= len("2015-02") {
			l.at++
			l.run(isDigit)
		}
		if l.peek(0) == 'T' {
			l.at++
			tok.kind = tokenDateTime
			if l.clock() {
				l.zone()
			}
		}
	}
	if tok.text = l.src[from:l.at]; tok.text == "" {
		return fail(start, "expected a date or time behind @")
	}
	return tok, nil
}

// clock reads hh, hh:mm, hh:mm:ss or hh:mm:ss.fff.
func (l *lexer) clock() bool {
	if l.run(isDigit) == "" {
		return false
	}
	for range 2 {
		if l.peek(0) != ':' || !isDigit(l.peek(1)) {
			return true
		}
		l.at++
		l.run(isDigit)
	}
	if l.peek(0) == '.' && isDigit(l.peek(1)) {
		l.at++
		l.run(isDigit)
	}
	return true
}

// zone reads Z or ±hh:mm; a sign without that shape is an operator.
func (l *lexer) zone() {
	if l.peek(0) == 'Z' {
		l.at++
		return
	}
	const shape = "+00:00"
	if c := l.peek(0); c != '+' && c != '-' {
		return
	}
	for i := 1; i < len(shape); i++ {
		if c := l.peek(i); isDigit(c) != isDigit(shape[i]) || !isDigit(c) && c != shape[i] {
			return
		}
	}
	l.at += len(shape)
}

// quoted reads a string or delimited name with its escapes.
func (l *lexer) quoted(mark byte) (string, *Error) {
	start := l.at
	l.at++
	var b strings.Builder
	for l.at < len(l.src) {
		c := l.src[l.at]
		l.at++
		switch c {
		case mark:
			return b.String(), nil
		case '\\':
			if err := l.escape(&b); err != nil {
				return "", err
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", &Error{start, "string without an end"}
}

var escapes = map[byte]byte{
	'\\': '\\', '/': '/', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', '"': '"', '`': '`', '\'': '\'',
}

func (l *lexer) escape(b *strings.Builder) *Error {
	c := l.peek(0)
	if c == 'u' {
		r, ok := l.hex4(1)
		if !ok {
			return &Error{l.at - 1, "expected four hexadecimal digits behind \\u"}
		}
		l.at += 5
		if utf16.IsSurrogate(r) && l.peek(0) == '\\' && l.peek(1) == 'u' {
			if low, ok := l.hex4(2); ok && utf16.DecodeRune(r, low) != utf8.RuneError {
				r = utf16.DecodeRune(r, low)
				l.at += 6
			}
		}
		b.WriteRune(r)
		return nil
	}
	plain, ok := escapes[c]
	if !ok {
		return &Error{l.at - 1, "no such escape"}
	}
	l.at++
	b.WriteByte(plain)
	return nil
}

func (l *lexer) hex4(ahead int) (rune, bool) {
	var r rune
	for i := range 4 {
		c := l.peek(ahead + i)
		switch {
		case isDigit(c):
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
