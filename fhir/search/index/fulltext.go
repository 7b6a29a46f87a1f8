package index

import (
	"html"
	"slices"
	"strings"

	"galen/fhir"
	"galen/fhir/jsontree"
	"galen/fhir/search"
)

// maxContent bounds the text of one resource that is indexed, in bytes.
const maxContent = 64 << 10

// fullTexts is how the words of a parameter are found, nil for any other.
func fullTexts(code string) func(fhir.Resource) string {
	switch code {
	case search.TextParam:
		return narrative
	case search.ContentParam:
		return content
	}
	return nil
}

// texts adds the entries of full text.
func (w *walk) texts(list []fullText) {
	for _, f := range list {
		if words := f.words(w.resource); words != "" {
			w.add(&emit{param: f.param}, search.Text{Norm: words})
		}
	}
}

// narrative is the words of Resource.text, in order.
func narrative(r fhir.Resource) string {
	return search.NormalizeWords(bounded(withoutTags(r.Root().Get("text").Get("div").Text())))
}

// content is every word of a resource once, in alphabetical order.
func content(r fhir.Resource) string {
	var b strings.Builder
	gather(&b, "", r.Root())
	words := strings.Fields(search.NormalizeWords(bounded(b.String())))
	slices.Sort(words)
	return strings.Join(slices.Compact(words), " ")
}

// bounded ends at white space, so that no word is cut in two.
func bounded(text string) string {
	if len(text) <= maxContent {
		return text
	}
	return text[:max(strings.LastIndexAny(text[:maxContent], " \n\t"), 0)]
}

// gather collects the strings that people read or write.
func gather(b *strings.Builder, name string, v jsontree.Node) {
	switch v.Kind() {
	case jsontree.Object:
		for member, value := range v.Members() {
			gather(b, member, value)
		}
	case jsontree.Array:
		for item := range v.Items() {
			gather(b, name, item)
		}
	case jsontree.String:
		switch name {
		case "resourceType", "id", "reference", "versionId", "lastUpdated", "data", "fullUrl":
			return
		}
		text := v.Text()
		if name == "div" {
			text = withoutTags(text)
		} else if strings.Contains(text, "://") || strings.HasPrefix(text, "urn:") {
			return
		}
		if b.Len() <= maxContent {
			b.WriteString(text)
			b.WriteByte(' ')
		}
	}
}

// withoutTags is the text of XHTML, a space in the place of each tag.
func withoutTags(xhtml string) string {
	var b strings.Builder
	for {
		before, tag, open := strings.Cut(xhtml, "<")
		b.WriteString(before)
		if !open {
			return html.UnescapeString(b.String())
		}
		b.WriteByte(' ')
		_, xhtml, _ = strings.Cut(tag, ">")
	}
}
