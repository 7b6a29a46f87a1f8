// Package text finds diagnoses and symptoms in clinical notes and describes the
// words around each mention, so that a model can say whether it is denied, past or
// another person's.
//
// Findings are found by a list of terms (lexicon.tsv, SNOMED CT) and by terms that
// the caller adds; what is called otherwise is not seen. Every mention keeps its
// place as bytes of the note's own text. The features of a mention are those of
// models/training/context-assertion, number by number.
//
// It decides nothing itself but whose a finding is, by words for relatives.
package text

import (
	"bufio"
	_ "embed" // lexicon.tsv
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

//go:embed lexicon.tsv
var builtin string

// Coding is a code of SNOMED CT with its name; the zero Coding is a term that the
// caller added.
type Coding struct{ Code, Display string }

// Mention is a finding at its place in a note.
type Mention struct {
	Coding
	Text       string // as the note has it
	Start, End int    // bytes of the note's text
	Relative   bool   // the words before it speak of a relative
	Numbers    []int64
}

// Lexicon is a list of terms. It is immutable.
type Lexicon struct {
	terms map[string][]term // by first word, the longest first
}

type term struct {
	words  []string
	coding Coding
}

// NewLexicon returns the shipped terms and those of the caller, which have no code.
func NewLexicon(more ...string) *Lexicon {
	l := &Lexicon{terms: map[string][]term{}}
	lines := bufio.NewScanner(strings.NewReader(builtin))
	for lines.Scan() {
		if part := strings.Split(lines.Text(), "\t"); len(part) == 3 {
			for name := range strings.SplitSeq(part[2], "|") {
				l.add(name, Coding{part[0], part[1]})
			}
		}
	}
	for _, name := range more {
		l.add(name, Coding{})
	}
	for _, list := range l.terms {
		slices.SortStableFunc(list, func(a, b term) int { return len(b.words) - len(a.words) })
	}
	return l
}

func (l *Lexicon) add(name string, c Coding) {
	var words []string
	for _, t := range tokens(name) {
		words = append(words, t.word)
	}
	if len(words) > 0 {
		l.terms[words[0]] = append(l.terms[words[0]], term{words, c})
	}
}

// token is a word, a number or one other sign, with its place.
type token struct {
	word       string // lower case, as far as it is ASCII
	start, end int
}

// tokens are runs of ASCII letters, runs of ASCII digits, and single other signs.
func tokens(s string) []token {
	var out []token
	for i := 0; i < len(s); {
		kind := class(s[i])
		j := i + 1
		switch kind {
		case letter, digit:
			for j < len(s) && class(s[j]) == kind {
				j++
			}
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			if j = i + size; unicode.IsSpace(r) {
				i = j
				continue
			}
		}
		out = append(out, token{lower(s[i:j]), i, j})
		i = j
	}
	return out
}

const (
	other = iota
	letter
	digit
)

func class(c byte) int {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		return letter
	case c >= '0' && c <= '9':
		return digit
	}
	return other
}

func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 32
		}
		return r
	}, s)
}

// maxMentions is how many mentions of one note are looked at.
const maxMentions = 500

// Mentions are the findings in a note, in its order, the longest term first and
// none within another; each with at most most numbers below hashes.
func (l *Lexicon) Mentions(note string, hashes, most int64) []Mention {
	all := tokens(note)
	var out []Mention
	for i := 0; i < len(all) && len(out) < maxMentions; {
		t, ok := l.at(all[i:])
		if !ok {
			i++
			continue
		}
		last := i + len(t.words) - 1
		m := Mention{Coding: t.coding, Start: all[i].start, End: all[last].end}
		m.Text = note[m.Start:m.End]
		before, after := around(note, m)
		m.Relative = relative(before)
		m.Numbers = Numbers(before, m.Text, after, hashes, most)
		out = append(out, m)
		i = last + 1
	}
	return out
}

func (l *Lexicon) at(here []token) (term, bool) {
	for _, t := range l.terms[here[0].word] {
		if len(t.words) <= len(here) && begins(here, t.words) {
			return t, true
		}
	}
	return term{}, false
}

func begins(here []token, words []string) bool {
	for i, w := range words {
		if here[i].word != w {
			return false
		}
	}
	return true
}

// reach is how many bytes of a note around a mention are looked at, within its
// paragraph.
const reach = 600

func around(note string, m Mention) (before, after string) {
	before, after = note[max(0, m.Start-reach):m.Start], note[m.End:min(len(note), m.End+reach)]
	if i := strings.LastIndex(before, "\n\n"); i >= 0 {
		before = before[i:]
	}
	after, _, _ = strings.Cut(after, "\n\n")
	return strings.ToValidUTF8(before, " "), strings.ToValidUTF8(after, " ")
}

// relatives are words for whose finding it is, if not the patient's.
var relatives = map[string]bool{
	"mother": true, "father": true, "brother": true, "sister": true, "son": true, "daughter": true, "aunt": true, "uncle": true, "grandmother": true,
	"grandfather": true, "family": true, "sibling": true, "siblings": true, "cousin": true, "wife": true, "husband": true, "parents": true,
}

func relative(before string) bool {
	back := tokens(before)
	for i := len(back) - 1; i >= max(0, len(back)-looksBefore) && !stops(back[i].word, true); i-- {
		if relatives[back[i].word] {
			return true
		}
	}
	return false
}

// How far the words of a clause are looked at, as in training.
const (
	looksBefore = 30
	looksAfter  = 15
)

// stops reports whether a sign ends the clause.
func stops(word string, before bool) bool {
	return word == "." || word == ";" || before && word == ":"
}

// Names are the features of a mention, each once, in their order.
func Names(before, mention, after string) []string {
	var out []string
	seen := map[string]bool{}
	add := func(name string) {
		if !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	back := tokens(before)
	slices.Reverse(back)
	for i := 0; i < min(len(back), looksBefore) && !stops(back[i].word, true); i++ {
		w := back[i].word
		add("b" + distance(i) + ":" + w)
		add("b:" + w)
		if i+1 < len(back) {
			add("bb:" + back[i+1].word + " " + w)
		}
	}
	on := tokens(after)
	for i := 0; i < min(len(on), looksAfter) && !stops(on[i].word, false); i++ {
		w := on[i].word
		add("a" + distance(i) + ":" + w)
		add("a:" + w)
		if i+1 < len(on) {
			add("aa:" + w + " " + on[i+1].word)
		}
	}
	for i, t := range tokens(mention) {
		if i == 0 {
			add("f:" + t.word)
		}
		add("i:" + t.word)
	}
	return out
}

func distance(i int) string {
	switch {
	case i < 2:
		return "0"
	case i < 5:
		return "1"
	case i < 10:
		return "2"
	}
	return "3"
}

// Numbers are Names as numbers from 1 to hashes-1, each once, at most most.
func Numbers(before, mention, after string, hashes, most int64) []int64 {
	var out []int64
	for _, name := range Names(before, mention, after) {
		h := uint32(0x811C9DC5) // FNV-1a
		for i := range len(name) {
			h = (h ^ uint32(name[i])) * 0x01000193
		}
		if n := 1 + int64(h)%(hashes-1); int64(len(out)) < most && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}
