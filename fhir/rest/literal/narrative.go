package literal

import (
	"html"
	"strings"
	"unicode/utf8"

	"galen/fhir/jsontree"
)

// narrative gives the href and src of an xhtml value to replace
// (https://hl7.org/fhir/R4/narrative.html#linking).
func (k *walk) narrative(n jsontree.Node) {
	text := n.Text()
	if !strings.Contains(text, "href") && !strings.Contains(text, "src") {
		return
	}
	raw := rawText{src: k.src[n.Offset()+1 : n.End()-1], base: n.Offset() + 1}
	for _, a := range linksIn(text) {
		link := html.UnescapeString(text[a.start:a.end])
		to, err := k.replace(Link{Narrative, link, k})
		if err != nil {
			k.err = err
			return
		}
		if to == "" || to == link {
			continue
		}
		quoted := jsontree.AppendString(nil, html.EscapeString(to))
		start := raw.offset(a.start)
		k.cuts = append(k.cuts, cut{start, raw.offset(a.end), quoted[1 : len(quoted)-1]})
	}
}

// span is a part of a text, in bytes.
type span struct{ start, end int }

// linksIn are the values of href and src in the tags of an xhtml text, without
// their quotes. What is no tag, such as a comment, is passed over.
func linksIn(text string) []span {
	var found []span
	for i := 0; i < len(text); {
		open := strings.IndexByte(text[i:], '<')
		if open < 0 {
			break
		}
		i += open
		if strings.HasPrefix(text[i:], "<!--") {
			end := strings.Index(text[i:], "-->")
			if end < 0 {
				break
			}
			i += end
			continue
		}
		i, found = linksOfTag(text, i+1, found)
	}
	return found
}

// linksOfTag reads the attributes of the tag at text[i:] and returns where it
// ends.
func linksOfTag(text string, i int, found []span) (int, []span) {
	const space = " \t\r\n"
	for i < len(text) && text[i] != '>' {
		name := text[i : i+until(text[i:], space+"=>\"'")]
		i += len(name)
		rest := strings.TrimLeft(text[i:], space)
		if !strings.HasPrefix(rest, "=") {
			i = max(len(text)-len(rest), i+1) // the tag's own name, or a slash
			if rest != "" && rest[0] == '>' {
				return i, found
			}
			continue
		}
		rest = strings.TrimLeft(rest[1:], space)
		i = len(text) - len(rest)
		if rest == "" || rest[0] != '"' && rest[0] != '\'' {
			continue
		}
		end := strings.IndexByte(rest[1:], rest[0])
		if end < 0 {
			return len(text), found
		}
		if name == "href" || name == "src" {
			found = append(found, span{i + 1, i + 1 + end})
		}
		i += end + 2
	}
	return i, found
}

// until is the length of text before the first of the stops.
func until(text, stops string) int {
	if n := strings.IndexAny(text, stops); n >= 0 {
		return n
	}
	return len(text)
}

// rawText finds the place in a JSON string's source of a place in its decoded
// text; places must be asked for in ascending order.
type rawText struct {
	src  []byte
	base int // offset of src in the document
	at   int // in src
	text int // the place in the decoded text
}

func (r *rawText) offset(text int) int {
	for r.text < text && r.at < len(r.src) {
		switch {
		case r.src[r.at] != '\\':
			r.at++
			r.text++
		case r.src[r.at+1] != 'u':
			r.at += 2
			r.text++
		default:
			c := hexRune(r.src[r.at+2 : r.at+6])
			r.at += 6
			size := utf8.RuneLen(c)
			if size < 0 { // the first half of a surrogate pair; the second follows
				r.at += 6
				size = 4
			}
			r.text += size
		}
	}
	return r.base + r.at
}

func hexRune(digits []byte) rune {
	var c rune
	for _, d := range digits {
		c <<= 4
		switch {
		case d <= '9':
			c |= rune(d - '0')
		default:
			c |= rune(d|0x20-'a') + 10
		}
	}
	return c
}
