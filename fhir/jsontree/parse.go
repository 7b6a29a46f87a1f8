package jsontree

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"unicode/utf8"
)

// Limits bounds what Parse accepts. A zero field means the default.
type Limits struct {
	Bytes int // longest document; default 64 MiB, never above 2 GiB - 1
	Depth int // deepest nesting of arrays and objects; default 100
}

const (
	defaultBytes = 64 << 20
	defaultDepth = 100 // the official R4 examples need 32

	// manyNames is where looking back over an object's names would cost more
	// than a set of them.
	manyNames = 24
)

// Reason is why a document was refused.
type Reason uint8

// The reasons of a SyntaxError.
const (
	Malformed     Reason = iota // not JSON
	DuplicateName               // a member name twice in one object
	BadUTF8                     // bytes that are no UTF-8
	LoneSurrogate               // half of a UTF-16 pair
	TooDeep                     // nested beyond Limits.Depth
	TooLong                     // longer than Limits.Bytes
)

// SyntaxError tells why and where a document was refused. It never holds text
// of the document.
type SyntaxError struct {
	Reason Reason
	Offset int // in bytes, from 0
	Line   int // from 1
	Column int // in bytes, from 1
	msg    string
}

// Error says what is wrong and where, without repeating the document.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s at offset %d (line %d, column %d)", e.msg, e.Offset, e.Line, e.Column)
}

// Parse indexes src, which the Doc keeps and nobody may change afterwards. The
// error is a *SyntaxError.
func Parse(src []byte, lim Limits) (*Doc, error) {
	if lim.Bytes <= 0 {
		lim.Bytes = defaultBytes
	}
	if lim.Depth <= 0 {
		lim.Depth = defaultDepth
	}
	p := parser{src: src, depth: lim.Depth}
	if longest := min(lim.Bytes, math.MaxInt32); len(src) > longest {
		p.at = longest
		return nil, p.fail(TooLong, "document longer than allowed")
	}
	if !utf8.Valid(src) {
		p.at = invalidAt(src)
		return nil, p.fail(BadUTF8, "invalid UTF-8")
	}
	p.nodes = make([]node, 0, expected(src))
	p.space()
	if err := p.value(); err != nil {
		return nil, err
	}
	p.space()
	if p.at != len(src) {
		return nil, p.fail(Malformed, "data after the end of the value")
	}
	return &Doc{src, p.nodes}, nil
}

// expected is how many nodes to make room for: half again as many as there are
// strings fits 96% of the official R4 examples and every Synthea bundle, and the
// rest grow. Text made of quotes alone gets no more than ordinary dense JSON.
func expected(src []byte) int {
	return min(bytes.Count(src, []byte{'"'})*3/4, len(src)/8) + 8
}

type parser struct {
	src   []byte
	at    int
	depth int // levels left
	nodes []node
}

func (p *parser) fail(why Reason, msg string) error {
	e := &SyntaxError{Reason: why, Offset: p.at, Line: 1, Column: 1, msg: msg}
	for _, c := range p.src[:min(p.at, len(p.src))] {
		e.Column++
		if c == '\n' {
			e.Line, e.Column = e.Line+1, 1
		}
	}
	return e
}

// space is small, so that it is inlined where there is no white space to skip.
func (p *parser) space() {
	if p.at < len(p.src) && p.src[p.at] <= ' ' {
		p.skipSpace()
	}
}

func (p *parser) skipSpace() {
	i := p.at
	for i < len(p.src) && (p.src[i] == ' ' || p.src[i] == '\n' || p.src[i] == '\t' || p.src[i] == '\r') {
		i++
	}
	p.at = i
}

func (p *parser) value() error {
	if p.at >= len(p.src) {
		return p.fail(Malformed, "unexpected end")
	}
	switch c := p.src[p.at]; c {
	case '"':
		return p.str()
	case '{':
		return p.object()
	case '[':
		return p.array()
	case 't':
		return p.literal("true", True)
	case 'f':
		return p.literal("false", False)
	case 'n':
		return p.literal("null", Null)
	default:
		return p.number()
	}
}

