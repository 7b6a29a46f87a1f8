package card_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf16"

	"galen/hooks/card"
)

const id = "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea"

func good() card.Card {
	return card.Card{
		UUID: id, Summary: "s", Indicator: card.Info, Source: card.Source{Label: "l", URL: "https://x.test/a", Topic: &card.Coding{System: "s", Code: "c"}},
		Suggestions: []card.Suggestion{
			{Label: "one", UUID: "00000000-0000-0000-0000-000000000001", Recommended: true, Actions: []card.Action{{Type: "create", Description: "d", Resource: json.RawMessage(`{"resourceType":"ServiceRequest","id":"t"}`)}}},
			{Label: "two", UUID: "00000000-0000-0000-0000-000000000002", Actions: []card.Action{{Type: "delete", Description: "d", ResourceID: "ServiceRequest/1"}}},
		},
		SelectionBehavior: card.AtMostOne, OverrideReasons: []card.Coding{{System: "s", Code: "c", Display: "d"}},
		Links: []card.Link{{Label: "l", URL: "https://x.test", Type: "absolute"}, {Label: "l", URL: "https://x.test", Type: "smart", AppContext: "a"}},
	}
}

// Acceptance 15, 17, 18: every rule of a card, one broken at a time.
func TestCheck(t *testing.T) {
	if c := good(); len(card.Check(&c)) != 0 {
		t.Fatalf("a good card: %v", card.Check(&c))
	}
	for name, tt := range map[string]struct {
		spoil func(*card.Card)
		at    string
	}{
		"uuid":                                   {func(c *card.Card) { c.UUID = "1" }, "uuid"},
		"no summary":                             {func(c *card.Card) { c.Summary = "" }, "summary"},
		"140 characters":                         {func(c *card.Card) { c.Summary = strings.Repeat("x", 140) }, "summary"},
		"70 characters outside the BMP":          {func(c *card.Card) { c.Summary = strings.Repeat("😀", 70) }, "summary"},
		"indicator":                              {func(c *card.Card) { c.Indicator = "hard-stop" }, "indicator"},
		"source without label":                   {func(c *card.Card) { c.Source.Label = "" }, "source.label"},
		"source with a relative url":             {func(c *card.Card) { c.Source.URL = "/a" }, "source.url"},
		"source with a script":                   {func(c *card.Card) { c.Source.URL = "javascript:alert(1)" }, "source.url"},
		"icon":                                   {func(c *card.Card) { c.Source.Icon = "icon.png" }, "source.icon"},
		"topic":                                  {func(c *card.Card) { c.Source.Topic = &card.Coding{System: "s"} }, "source.topic"},
		"cds-resp-1: two recommended of one":     {func(c *card.Card) { c.Suggestions[1].Recommended = true }, "suggestions"},
		"no selectionBehavior":                   {func(c *card.Card) { c.SelectionBehavior = "" }, "selectionBehavior"},
		"other selectionBehavior":                {func(c *card.Card) { c.SelectionBehavior = "all" }, "selectionBehavior"},
		"selectionBehavior without suggestions":  {func(c *card.Card) { c.Suggestions = nil }, "selectionBehavior"},
		"suggestion without label":               {func(c *card.Card) { c.Suggestions[0].Label = "" }, "suggestions[0].label"},
		"two suggestions of one uuid":            {func(c *card.Card) { c.Suggestions[1].UUID = c.Suggestions[0].UUID }, "suggestions[1].uuid"},
		"action without description":             {func(c *card.Card) { c.Suggestions[0].Actions[0].Description = "" }, "suggestions[0].actions[0].description"},
		"action of another type":                 {func(c *card.Card) { c.Suggestions[0].Actions[0].Type = "put" }, "suggestions[0].actions[0].type"},
		"create of a resource without id":        {func(c *card.Card) { c.Suggestions[0].Actions[0].Resource = json.RawMessage(`{"resourceType":"Task"}`) }, "suggestions[0].actions[0].resource"},
		"cds-resp-2: delete with a resource":     {func(c *card.Card) { c.Suggestions[1].Actions[0].Resource = json.RawMessage(`{"a":1}`) }, "suggestions[1].actions[0].resource"},
		"delete of an absolute reference":        {func(c *card.Card) { c.Suggestions[1].Actions[0].ResourceID = "https://x.test/Task/1" }, "suggestions[1].actions[0].resourceId"},
		"cds-resp-3: appContext of another type": {func(c *card.Card) { c.Links[0].AppContext = "a" }, "links[0].appContext"},
		"link that is relative":                  {func(c *card.Card) { c.Links[0].URL = "/fhir/RiskAssessment/1" }, "links[0].url"},
		"link that is a script":                  {func(c *card.Card) { c.Links[0].URL = "javascript:alert(1)" }, "links[0].url"},
		"link without label":                     {func(c *card.Card) { c.Links[0].Label = "" }, "links[0].label"},
		"link of another type":                   {func(c *card.Card) { c.Links[0].Type = "relative" }, "links[0].type"},
		"cds-resp-4: reason without display":     {func(c *card.Card) { c.OverrideReasons[0].Display = "" }, "overrideReasons[0]"},
		"json-empty: null in a resource": {func(c *card.Card) {
			c.Suggestions[0].Actions[0].Resource = json.RawMessage(`{"resourceType":"Task","id":"t","note":null}`)
		}, ""},
		"json-empty: empty array in a resource": {func(c *card.Card) {
			c.Suggestions[0].Actions[0].Resource = json.RawMessage(`{"resourceType":"Task","id":"t","note":[]}`)
		}, ""},
	} {
		c := good()
		tt.spoil(&c)
		issues := card.Check(&c)
		if len(issues) == 0 || issues[0].At != tt.at {
			t.Errorf("%s: %v, want one at %q first", name, issues, tt.at)
		}
	}
	c := good()
	c.Detail = `a text that says "note":null and :[] is no empty member`
	if issues := card.Check(&c); len(issues) != 0 {
		t.Errorf("text taken for structure: %v", issues)
	}
}

