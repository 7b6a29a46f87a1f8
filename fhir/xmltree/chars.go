package xmltree

import (
	"bytes"
	"unicode/utf8"
)

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// legal reports whether XML 1.0 allows the character
// (https://www.w3.org/TR/xml/#charsets).
func legal(r rune) bool {
	switch {
	case r < ' ':
		return r == '\t' || r == '\n' || r == '\r'
	case r < 0xD800:
		return true
	}
	return r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= utf8.MaxRune
}

func nameStart(r rune) bool {
	switch {
	case r < utf8.RuneSelf:
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_'
	case r >= 0xC0 && r <= 0x2FF:
		return r != 0xD7 && r != 0xF7
	case r >= 0x370 && r <= 0x1FFF:
		return r != 0x37E
	case r >= 0x2C00 && r <= 0x2FEF, r == 0x200C, r == 0x200D, r >= 0x2070 && r <= 0x218F:
		return true
	}
	return r >= 0x3001 && r <= 0xD7FF || r >= 0xF900 && r <= 0xFDCF || r >= 0xFDF0 && r <= 0xFFFD || r >= 0x10000 && r <= 0xEFFFF
}

func nameChar(r rune) bool {
	switch {
	case nameStart(r), r >= '0' && r <= '9', r == '-', r == '.', r == 0xB7:
		return true
	}
	return r >= 0x300 && r <= 0x36F || r == 0x203F || r == 0x2040
}

// ncName is the length of the name without colon that b starts with
// (https://www.w3.org/TR/xml-names/#NT-NCName), 0 if there is none.
func ncName(b []byte) int {
	i := 0
	for i < len(b) {
		r, size := rune(b[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(b[i:])
		}
		if !nameChar(r) || i == 0 && !nameStart(r) {
			break
		}
		i += size
	}
	return i
}

// entities are the references that XML itself declares.
var entities = map[string]rune{"lt": '<', "gt": '>', "amp": '&', "quot": '"', "apos": '\''}

// reference reads the reference that b starts with ("&amp;", "&#160;"): the
// character and the length; 0 if it is none that XML without a DTD knows.
func reference(b []byte) (r rune, length int) {
	const longest = 12 // "&#x0010FFFF;"
	end := bytes.IndexByte(b[:min(len(b), longest)], ';')
	if end < 2 {
		return 0, 0
	}
	body := b[1:end]
	if body[0] != '#' {
		r, ok := entities[string(body)]
		if !ok {
			return 0, 0
		}
		return r, end + 1
	}
	base, digits := rune(10), body[1:]
	if len(digits) > 0 && digits[0] == 'x' {
		base, digits = 16, digits[1:]
	}
	if len(digits) == 0 {
		return 0, 0
	}
	for _, c := range digits {
		d := digit(c)
		if d < 0 || d >= base {
			return 0, 0
		}
		if r = r*base + d; r > utf8.MaxRune {
			return 0, 0
		}
	}
	if !legal(r) {
		return 0, 0
	}
	return r, end + 1
}

func digit(c byte) rune {
	switch {
	case c >= '0' && c <= '9':
		return rune(c - '0')
	case c >= 'a' && c <= 'f':
		return rune(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return rune(c-'A') + 10
	}
	return -1
}

var cdataStart, cdataEnd = []byte("<![CDATA["), []byte("]]>")

// decodeText resolves references, CDATA sections and line ends
// (https://www.w3.org/TR/xml/#sec-line-ends).
func (d *Doc) decodeText(s span) string {
	b := d.src[s.start:s.end]
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); {
		switch c := b[i]; {
		case c == '&':
			r, n := reference(b[i:])
			out = utf8.AppendRune(out, r)
			i += n
		case c == '<': // only a CDATA section starts so inside a text
			length := bytes.Index(b[i:], cdataEnd)
			out = appendLines(out, b[i+len(cdataStart):i+length])
			i += length + len(cdataEnd)
		case c == '\r':
			out, i = lineEnd(out, b, i)
		default:
			out = append(out, c)
			i++
		}
	}
	return string(out)
}

func appendLines(out, b []byte) []byte {
	for i := 0; i < len(b); {
		if b[i] == '\r' {
			out, i = lineEnd(out, b, i)
			continue
		}
		out = append(out, b[i])
		i++
	}
	return out
}

// lineEnd makes one line feed of \r\n or \r.
func lineEnd(out, b []byte, i int) ([]byte, int) {
	if i++; i < len(b) && b[i] == '\n' {
		i++
	}
	return append(out, '\n'), i
}

// decodeValue resolves references and normalizes white space.
func (d *Doc) decodeValue(s span) string {
	b := d.src[s.start:s.end]
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); {
		switch c := b[i]; {
		case c == '&':
			r, n := reference(b[i:])
			out = utf8.AppendRune(out, r)
			i += n
		case c == '\r':
			out, i = lineEnd(out, b, i)
			out[len(out)-1] = ' '
		case isSpace(c):
			out = append(out, ' ')
			i++
		default:
			out = append(out, c)
			i++
		}
	}
	return string(out)
}

// AppendText appends s as character data; AppendValue as the inside of an
// attribute in double quotes. Characters that XML 1.0 does not have (most
// control characters) become U+FFFD, so that the result is always legal.
func AppendText(dst []byte, s string) []byte { return appendEscaped(dst, s, false) }

// AppendValue appends s as the inside of an attribute in double quotes; tabs
// and line ends are written as references, or a reader would make spaces of
// them. Else as AppendText.
func AppendValue(dst []byte, s string) []byte { return appendEscaped(dst, s, true) }

func appendEscaped(dst []byte, s string, value bool) []byte {
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '<' && c != '&' && c != '>' && c != '"' {
			i++
			continue
		}
		size, replacement := 1, ""
		switch {
		case c >= utf8.RuneSelf:
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			if !legal(r) || r == utf8.RuneError && size == 1 {
				replacement = "\uFFFD"
			}
		case c == '<':
			replacement = "&lt;"
		case c == '>':
			replacement = "&gt;"
		case c == '&':
			replacement = "&amp;"
		case c == '\r':
			replacement = "&#13;"
		case c == '"' && value:
			replacement = "&quot;"
		case c == '\n' && value:
			replacement = "&#10;"
		case c == '\t' && value:
			replacement = "&#9;"
		case c < ' ' && c != '\n' && c != '\t':
			replacement = "\uFFFD"
		}
		if replacement != "" {
			dst = append(append(dst, s[from:i]...), replacement...)
			from = i + size
		}
		i += size
	}
	return append(dst, s[from:]...)
}
