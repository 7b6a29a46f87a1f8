package search_test

import (
	"testing"
	"unicode"
	"unicode/utf8"

	"galen/fhir/search"
)

// TestNormalize: https://hl7.org/fhir/R4/search.html#string: case, accents and
// surplus white space do not count (spec/fhir.md item 31).
func TestNormalize(t *testing.T) {
	for in, want := range map[string]string{
		"":                 "",
		"muller":           "muller",
		"Müller":           "muller",
		"MU\u0308LLER":     "muller",
		"Groß":             "gross",
		"STRASSE":          "strasse",
		" a \t b\n":        "a b",
		"a b":              "a b",
		"a  b":             "a b",
		"Ａｎｎａ":             "anna",
		"ﬁn":               "fin",
		"İstanbul":         "istanbul",
		"ΣΊΣΥΦΟΣ":          "σισυφοσ",
		"Nguyễn Văn Đức":   "nguyen van đuc",
		"Ełk":              "ełk",
		"O'Neil-Smith, Jr": "o'neil-smith, jr",
		"日本 語":             "日本 語",
	} {
		if got := search.Normalize(in); got != want {
			t.Errorf("Normalize(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestNormalizeWords: :text compares words (spec/fhir.md item 30).
func TestNormalizeWords(t *testing.T) {
	for in, want := range map[string]string{
		"":                      "",
		"--":                    "",
		"Head-Ache (acute), 2.": "head ache acute 2",
		"Größe: 5 µm":           "grosse 5 μm",
		"Crohn's":               "crohn s",
		"Über…Über":             "uber uber",
	} {
		if got := search.NormalizeWords(in); got != want {
			t.Errorf("NormalizeWords(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestNormalizeAllocates: what is normal already costs nothing.
func TestNormalizeAllocates(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { search.Normalize("anna maria") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzNormalize(f *testing.F) {
	for _, s := range []string{"Müller", "a  B", "İ", "ǅ", "\u0345Α", "ß\u0308", "ﷺ", "\xff\xfe", "Ω\u0345"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := search.Normalize(s)
		if twice := search.Normalize(once); twice != once {
			t.Fatalf("%q: %q, then %q", s, once, twice)
		}
		words := search.NormalizeWords(s)
		if twice := search.NormalizeWords(words); twice != words {
			t.Fatalf("words of %q: %q, then %q", s, words, twice)
		}
		if utf8.ValidString(s) {
			for _, r := range once {
				if unicode.Is(unicode.Mn, r) {
					t.Fatalf("%q: %q has the mark %U", s, once, r)
				}
			}
		}
	})
}

func BenchmarkNormalize(b *testing.B) {
	for _, s := range []string{"anna", "Anna Maria", "Jörg Müller"} {
		b.Run(s, func(b *testing.B) {
			for b.Loop() {
				search.Normalize(s)
			}
		})
	}
}
