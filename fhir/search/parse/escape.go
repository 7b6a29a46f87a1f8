package parse

import "strings"

// Escape protects the characters that have a meaning in a search value, for
// code that builds queries (https://hl7.org/fhir/R4/search.html#escaping).
func Escape(value string) string { return escaper.Replace(value) }

var escaper = strings.NewReplacer(`\`, `\\`, `,`, `\,`, `|`, `\|`, `$`, `\$`)

// split cuts a value at every sep that no backslash protects. The pieces keep
// their escapes.
func split(s string, sep byte) []string {
	var pieces []string
	start := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case sep:
			pieces = append(pieces, s[start:i])
			start = i + 1
		}
	}
	return append(pieces, s[start:])
}

// unescape takes the backslash off the four characters of Escape; any other
// backslash means itself.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && strings.IndexByte(`\,|$`, s[i+1]) >= 0 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
