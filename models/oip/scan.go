package oip

import (
	"encoding/json"
	"unicode/utf8"
	"unsafe"
)

// scanner walks JSON text. It reads only what the protocol needs and skips the
// rest, checking its syntax. The first error sticks.
type scanner struct {
	text []byte
	at   int
	err  error
}

// maxDepth bounds what is skipped: the scanner recurses.
const maxDepth = 64

func (s *scanner) fail(reason string) {
	if s.err == nil {
		s.err = &Error{Offset: s.at, Reason: reason}
	}
}

// peek gives the next byte that is not space, 0 at the end.
func (s *scanner) peek() byte {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; c {
		case ' ', '\n', '\t', '\r':
			s.at++
		default:
			return c
		}
	}
	return 0
}

// take consumes the byte if it is next.
func (s *scanner) take(c byte) bool {
	if s.err == nil && s.peek() == c {
		s.at++
		return true
	}
	return false
}

func (s *scanner) want(c byte) {
	if !s.take(c) {
		s.fail("want " + string(rune(c)))
	}
}

// object calls member for each name; member reads the value.
func (s *scanner) object(member func(name string)) {
	s.want('{')
	if s.take('}') {
		return
	}
	for s.err == nil {
		name := s.string()
		s.want(':')
		if s.err != nil {
			return
		}
		member(unsafe.String(unsafe.SliceData(name), len(name)))
		if s.take('}') {
			return
		}
		s.want(',')
	}
}

// array calls element before each element, which reads it.
func (s *scanner) array(element func()) {
	s.want('[')
	if s.take(']') {
		return
	}
	for s.err == nil {
		element()
		if s.take(']') {
			return
		}
		s.want(',')
	}
}

// string reads a string's bytes, in place when it has no escape.
func (s *scanner) string() []byte {
	if !s.take('"') {
		s.fail("want a string")
		return nil
	}
	start := s.at
	for i := start; i < len(s.text); i++ {
		switch c := s.text[i]; {
		case c == '"':
			s.at = i + 1
			if !utf8.Valid(s.text[start:i]) {
				s.fail("a string is not UTF-8")
			}
			return s.text[start:i]
		case c == '\\':
			return s.escaped(start)
		case c < ' ':
			s.at = i
			s.fail("a control character in a string")
			return nil
		}
	}
	s.at = len(s.text)
	s.fail("a string has no end")
	return nil
}

// escaped reads a string that holds an escape.
func (s *scanner) escaped(start int) []byte {
	for i := start; i < len(s.text); i++ {
		switch s.text[i] {
		case '\\':
			i++
		case '"':
			var out string
			if json.Unmarshal(s.text[start-1:i+1], &out) != nil {
				s.fail("a string is malformed")
			}
			s.at = i + 1
			return []byte(out)
		}
	}
	s.at = len(s.text)
	s.fail("a string has no end")
	return nil
}

// word reads a string into memory of its own.
func (s *scanner) word() string { return string(s.string()) }

// literal consumes a word such as true.
func (s *scanner) literal(word string) bool {
	s.peek()
	if len(s.text)-s.at >= len(word) && string(s.text[s.at:s.at+len(word)]) == word {
		s.at += len(word)
		return true
	}
	return false
}

// number gives the text of a number, checked to be one as JSON has it.
func (s *scanner) number() []byte {
	s.peek()
	start, i := s.at, s.at
	if i < len(s.text) && s.text[i] == '-' {
		i++
	}
	digits := func() bool {
		from := i
		for i < len(s.text) && s.text[i]-'0' < 10 {
			i++
		}
		return i > from
	}
	first := i
	if !digits() || s.text[first] == '0' && i > first+1 {
		s.fail("want a number")
		return nil
	}
	if i < len(s.text) && s.text[i] == '.' {
		i++
		if !digits() {
			s.fail("want a number")
			return nil
		}
	}
	if i < len(s.text) && s.text[i]|0x20 == 'e' {
		i++
		if i < len(s.text) && (s.text[i] == '+' || s.text[i] == '-') {
			i++
		}
		if !digits() {
			s.fail("want a number")
			return nil
		}
	}
	s.at = i
	return s.text[start:i]
}

// boolean reads true or false.
func (s *scanner) boolean() bool {
	if s.literal("true") {
		return true
	}
	if !s.literal("false") {
		s.fail("want true or false")
	}
	return false
}

// integer reads a whole number that fits int64.
func (s *scanner) integer() int64 {
	text := s.number()
	if s.err != nil {
		return 0
	}
	n, ok := parseInt(text)
	if !ok {
		s.fail("want a whole number")
	}
	return n
}

// skip reads any value.
func (s *scanner) skip(depth int) {
	if depth > maxDepth {
		s.fail("nested too deeply")
		return
	}
	switch c := s.peek(); c {
	case '{':
		s.object(func(string) { s.skip(depth + 1) })
	case '[':
		s.array(func() { s.skip(depth + 1) })
	case '"':
		s.string()
	case 't', 'f':
		s.boolean()
	case 'n':
		if !s.literal("null") {
			s.fail("want a value")
		}
	case 'N', 'I':
		if !s.literal("NaN") && !s.literal("Infinity") {
			s.fail("want a value")
		}
	default:
		if !s.literal("-Infinity") {
			s.number()
		}
	}
}

// end refuses anything after the value.
func (s *scanner) end() {
	if s.peek() != 0 || s.at < len(s.text) {
		s.fail("text after the end")
	}
}
