package search

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Normalize takes case, accents and surplus white space off a string, as string
// search compares (https://hl7.org/fhir/R4/search.html#string): compatibility
// decomposition (NFKD) without its marks, full case folding (ß is ss), runs of
// white space as one space, none at the ends. Normalize(Normalize(s)) is
// Normalize(s). Plain ASCII takes a fast path; normal ASCII allocates nothing.
func Normalize(s string) string {
	ascii, normal := inspect(s)
	switch {
	case normal:
		return s
	case ascii:
		return collapse(strings.ToLower(s))
	}
	fold := cases.Fold()
	// A folded character may decompose again (İ); twice is enough.
	for range 2 {
		s = fold.String(withoutMarks(norm.NFKD.String(s)))
	}
	return collapse(withoutMarks(norm.NFKD.String(s)))
}

// NormalizeWords is Normalize with everything that is neither letter nor digit
// taken as white space: the form of Text and TextTest.
func NormalizeWords(s string) string {
	if ascii, _ := inspect(s); ascii {
		return asciiWords(s)
	}
	// One foreign letter does not make the whole text slow.
	var words []string
	for _, part := range strings.Fields(s) {
		ascii, _ := inspect(part)
		if ascii {
			part = asciiWords(part)
		} else {
			part = unicodeWords(part)
		}
		if part != "" {
			words = append(words, part)
		}
	}
	return strings.Join(words, " ")
}

func unicodeWords(s string) string {
	return collapse(strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.Is(unicode.M, r) {
			return r
		}
		return ' '
	}, Normalize(s)))
}

// asciiWords does the same in one pass.
func asciiWords(s string) string {
	words := make([]byte, 0, len(s))
	gap := false
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			gap = true
			continue
		}
		if gap && len(words) > 0 {
			words = append(words, ' ')
		}
		words, gap = append(words, c), false
	}
	return string(words)
}

// inspect reports whether s is ASCII, and whether it is normal already.
func inspect(s string) (ascii, normal bool) {
	normal = true
	space := true // a space here would lead
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= utf8.RuneSelf:
			return false, false
		case c == ' ':
			normal = normal && !space
			space = true
			continue
		case 'A' <= c && c <= 'Z', '\t' <= c && c <= '\r':
			normal = false
		}
		space = false
	}
	return true, normal && (!space || s == "")
}

func withoutMarks(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= utf8.RuneSelf && unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, s)
}

// collapse joins the words of s with single spaces.
func collapse(s string) string {
	if _, normal := inspect(s); normal {
		return s
	}
	return strings.Join(strings.Fields(s), " ")
}

// FullText is how much of a resource's text is indexed word by word.
type FullText uint8

// The amounts; each holds those before it.
const (
	NoFullText FullText = iota
	Narratives          // _text: the words of Resource.text
	AllText             // _content: the words of every string but URIs, ids and references
)

// The parameters that search such words
// (https://hl7.org/fhir/R4/search.html#content). Their entries are one Text
// each: of _text in the order of the narrative, of _content each word once.
const (
	TextParam    = "_text"
	ContentParam = "_content"
)

// IndexedParam is what Entries say of themselves: a Token with the Mark of each
// search parameter beyond R4's that they were made by. No query of a client can
// name it.
const IndexedParam = "_indexed"

// FullTextOf is what must be indexed for a parameter.
func FullTextOf(param string) FullText {
	if param == ContentParam {
		return AllText
	}
	return Narratives
}

// caseBlind are the code systems known not to heed case; a system not named
// here does (https://hl7.org/fhir/R4/search.html#token leaves what is unknown
// to the server; an identifier that differs in case is another identifier).
var caseBlind = [...]string{
	"http://snomed.info/sct", // CodeSystem.caseSensitive is false in R4's valuesets.json
	"http://loinc.org",       // caseSensitive is false in the CodeSystem LOINC publishes
	"urn:ietf:bcp:47",        // RFC 5646, 2.1.1: language tags do not heed case
	"urn:ietf:bcp:13",        // RFC 6838, 4.2: nor do media types
}

// CaseBlind reports whether codes of the system are the same in upper and lower
// case. A Token of such a system is Folded.
func CaseBlind(system string) bool {
	for _, s := range caseBlind {
		if s == system {
			return true
		}
	}
	return false
}
