package text

import (
	"encoding/base64"
	"html"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"galen/cds/feature"
	"galen/fhir"
	"galen/fhir/jsontree"
)

// Note is the text of one part of a resource.
type Note struct {
	Citation string // of the resource
	Binary   string // citation of the Binary that the text is in; "" for none
	Part     string // FHIRPath of what holds the text
	Text     string // HTML without its tags, every byte in its place
}

// maxNote is how many bytes of one note are read.
const maxNote = 1 << 20

// Notes are the texts of a patient's DocumentReferences, DiagnosticReports and
// Compositions: attachments of plain text or HTML, also in a Binary that is among
// the items; conclusions; sections. Others' notes, and what was entered in error,
// do not count.
func Notes(ev feature.Evidence) []Note {
	var out []Note
	for i := range ev.Items {
		it := &ev.Items[i]
		root := it.Resource.Root()
		if fhir.ParseReference(root.Get("subject").Get("reference").Text()).Key != (fhir.Key{Type: "Patient", ID: ev.PatientID}) || root.Get("status").Text() == "entered-in-error" {
			continue
		}
		r := reader{ev: &ev, citation: it.Citation}
		switch it.Resource.Type {
		case "DocumentReference":
			if root.Get("docStatus").Text() != "entered-in-error" {
				r.each(root.Get("content"), "DocumentReference.content", func(n jsontree.Node, at string) { r.attachment(n.Get("attachment"), at+".attachment") })
			}
		case "DiagnosticReport":
			r.add("DiagnosticReport.conclusion", root.Get("conclusion").Text())
			r.each(root.Get("presentedForm"), "DiagnosticReport.presentedForm", r.attachment)
		case "Composition":
			r.sections(root.Get("section"), "Composition.section")
		}
		out = append(out, r.notes...)
	}
	return out
}

// reader gathers the notes of one resource.
type reader struct {
	ev       *feature.Evidence
	citation string
	notes    []Note
}

func (r *reader) add(part, text string) { r.addOf("", part, text) }

func (r *reader) addOf(binary, part, text string) {
	if len(text) > 0 && len(text) <= maxNote && utf8.ValidString(text) {
		r.notes = append(r.notes, Note{r.citation, binary, part, text})
	}
}

func (r *reader) each(list jsontree.Node, at string, f func(jsontree.Node, string)) {
	i := 0
	for n := range list.Items() {
		f(n, at+"["+strconv.Itoa(i)+"]")
		i++
	}
}

func (r *reader) sections(list jsontree.Node, at string) {
	r.each(list, at, func(n jsontree.Node, at string) {
		r.add(at+".text.div", Plain(n.Get("text").Get("div").Text()))
		r.sections(n.Get("section"), at+".section")
	})
}

// attachment reads one that has data, or names a Binary here.
func (r *reader) attachment(n jsontree.Node, at string) {
	kind, data, citation := n.Get("contentType").Text(), n.Get("data").Text(), ""
	if key := fhir.ParseReference(n.Get("url").Text()).Key; data == "" && key.Type == "Binary" {
		i := slices.IndexFunc(r.ev.Items, func(it feature.Item) bool { return it.Resource.Key == key })
		if i < 0 {
			return
		}
		binary := r.ev.Items[i].Resource.Root()
		citation = r.ev.Items[i].Citation
		kind, data = binary.Get("contentType").Text(), binary.Get("data").Text()
	}
	kind, _, _ = strings.Cut(kind, ";")
	text, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(data), ""))
	switch {
	case err != nil:
	case strings.TrimSpace(kind) == "text/plain":
		r.addOf(citation, at, string(text))
	case strings.TrimSpace(kind) == "text/html", strings.TrimSpace(kind) == "application/xhtml+xml":
		r.addOf(citation, at, Plain(string(text)))
	}
}

// Plain puts spaces in the place of tags and pads entities, so that every word
// stays at its byte.
func Plain(markup string) string {
	out := []byte(markup)
	for i := 0; i < len(out); {
		switch out[i] {
		case '<':
			end := strings.IndexByte(markup[i:], '>')
			if end < 0 {
				end = len(out) - i - 1
			}
			for j := i; j <= i+end; j++ {
				out[j] = ' '
			}
			i += end + 1
		case '&':
			end := strings.IndexByte(markup[i:min(len(markup), i+12)], ';')
			text := ""
			if end > 0 {
				text = html.UnescapeString(markup[i : i+end+1])
			}
			if end > 0 && len(text) <= end+1 && text != markup[i:i+end+1] {
				copy(out[i:], text+strings.Repeat(" ", end+1-len(text)))
				i += end
			}
			i++
		default:
			i++
		}
	}
	return string(out)
}
