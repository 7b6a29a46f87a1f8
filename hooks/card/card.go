// Package card is the cards of CDS Hooks
// (https://cds-hooks.hl7.org/2.0/#cds-service-response): their shape, the rules
// they must keep before they leave, their order, and text made safe for them.
//
// Check holds a card against every rule of the standard that can be told from
// the card alone, so that a client never gets one that it may refuse. Markdown
// escapes text from a record so that it can neither format nor link nor run.
//
// It knows nothing of models, patients or HTTP.
package card

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf16"
)

// Card is one card.
type Card struct {
	UUID              string       `json:"uuid"`
	Summary           string       `json:"summary"`
	Detail            string       `json:"detail,omitempty"`
	Indicator         Indicator    `json:"indicator"`
	Source            Source       `json:"source"`
	Suggestions       []Suggestion `json:"suggestions,omitempty"`
	SelectionBehavior string       `json:"selectionBehavior,omitempty"`
	OverrideReasons   []Coding     `json:"overrideReasons,omitempty"`
	Links             []Link       `json:"links,omitempty"`
}

// Indicator is how urgent a card is.
type Indicator string

// The indicators, the least urgent first.
const (
	Info     Indicator = "info"
	Warning  Indicator = "warning"
	Critical Indicator = "critical"
)

// Urgency orders indicators: the more urgent the greater; -1 for what is none.
func (i Indicator) Urgency() int { return slices.Index([]Indicator{Info, Warning, Critical}, i) }

// Source says whom the guidance is from.
type Source struct {
	Label string  `json:"label"`
	URL   string  `json:"url,omitempty"`
	Icon  string  `json:"icon,omitempty"`
	Topic *Coding `json:"topic,omitempty"`
}

// Coding is a code in a code system with its display.
type Coding struct {
	System  string `json:"system,omitempty"`
	Code    string `json:"code"`
	Display string `json:"display,omitempty"`
}

// Suggestion is one choice that a card offers.
type Suggestion struct {
	Label       string   `json:"label"`
	UUID        string   `json:"uuid,omitempty"`
	Recommended bool     `json:"isRecommended,omitempty"`
	Actions     []Action `json:"actions,omitempty"`
	// ActionSelection is of the CDS Hooks 3.0 ballot, for clients that know it.
	ActionSelection string `json:"actionSelectionBehavior,omitempty"`
}

// Action is what accepting a suggestion does.
type Action struct {
	Type        string          `json:"type"` // create, update or delete
	Description string          `json:"description"`
	Resource    json.RawMessage `json:"resource,omitempty"`   // of create and update: whole
	ResourceID  string          `json:"resourceId,omitempty"` // of delete: Type/id
}

// Link leads to more.
type Link struct {
	Label      string `json:"label"`
	URL        string `json:"url"`
	Type       string `json:"type"` // absolute or smart
	AppContext string `json:"appContext,omitempty"`
}

// The values of SelectionBehavior.
const (
	AtMostOne = "at-most-one"
	Any       = "any"
)

// MaxSummary is how many characters a summary may have: fewer than 140.
const MaxSummary = 139

// length counts as JavaScript does, which is what most clients are written in:
// no count of characters is greater.
func length(s string) int {
	n := 0
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}

// Clip shortens to a number of UTF-16 units, at the end of a character.
func Clip(s string, most int) string {
	if length(s) <= most {
		return s
	}
	n := 0
	for i, r := range s {
		if n += utf16.RuneLen(r); n > most-1 {
			return s[:i] + "…"
		}
	}
	return s
}

// Rank orders cards, the most urgent first, those of one urgency as they are.
func Rank(cards []Card) {
	slices.SortStableFunc(cards, func(a, b Card) int { return b.Indicator.Urgency() - a.Indicator.Urgency() })
}

// Response is the body of an answer; without cards it says so with an empty
// array.
func Response(cards []Card) ([]byte, error) {
	if cards == nil {
		cards = []Card{}
	}
	return json.Marshal(struct {
		Cards []Card `json:"cards"`
	}{cards})
}

// Markdown makes text inert in GitHub-flavoured Markdown
// (https://github.github.com/gfm/) and in clients that render the HTML in it:
// no markup, no autolinks, one line.
func Markdown(s string) string {
	if !strings.ContainsAny(s, "<>&\\`*_[]|#!~@:/.\n\r\t") && printable(s) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '&':
			b.WriteString("&amp;")
		case r == '@':
			b.WriteString("&#64;") // autolinks of mail addresses
		case r == ':' && strings.HasPrefix(s[i:], "://"), r == '.' && i >= 3 && strings.EqualFold(s[i-3:i], "www"):
			b.WriteString(map[rune]string{':': "&#58;", '.': "&#46;"}[r]) // autolinks of URLs
		case r < ' ' || r == 0x7f || hidden(r):
			b.WriteByte(' ')
		case strings.ContainsRune("\\`*_[]|#!~", r):
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Plain makes text one line for a place that is no Markdown.
func Plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || hidden(r) {
			return ' '
		}
		return r
	}, s)
}

// hidden are characters that change the order of the text around them or break
// lines: they could make a number read as another.
func hidden(r rune) bool {
	return r == 0x2028 || r == 0x2029 || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) || (r >= 0x80 && r < 0xa0) || r == 0xfeff
}

func printable(s string) bool {
	for _, r := range s {
		if r < ' ' || r == 0x7f || hidden(r) {
			return false
		}
	}
	return true
}