func (p *parser) literal(word string, k Kind) error {
	if len(p.src)-p.at < len(word) || string(p.src[p.at:p.at+len(word)]) != word {
		return p.fail(Malformed, "expected a value")
	}
	p.add(k, p.at, p.at+len(word), false)
	return nil
}

func (p *parser) add(k Kind, start, end int, esc bool) {
	p.nodes = append(p.nodes, node{int32(start), int32(end), int32(len(p.nodes) + 1), k, esc})
	p.at = end
}

// open starts an array or object and returns its index and whether it is empty.
func (p *parser) open(k Kind, closing byte) (at int, empty bool, err error) {
	if p.depth == 0 {
		return 0, false, p.fail(TooDeep, "nested too deep")
	}
	p.depth--
	at = len(p.nodes)
	p.add(k, p.at, p.at+1, false)
	p.space()
	if p.at < len(p.src) && p.src[p.at] == closing {
		return at, true, nil
	}
	return at, false, nil
}

// more steps over a comma and reports whether another item follows.
func (p *parser) more(closing byte) (bool, error) {
	p.space()
	if p.at >= len(p.src) {
		return false, p.fail(Malformed, "unexpected end")
	}
	switch p.src[p.at] {
	case ',':
		p.at++
		p.space()
		return true, nil
	case closing:
		return false, nil
	}
	if closing == ']' {
		return false, p.fail(Malformed, "expected , or ]")
	}
	return false, p.fail(Malformed, "expected , or }")
}

func (p *parser) close(at int) {
	p.at++
	p.depth++
	p.nodes[at].end = int32(p.at)
	p.nodes[at].next = int32(len(p.nodes))
}

func (p *parser) array() error {
	at, empty, err := p.open(Array, ']')
	for more := !empty; more && err == nil; {
		if err = p.value(); err == nil {
			more, err = p.more(']')
		}
	}
	if err != nil {
		return err
	}
	p.close(at)
	return nil
}

func (p *parser) object() error {
	at, empty, err := p.open(Object, '}')
	var names nameSet
	for more := !empty; more && err == nil; {
		if err = p.member(at, &names); err == nil {
			more, err = p.more('}')
		}
	}
	if err != nil {
		return err
	}
	p.close(at)
	return nil
}

func (p *parser) member(object int, names *nameSet) error {
	if p.at >= len(p.src) || p.src[p.at] != '"' {
		return p.fail(Malformed, "expected a member name")
	}
	start := p.at
	if err := p.str(); err != nil {
		return err
	}
	if names.seen(p, object) {
		p.at = start
		return p.fail(DuplicateName, "duplicate member name")
	}
	p.space()
	if p.at >= len(p.src) || p.src[p.at] != ':' {
		return p.fail(Malformed, "expected :")
	}
	p.at++
	p.space()
	return p.value()
}

// nameSet finds duplicate names: by looking back while they are few and plain,
// by a map once they are many or one is escaped, so that a hostile object costs
// no quadratic time.
type nameSet struct {
	count int
	many  map[string]struct{}
}

// seen reports whether the name just parsed already stands in the object.
func (s *nameSet) seen(p *parser, object int) bool {
	s.count++
	last := len(p.nodes) - 1
	if s.many == nil && s.count < manyNames && !p.nodes[last].esc {
		return p.repeated(object, p.nodes[last])
	}
	doc := Doc{p.src, p.nodes}
	if s.many == nil {
		s.many = make(map[string]struct{}, 2*s.count)
		for i := object + 1; i < last; i = int(p.nodes[i+1].next) {
			s.many[doc.text(p.nodes[i])] = struct{}{}
		}
	}
	name := doc.text(p.nodes[last])
	if _, ok := s.many[name]; ok {
		return true
	}
	s.many[name] = struct{}{}
	return false
}

