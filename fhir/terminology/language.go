package terminology

import (
	"strings"

	"golang.org/x/text/language"
)

// languages reads what a client wants displays in: one BCP 47 tag, or a list as in
// Accept-Language. What cannot be read wants nothing in particular.
func languages(wanted string) []string {
	tags, _, err := language.ParseAcceptLanguage(wanted)
	if err != nil {
		return nil
	}
	var out []string
	for _, t := range tags {
		out = append(out, t.String())
	}
	return out
}

// display is what a code is called in the first of the languages for which its
// system has a designation; else as it is called anyway.
func (h hit) display(wanted []string) string {
	if h.concept == nil {
		return h.Display
	}
	for _, tag := range wanted {
		for d := range h.concept.node.Get("designation").Items() {
			if speaks(d.Get("language").Text(), tag) {
				return d.Get("value").Text()
			}
		}
		if speaks(h.concept.system.root.Get("language").Text(), tag) {
			break
		}
	}
	return h.Display
}

// speaks reports whether a language is the wanted one or a kind of it: de-CH is
// de (RFC 4647, section 3.3.1).
func speaks(have, want string) bool {
	return len(have) >= len(want) && strings.EqualFold(have[:len(want)], want) && (len(have) == len(want) || have[len(want)] == '-')
}