// Acceptance 15: a summary is at most 139 characters, also in multi-byte text,
// however a client counts.
func TestClip(t *testing.T) {
	for _, s := range []string{"", "short", strings.Repeat("x", 139), strings.Repeat("x", 140), strings.Repeat("é", 300), strings.Repeat("😀", 100), strings.Repeat("a😀", 93)} {
		got := card.Clip(s, card.MaxSummary)
		if n := len(utf16.Encode([]rune(got))); n > 139 {
			t.Errorf("%d units of %.10s…", n, s)
		}
		if len(utf16.Encode([]rune(s))) <= 139 && got != s {
			t.Errorf("%.10s was shortened", s)
		}
		if strings.ContainsRune(got, '�') {
			t.Errorf("%.10s… was cut inside a character", s)
		}
	}
}

// Acceptance 19: text from a record can neither format, nor link, nor run.
func TestMarkdown(t *testing.T) {
	for text, want := range map[string]string{
		"plain text 1.25 %":                "plain text 1.25 %",
		"<script>alert(1)</script>":        "&lt;script&gt;alert(1)&lt;/script&gt;",
		"<img src=x onerror=alert(1)>":     "&lt;img src=x onerror=alert(1)&gt;",
		"[click](javascript:alert(1))":     `\[click\](javascript:alert(1))`,
		"![x](https://evil.test/p.png)":    `\!\[x\](https&#58;//evil.test/p.png)`,
		"see https://evil.test":            "see https&#58;//evil.test",
		"WWW.evil.test":                    "WWW&#46;evil.test",
		"mail a@evil.test":                 "mail a&#64;evil.test",
		"a | b":                            `a \| b`,
		"one\n\n# two":                     `one  \# two`,
		"`code` **bold** ~~gone~~":         "\\`code\\` \\*\\*bold\\*\\* \\~\\~gone\\~\\~",
		"&lt;b&gt;":                        "&amp;lt;b&amp;gt;",
		"\u202e3 ton\u202c":                " 3 ton ",
		"O'Neil \"Bobby\"; DROP TABLE x--": `O'Neil "Bobby"; DROP TABLE x--`,
	} {
		if got := card.Markdown(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func FuzzMarkdown(f *testing.F) {
	for _, s := range []string{"<a href=x>", "[a](b)", "https://x", "a\nb", "\x00\xff", "www.x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := card.Markdown(s)
		if strings.ContainsAny(got, "<>\n\r") || strings.Contains(got, "://") || strings.Contains(strings.ToLower(got), "www.") {
			t.Errorf("%q became %q", s, got)
		}
	})
}

// Acceptance 16: no guidance is an empty array, and systemActions is absent.
func TestResponse(t *testing.T) {
	b, err := card.Response(nil)
	if err != nil || string(b) != `{"cards":[]}` {
		t.Errorf("%s %v", b, err)
	}
	cards := []card.Card{{UUID: "1", Indicator: card.Info}, {UUID: "2", Indicator: card.Critical}, {UUID: "3", Indicator: card.Warning}, {UUID: "4", Indicator: card.Critical}}
	card.Rank(cards)
	var order string
	for _, c := range cards {
		order += c.UUID
	}
	if order != "2431" {
		t.Errorf("order %s, want the most urgent first", order)
	}
}