// repeated looks back over the object's names, all without escapes: mostly
// their lengths differ.
func (p *parser) repeated(object int, name node) bool {
	size := name.end - name.start
	for i, last := object+1, len(p.nodes)-1; i < last; i = int(p.nodes[i+1].next) {
		n := &p.nodes[i]
		if n.end-n.start == size && string(p.src[n.start:n.end]) == string(p.src[name.start:name.end]) {
			return true
		}
	}
	return false
}

// stop has its high bit set in every byte of w that ends a plain run of string
// bytes: a quote, a backslash or a control character.
func stop(w uint64) uint64 {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	quote := w ^ ('"' * ones)
	slash := w ^ ('\\' * ones)
	return ((quote-ones)&^quote | (slash-ones)&^slash | (w-' '*ones)&^w) & highs
}

func (p *parser) str() error {
	start, esc := p.at, false
	i := p.at + 1
	for {
		for i+8 <= len(p.src) {
			if m := stop(binary.LittleEndian.Uint64(p.src[i:])); m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
		}
		if i >= len(p.src) {
			p.at = len(p.src)
			return p.fail(Malformed, "string without an end")
		}
		switch c := p.src[i]; {
		case c == '"':
			p.add(String, start, i+1, esc)
			return nil
		case c == '\\':
			esc = true
			n, err := p.escape(i)
			if err != nil {
				return err
			}
			i += n
		case c < ' ':
			p.at = i
			return p.fail(Malformed, "control character in a string")
		default:
			i++
		}
	}
}

// escape checks the escape at i and returns its length.
func (p *parser) escape(i int) (int, error) {
	p.at = i
	if i+1 >= len(p.src) {
		return 0, p.fail(Malformed, "string without an end")
	}
	switch p.src[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2, nil
	case 'u':
		return p.unicodeEscape(i)
	}
	return 0, p.fail(Malformed, "unknown escape")
}

func (p *parser) unicodeEscape(i int) (int, error) {
	r, ok := hex4(p.src, i+2)
	if !ok {
		return 0, p.fail(Malformed, "\\u needs four hexadecimal digits")
	}
	if r < 0xD800 || r > 0xDFFF {
		return 6, nil
	}
	if r < 0xDC00 && i+8 <= len(p.src) && p.src[i+6] == '\\' && p.src[i+7] == 'u' {
		if low, ok := hex4(p.src, i+8); ok && low >= 0xDC00 && low <= 0xDFFF {
			return 12, nil
		}
	}
	return 0, p.fail(LoneSurrogate, "half of a surrogate pair")
}

func (p *parser) number() error {
	i, start := p.at, p.at
	if i < len(p.src) && p.src[i] == '-' {
		i++
	}
	whole := i
	i = digits(p.src, i)
	if i == whole {
		return p.fail(Malformed, "expected a value")
	}
	if p.src[whole] == '0' && i > whole+1 {
		return p.fail(Malformed, "number with a leading zero")
	}
	if i < len(p.src) && p.src[i] == '.' {
		from := i + 1
		if i = digits(p.src, from); i == from {
			p.at = i
			return p.fail(Malformed, "number without digits after the point")
		}
	}
	if i < len(p.src) && p.src[i]|0x20 == 'e' {
		i++
		if i < len(p.src) && (p.src[i] == '+' || p.src[i] == '-') {
			i++
		}
		from := i
		if i = digits(p.src, from); i == from {
			p.at = i
			return p.fail(Malformed, "number without digits in its exponent")
		}
	}
	p.add(Number, start, i, false)
	return nil
}

func digits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

func hex4(b []byte, i int) (rune, bool) {
	if i+4 > len(b) {
		return 0, false
	}
	var r rune
	for _, c := range b[i : i+4] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

func invalidAt(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return len(b)
}
